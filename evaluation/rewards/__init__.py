"""What a checkpoint thinks of held-out pairs, before anybody draws a completion from it."""
