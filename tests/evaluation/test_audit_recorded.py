"""`consensus audit` on real recorded votes: against published numbers, and against plain Python over the files."""

from __future__ import annotations

import json
from collections import defaultdict
from itertools import combinations

import numpy as np
import pytest

from tests.consensus.recorded import read
from tests.consensus.test_recorded_audits import PUBLISHED, by_hand
from tests.evaluation.audits import audited, recorded_cycle

SAME = {  # our figure: what it is called in `by_hand`
    "accuracy": "accuracy",
    "abstention": "abstains",
    "tie": "ties",
    "first_share": "first",
    "position_bias": "bias",
    "repeat_flip": "flips",
    "disagreement": "disagrees",
    "position_consistency": "consistent",
    "primacy": "primacy",
    "recency": "recency",
}


@pytest.mark.slow
@pytest.mark.parametrize("data", ["llmbar", "position_bias_mtbench"])
def test_every_judge_gets_the_figures_that_are_counted_by_hand(tmp_path, capsys, recorded_data, data):
    folder = recorded_data / data
    rows, pairs = read(folder, "votes"), read(folder, "pairs")
    gold = {pair["pair_id"]: pair["gold"] for pair in pairs}
    names = sorted({vote["judge"] for vote in rows})
    found, code = audited(capsys, recorded_cycle(tmp_path, folder, names))
    assert (code, found["votes"], found["panel"]["pairs"]) == (0, len(rows), len(pairs))
    for judge in found["judges"]:
        expected = by_hand(rows, gold, judge["judge"])
        ours = {theirs: judge["figures"][name]["value"] for name, theirs in SAME.items()}
        ours = {name: np.nan if value is None else value for name, value in ours.items()}
        assert ours == pytest.approx({name: expected[name] for name in ours}, nan_ok=True), judge["judge"]
        assert judge["votes"] == sum(vote["judge"] == judge["judge"] for vote in rows)


def kept(folder, tmp_path, pair, vote):
    """Files of some of the pairs and votes."""
    pairs = [row for row in read(folder, "pairs") if pair(row)]
    names = {row["pair_id"] for row in pairs}
    votes = [row for row in read(folder, "votes") if vote(row) and row["pair_id"] in names]
    for name, rows in (("pairs", pairs), ("votes", votes)):
        (tmp_path / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return {"pairs": tmp_path / "pairs.jsonl", "votes": tmp_path / "votes.jsonl"}


@pytest.mark.parametrize("data", ["llmbar", "position_bias_mtbench"])
def test_of_single_votes_every_count_is_right_to_the_vote(tmp_path, capsys, recorded_data, data):
    """Votes for the first slot, votes that gold bears out, pairs whose verdict flips with the order: whole numbers."""
    folder = recorded_data / data
    files = kept(folder, tmp_path, lambda _: True, lambda row: row["repeat"] == 0)
    rows = [vote for vote in read(folder, "votes") if vote["repeat"] == 0]
    gold = {pair["pair_id"]: pair["gold"] for pair in read(folder, "pairs")}
    found, _ = audited(capsys, recorded_cycle(tmp_path, folder, sorted({v["judge"] for v in rows}), **files))
    for judge in found["judges"]:
        votes = [vote for vote in rows if vote["judge"] == judge["judge"]]
        said = {(vote["pair_id"], vote["order"]): vote["verdict"] for vote in votes if vote["verdict"]}
        decided = {key: verdict for key, verdict in said.items() if verdict != "tie"}
        both = [pair for pair in gold if (pair, "ab") in said and (pair, "ba") in said]
        expected = {
            "first_share": (sum(verdict == order[0] for (_, order), verdict in decided.items()), len(decided)),
            "accuracy": (
                sum(verdict == gold[pair] for (pair, _), verdict in decided.items()),
                sum(gold[pair] in ("a", "b") for pair, _ in decided),
            ),
            "position_consistency": (sum(said[pair, "ab"] == said[pair, "ba"] for pair in both), len(both)),
            "tie": (len(said) - len(decided), len(said)),
            "abstention": (len(votes) - len(said), len(votes)),
        }
        figures = {name: judge["figures"][name] for name in expected}
        ours = {name: ((each["value"] or 0) * each["n"], each["n"]) for name, each in figures.items()}
        for name, (count, n) in expected.items():
            assert ours[name] == (pytest.approx(count, abs=1e-6), n), (judge["judge"], name)


@pytest.mark.parametrize("data", ["llmbar", "position_bias_mtbench"])
def test_of_three_calls_every_flip_is_counted(tmp_path, capsys, recorded_data, data):
    """Requests on which one of three readable verdicts differs, and on which all do; and the pairs that are named for it."""
    folder = recorded_data / data
    rows = read(folder, "votes")
    found, _ = audited(capsys, recorded_cycle(tmp_path, folder, sorted({vote["judge"] for vote in rows})[:4]))
    for judge in found["judges"]:
        said = defaultdict(list)
        for vote in rows:
            if vote["judge"] == judge["judge"] and vote["verdict"]:
                said[vote["pair_id"], vote["order"]].append(vote["verdict"])
        rates = [1 - max(map(each.count, each)) / len(each) for each in said.values() if len(each) > 1]
        bins = [sum(int(20 * rate + 1e-9) == k for rate in rates) for k in range(10)]
        assert judge["flips"] == [*bins, len(rates) - sum(bins)]
        assert judge["figures"]["disagreement"]["n"] == len(rates)
        assert len(judge["unstable"]) == min(10, sum(rate > 0.4 for rate in rates))
        for each in judge["unstable"]:
            verdicts = said[each["pair_id"], each["shown"]]
            assert (each["differing"], each["n"]) == (
                len(verdicts) - max(map(verdicts.count, verdicts)),
                len(verdicts),
            )


def test_the_agreement_of_two_judges_is_counted_over_all_their_calls(tmp_path, capsys, recorded_data):
    rows = read(recorded_data / "position_bias_mtbench", "votes")
    names = sorted({vote["judge"] for vote in rows})[:3]
    found, _ = audited(capsys, recorded_cycle(tmp_path, recorded_data / "position_bias_mtbench", names))
    said = defaultdict(lambda: defaultdict(list))
    for vote in rows:
        if vote["verdict"]:
            said[vote["judge"]][vote["pair_id"]].append(vote["verdict"])
    for each, (one, other) in zip(found["panel"]["between"], combinations(names, 2), strict=True):
        shared = said[one].keys() & said[other].keys()
        expected = np.mean([np.mean([x == y for x in said[one][p] for y in said[other][p]]) for p in shared])
        assert (each["one"], each["other"]) == (one, other)
        assert each["agreement"]["value"] == pytest.approx(expected)


def test_gpt_4_on_llmbars_natural_pairs_is_what_its_authors_report(tmp_path, capsys, recorded_data):
    """94.5 % average accuracy over the two orders, 91.0 % agreement between them, in the first of three runs."""
    folder = recorded_data / "llmbar"
    files = kept(folder, tmp_path, lambda row: "-natural-" in row["pair_id"], lambda row: row["repeat"] == 0)
    found, _ = audited(capsys, recorded_cycle(tmp_path, folder, ["gpt-4"], **files))
    figures = found["judges"][0]["figures"]
    assert figures["accuracy"]["value"] == pytest.approx(0.945)
    assert figures["position_consistency"]["value"] == pytest.approx(0.910)
    assert figures["disagreement"]["value"] is None
    assert figures["disagreement"]["reason"] == "no request was asked twice"


def test_the_position_consistency_that_the_authors_report_where_all_answers_are_readable(
    tmp_path, capsys, recorded_data
):
    """Where some are unreadable, theirs count as consistent and ours are left out: see the tests of the ground floor."""
    folder = recorded_data / "position_bias_mtbench"
    readable = {judge: same for judge, (answers, same) in PUBLISHED.items() if answers == 192}
    files = kept(folder, tmp_path, lambda _: True, lambda row: row["repeat"] == 0)
    found, _ = audited(capsys, recorded_cycle(tmp_path, folder, list(readable), **files))
    ours = {judge["judge"]: judge["figures"]["position_consistency"]["value"] * 192 for judge in found["judges"]}
    assert ours == pytest.approx(readable)
