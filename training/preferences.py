"""Labels as preferences to train on: which pairs, which side is chosen, with what chance, and which prompts are held out.

Nothing here reads a text but the prompts, which the split compares; `training/rows.py` brings the texts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa

from consensus.statistics.clusters import Floats, Ints
from consensus.statistics.estimate import Bools
from consensus.statistics.votes import NO_GOLD, TIE, A, B

if TYPE_CHECKING:
    from consensus.chances import Sides
    from consensus.cycle import Cycle
    from consensus.cycle_votes import CycleVotes
    from consensus.sections.training import Training
    from consensus.store import Store

Policy = Literal["soft", "hard"]
GOLD_TIE, UNDECIDED, NO_LABEL = "gold_tie", "undecided", "held_out_without_label"
WHY = {
    GOLD_TIE: "a person called it a tie",
    UNDECIDED: "the votes lean to neither side",
    NO_LABEL: "in a prompt that is held out, and no label to test against",
    "same": "both completions are the same",
    "empty": "the prompt or a completion is empty",
    "too_long": "prompt and completion are longer than max_length",
    "split": "judges disagree",
    "tie": "judges agree on a tie",
    "unstable": "judges contradict themselves between the orders",
    "too_few_votes": "too few verdicts",
}


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """Which completion of each pair is the chosen one.

    Attributes:
        side: A or B, 0 where the pair is left out, shape [n_pairs].
        p: chance that the chosen one is the better, in [1/2, 1], shape [n_pairs]; 1 by a person's word and under `hard`.
        why: the reason of each pair that is left out, "" of the others, shape [n_pairs].
    """

    side: Ints
    p: Floats
    why: np.typing.NDArray[np.object_]


def choose(found: CycleVotes, reasons: Sequence[str], likelier: Sides, *, policy: Policy, people_first: bool) -> Choice:
    """Apply a policy to every pair.

    `hard` takes the kept labels for true. `soft` takes every pair on which the votes lean to a side, with the calibrated chance
    of that side; it may be the other one than the panel's majority. A person's verdict stands above both; a person's tie leaves
    the pair out.

    Args:
        reasons: the reason of each label, shape [n_pairs].
        people_first: whether gold is used at all.
    Raises:
        ValueError: `soft` without a calibration.
    """
    if policy == "soft":
        if not likelier.calibrated:
            raise ValueError("soft labels need a calibration")
        lean = np.where(np.abs(likelier.p_a - 0.5) > 1e-9, np.sign(likelier.p_a - 0.5), 0).astype(np.int64)
        p = np.maximum(likelier.p_a, 1 - likelier.p_a)
        why = np.where(lean == 0, UNDECIDED, "").astype(object)
    else:
        lean = np.where(found.kept & np.isin(found.label, (A, B)), found.label, 0)
        p = np.ones(len(lean))
        why = np.where(lean == 0, np.asarray(reasons, dtype=object), "").astype(object)
    if people_first:
        gold = found.votes.gold
        spoken = np.isin(gold, (A, B))
        lean, p = np.where(spoken, gold, lean), np.where(spoken, 1.0, p)
        why[spoken] = ""
        lean, why = np.where(gold == TIE, 0, lean), np.where(gold == TIE, GOLD_TIE, why)
    return Choice(lean, p, why)


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """What is trained on, and tested on, before the texts are read.

    Attributes:
        cycle: its name.
        policy: the one in use; `hard` where soft labels were asked for and cannot be calibrated, or the
            loss does not read them.
        because: a sentence about it.
        table: a row a pair in the order of the store: `row` (its place in the store), `a` (whether completion a is the chosen one),
            `pair_id`, `prompt_id`, `p_chosen`, `support`, `category`, `gold` (chosen, rejected, tie, null), `held_out`.
        left_out: pairs that are not in the table, with the reason.
        by_people: pairs whose chosen side is a person's.
        overruled: kept pairs whose chosen side is not the panel's, by the votes' model.
        sizes: per policy that is possible, pairs to train on and pairs held out.
        prompts, groups, largest: prompts; groups of near-duplicates that stay together; prompts in the largest of them.
        digest: of everything that decides the rows.
    """

    cycle: str
    policy: Policy
    because: str
    table: pa.Table
    left_out: pa.Table
    by_people: int
    overruled: int
    sizes: Mapping[str, tuple[int, int]]
    prompts: int
    groups: int
    largest: int
    digest: str

    @property
    def train(self) -> int:
        """Pairs to train on."""
        return len(self.table) - self.held_out

    @property
    def held_out(self) -> int:
        """Pairs to test on."""
        return int(np.asarray(self.table["held_out"]).sum())


def plan(store: Store, cycle: Cycle) -> Plan:
    """What the cycle's labels give under its `training:` section."""
    from consensus.chances import sides
    from consensus.cycle_votes import read
    from consensus.preference_store import facts

    settings = cycle.training
    table, found = facts(store, cycle.name), read(store, cycle)
    prompt_held_out, of_prompt, figures = _held_out(store, table, settings.validation, settings.near)
    held_out = prompt_held_out[of_prompt]
    likelier = sides(found, among=~held_out)
    possible: list[Policy] = ["hard", "soft"] if likelier.calibrated else ["hard"]
    reasons = table["reason"].to_pylist()
    choices = {
        policy: _testable(
            choose(found, reasons, likelier, policy=policy, people_first=settings.gold), found, held_out, settings.gold
        )
        for policy in possible
    }
    policy: Policy = "soft" if settings.policy == "soft" and settings.reads_chances and "soft" in choices else "hard"
    choice = choices[policy]
    used = np.flatnonzero(choice.side)
    used = used[np.argsort(np.asarray(table["row"])[used], kind="stable")]
    chosen = _rows(table, used, choice, found, held_out)
    gone = np.flatnonzero(choice.side == 0)
    by_people = np.isin(found.votes.gold[used], (A, B)) & settings.gold
    return Plan(
        cycle=cycle.name,
        policy=policy,
        because=_because(settings, likelier),
        table=chosen,
        left_out=pa.table({"pair_id": table["pair_id"].take(gone), "reason": pa.array(choice.why[gone], pa.string())}),
        by_people=int(by_people.sum()),
        overruled=int((found.kept[used] & (found.label[used] != choice.side[used]) & ~by_people).sum()),
        sizes={
            name: (int((one.side[~held_out] != 0).sum()), int((one.side[held_out] != 0).sum()))
            for name, one in choices.items()
        },
        digest=_digest(chosen, table["content_hash"].take(used)),
        **figures,
    )


def _testable(choice: Choice, found: CycleVotes, held_out: Bools, people_first: bool) -> Choice:
    """Without the pairs that are held out and have no verdict, the panel's or a person's: a test against a guess is none."""
    decided = (found.kept & np.isin(found.label, (A, B))) | (people_first & np.isin(found.votes.gold, (A, B)))
    guess = held_out & (choice.side != 0) & ~decided
    return Choice(np.where(guess, 0, choice.side), choice.p, np.where(guess, NO_LABEL, choice.why))


def _held_out(store: Store, table: pa.Table, share: float, near: float | None) -> tuple[Bools, Ints, dict[str, int]]:
    """Which prompts are held out, the prompt of each pair, and figures of the split."""
    from consensus.preference_store import prompts
    from training.split import split, spoken

    coded = table["prompt_id"].combine_chunks().dictionary_encode()
    ids, of_prompt = coded.dictionary.to_pylist(), np.asarray(coded.indices, dtype=np.int64)
    if not share:
        return np.zeros(len(ids), np.bool_), of_prompt, {"prompts": len(ids), "groups": len(ids), "largest": 1}
    rows = np.full(len(ids), np.iinfo(np.int64).max)
    np.minimum.at(rows, of_prompt, np.asarray(table["row"], dtype=np.int64))
    order = np.argsort(rows)
    texts = (spoken(one) for one in prompts(store, rows[order]))
    found = split([ids[k] for k in order.tolist()], texts, share=share, near=near)
    out = np.empty(len(ids), np.bool_)
    out[order] = found.held_out
    return out, of_prompt, {"prompts": len(ids), "groups": found.groups, "largest": found.largest}


def _rows(facts: pa.Table, used: Ints, choice: Choice, found: CycleVotes, held_out: Bools) -> pa.Table:
    """The table of a plan; gold is said in terms of the row, so that no reader needs to know which completion was called a."""
    facts = facts.take(used)
    side, gold = choice.side[used], found.votes.gold[used]
    said = np.select([gold == NO_GOLD, gold == TIE, gold == side], [3, 2, 1], 0)
    support = np.where(found.label[used] == side, facts["support"].to_numpy(), np.nan)
    return pa.table(
        {
            "row": facts["row"],
            "a": side == A,
            "pair_id": facts["pair_id"],
            "prompt_id": facts["prompt_id"],
            "p_chosen": choice.p[used],
            "support": pa.array(support, from_pandas=True),
            "category": facts["category"],
            "gold": pa.array(["rejected", "chosen", "tie", None]).take(said),
            "held_out": held_out[used],
        }
    )


def _because(settings: Training, likelier: Sides) -> str:
    from consensus.chances import FEWEST

    if settings.policy == "hard":
        return "kept pairs only, each label taken for true (policy: hard)"
    if not settings.reads_chances:
        return f"kept pairs only: 'loss: {settings.loss}' reads no pair's own chance, as 'loss: soft' does"
    if likelier.calibrated:
        return f"soft labels, calibrated on {likelier.gold:,} pairs with gold that are not held out (factor {likelier.factor:.2f})"
    return (
        f"hard labels in place of soft ones: {likelier.gold:,} pairs that are not held out have gold, and a calibration needs "
        f"{FEWEST}; a share of votes is no probability"
    )


def _digest(chosen: pa.Table, content: Any) -> str:
    total = hashlib.sha256()
    for column in (chosen["pair_id"], content):
        for text in column.to_pylist():
            total.update(text.encode() + b"\n")
    for name in ("a", "held_out"):
        total.update(np.packbits(np.asarray(chosen[name])).tobytes())
    total.update(np.round(np.asarray(chosen["p_chosen"]) * 1e4).astype("<i4").tobytes())
    return total.hexdigest()


def held_out_pairs(store: Store, cycle: Cycle) -> list[str]:
    """One pair of each prompt that is held out, the first of it in the order they came, whether it has a label or not."""
    from consensus.preference_store import facts

    table = facts(store, cycle.name)
    prompt_held_out, of_prompt, _ = _held_out(store, table, cycle.training.validation, cycle.training.near)
    _, first = np.unique(of_prompt, return_index=True)
    chosen = np.sort(first[prompt_held_out])
    return [str(pair_id) for pair_id in table["pair_id"].take(chosen).to_pylist()]
