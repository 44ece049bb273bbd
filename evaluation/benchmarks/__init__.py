"""Public benchmarks of judges: their data in one form, their protocols, and what of them a judge is trained on."""
