"""The table that a team chooses a judge by: accuracy, order, ties, dollars, speed, and which differences are real."""
