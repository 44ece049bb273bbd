"""From pairs to votes: readers, the ballot plan, rubric and reply, providers, limits, the labeler."""
