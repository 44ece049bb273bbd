"""Judging that stops when the votes are sure enough, from the command's side; consensus/test_confident.py has the rule."""

from __future__ import annotations

import json
from math import log

import pytest

from consensus.cli import main
from consensus.errors import UsageError
from consensus.nouns import Ballot, Failure, Reason, Shown, Verdict
from consensus.stops import Stops
from consensus.store import Store
from labeling.confidence import complete_pairs
from labeling.cycle_run import begin, conclude, hashes
from labeling.reply import verdict_margin
from labeling.rubric import Rubric
from tests.consensus.cycles import cycle_of
from tests.labeling.runs import label_cycle, labels, pairs, simulated

CHEAP, DEAR = {"input": 0.1, "output": 0.1}, {"input": 1.0, "output": 1.0}
FAULTS = [
    {"accuracy": 0.97, "name": "one", "price": CHEAP},
    {"accuracy": 0.8, "name": "two", "price": DEAR},
    {"accuracy": 0.8, "name": "three", "price": DEAR},
]
N = 400


def cycles(folder, **sampling):
    """A pilot that asks everybody, and a cycle of the same judges that stops when it is sure."""
    pilot = simulated(folder, *FAULTS, cycle={"name": "pilot"})
    cycle = cycle_of(
        [judge.model_dump(mode="json") for judge in pilot.judges],
        store=pilot.store,
        cycle={"name": "main"},
        sampling={"stop": "confident", "audit_share": 0.1, **sampling},
    )
    return pilot, cycle


def test_it_stops_early_where_the_votes_are_sure_and_labels_what_it_stopped(tmp_path):
    pilot, cycle = cycles(tmp_path)
    with Store(cycle.store) as store:
        label_cycle(store, pilot, pairs(N))
        label_cycle(store, cycle, pairs(N))
        found, full = labels(store, "main"), labels(store, "pilot")
        asked = {tally.judge: tally.votes for tally in store.tallies("main")}
        sure = [name for name, label in found.items() if label.reason is Reason.CONFIDENT]
        posterior = Stops(store).posterior("main")
    assert posterior is not None
    assert posterior[1:] == ("gold", N)
    assert len(sure) > N / 2  # the best judge alone is right in 97 of 100
    assert all(found[name].kept and found[name].verdict in (Verdict.A, Verdict.B) for name in sure)
    assert not any(label.reason is Reason.TOO_FEW_VOTES for label in found.values())
    assert sum(asked.values()) < 2 * N
    assert sum(found[name].verdict != full[name].verdict for name in found) < 0.12 * N


def test_without_pairs_that_everybody_was_asked_about_it_refuses(tmp_path):
    _, cycle = cycles(tmp_path)
    with Store(cycle.store) as store, pytest.raises(UsageError, match=r"sampling\.stop=never first"):
        label_cycle(store, cycle, pairs(N))


def test_a_second_run_asks_nothing_and_rests_on_the_same(tmp_path):
    pilot, cycle = cycles(tmp_path)
    with Store(cycle.store) as store:
        label_cycle(store, pilot, pairs(N))
        label_cycle(store, cycle, pairs(N))
        before, labeled = Stops(store).posterior("main"), labels(store, "main")
        assert label_cycle(store, cycle).votes == 0
        assert (Stops(store).posterior("main"), labels(store, "main")) == (before, labeled)


def test_labels_that_a_killed_run_did_not_write_are_made_by_the_next(tmp_path):
    pilot, cycle = cycles(tmp_path)
    with Store(cycle.store) as store:
        label_cycle(store, pilot, pairs(N))
        label_cycle(store, cycle, pairs(N))
        labeled = labels(store, "main")
        store.db.execute("DELETE FROM confident_stops")
        assert labels(store, "main") != labeled
        assert label_cycle(store, cycle).votes == 0
        assert labels(store, "main") == labeled


def test_another_confidence_asks_the_labels_of_earlier_runs_again(tmp_path):
    """A label is kept only as long as the votes that are there now are as sure as is asked for now."""
    pilot, cycle = cycles(tmp_path)
    stricter = cycles(tmp_path, confidence=0.9999)[1]
    with Store(cycle.store) as store:
        label_cycle(store, pilot, pairs(N))
        label_cycle(store, cycle, pairs(N))
        sure = [name for name, label in labels(store, "main").items() if label.reason is Reason.CONFIDENT]
        store.register(stricter, Rubric.of(stricter).system)
        conclude(store, stricter, Rubric.of(stricter))
        again = labels(store, "main")
    assert sure
    assert all(again[name].reason is Reason.TOO_FEW_VOTES for name in sure)


def test_a_posterior_of_other_judges_is_not_rested_on(tmp_path):
    """It was kept by a run that could not begin, and then a judge of the same name became another."""
    pilot, cycle = cycles(tmp_path)
    worse = cycle.model_dump(mode="json")
    worse["judges"][0]["extra"]["accuracy"] = 0.5
    other = cycle_of(worse["judges"], store=pilot.store, cycle=worse["cycle"], sampling=worse["sampling"])
    with Store(cycle.store) as store:
        label_cycle(store, pilot, pairs(N))
        store.register(cycle, Rubric.of(cycle).system)
        begin(store, cycle, Rubric.of(cycle))
        assert Stops(store).posterior("main")
        store.register(other, Rubric.of(other).system)
        assert Stops(store).posterior("main") is None


def test_where_judging_stopped_early_only_the_audit_share_teaches(tmp_path):
    """Pairs that have all votes although it might have stopped are the hard ones."""
    _, cycle = cycles(tmp_path, stop="settled")
    with Store(cycle.store) as store:
        label_cycle(store, cycle, pairs(N))
        asked = hashes(cycle, Rubric.of(cycle))
        complete = sum(len(pair.votes) == 3 for pair in Stops(store).asked(asked))
        taught = len(list(complete_pairs(store, cycle, asked, None)))
    assert 0.05 * N < taught < 0.16 * N
    assert taught < complete


def test_a_failed_ballot_of_the_pilot_costs_its_pair_and_no_other(tmp_path):
    pilot, cycle = cycles(tmp_path)
    with Store(cycle.store) as store:
        label_cycle(store, pilot, pairs(N))
        asked = hashes(cycle, Rubric.of(cycle))
        store.db.execute("DELETE FROM votes WHERE pair_id = 'pair-7' AND judge = 'two'")
        assert len(list(complete_pairs(store, cycle, asked, None))) < N / 2  # as if it had stopped early
        failure = Failure(Ballot("pair-7", "two", Shown.AB), "timeout", "none in time")
        store.add("pilot", asked, [failure])
        assert len(list(complete_pairs(store, cycle, asked, None))) == N - 1


def test_the_command_says_what_it_saved_and_what_that_changes(tmp_path, capsys):
    pilot, cycle = cycles(tmp_path)
    with Store(cycle.store) as store:
        label_cycle(store, pilot, pairs(N))
        rubric = Rubric.of(cycle)
        store.register(cycle, rubric.system)
        store.add_pairs("main", pairs(N))
    file = tmp_path / "main.json"
    file.write_text(cycle.model_dump_json(exclude_unset=True))
    with pytest.raises(SystemExit) as ended:
        main(["label", str(file)])
    shown = " ".join(capsys.readouterr().out.split())
    assert ended.value.code == 0
    assert "stopped when 90.0 % sure, as learned from gold, 400 pairs" in shown
    assert "% of the labels" in shown
    with pytest.raises(SystemExit):
        main(["label", str(file), "--json"])
    early = json.loads(capsys.readouterr().out)["early"]
    assert early["differs"][1] <= early["differs"][0] <= early["differs"][2]
    assert 1 <= early["calls_per_pair"] < 2


def token(text, *alternatives):
    listed = [{"token": word, "logprob": log(chance)} for word, chance in alternatives]
    return {"token": text, "logprob": -0.1, "top_logprobs": listed or [{"token": text, "logprob": -0.1}]}


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        ([token('{"verdict": "'), token("A", ("A", 0.8), ("B", 0.2)), token('"}')], log(4)),
        ([token('{"verdict":'), token(' "B', (' "B', 0.6), (' "A', 0.1), ('"b', 0.2)), token('"}')], log(8)),
        ([token("[["), token("A", ("A", 0.9), ("C", 0.05), ("The", 0.01)), token("]]")], log(90)),
        ([token('"verdict": "A" no: "verdict": "'), token("B", ("B", 0.5), ("A", 0.25))], log(2)),
        ([token('{"verdict": "tie"}')], None),
        ([token('{"verdict": "'), token("A", ("tie", 0.9), ("x", 0.1))], None),
        ([], None),
        ("nonsense", None),
        ([{"token": '"verdict": "A"'}], None),
        ([{"token": '"verdict": "A"', "top_logprobs": [{"token": "A", "logprob": "low"}]}], None),
    ],
)
def test_the_margin_of_a_verdict_is_read_from_the_token_that_holds_it(tokens, expected):
    assert verdict_margin(tokens) == (None if expected is None else pytest.approx(expected))
