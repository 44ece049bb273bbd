"""Votes in columns and as cells."""

from __future__ import annotations

from collections import defaultdict
from math import isnan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consensus.statistics.agreement import Panel, krippendorff_alpha, pairwise_agreement
from consensus.statistics.flips import repeat_disagreement
from consensus.statistics.position import Swaps, order_sensitivity, position_bias, position_consistency
from consensus.statistics.rates import abstention_rate, accuracy, tie_rate
from consensus.statistics.votes import ABSTAIN, TIE, A, B, Cells, Votes
from tests.consensus.recorded import called, cells_of, random_votes

SEEDS = st.integers(0, 10_000)


def figures(votes):
    """A figure of every family, of one judge or the panel."""
    cells = Cells.of(votes)
    one = cells.of_judge(0)
    swaps, panel = Swaps.of(one), Panel.of(votes, cells)
    found = [
        repeat_disagreement(one),
        position_bias(one),
        position_consistency(swaps),
        order_sensitivity(swaps),
        tie_rate(one),
        abstention_rate(one),
        accuracy(votes, one),
        pairwise_agreement(panel, 0, 1),
        krippendorff_alpha(panel),
    ]
    return [each.value for each in found]


@given(SEEDS)
def test_the_order_of_the_rows_changes_nothing(seed):
    rng = np.random.default_rng(seed)
    votes = random_votes(rng, weighted=True)
    assert figures(votes.where(rng.permutation(len(votes.pair)))) == pytest.approx(figures(votes), nan_ok=True)


@given(SEEDS)
def test_the_names_of_the_completions_mean_nothing(seed):
    votes = random_votes(np.random.default_rng(seed), weighted=True)
    swap = np.array([TIE, B, ABSTAIN, A])  # by 0, 1, 2, -1
    swapped = Votes.of(
        pair=votes.pair,
        judge=votes.judge,
        first=~votes.first,
        repeat=votes.repeat,
        choice=swap[votes.choice],
        judges=votes.judges,
        weight=votes.weight,
        cluster=votes.cluster,
        gold=swap[votes.gold],
    )
    assert figures(swapped) == pytest.approx(figures(votes), nan_ok=True)


@given(SEEDS)
def test_weights_of_one_are_no_weights_and_equal_weights_change_no_mean(seed):
    rng = np.random.default_rng(seed)
    votes = random_votes(rng)
    heavy = Votes.of(
        pair=votes.pair,
        judge=votes.judge,
        first=votes.first,
        repeat=votes.repeat,
        choice=votes.choice,
        judges=votes.judges,
        weight=np.full(len(votes.pair), 7.0),
        cluster=votes.cluster,
        gold=votes.gold,
    )
    assert figures(heavy)[:-1] == pytest.approx(
        figures(votes)[:-1], nan_ok=True
    )  # alpha corrects for the number of pairs


@given(SEEDS)
def test_a_cell_adds_up_its_votes_and_takes_the_kth_smallest_weight(seed):
    votes = random_votes(np.random.default_rng(seed), weighted=True)
    expected = defaultdict(list)
    for row in range(len(votes.pair)):
        key = (votes.judge[row], votes.pair[row], votes.first[row])
        expected[key].append((votes.weight[row], votes.choice[row]))
    cells = Cells.of(votes)
    found = {
        (cells.judge[k], cells.pair[k], cells.first[k]): (list(cells.count[k]), cells.once[k], cells.twice[k])
        for k in range(len(cells.pair))
    }
    assert list(found) == sorted(expected, key=lambda key: (key[0], key[1], not key[2]))
    for key, seen in expected.items():
        count, once, twice = found[key]
        weights = sorted(weight for weight, _ in seen)
        assert count == [sum(c == kind for _, c in seen) for kind in (A, B, TIE, ABSTAIN)]
        assert once == weights[0]
        assert twice == weights[1] if len(weights) > 1 else isnan(twice)


def test_weighted_means_over_a_lazily_labeled_panel_are_those_of_the_full_panel():
    """The third judge is asked where the first two differ, and on a random tenth of the rest."""
    rng = np.random.default_rng(1)
    quality = rng.normal(0, 1, (3000, 1, 1))
    chance = 1 / (1 + np.exp(-quality - rng.normal(0, 1, (3000, 3, 1))))
    full = called(chance, rng.random((3000, 3, 1)) < 0.5, rng=rng, gold=np.sign(quality[:, 0, 0]).astype(int))
    by_pair = full.choice.reshape(3000, 3)
    settled = by_pair[:, 0] == by_pair[:, 1]

    def lazy(audited, *, weighted):
        asked = np.ones((3000, 3), bool)
        asked[settled & ~audited, 2] = False
        weight = np.ones((3000, 3))
        weight[settled, 2] = 10 if weighted else 1
        some = full.where(asked.ravel())
        cells = Cells.of(
            Votes.of(
                pair=some.pair,
                judge=some.judge,
                first=some.first,
                choice=some.choice,
                judges=some.judges,
                weight=weight.ravel()[asked.ravel()],
                gold=some.gold,
            )
        )
        panel = Panel.of(some, cells, planned=3)
        found = accuracy(some, cells.of_judge(2)), pairwise_agreement(panel, 0, 2), krippendorff_alpha(panel)
        return [each.value for each in found]

    cells = Cells.of(full)
    panel = Panel.of(full, cells)
    found = accuracy(full, cells.of_judge(2)), pairwise_agreement(panel, 0, 2), krippendorff_alpha(panel)
    truth = np.array([each.value for each in found])
    runs = [rng.random(3000) < 0.1 for _ in range(60)]
    mean = np.mean([lazy(run, weighted=True) for run in runs], axis=0)
    naive = np.mean([lazy(run, weighted=False) for run in runs], axis=0)
    assert mean == pytest.approx(truth, abs=0.006)
    assert (np.abs(naive - truth)[1:] > 0.04).all()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"pair": [0, 1]}, "length"),
        ({"judge": [3]}, "judge must be an index in 0..0"),
        ({"choice": [5]}, "choice must be"),
        ({"gold": [-7]}, "gold must be"),
        ({"weight": [0.0]}, "weights are inverse"),
        ({"cluster": [0], "gold": [1, 1]}, "one per pair"),
    ],
)
def test_columns_that_do_not_fit_are_refused(wrong, said):
    good = {"pair": [0], "judge": [0], "first": [True], "choice": [A], "judges": ["j"]}
    with pytest.raises(ValueError, match=said):
        Votes.of(**good | wrong)


def test_without_votes_nothing_is_defined_and_every_figure_says_why():
    empty = Votes.of(pair=[], judge=[], first=[], choice=[], judges=["one", "two"])
    cells = cells_of(empty)
    swaps, panel = Swaps.of(cells), Panel.of(empty, Cells.of(empty))
    for found in (
        repeat_disagreement(cells),
        position_bias(cells),
        position_consistency(swaps),
        order_sensitivity(swaps),
        tie_rate(cells),
        accuracy(empty, cells),
        pairwise_agreement(panel, 0, 1),
        krippendorff_alpha(panel),
    ):
        assert isnan(found.value)
        assert found.reason
