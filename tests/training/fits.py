"""Preference rows and settings for trainings that take a second."""

from __future__ import annotations

from consensus.sections.training import Training

WORDS = ["pear", "plum", "fig", "lime", "date", "kiwi", "melon", "grape", "peach", "berry"]


def rows(n, *, p_chosen=1.0, tools=None):
    """Rows of different lengths in which the chosen completion is the polite one."""
    return [
        {
            "prompt": [{"role": "user", "content": f"Say {WORDS[k % 10]} " + "and " * (k % 4) + f"to me, number {k}."}],
            "chosen": [{"role": "assistant", "content": f"Certainly: {WORDS[k % 10]}" + "!" * (k % 3)}],
            "rejected": [{"role": "assistant", "content": f"No {WORDS[(k + 3) % 10]} " * (1 + k % 2)}],
            "tools": tools,
            "p_chosen": p_chosen,
            "pair_id": f"pair-{k}",
        }
        for k in range(n)
    ]


def quick(**settings):
    """Settings for the tiny model."""
    return Training.model_validate(
        {"model": "tiny", "epochs": 1, "batch_size": 4, "learning_rate": 1e-3, "max_length": 512, "seed": 3} | settings
    )
