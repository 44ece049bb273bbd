"""The sections of the cycle file: every setting, its default and meaning, written here and nowhere else."""
