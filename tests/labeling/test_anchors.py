"""Anchors: a judge that changes is found, one that does not is left in peace."""

from __future__ import annotations

import asyncio
import io
import json
from dataclasses import replace
from datetime import datetime

import pytest
from rich.console import Console

from consensus.anchors import Anchors, AnchorVote, Look
from consensus.errors import UsageError
from consensus.nouns import Ballot, Shown, Verdict, Vote
from consensus.statistics.drift import over_looks
from consensus.store import Store
from labeling.anchors import LEVEL, changes, compare
from labeling.audit_run import look_calls, renamed
from labeling.commands.audit_calls import AskFlags, audit_calls
from labeling.providers.simulated import Faults, SimulatedJudge, World
from labeling.reply import parse
from labeling.rubric import Rubric
from tests.labeling.runs import label_cycle, labels, pairs, simulated, verdicts

NOISY = {"accuracy": 0.75, "flip_rate": 0.15}
RUBRIC = Rubric("Say which completion is better.")
LOOK = Look("look", "cycle-1", datetime(2026, 1, 1), True)  # noqa: DTZ001


def votes_of(judge: SimulatedJudge, given, times: int, run: object) -> list[AnchorVote]:
    """What a simulated judge says of each pair, so often."""
    found = []
    for pair in given:
        asked = RUBRIC.messages(pair, Ballot(pair.pair_id, judge.name, Shown.AB), seed=0)
        for k in range(times):
            said = parse(judge.reply(asked, f"{run}/{pair.pair_id}/{k}"), Shown.AB)
            ballot = Ballot(pair.pair_id, judge.name, Shown.AB, k)
            found.append(AnchorVote(ballot, said.verdict, "m", None, "h"))
    return found


def evidence(before: SimulatedJudge, now: SimulatedJudge, run: int, *, anchors: int, looks: int) -> float:
    given = pairs(anchors)
    kept = votes_of(before, given, 5, f"kept {run}")
    e_values = [compare(kept, votes_of(now, given, 1, f"look {run} {k}"), LOOK).e_value for k in range(looks)]
    return float(over_looks(e_values)[-1])


def test_an_unchanged_judge_is_seldom_accused_over_three_looks():
    judge = SimulatedJudge("m", Faults(**NOISY), World({}))
    alarms = sum(evidence(judge, judge, run, anchors=40, looks=3) >= 1 / LEVEL for run in range(60))
    assert alarms <= 0.05 * 60


@pytest.mark.parametrize("now", [{"accuracy": 0.55, "flip_rate": 0.35}, {"accuracy": 0.3, "flip_rate": 0.15}])
def test_a_judge_that_flips_more_or_thinks_otherwise_is_found(now):
    before, after = (SimulatedJudge("m", Faults(**faults), World({})) for faults in (NOISY, now))
    found = [evidence(before, after, run, anchors=200, looks=1) >= 1 / LEVEL for run in range(10)]
    assert sum(found) >= 9


def test_evidence_over_looks_splits_a_stake_of_one():
    assert list(over_looks([1.0, 1.0, 1.0])) == pytest.approx([1 / 2, 2 / 3, 3 / 4])
    assert list(over_looks([])) == []


def test_new_names_are_reported_and_silence_is_not():
    def vote(served_by, fingerprint=None, config="h"):
        return AnchorVote(Ballot("p", "j", Shown.AB), Verdict.A, served_by, fingerprint, config)

    old, silent = vote("gpt-4o-2024-08-06", "fp_1"), vote(None)
    assert changes([old], [old]) == []
    assert changes([silent], [old]) == changes([old], [silent]) == changes([], [old]) == []
    new = vote("gpt-4o-2024-11-20", "fp_2", "other")
    assert [(c["what"], c["before"], c["now"]) for c in changes([old], [old, new])] == [
        ("served_by", ["gpt-4o-2024-08-06"], ["gpt-4o-2024-08-06", "gpt-4o-2024-11-20"]),
        ("fingerprint", ["fp_1"], ["fp_1", "fp_2"]),
        ("config_hash", ["h"], ["h", "other"]),
    ]


# Through the command


def anchors(store, cycle, capsys, **flags):
    rubric = Rubric.of(cycle)
    store.register(cycle, rubric.system)
    code = audit_calls(store, cycle, rubric, "cycle.yaml", AskFlags(anchors=True, json=True, **flags))
    return code, json.loads(capsys.readouterr().out)


def test_a_new_cycle_is_compared_with_the_one_whose_audit_was_kept(tmp_path, capsys):
    """One judge answers at random now; the cycle's labels, votes and pairs know nothing of the looks, its budget does."""
    price = {"price": {"input": 1.0, "output": 1.0}}
    audit = {"pairs": 120, "repeats": 5, "orders": "one"}
    first = simulated(tmp_path, NOISY, NOISY, audit=audit)
    with Store(first.store) as store:
        label_cycle(store, first, pairs(120))
        code, kept = anchors(store, first, capsys, ask=True)
        assert (code, kept["anchors"], kept["kept_from"]) == (0, 120, "cycle-1")
        assert {judge["reason"] for judge in kept["judges"]} == {"it was not asked the anchors yet"}
        wrong = NOISY | {"accuracy": 0.25} | price
        second = renamed(simulated(tmp_path, NOISY | price, wrong, audit=audit), "cycle-2")
        label_cycle(store, second, pairs(6))
        said, made, spent = verdicts(store, "cycle-2"), labels(store, "cycle-2"), store.spent("cycle-2")
        code, found = anchors(store, second, capsys, ask=True)
        assert code == 0
        same, changed = found["judges"]
        assert (same["alarm"], changed["alarm"]) == (False, True)
        assert same["evidence"] < 1 < found["threshold"] < changed["evidence"]
        assert [look["votes"] for look in changed["looks"]] == [120]
        assert [change["what"] for change in changed["changed"]] == ["config_hash"]
        assert (verdicts(store, "cycle-2"), labels(store, "cycle-2")) == (said, made)
        assert store.spent("cycle-2") > spent
        assert anchors(store, second, capsys)[1] == found
        assert len(anchors(store, first, capsys, ask=True)[1]["judges"][0]["looks"]) == 2


def test_a_look_that_was_broken_off_goes_on_and_a_finished_one_is_followed_by_another(tmp_path, capsys):
    cycle = simulated(tmp_path, {"price": {"input": 1.0, "output": 1.0}}, audit={"pairs": 40, "repeats": 2})
    rubric = Rubric.of(cycle)
    with Store(cycle.store) as store:
        label_cycle(store, cycle, pairs(40))
        anchors(store, cycle, capsys, ask=True)
        kept = Anchors(store).latest()
        limit = store.spent(cycle.name) * 1.1
        calls = look_calls(store, cycle, rubric, kept)
        outcome = asyncio.run(calls.run(store, rubric, console=Console(file=io.StringIO()), max_cost=limit))
        assert outcome.out_of_budget
        assert 0 < outcome.votes < 40
        _, found = anchors(store, cycle, capsys, ask=True)
        assert [look["votes"] for look in found["judges"][0]["looks"]] == [40]
        assert len(list(store.votes(calls.cycle.name))) == 40
        _, found = anchors(store, cycle, capsys, ask=True)
        assert [look["votes"] for look in found["judges"][0]["looks"]] == [40, 40]


def test_votes_after_the_anchors_were_kept_are_no_part_of_the_reference(tmp_path, capsys):
    cycle = simulated(tmp_path, {}, audit={"pairs": 5, "repeats": 2, "orders": "one"})
    with Store(cycle.store) as store:
        label_cycle(store, cycle, pairs(5))
        anchors(store, cycle, capsys, ask=True)
        kept = Anchors(store).latest()
        before = Anchors(store).reference(kept)
        assert len(before) == 10
        ballot = replace(before[0].ballot, repeat=7)
        store.add(cycle.name, {"sim-0": before[0].config_hash}, [Vote(ballot, Verdict.A)])
        assert Anchors(store).reference(kept) == before
        anchors(store, cycle, capsys, new_anchors=True)
        assert len(Anchors(store).reference(Anchors(store).latest())) == 11


def test_without_repeats_there_is_nothing_to_keep(tmp_path, capsys):
    cycle = simulated(tmp_path, {})
    with Store(cycle.store) as store:
        label_cycle(store, cycle, pairs(5))
        with pytest.raises(UsageError, match="no request of cycle 'cycle-1' was asked twice"):
            anchors(store, cycle, capsys)


def test_a_panel_that_the_anchors_do_not_know_is_refused(tmp_path, capsys):
    first = simulated(tmp_path, {}, audit={"pairs": 3, "repeats": 2})
    with Store(first.store) as store:
        label_cycle(store, first, pairs(5))
        anchors(store, first, capsys, ask=True)
        other = renamed(simulated(tmp_path, {"name": "other"}), "cycle-2")
        label_cycle(store, other, pairs(5))
        with pytest.raises(UsageError, match="none of them is on the panel of 'cycle-2'; audit --new-anchors"):
            anchors(store, other, capsys, ask=True)
        assert anchors(store, other, capsys)[1]["judges"][0]["reason"] == "no votes were kept of it"


def test_the_drift_table_names_who_changed(tmp_path, capsys):
    first = simulated(tmp_path, NOISY, audit={"pairs": 100, "repeats": 5, "orders": "one"})
    with Store(first.store) as store:
        label_cycle(store, first, pairs(100))
        anchors(store, first, capsys, ask=True)
        second = renamed(simulated(tmp_path, {"accuracy": 0.1}), "cycle-2")
        label_cycle(store, second)
        audit_calls(store, second, Rubric.of(second), "cycle.yaml", AskFlags(anchors=True, ask=True))
    said = capsys.readouterr().out
    assert "changed" in said
    assert "the judge's settings changed" in said
    assert "100 anchors, kept of cycle-1" in said
