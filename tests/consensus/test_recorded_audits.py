"""Audits of real recorded votes: against published numbers, and against plain Python over the files."""

from __future__ import annotations

from collections import defaultdict
from itertools import combinations

import krippendorff
import numpy as np
import pytest

from consensus.statistics.agreement import Panel, krippendorff_alpha, pairwise_agreement
from consensus.statistics.flips import mean_repeat_flip_rate, repeat_disagreement
from consensus.statistics.position import (
    Swaps,
    first_share,
    mcnemar,
    position_bias,
    position_consistency,
    preference_fairness,
    primacy_rate,
    recency_rate,
)
from consensus.statistics.rates import abstention_rate, accuracy, tie_rate
from consensus.statistics.votes import Cells
from tests.consensus.recorded import cells_of, read, recorded_votes

# Of the first repetition on MT-Bench, from the authors' log files: readable answers, and how many of them are "consistent".
PUBLISHED = {
    "claude-3-haiku-20240307": (192, 128),
    "claude-3-opus-20240229": (192, 148),
    "claude-3-sonnet-20240229": (192, 138),
    "gemini-pro": (190, 116),
    "gpt-3.5-turbo-0125": (187, 161),
    "gpt-3.5-turbo-1106": (191, 153),
    "gpt-4-0125-preview": (192, 168),
    "gpt-4-0613": (192, 170),
    "gpt-4-1106-preview": (192, 156),
}


def by_swap(votes, judge, repeat):
    """{pair: (verdict with a first, verdict with b first)} of the rows of a file."""
    found = defaultdict(dict)
    for vote in votes:
        if vote["judge"] == judge and vote["repeat"] == repeat:
            found[vote["pair_id"]][vote["order"]] = vote["verdict"]
    return {pair: (said["ab"], said["ba"]) for pair, said in found.items()}


def test_the_position_consistency_that_the_authors_of_position_bias_report(recorded_data):
    """They count answers: one whose counterpart is unreadable counts as consistent. We count pairs with two verdicts."""
    folder = recorded_data / "position_bias_mtbench"
    rows, votes = read(folder, "votes"), recorded_votes(folder)
    first = votes.where(votes.repeat == 0)
    for judge, (readable, consistent) in PUBLISHED.items():
        swaps = by_swap(rows, judge, 0)
        both = [pair for pair in swaps.values() if None not in pair]
        alone = [pair for pair in swaps.values() if (None in pair) and pair != (None, None)]
        same = sum(ab == ba for ab, ba in both)
        assert (2 * len(both) + len(alone), 2 * same + len(alone)) == (readable, consistent)
        ours = position_consistency(Swaps.of(cells_of(first, votes.judges.index(judge))))
        assert ours.value == pytest.approx(same / len(both))
        if not alone:
            assert ours.value == pytest.approx(consistent / readable)


def fairness_as_the_authors_average_it(rows, pairs, judge, repeat):
    """Per model and task their raw score, rescaled from its extremes to [-1, 1]; then the mean over models and tasks."""
    unit = {pair["pair_id"]: (pair["model_b"], pair["category"]) for pair in pairs}
    primacy, recency, size = defaultdict(int), defaultdict(int), defaultdict(int)
    for pair, (ab, ba) in by_swap(rows, judge, repeat).items():
        size[unit[pair][1]] += 1
        slots = ({"a": "A", "b": "B", "tie": "C"}.get(ab, "N"), {"a": "B", "b": "A", "tie": "C"}.get(ba, "N"))
        primacy[unit[pair]] += "".join(slots) in ("AA", "AC", "CA")
        recency[unit[pair]] += "".join(slots) in ("BB", "BC", "CB")
    models = len({model for model, _ in unit.values()})
    scores = []
    for key in set(unit.values()):
        p, r = primacy[key], recency[key]
        raw = r * r / (p + r) - p * p / (p + r) if p + r else 0
        most = size[key[1]] / models
        scores.append((raw + most) / (2 * most) * 2 - 1)
    return np.mean(scores)


def test_preference_fairness_is_that_of_the_authors_averages(recorded_data):
    folder = recorded_data / "position_bias_mtbench"
    rows, pairs, votes = read(folder, "votes"), read(folder, "pairs"), recorded_votes(folder)
    for repeat in (0, 1, 2):
        some = votes.where(votes.repeat == repeat)
        for judge, name in enumerate(votes.judges):
            expected = fairness_as_the_authors_average_it(rows, pairs, name, repeat)
            assert preference_fairness(Swaps.of(cells_of(some, judge))).value == pytest.approx(expected)


def test_gpt_4_on_llmbars_natural_pairs_is_what_its_authors_report(recorded_data):
    """94.5 % average accuracy over the two orders, 91.0 % agreement between them."""
    votes = recorded_votes(recorded_data / "llmbar")
    natural = np.array(["-natural-" in name for name in votes.pair_ids])
    some = votes.where(natural[votes.pair] & (votes.repeat == 0))
    cells = cells_of(some, votes.judges.index("gpt-4"))
    assert accuracy(some, cells).value == pytest.approx(0.945)
    assert position_consistency(Swaps.of(cells)).value == pytest.approx(0.910)


def by_hand(rows, gold, judge):
    """A judge's figures in plain Python, from sums over the rows of the file."""
    cells = defaultdict(list)
    for vote in rows:
        if vote["judge"] == judge:
            cells[vote["pair_id"], vote["order"]].append(vote["verdict"])
    weight = {key: 1 / len(said) for key, said in cells.items()}

    def share(which, of):
        top = sum(weight[key] * which(key, v) for key, said in cells.items() for v in said if of(key, v))
        return top / sum(weight[key] for key, said in cells.items() for v in said if of(key, v))

    def decided(_, v):
        return v in ("a", "b")

    valid = {key: [v for v in said if v] for key, said in cells.items()}
    twice = [said for said in valid.values() if len(said) > 1]
    swapped = [
        (valid[p, "ab"], valid[p, "ba"])
        for p, order in cells
        if order == "ab" and valid[p, "ab"] and valid.get((p, "ba"))
    ]
    lean = [[(x, y) for x in ab for y in ba] for ab, ba in swapped]
    value = {"a": 1, "tie": 0, "b": -1}
    first = [np.mean([value[x] > value[y] for x, y in pairs]) for pairs in lean]
    second = [np.mean([value[x] < value[y] for x, y in pairs]) for pairs in lean]
    right = {
        "ab": lambda key, v: decided(key, v) and key[1] == "ab",
        "ba": lambda key, v: decided(key, v) and key[1] == "ba",
    }
    return {
        "accuracy": share(
            lambda key, v: v == gold[key[0]], lambda key, v: decided(key, v) and gold[key[0]] in ("a", "b")
        )
        if any(g in ("a", "b") for g in gold.values())
        else float("nan"),
        "abstains": share(lambda _, v: v is None, lambda *_: True),
        "ties": share(lambda _, v: v == "tie", lambda _, v: v is not None),
        "first": share(lambda key, v: v == key[1][0], decided),
        "bias": (share(lambda _, v: v == "a", right["ab"]) - share(lambda _, v: v == "a", right["ba"])) / 2,
        "flips": np.mean([1 - max(map(said.count, said)) / len(said) for said in twice]),
        "disagrees": np.mean([np.mean([x != y for x, y in combinations(said, 2)]) for said in twice]),
        "consistent": np.mean([np.mean([x == y for x, y in pairs]) for pairs in lean]),
        "primacy": np.mean(first),
        "recency": np.mean(second),
        "leans to the first": sum(f > s + 1e-9 for f, s in zip(first, second, strict=True)),
        "leans to the second": sum(s > f + 1e-9 for f, s in zip(first, second, strict=True)),
    }


@pytest.mark.slow
@pytest.mark.parametrize("data", ["llmbar", "position_bias_mtbench"])
def test_every_judges_figures_are_those_counted_by_hand(recorded_data, data):
    folder = recorded_data / data
    rows, votes = read(folder, "votes"), recorded_votes(folder)
    gold = {pair["pair_id"]: pair["gold"] for pair in read(folder, "pairs")}
    for judge, name in enumerate(votes.judges):
        cells = cells_of(votes, judge)
        swaps = Swaps.of(cells)
        test = mcnemar(swaps)
        found = {
            "accuracy": accuracy(votes, cells).value,
            "abstains": abstention_rate(cells).value,
            "ties": tie_rate(cells).value,
            "first": first_share(cells).value,
            "bias": position_bias(cells).value,
            "flips": mean_repeat_flip_rate(cells).value,
            "disagrees": repeat_disagreement(cells).value,
            "consistent": position_consistency(swaps).value,
            "primacy": primacy_rate(swaps).value,
            "recency": recency_rate(swaps).value,
            "leans to the first": test.primacy,
            "leans to the second": test.recency,
        }
        assert found == pytest.approx(by_hand(rows, gold, name), nan_ok=True), name


@pytest.mark.parametrize("data", ["llmbar", "position_bias_mtbench", "pandalm"])
def test_agreement_on_first_votes_is_that_of_the_krippendorff_package(recorded_data, data):
    votes = recorded_votes(recorded_data / data)
    some = votes.where((votes.repeat == 0) & votes.first)
    table = np.full((len(votes.judges), votes.n_pairs), np.nan)
    readable = some.choice != 2
    table[some.judge[readable], some.pair[readable]] = some.choice[readable]
    panel = Panel.of(some, Cells.of(some))
    expected = krippendorff.alpha(reliability_data=table, level_of_measurement="nominal")
    assert krippendorff_alpha(panel).value == pytest.approx(expected)
    both = ~np.isnan(table[0]) & ~np.isnan(table[1])
    assert pairwise_agreement(panel, 0, 1).value == pytest.approx((table[0] == table[1])[both].mean())
