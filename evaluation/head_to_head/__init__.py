"""Candidate against baseline: both answer held-out prompts, and the panel says whose answer is better."""
