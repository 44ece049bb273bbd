"""What an audit is made from, worked out once: votes, cells, the panel's opinions, families."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from consensus.cycle import Cycle
from consensus.cycle_votes import CycleVotes
from consensus.rule import Rule
from consensus.statistics.agreement import Errors, Panel
from consensus.statistics.clusters import Floats, Ints
from consensus.statistics.votes import Cells, Votes
from consensus.store import JudgeTally
from evaluation.audit.families import coded


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """The votes of a cycle, from every side an audit looks at them.

    Attributes:
        votes, cells, panel: all votes, as columns, by cell, and as opinions of the judges.
        label_votes: the votes that make the labels, one ballot (or one in each order) per judge and pair.
        errors: of the label's votes, on pairs with gold.
        log2_ratio, family_a, family_b: shape [n_pairs]; families are -1 where unknown.
        families: of the judges, shape [n_judges].
        scores: per axis, shape [n_votes].
        label, kept: shape [n_pairs].
        rule: of the panel.
        tallies: what each judge did and cost; None where nothing was called.
    """

    votes: Votes
    cells: Cells
    panel: Panel
    label_votes: Votes
    errors: Errors
    log2_ratio: Floats
    family_a: Ints
    family_b: Ints
    families: Ints
    scores: Mapping[str, Floats]
    label: Ints
    kept: Ints
    rule: Rule
    tallies: tuple[JudgeTally | None, ...]

    @classmethod
    def of(cls, found: CycleVotes, cycle: Cycle, tallies: Mapping[str, JudgeTally]) -> Material:
        """From what the store has."""
        cells = Cells.of(found.votes)
        label_votes = found.votes.where(found.planned)
        planned = cycle.asked_per_pair
        family_a, family_b, families = coded(found.made_a, found.made_b, [judge.model for judge in cycle.judges])
        return cls(
            votes=found.votes,
            cells=cells,
            panel=Panel.of(found.votes, cells, planned=planned),
            label_votes=label_votes,
            errors=Errors.of(Panel.of(label_votes, Cells.of(label_votes), planned=planned)),
            log2_ratio=found.log2_ratio,
            family_a=family_a,
            family_b=family_b,
            families=families,
            scores=found.scores,
            label=found.label,
            kept=found.kept.astype(int),
            rule=cycle.rule,
            tallies=tuple(tallies.get(judge.label) if judge.called else None for judge in cycle.judges),
        )
