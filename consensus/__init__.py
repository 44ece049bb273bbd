"""The ground floor: pairs, ballots, votes, verdicts and labels; the panel's rule; the store; the cycle file.

It depends on none of the rooms above it (`labeling`, `training`, `evaluation`).
"""
