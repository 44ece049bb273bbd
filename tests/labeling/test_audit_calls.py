"""An audit's calls: the same requests again, none of them twice, and no label moved."""

from __future__ import annotations

import asyncio
import io
import json
from collections import Counter
from math import isnan

import numpy as np
import pytest
from rich.console import Console

from consensus.errors import UsageError
from consensus.nouns import Verdict
from consensus.sections.panel import Audit
from consensus.statistics.flips import disagreement
from consensus.store import Store
from labeling.audit_plan import calls_per_judge, half_widths, ways_to_know_bias
from labeling.audit_run import audit_calls, known_of
from labeling.commands.audit_calls import AskFlags
from labeling.commands.audit_calls import audit_calls as command
from labeling.cycle_run import hashes
from labeling.pair_test import cell_figures, pair_figures
from labeling.rubric import Rubric
from tests.labeling.runs import label_cycle, labels, pairs, simulated, verdicts

PRICE = {"input": 1.0, "output": 2.0}


def audited(store, cycle, given=(), *, max_cost=None, **which):
    """Register, add pairs, and ask the audit's calls."""
    rubric = Rubric.of(cycle)
    store.register(cycle, rubric.system)
    store.add_pairs(cycle.name, given)
    calls = audit_calls(store, cycle, rubric, **which)
    return asyncio.run(calls.run(store, rubric, console=Console(file=io.StringIO()), max_cost=max_cost))


def keys(store, name):
    return Counter((v["pair_id"], v["judge"], v["shown"], v["repeat"]) for v in store.votes(name))


def prices(store, cycle, **which):
    rubric = Rubric.of(cycle)
    return audit_calls(store, cycle, rubric, **which).needs(store, rubric)


# What is asked


@pytest.mark.parametrize(("orders", "times"), [("both", 2), ("one", 1)])
def test_every_judge_is_asked_every_sampled_pair_as_often_as_the_file_says(tmp_path, orders, times):
    cycle = simulated(tmp_path, {}, {}, audit={"pairs": 7, "repeats": 3, "orders": orders})
    with Store(cycle.store) as store:
        outcome = audited(store, cycle, pairs(20))
        asked = keys(store, cycle.name)
    assert (outcome.votes, outcome.complete) == (7 * 2 * 3 * times, True)
    assert set(asked.values()) == {1}
    assert len({pair for pair, *_ in asked}) == 7
    assert {repeat for *_, repeat in asked} == {0, 1, 2}


def test_votes_that_the_labels_paid_for_are_shared_and_no_label_is_moved(tmp_path):
    cycle = simulated(
        tmp_path, *[{"accuracy": 0.65, "flip_rate": 0.3, "ties": 0.1}] * 3, audit={"pairs": 30, "repeats": 4}
    )
    with Store(cycle.store) as store:
        label_cycle(store, cycle, pairs(40))
        before, said = labels(store, cycle.name), verdicts(store, cycle.name)
        outcome = audited(store, cycle)
        assert outcome.votes == 30 * 3 * (2 * 4 - 1)
        assert labels(store, cycle.name) == before
        assert said.items() <= verdicts(store, cycle.name).items()
        assert label_cycle(store, cycle).votes == 0
        assert store.answered(cycle.name, hashes(cycle, Rubric.of(cycle))) == dict.fromkeys(cycle.judge_names, 40)


@pytest.mark.parametrize("settings", [{"orders": "both"}, {"judges_per_pair": 2, "stop": "never"}, {"stop": "settled"}])
def test_an_audit_before_the_labels_changes_nothing_of_them(tmp_path, settings):
    found = []
    for first in (True, False):
        cycle = simulated(
            tmp_path / str(first), *[{"accuracy": 0.65, "flip_rate": 0.3}] * 3, sampling=settings, audit={"repeats": 2}
        )
        with Store(cycle.store) as store:
            if first:
                audited(store, cycle, pairs(30))
            label_cycle(store, cycle, pairs(30))
            found.append({name: (label.verdict, label.reason) for name, label in labels(store, cycle.name).items()})
    assert found[0] == found[1]


def test_more_pairs_or_repeats_cost_only_the_new_ones(tmp_path):
    cycle = simulated(tmp_path, {}, audit={"pairs": 5, "repeats": 2})
    with Store(cycle.store) as store:
        assert audited(store, cycle, pairs(20)).votes == 20
        assert audited(store, cycle).votes == 0
        larger = cycle.model_copy(update={"audit": Audit(pairs=8, repeats=3)})
        assert [need.calls for need in prices(store, larger)] == [8 * 6 - 20]
        assert audited(store, larger).votes == 8 * 6 - 20
        assert set(keys(store, cycle.name).values()) == {1}


def test_recorded_judges_are_not_asked_and_one_judge_can_be_asked_alone(tmp_path):
    cycle = simulated(tmp_path, {}, {}, audit={"pairs": 3, "repeats": 2})
    recorded = cycle.judges[0].model_copy(update={"provider": "recorded"})
    cycle = cycle.model_copy(update={"judges": (recorded, cycle.judges[1])})
    with Store(cycle.store) as store:
        audited(store, cycle, pairs(5))
        assert {judge for _, judge, *_ in keys(store, cycle.name)} == {"sim-1"}
        with pytest.raises(UsageError, match="no judge that can be asked is called 'sim-0'; those are sim-1"):
            audit_calls(store, cycle, Rubric.of(cycle), judge="sim-0")


def test_one_judge_alone_keeps_its_own_orders(tmp_path):
    """Seats, and with them the rotation, are those of the whole panel."""
    cycle = simulated(tmp_path, {}, {}, {}, audit={"pairs": 10, "repeats": 1, "orders": "one"})
    with Store(cycle.store) as store:
        audited(store, cycle, pairs(10), judge="sim-1")
        alone = keys(store, cycle.name)
        label_cycle(store, cycle)
        assert alone == Counter({key: n for key, n in keys(store, cycle.name).items() if key[1] == "sim-1"})


# What comes of it


def test_the_planted_flip_rate_comes_back(tmp_path):
    """The chance that two calls differ, planted as 2q(1-q) with the median of q at .19, is in the audit's repeats."""
    cycle = simulated(tmp_path, {"flip_rate": 0.19}, audit={"pairs": 300, "repeats": 5, "orders": "one"})
    with Store(cycle.store) as store:
        audited(store, cycle, pairs(300))
        count = np.zeros((300, 2))
        for (pair, *_), verdict in verdicts(store, cycle.name).items():
            count[int(pair.split("-")[1]), "ab".index(verdict)] += 1
    from scipy.special import gammaincinv, ndtr, ndtri

    q = ndtr(ndtri(0.19) / (gammaincinv(6, 0.5) / 6) * gammaincinv(6, (np.arange(2000) + 0.5) / 2000) / 6)
    planted, chance = float((2 * q * (1 - q)).mean()), disagreement(count)
    error = float(chance.std() / np.sqrt(300))
    assert abs(float(chance.mean()) - planted) < 3 * error
    assert error < 0.02


def test_repeats_are_independent_draws(tmp_path):
    """Whether one call flips says nothing of the next: over pairs of one flip rate, two calls differ 2q(1-q) of the time."""
    cycle = simulated(tmp_path, {"accuracy": 0.65, "flip_rate": 0.3}, audit={"repeats": 200, "orders": "one"})
    with Store(cycle.store) as store:
        audited(store, cycle, pairs(3))
        said = verdicts(store, cycle.name)
    for pair in {key[0] for key in said}:
        row = np.array([said[key] == "a" for key in sorted(k for k in said if k[0] == pair)], dtype=float)
        assert len(row) == 200
        assert 0.02 < row.mean() < 0.98
        assert abs(np.corrcoef(row[:-1], row[1:])[0, 1]) < 3 / np.sqrt(199)


def test_a_request_is_the_same_to_the_byte_at_every_repeat(tmp_path):
    cycle = simulated(tmp_path, {}, audit={"pairs": 1, "repeats": 4, "orders": "one"})
    rubric = Rubric.of(cycle)
    with Store(cycle.store) as store:
        store.register(cycle, rubric.system)
        store.add_pairs(cycle.name, pairs(1))
        (work,) = audit_calls(store, cycle, rubric).wanted(store)
    asked = [json.dumps(rubric.messages(work.pair, ballot, seed=0)) for ballot in work.wave()]
    assert len(asked) == 4
    assert len(set(asked)) == 1


# Broken off


def test_an_audit_that_was_broken_off_goes_on_and_asks_nothing_twice(tmp_path):
    cycle = simulated(tmp_path, {"price": PRICE}, {"price": PRICE}, audit={"pairs": 20, "repeats": 3})
    with Store(cycle.store) as store:
        rubric = Rubric.of(cycle)
        store.register(cycle, rubric.system)
        store.add_pairs(cycle.name, pairs(30))
        price = sum(need.dollars for need in prices(store, cycle))
        outcomes = [audited(store, cycle, max_cost=share * price) for share in (0.3, 0.6, 3.0)]
        assert [outcome.out_of_budget for outcome in outcomes] == [True, True, False]
        assert outcomes[0].votes > 0
        assert store.spent(cycle.name) <= 3.0 * price
        assert sum(outcome.votes for outcome in outcomes) == 20 * 2 * 3 * 2
        assert set(keys(store, cycle.name).values()) == {1}


def test_the_budget_is_kept(tmp_path):
    cycle = simulated(tmp_path, {"price": PRICE}, audit={"pairs": 20, "repeats": 3})
    with Store(cycle.store) as store:
        label_cycle(store, cycle, pairs(30))
        limit = store.spent(cycle.name) * 1.5
        outcome = audited(store, cycle, max_cost=limit)
        assert outcome.out_of_budget
        assert limit * 0.8 < store.spent(cycle.name) <= limit


def test_an_interrupted_audit_keeps_what_was_answered(tmp_path):
    cycle = simulated(tmp_path, {"latency_s": 0.1, "max_parallel": 4}, audit={"pairs": 30, "repeats": 4})
    rubric = Rubric.of(cycle)
    with Store(cycle.store) as store:
        store.register(cycle, rubric.system)
        store.add_pairs(cycle.name, pairs(30))

        async def broken_off():
            calls = audit_calls(store, cycle, rubric)
            running = asyncio.create_task(calls.run(store, rubric, console=Console(file=io.StringIO())))
            reader = store.twin()
            async with asyncio.timeout(60):
                while not keys(reader, cycle.name):  # noqa: ASYNC110 - the store tells nobody
                    await asyncio.sleep(0.02)
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running

        asyncio.run(broken_off())
        kept = keys(store, cycle.name)
        assert 0 < len(kept) < 240
        fast = cycle.model_copy(update={"judges": (cycle.judges[0].model_copy(update={"max_parallel": 32}),)})
        assert audited(store, fast).votes == 240 - len(kept)
        assert set(keys(store, cycle.name).values()) == {1}


# One pair


def test_the_field_report_fourteen_of_fifty():
    said = [Verdict.A] * 36 + [Verdict.B] * 14 + [Verdict.ABSTAIN]
    found = cell_figures(said)
    assert (found["n"], found["abstain"], found["modal"], found["flips"]) == (50, 1, "a", 14)
    assert (found["flip_rate"], found["modal_share"]) == (0.28, 0.72)
    assert [round(found[name], 3) for name in ("low", "high", "disagreement")] == [0.162, 0.425, 0.411]


@pytest.mark.parametrize("said", [[], [Verdict.ABSTAIN]])
def test_nothing_said_is_no_figure(said):
    found = cell_figures(said)
    assert (found["n"], found["modal"]) == (0, None)
    assert all(isnan(found[name]) for name in ("modal_share", "flip_rate", "low", "high", "disagreement"))


def test_of_two_verdicts_said_as_often_none_is_the_commonest():
    assert cell_figures([Verdict.B, Verdict.A])["modal"] is None


def test_a_test_of_one_pair_asks_it_in_the_order_of_the_label_and_shares_the_labels_vote(tmp_path):
    cycle = simulated(tmp_path, *[{"accuracy": 0.65, "flip_rate": 0.3}] * 2)
    with Store(cycle.store) as store:
        label_cycle(store, cycle, pairs(4))
        before = verdicts(store, cycle.name)
        assert audited(store, cycle, pair_id="pair-2", repeats=50).votes == 2 * 49
        assert audited(store, cycle, pair_id="pair-2", repeats=50).votes == 0
        _, stored = known_of(store, cycle, Rubric.of(cycle), "pair-2")
        figures = pair_figures(stored, cycle.judge_names)
        assert verdicts(store, cycle.name) == before
    own = {judge: order for pair, judge, order, _ in before if pair == "pair-2"}
    assert {row["judge"]: row["shown"] for row in figures} == own
    assert [row["n"] for row in figures] == [50, 50]
    for row in figures:
        first = before["pair-2", row["judge"], row["shown"], 0]
        assert row[first] >= 1
        assert row["low"] < row["flip_rate"] < row["high"]


def test_tests_of_a_pair_are_paid_by_the_cycle(tmp_path):
    cycle = simulated(tmp_path, {"price": PRICE})
    with Store(cycle.store) as store:
        label_cycle(store, cycle, pairs(4))
        before = store.spent(cycle.name)
        limit = 10 * before
        assert audited(store, cycle, pair_id="pair-1", repeats=500, max_cost=limit).out_of_budget
        assert 5 * before < store.spent(cycle.name) <= limit


def test_a_pair_that_is_not_there_is_named(tmp_path):
    cycle = simulated(tmp_path, {})
    with Store(cycle.store) as store, pytest.raises(UsageError, match="no pair 'pair-9'"):
        audited(store, cycle, pairs(2), pair_id="pair-9")


# How sure it makes


def test_more_pairs_and_both_orders_make_narrower_intervals():
    few, many = half_widths(50, Audit(), 1.0), half_widths(200, Audit(), 1.0)
    assert few == pytest.approx([2 * width for width in many])
    assert half_widths(200, Audit(repeats=1), 1.0)[0] < half_widths(200, Audit(repeats=1, orders="one"), 1.0)[0]
    assert isnan(half_widths(200, Audit(repeats=1), 1.0)[1])
    assert half_widths(200, Audit(), 2.0)[0] > many[0]


def test_two_points_take_2401_single_calls_or_fewer_in_both_orders():
    """1.96^2 / (4 * .02^2) = 2,401 calls on as many pairs in one order."""
    ways = ways_to_know_bias(0.02)
    single = next(way for way in ways if way.orders == "one" and way.repeats == 1)
    assert single.pairs == 2401
    assert (ways[0].orders, ways[0].repeats) == ("both", 1)
    assert [calls_per_judge(way) for way in ways] == sorted(calls_per_judge(way) for way in ways)
    for way in ways:
        assert half_widths(way.pairs, way, 1.0)[0] <= 0.02 < half_widths(way.pairs - 1, way, 1.0)[0]


# The command


def ask(store, cycle, capsys, **flags):
    rubric = Rubric.of(cycle)
    store.register(cycle, rubric.system)
    code = command(store, cycle, rubric, "cycle.yaml", AskFlags(json=True, **flags))
    said = capsys.readouterr().out
    return code, json.loads(said) if said else None


def test_without_a_flag_nothing_is_asked_and_with_ask_the_audit_follows(tmp_path, capsys):
    cycle = simulated(tmp_path, {}, audit={"pairs": 3, "repeats": 2})
    with Store(cycle.store) as store:
        store.register(cycle, Rubric.of(cycle).system)
        store.add_pairs(cycle.name, pairs(5))
        assert ask(store, cycle, capsys) == (None, None)
        assert keys(store, cycle.name) == Counter()
        assert ask(store, cycle, capsys, ask=True) == (None, None)
        assert len(keys(store, cycle.name)) == 12


def test_a_dry_run_prices_what_is_missing_and_says_how_sure_it_will_make(tmp_path, capsys):
    cycle = simulated(tmp_path, {"price": PRICE}, {}, audit={"pairs": 10, "repeats": 5})
    with Store(cycle.store) as store:
        label_cycle(store, cycle, pairs(20))
        code, found = ask(store, cycle, capsys, dry_run=True)
        assert len(keys(store, cycle.name)) == 40
        unchanged, named = ask(store, cycle, capsys, dry_run=True, judge="sim-0")
    assert (code, unchanged) == (0, 0)
    assert [(row["judge"], row["calls"]) for row in found["judges"]] == [("sim-0", 90), ("sim-1", 90)]
    assert found["cost_usd"] > 0
    assert found["unpriced"] == ["sim-1"]
    assert (found["bias_to"], found["disagreement_to"]) == pytest.approx(
        half_widths(10, Audit(), found["bias_to"] and 10 / 7), rel=0.2
    )
    assert named["calls"] == 90


def test_the_planner_names_the_cheapest_way_that_the_pairs_allow(tmp_path, capsys):
    cycle = simulated(tmp_path, {"price": PRICE}, {"price": PRICE})
    with Store(cycle.store) as store:
        label_cycle(store, cycle, pairs(200))
        _, found = ask(store, cycle, capsys, know_bias_to=0.05)
        _, never = ask(store, cycle, capsys, know_bias_to=0.02)
    best = found["best"]
    assert (best["orders"], best["repeats"]) == ("both", 1)
    assert best["calls"] == 2 * best["pairs"]  # two judges, of whose two orders one is paid for
    assert best["cost_usd"] > 0
    assert "best" not in never
    assert not any(way["enough_pairs"] for way in never["ways"])


def test_a_pair_is_asked_if_it_is_said_how_often(tmp_path, capsys):
    cycle = simulated(tmp_path, {"accuracy": 0.65, "flip_rate": 0.3}, {})
    with Store(cycle.store) as store:
        label_cycle(store, cycle, pairs(3))
        _, stored = ask(store, cycle, capsys, pair="pair-1")
        code, asked = ask(store, cycle, capsys, pair="pair-1", repeats=20, judge="sim-0")
    assert [row["n"] for row in stored["judges"]] == [1, 1]
    assert code == 0
    assert [(row["judge"], row["n"]) for row in asked["judges"]] == [("sim-0", 20)]


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        ({"pair": "p", "anchors": True}, "different questions"),
        ({"repeats": 5}, "goes with --pair"),
        ({"pair": "p", "repeats": 0}, "between 1 and 1000"),
        ({"judge": "sim-0"}, "says whom to ask"),
        ({"ask": True, "max_cost": float("nan")}, "amount of US dollars"),
        ({"know_bias_to": 2.0}, "0.02 is 2 points"),
        ({"anchors": True, "ask": True, "judge": "sim-0"}, "leave out --judge"),
    ],
)
def test_flags_that_do_not_go_together_are_refused(tmp_path, capsys, flags, why):
    cycle = simulated(tmp_path, {})
    with Store(cycle.store) as store, pytest.raises(UsageError, match=why):
        ask(store, cycle, capsys, **flags)


@pytest.mark.parametrize(
    "flags", [{"dry_run": True}, {"know_bias_to": 0.2}, {"pair": "pair-1", "repeats": 3}, {"pair": "pair-1"}]
)
def test_every_answer_can_be_shown_as_a_table(tmp_path, capsys, flags):
    cycle = simulated(tmp_path, {"name": "a judge [with] brackets", "price": PRICE}, {}, audit={"pairs": 5})
    rubric = Rubric.of(cycle)
    with Store(cycle.store) as store:
        label_cycle(store, cycle, pairs(30))
        assert command(store, cycle, rubric, "cycle.yaml", AskFlags(**flags)) == 0
    said = capsys.readouterr().out
    assert "next:" in said or "pair pair-1" in said
    assert "nan" not in said
