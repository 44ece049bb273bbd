"""Best of four: one right answer among three wrong ones, in a slot that is drawn and stored; the judge names the best.

The question is our own text, fenced as the panel's, so its figures are not those of the official leaderboard, whose prompt differs.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from consensus.nouns import Ballot, Shown, Text
from consensus.shipped import shipped
from evaluation.benchmarks.rows import Row, toss
from labeling.reply import json_objects
from labeling.rubric import Messages, fence_nonce, render

Convention = Literal["strict", "official"]
"""strict: what cannot be read, and a tie at the top, is not right. official: as RewardBench 2's code credits it."""
SIZE = 4
PARSE_ERROR = 0.25
"""The credit of a reply that cannot be read, by the official convention: a guess among four."""
_SLOTS = "ABCD"
_BRACKETED = re.compile(r"\[\[\s*([A-D])\s*\]\]", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Lineup:
    """A row as it is shown.

    Attributes:
        slot: of the right answer, 0 for A.
        rejected: for every slot, in their order, the place of the wrong answer that it shows, None for the right one.
    """

    row_id: str
    slot: int
    rejected: tuple[int | None, ...]

    def as_dict(self) -> dict[str, Any]:
        """As it is stored beside the reply."""
        return asdict(self)


def lineup(row: Row, *, seed: int, size: int = SIZE) -> Lineup:
    """The first right answer in a drawn slot, among wrong ones in a drawn order; of more than `size` - 1 of these a draw."""
    order = sorted(range(len(row.rejected)), key=lambda place: toss(seed, "wrong", row.id, place))[: size - 1]
    slot = toss(seed, "slot", row.id) % (len(order) + 1)
    return Lineup(row.id, slot, (*order[:slot], None, *order[slot:]))


def answers(row: Row, shown: Lineup) -> list[Text]:
    """The answers of a lineup, from slot A on."""
    return [row.chosen[0] if place is None else row.rejected[place] for place in shown.rejected]


def messages(row: Row, shown: Lineup, *, judge: str, seed: int) -> Messages:
    """What a judge is asked; the same bytes whenever it is asked."""
    parts = {"prompt": render(row.prompt)}
    parts |= {f"completion {_SLOTS[slot]}": render(text) for slot, text in enumerate(answers(row, shown))}
    names = ", ".join(_SLOTS[: len(shown.rejected) - 1]) + f" or {_SLOTS[len(shown.rejected) - 1]}"
    return fenced("rubrics/best-of.md", parts, row.id, f"Which completion is best, {names}?", judge=judge, seed=seed)


def fenced(rubric: str, parts: dict[str, str], name: str, question: str, *, judge: str, seed: int) -> Messages:
    """A shipped rubric, then the parts between fences that no part can close, then the question."""
    nonce = fence_nonce(parts, Ballot(name, judge, Shown.AB), seed)
    material = [f"BEGIN {part} {nonce}\n{text}\nEND {part} {nonce}" for part, text in parts.items()]
    closing = f"The code of this message is {nonce}. {question} Answer with the JSON object."
    return [
        {"role": "system", "content": shipped(rubric).read_text("utf-8").strip()},
        {"role": "user", "content": "\n\n".join([*material, closing])},
    ]


def parse(text: str, slots: int = SIZE) -> int | None:
    """The slot that a reply names, 0 for A; None where none can be read, or several are named."""
    said = {_slot(found["verdict"], slots) for found in json_objects(text) if "verdict" in found}
    if not said:
        said = {_slot(mark, slots) for mark in _BRACKETED.findall(text)}
    return said.pop() if len(said) == 1 else None


def _slot(value: Any, slots: int) -> int | None:
    letter = value.strip().upper() if isinstance(value, str) else ""
    return _SLOTS.index(letter) if letter and letter in list(_SLOTS[:slots]) else None


def credit(said: int | None, shown: Lineup, convention: Convention = "strict") -> float:
    """What a reply is worth: 1 for the right slot, 0 for another; one that cannot be read 0, or 0.25 by the official convention."""
    if said is None:
        return PARSE_ERROR if convention == "official" else 0.0
    return float(said == shown.slot)


def credits_of(
    said: Sequence[int | None], shown: Sequence[Lineup], convention: Convention = "strict"
) -> tuple[list[float], int]:
    """The credit of every row, and how many replies could not be read."""
    each = [credit(slot, line, convention) for slot, line in zip(said, shown, strict=True)]
    return each, sum(slot is None for slot in said)
