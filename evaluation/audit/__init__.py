"""What a cycle's judges and its panel are worth, from the votes that are in the store."""
