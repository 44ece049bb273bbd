"""The labeler on simulated judges: nothing lost, nothing asked twice, nothing counted that is no vote."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from consensus.errors import UsageError
from consensus.nouns import Ballot, Failure, Shown, Spent, Verdict, Vote
from consensus.sequence import inclusion, line_up
from consensus.store import Store
from labeling.labeler import Labeler
from labeling.plan import Work
from labeling.providers.server import serve
from labeling.providers.simulated import SimulatedJudge, World
from labeling.rubric import Rubric
from tests.labeling.runs import label_cycle, labels, pairs, simulated, verdicts


def test_every_ballot_of_the_plan_is_answered_once(tmp_path):
    cycle = simulated(tmp_path, {}, {}, {})
    with Store(cycle.store) as store:
        outcome = label_cycle(store, cycle, pairs(50))
        assert (outcome.votes, outcome.failures, outcome.complete) == (150, 0, True)
        assert len(verdicts(store, cycle.name)) == 150


def test_judges_without_faults_label_every_pair_as_gold(tmp_path):
    cycle = simulated(tmp_path, *[{"accuracy": 1.0}] * 3)
    given = pairs(30)
    with Store(cycle.store) as store:
        label_cycle(store, cycle, given)
        assert {k: v.verdict for k, v in labels(store, cycle.name).items()} == {
            p.pair_id: Verdict(p.gold) for p in given
        }


def test_orders_alternate_over_the_judges_of_a_pair(tmp_path):
    cycle = simulated(tmp_path, {}, {}, {})
    with Store(cycle.store) as store:
        label_cycle(store, cycle, pairs(40))
        shown = {(pair, judge): order for pair, judge, order, _ in verdicts(store, cycle.name)}
    assert all(shown[f"pair-{k}", "sim-0"] != shown[f"pair-{k}", "sim-1"] for k in range(40))
    assert all(shown[f"pair-{k}", "sim-0"] == shown[f"pair-{k}", "sim-2"] for k in range(40))


def test_scheduling_cannot_change_a_vote(tmp_path):
    """One call at a time or all at once: the same votes."""
    faults = {"accuracy": 0.7, "flip_rate": 0.2, "ties": 0.1, "prose": 0.1, "failures": 0.2}
    found = []
    for parallel in (1, 64):
        folder = tmp_path / str(parallel)
        cycle = simulated(folder, *[{**faults, "max_parallel": parallel}] * 2, limits={"max_attempts": 50})
        with Store(cycle.store) as store:
            label_cycle(store, cycle, pairs(20))
            found.append(verdicts(store, cycle.name))
    assert found[0] == found[1]
    assert len(found[0]) == 40


def test_a_second_run_asks_nothing(tmp_path):
    cycle = simulated(tmp_path, {}, {}, {})
    with Store(cycle.store) as store:
        label_cycle(store, cycle, pairs(20))
        before = verdicts(store, cycle.name)
        assert label_cycle(store, cycle).votes == 0
        assert verdicts(store, cycle.name) == before


def test_a_changed_judge_is_refused_with_the_difference(tmp_path):
    with Store(tmp_path / "cycle.duckdb") as store:
        label_cycle(store, simulated(tmp_path, {"accuracy": 0.8}, {}), pairs(5))
        with pytest.raises(UsageError, match=r"sim-0.extra.accuracy: 0.8 before, 0.7 now"):
            label_cycle(store, simulated(tmp_path, {"accuracy": 0.7}, {}))


def test_another_rule_may_be_run_over_old_votes(tmp_path):
    faults = [{"accuracy": 0.7}] * 3
    with Store(tmp_path / "cycle.duckdb") as store:
        label_cycle(store, simulated(tmp_path, *faults), pairs(60))
        two = sum(label.kept for label in labels(store, "cycle-1").values())
        strict = simulated(tmp_path, *faults, consensus={"min_agree": 3})
        assert label_cycle(store, strict).votes == 0
        assert sum(label.kept for label in labels(store, "cycle-1").values()) < two == 60


class OneWayJudge:
    """A stand-in whose every answer is scripted, for what simulated judges do not do."""

    def __init__(self, real, answer):
        self.real, self.answer, self.asked = real, answer, Counter()

    def __getattr__(self, name):
        return getattr(self.real, name)

    async def ask(self, pair, ballot, *, attempt=1):
        self.asked[ballot] += 1
        return self.answer(ballot, attempt)


def run_scripted(tmp_path, answers, n=10, **options):
    """Run `n` pairs past judges with scripted answers; the outcome, what was stored, and how often each was asked."""
    from labeling.panel import Panel

    cycle = simulated(tmp_path, *[{}] * len(answers))
    judges = {
        name: OneWayJudge(judge, answer)
        for (name, judge), answer in zip(Panel(cycle, Rubric("r")).priced().items(), answers, strict=True)
    }
    stored = []

    async def go():
        work = [Work(p, line_up(p.pair_id, cycle.judge_names, cycle.rule), cycle.rule) for p in pairs(n)]
        return await Labeler(judges, stored.append, **options).run(work)

    return asyncio.run(go()), stored, judges


def yes(ballot, attempt):
    return Vote(ballot, Verdict.A)


def test_a_judge_without_a_key_is_given_up_and_the_others_finish(tmp_path):
    def no_key(ballot, attempt):
        return Failure(ballot, "auth", "HTTP 401: bad key", retry=False, fatal=True)

    outcome, stored, judges = run_scripted(tmp_path, [yes, no_key, yes], n=200)
    assert list(outcome.down) == ["sim-1"]
    assert sum(isinstance(r, Vote) for r in stored) == 400
    assert sum(judges["sim-1"].asked.values()) <= 64


def test_failures_that_pass_are_retried_until_the_cap(tmp_path, monkeypatch):
    monkeypatch.setattr("labeling.labeler.FIRST_WAIT", 0.001)

    def third_time(ballot, attempt):
        return yes(ballot, attempt) if attempt == 3 else Failure(ballot, "server_error", "HTTP 500")

    def never(ballot, attempt):
        return Failure(ballot, "server_error", "HTTP 500") if ballot.pair_id == "pair-4" else yes(ballot, attempt)

    outcome, stored, _judges = run_scripted(tmp_path, [third_time, never])
    assert {r.spent.attempts for r in stored if r.ballot.judge == "sim-0"} == {3}
    (failure,) = [r for r in stored if isinstance(r, Failure)]
    assert (failure.ballot.pair_id, failure.spent.attempts, outcome.complete) == ("pair-4", 6, True)


def test_what_failed_attempts_cost_is_counted(tmp_path, monkeypatch):
    monkeypatch.setattr("labeling.labeler.FIRST_WAIT", 0.001)

    def second_time(ballot, attempt):
        spent = Spent(100, 10, 0.5, 0.1)
        return Vote(ballot, Verdict.A, spent=spent) if attempt == 2 else Failure(ballot, "wrong_model", "x", spent)

    _, stored, _ = run_scripted(tmp_path, [second_time], n=1)
    assert (stored[0].spent.cost_usd, stored[0].spent.prompt_tokens, stored[0].spent.attempts) == (1.0, 200, 2)


def test_a_wait_that_the_provider_asks_for_holds_the_whole_judge(tmp_path, monkeypatch):
    """After a 429 with Retry-After nobody else is sent into the wall."""
    calls = []

    def limited(ballot, attempt):
        calls.append(ballot)
        return Failure(ballot, "rate_limit", "HTTP 429", retry_after_s=0.3) if len(calls) == 1 else yes(ballot, attempt)

    times, original = [], Labeler._ask

    async def timed(self, lane, turn, tokens, reserved):
        times.append(asyncio.get_running_loop().time())
        await original(self, lane, turn, tokens, reserved)

    monkeypatch.setattr(Labeler, "_ask", timed)
    outcome, _, _ = run_scripted(tmp_path, [limited], n=80)
    assert (outcome.votes, outcome.failures) == (80, 0)
    assert max(times) - min(times) >= 0.3


def test_one_model_never_votes_twice_on_a_pair(tmp_path):
    """sim-0 falls back to sim-1, which sits on the panel itself."""

    def fallback(ballot, attempt):
        return Vote(ballot, Verdict.A, served_by="sim-1")

    def itself(ballot, attempt):
        return Vote(ballot, Verdict.A, served_by="sim-1")

    _, stored, _ = run_scripted(tmp_path, [fallback, itself], n=3, max_attempts=1)
    by_judge = {judge: {type(r) for r in stored if r.ballot.judge == judge} for judge in ("sim-0", "sim-1")}
    assert by_judge == {"sim-0": {Failure}, "sim-1": {Vote}}


def test_the_budget_is_never_passed_and_the_run_can_be_resumed(tmp_path):
    faults = [{"price": {"input": 1000, "output": 1000}}] * 2
    cycle = simulated(tmp_path, *faults)
    with Store(cycle.store) as store:
        outcome = label_cycle(store, cycle, pairs(40), max_cost=20.0)
        spent = store.spent(cycle.name)
        assert outcome.out_of_budget
        assert 0 < spent <= 20.0
        assert 0 < outcome.votes < 80
        rest = label_cycle(store, cycle)
        assert (outcome.votes + rest.votes, rest.complete) == (80, True)


def test_a_budget_without_a_price_is_refused(tmp_path):
    cycle = simulated(tmp_path, {}, {})
    with Store(cycle.store) as store, pytest.raises(UsageError, match="needs a price"):
        label_cycle(store, cycle, pairs(2), max_cost=1.0)


@pytest.mark.slow
def test_a_third_of_the_replies_may_be_rubbish_and_the_run_completes(tmp_path):
    """429, 500, hang-ups, half bodies and HTML are retried; prose is an abstention with its text."""
    faults = {"accuracy": 0.8, "failures": 0.3, "prose": 0.1}

    async def over_http(store):
        from rich.console import Console

        from labeling.cycle_run import run

        plain = simulated(tmp_path, *[faults] * 3, limits={"max_attempts": 12})
        world = World.of(pairs(60))
        runner, port = await serve({j.model: SimulatedJudge.of(j, world) for j in plain.judges})
        at = f"http://127.0.0.1:{port}/v1"
        cycle = plain.model_copy(update={"judges": tuple(j.model_copy(update={"api_base": at}) for j in plain.judges)})
        rubric = Rubric.of(cycle)
        store.register(cycle, rubric.system)
        store.add_pairs(cycle.name, pairs(60))
        outcome = await run(store, cycle, rubric, console=Console(quiet=True))
        await runner.cleanup()
        return cycle, outcome

    with Store(tmp_path / "cycle.duckdb") as store:
        cycle, outcome = asyncio.run(over_http(store))
        votes = list(store.votes(cycle.name))
    assert (outcome.votes, outcome.failures, outcome.complete) == (180, 0, True)
    abstained = [vote for vote in votes if vote["verdict"] == "abstain"]
    assert {vote["raw"][:16] for vote in abstained} == {"Both completions"}
    assert max(vote["attempts"] for vote in votes) > 1


def test_pairs_are_taken_from_the_plan_only_as_fast_as_they_are_asked(tmp_path):
    """Memory grows with what is in flight: a plan of a million is not read at the start."""
    from labeling.labeler import LOW
    from labeling.panel import Panel

    cycle = simulated(tmp_path, {"latency_s": 0.01}, {"latency_s": 0.01})
    taken = 0

    async def go():
        nonlocal taken
        panel = Panel(cycle, Rubric.of(cycle))
        async with panel:
            labeler = Labeler(panel.judges, lambda _: None)

            def plan():
                nonlocal taken
                for pair in pairs(10_000):
                    taken += 1
                    yield Work(pair, line_up(pair.pair_id, cycle.judge_names, cycle.rule), cycle.rule)

            task = asyncio.create_task(labeler.run(plan()))
            await asyncio.sleep(0.2)
            labeler.interrupt()
            outcome = await task
            assert outcome.interrupted
            return outcome.votes

    votes = asyncio.run(go())
    assert votes // 2 <= taken <= votes // 2 + 2 * LOW + 64


FIELD = [  # the noise of the field report
    {"accuracy": 0.70, "flip_rate": 0.19, "position_bias": 0.07, "price": {"input": 0.3, "output": 1.2}},
    {"accuracy": 0.75, "flip_rate": 0.15, "position_bias": 0.05, "price": {"input": 1.0, "output": 5.0}},
    {"accuracy": 0.80, "flip_rate": 0.12, "position_bias": 0.02, "price": {"input": 1.7, "output": 8.0}},
]


@pytest.mark.parametrize("orders", ["one", "both"])
def test_asking_only_while_the_label_is_open_gives_exactly_the_full_panels_labels(tmp_path, orders):
    """And takes 2.2 to 2.35 calls a pair instead of 3, with one order."""
    found, asked = [], []
    for stop in ("never", "settled"):
        cycle = simulated(tmp_path / stop, *FIELD, sampling={"stop": stop, "orders": orders, "audit_share": 0.0})
        with Store(cycle.store) as store:
            asked.append(label_cycle(store, cycle, pairs(600)).votes)
            found.append({key: (label.verdict, label.reason) for key, label in labels(store, cycle.name).items()})
    assert found[0] == found[1]
    assert asked[0] == 600 * 3 * (2 if orders == "both" else 1)
    assert asked[1] / 600 <= (2.4 if orders == "one" else 5.0)


def test_estimates_from_the_votes_that_were_asked_agree_with_those_of_a_full_run(tmp_path):
    """First-slot share of every judge, weighted by how likely each vote was to be asked, against the full run's interval."""
    share, n = 0.1, 3000
    for name, stop in (("full", "never"), ("lazy", "settled")):
        cycle = simulated(tmp_path / name, *FIELD, sampling={"stop": stop, "audit_share": share})
        with Store(cycle.store) as store:
            label_cycle(store, cycle, pairs(n))
            votes = verdicts(store, cycle.name)
        if name == "full":
            full = {
                judge: first_share([(v, 1.0) for v in votes.items() if v[0][1] == judge]) for judge in cycle.judge_names
            }
    by_pair = {}
    for (pair, judge, shown, _), verdict in votes.items():
        by_pair.setdefault(pair, {})[Ballot(pair, judge, Shown(shown))] = Verdict(verdict)
    costs = {f"sim-{k}": float(k) for k in range(3)}
    weighted = {judge: [] for judge in cycle.judge_names}
    for pair, said in by_pair.items():
        chance = inclusion(line_up(pair, cycle.judge_names, cycle.rule, costs), said, cycle.rule, share)
        for ballot, verdict in said.items():
            key = (pair, ballot.judge, ballot.shown.value, 0)
            weighted[ballot.judge].append(((key, verdict.value), 1 / chance[ballot]))
    assert len(weighted["sim-2"]) < 0.5 * n
    for judge in cycle.judge_names:
        # Three standard errors of the last judge: some 300 audited pairs with weight ten.
        assert first_share(weighted[judge]) == pytest.approx(full[judge], abs=0.001 if judge != "sim-2" else 0.08)


def first_share(votes):
    """Weighted share of decided votes for the completion shown first."""
    decided = [((key, verdict), w) for (key, verdict), w in votes if verdict in "ab"]
    return sum(w for (key, verdict), w in decided if verdict == key[2][0]) / sum(w for _, w in decided)


def test_two_judges_of_one_account_share_its_limit(tmp_path):
    """1,200 a minute for the account: 40 calls of two judges take no less than 1.8 seconds."""
    import time

    cycle = simulated(tmp_path, {}, {}, limits={"simulated": {"rpm": 1200}}, sampling={"stop": "never"})
    started = time.monotonic()
    with Store(cycle.store) as store:
        assert label_cycle(store, cycle, pairs(20)).votes == 40
    assert time.monotonic() - started >= 1.8


def test_a_limit_for_a_provider_that_no_judge_has_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"limits\.openai"):
        simulated(tmp_path, {}, limits={"openai": {"rpm": 60}})


def test_what_a_ballot_cost_before_its_judge_was_given_up_is_in_the_store(tmp_path, monkeypatch):
    """Another model answers, each time for money, until the judge is given up: every dollar is accounted for."""
    monkeypatch.setattr("labeling.labeler.FIRST_WAIT", 0.001)
    paid = []

    def wrong(ballot, attempt):
        paid.append(0.5)
        return Failure(ballot, "wrong_model", "x", Spent(10, 1, 0.5, 0.1))

    outcome, stored, _ = run_scripted(tmp_path, [wrong], n=40)
    assert list(outcome.down) == ["sim-0"]
    assert sum(r.spent.cost_usd for r in stored) == pytest.approx(sum(paid))


def test_a_run_that_is_stopped_keeps_what_was_paid_for_ballots_it_did_not_finish(tmp_path):
    paid = []

    async def go():
        from labeling.panel import Panel

        cycle = simulated(tmp_path, {})

        def wrong(ballot, attempt):
            paid.append(0.5)
            return Failure(ballot, "server_error", "x", Spent(10, 1, 0.5, 0.1))

        judges = {n: OneWayJudge(j, wrong) for n, j in Panel(cycle, Rubric("r")).priced().items()}
        stored = []
        labeler = Labeler(judges, stored.append)
        work = [Work(p, line_up(p.pair_id, cycle.judge_names, cycle.rule), cycle.rule) for p in pairs(30)]
        asyncio.get_running_loop().call_later(0.1, labeler.interrupt)
        await labeler.run(work)
        return stored

    stored = asyncio.run(go())
    assert paid
    assert sum(r.spent.cost_usd for r in stored) == pytest.approx(sum(paid))


@pytest.mark.parametrize("orders", ["one", "both"])
def test_a_run_under_another_plan_ends_and_asks_no_answered_ballot_again(tmp_path, orders):
    faults = {"failures": 0.5}
    first = simulated(
        tmp_path, faults, faults, faults, limits={"max_attempts": 1}, sampling={"stop": "never", "orders": orders}
    )
    then = first.model_copy(
        update={"sampling": first.sampling.model_copy(update={"stop": "settled", "audit_share": 0.0})}
    )
    with Store(first.store) as store:
        label_cycle(store, first, pairs(40))
        label_cycle(store, then)
        votes = [(v["pair_id"], v["judge"], v["shown"]) for v in store.votes(first.name)]
    assert len(votes) == len(set(votes))
