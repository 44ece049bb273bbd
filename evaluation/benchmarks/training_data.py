"""What a judge is trained on: answers, as in the public experiment, and judgments, which is what it will be asked for.

Rows are those of a preference dataset (`prompt`, `chosen`, `rejected` as chat messages), for `training.task: judge`. Gold is
certain, so `p_chosen` is 1.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from consensus.nouns import Ballot, Pair, Shown, Verdict, digest
from evaluation.benchmarks.rows import GROUP, toss
from labeling.reply import json_objects, parse
from labeling.rubric import Rubric
from training.dataset import messages

Example = dict[str, Any]
Cell = tuple[str, Shown]
"""A pair, and the order it was shown in."""


@dataclass(frozen=True, slots=True)
class Reasons:
    """What judges of a panel gave as reasons, by cell and verdict, in the order in which they came."""

    given: Mapping[tuple[Cell, Verdict], Sequence[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, votes: Iterable[Mapping[str, Any]]) -> Reasons:
        """From rows of the table of votes: the field `reasoning` of replies that say what the vote says."""
        found: dict[tuple[Cell, Verdict], list[str]] = defaultdict(list)
        for vote in votes:
            shown, verdict = Shown(vote["shown"]), Verdict(vote["verdict"])
            reason = reason_of(vote["raw"] or "")
            if reason and parse(vote["raw"], shown).verdict is verdict:
                found[(vote["pair_id"], shown), verdict].append(reason)
        return cls(found)

    def pick(self, cell: Cell, verdict: Verdict, seed: int) -> str | None:
        """One of the reasons that were given for a verdict; None where nobody gave one."""
        some = self.given.get((cell, verdict), ())
        return some[toss(seed, "reason", *cell, verdict) % len(some)] if some else None


def answer_pairs(pairs: Iterable[Pair]) -> Iterator[Example]:
    """Answers: the right completion is chosen, the wrong one rejected; pairs without gold a or b are left out.

    A judge trained on them learns which answers are good, not how to say so. How many a row gives is up to `rows.pairs_of`.
    """
    for pair in pairs:
        if pair.gold in (Verdict.A, Verdict.B):
            yield {
                "prompt": messages(pair.prompt, "user"),
                "chosen": messages(pair.completion(pair.gold), "assistant"),
                "rejected": messages(pair.completion(pair.gold.swapped()), "assistant"),
                **_rest(pair, pair.pair_id),
            }


def judgment_pairs(
    pairs: Sequence[Pair], rubric: Rubric, *, judge: str, seed: int, reasons: Reasons | None = None
) -> Iterator[Example]:
    """Judgments: the request is what the panel asks, byte by byte; the right verdict is chosen, a wrong one rejected.

    Every pair comes in both orders, and every verdict (A, B, tie) is chosen as often as it is rejected, so that no slot, and
    no liking for ties, is trained: as many decided pairs as have gold tie reject a tie in place of the other slot, and pairs with
    gold tie beyond the number of decided ones are left out. Where a judge of the panel was right on the same request and gave a
    reason, the chosen reply has it, and the rejected one has that of a judge who was wrong there in the same way, or else the
    same words: what differs must be the verdict, not how much is said. Elsewhere both say the verdict alone.

    Args:
        pairs: with gold; those without are left out.
        judge: the name under which the trained judge will be asked: the fences depend on it.
        seed: of the cycle in which it will be asked; the fences depend on it as well.
        reasons: of the panel; None trains verdicts alone, which suits a judge whose verdict is read off one token.
    """
    given = reasons or Reasons()
    for pair, wrong in _balanced(pairs, seed):
        for shown in Shown:
            if pair.gold is None:
                continue
            against = wrong.get(shown, pair.gold.swapped())
            request = rubric.messages(pair, Ballot(pair.pair_id, judge, shown), seed=seed)
            said = _replies((pair.pair_id, shown), pair.gold, against, given, seed)
            yield {
                "prompt": [dict(message) for message in request],
                "chosen": [{"role": "assistant", "content": said[0]}],
                "rejected": [{"role": "assistant", "content": said[1]}],
                **_rest(pair, f"{pair.pair_id}/{shown}"),
            }


def reason_of(reply: str) -> str | None:
    """The reasoning that a reply gives in its JSON object; None without one."""
    given = [found.get("reasoning") for found in json_objects(reply) if "verdict" in found]
    return given[-1].strip() or None if given and isinstance(given[-1], str) else None


def _balanced(pairs: Sequence[Pair], seed: int) -> Iterator[tuple[Pair, dict[Shown, Verdict]]]:
    """Pairs with gold in their order, each with the wrong verdict by order, where it is not simply the other completion."""
    tied = [pair for pair in pairs if pair.gold is Verdict.TIE]
    decided = [pair for pair in pairs if pair.gold in (Verdict.A, Verdict.B)]
    n = min(len(tied), len(decided))
    kept = {pair.pair_id for pair in _drawn(tied, n, seed)}
    against_tie = {pair.pair_id for pair in _drawn(decided, n, seed)}
    for pair in pairs:
        if pair.pair_id in kept:
            slot = toss(seed, "slot", pair.pair_id) & 1  # one order rejects the word A, the other one B
            yield pair, {shown: shown.first if slot ^ (shown is Shown.BA) else shown.other.first for shown in Shown}
        elif pair.gold in (Verdict.A, Verdict.B):
            yield pair, dict.fromkeys(Shown, Verdict.TIE) if pair.pair_id in against_tie else {}


def _drawn(pairs: Sequence[Pair], n: int, seed: int) -> list[Pair]:
    return sorted(pairs, key=lambda pair: toss(seed, "ties", pair.pair_id))[:n]


def _replies(cell: Cell, right: Verdict, wrong: Verdict, reasons: Reasons, seed: int) -> tuple[str, str]:
    """The reply that is chosen, and the one that is rejected."""
    reason = reasons.pick(cell, right, seed)
    against = reasons.pick(cell, wrong, seed) if reason else None
    return reply(right, cell[1], reason), reply(wrong, cell[1], against or reason)


def reply(verdict: Verdict, shown: Shown, reason: str | None = None) -> str:
    """A verdict on a completion as a judge says it, by slot."""
    word = "tie" if verdict is Verdict.TIE else "A" if verdict is shown.first else "B"
    said = {"reasoning": reason, "verdict": word} if reason else {"verdict": word}
    return json.dumps(said, ensure_ascii=False)


def _rest(pair: Pair, name: str) -> Example:
    return {
        "tools": None,
        "pair_id": name,
        # Of what is judged, not of the request: a split of these rows keeps together the two orders of a pair, and its group.
        "prompt_id": digest(group)[:16] if (group := pair.extra.get(GROUP)) else pair.prompt_id,
        "support": None,
        "p_chosen": 1.0,
        "category": pair.category,
    }
