"""A local judge's time by how many requests it reads at once: `python -m tests.benchmarks.local_judging`.

SmolLM2-135M on one core; the requests are of a judge's size, some 500 tokens, and of like length, so that nothing is padding. The
ratio is to one request at a time.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TOGETHER = (1, 2, 4, 16)


def requests(n: int) -> list[list[dict[str, str]]]:
    """Requests to judge out of this repository's own words."""
    words = (ROOT / "README.md").read_text(encoding="utf-8").split()
    system = "You compare two completions of one prompt, A and B. Answer with one JSON object."
    return [
        [
            {"role": "system", "content": system},
            {"role": "user", "content": " ".join(words[at : at + 220]) + "\n\nWhich completion is better, A or B?"},
        ]
        for at in (37 * k % (len(words) - 220) for k in range(n))
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1, help="of torch")
    options = parser.parse_args()

    import torch

    from training.local import LocalModel
    from training.model import SMALL

    torch.set_num_threads(options.threads)
    model, asked = LocalModel.open(SMALL, None), requests(max(TOGETHER))
    tokens = sum(said.prompt_tokens for said in model.verdicts(asked))
    print("| requests at once | tokens | ms of CPU per token | times as long |")
    print("| --- | --- | --- | --- |")
    spent: dict[int, float] = {}
    for size in TOGETHER:
        began = time.process_time()
        for start in range(0, len(asked), size):
            model.verdicts(asked[start : start + size])
        spent[size] = 1000 * (time.process_time() - began) / tokens
        print(
            f"| {size} | {size * tokens // len(asked):,} | {spent[size]:.2f} | {spent[size] / spent[1]:.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
