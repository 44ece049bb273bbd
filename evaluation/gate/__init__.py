"""Whether a checkpoint is promoted: its gain over the baseline on the same items, and the limits that it must keep."""
