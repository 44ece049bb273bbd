"""What production says of the checkpoints, and whether any offline score told it beforehand."""
