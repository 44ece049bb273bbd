"""Candidate against baseline: a planted win rate is found, nothing is paid twice, and people correct what judges share."""

from __future__ import annotations

import json
from math import isnan

import numpy as np
import pytest

from consensus.errors import UsageError
from consensus.nouns import Verdict
from consensus.statistics.latent import dawid_skene
from consensus.statistics.votes import A, B
from consensus.store import Store
from evaluation.head_to_head import review
from evaluation.head_to_head.analysis import Answers, analyse, by_people, calibrated
from evaluation.head_to_head.contest import Contest
from evaluation.head_to_head.judged import Judged, judged
from evaluation.head_to_head.run import priced, spending, total
from labeling.rubric import Rubric
from tests.consensus.simulation import HI
from tests.consensus.simulation import judged as simulated
from tests.evaluation.contests import HONEST, begun, checkpoint, contested, pairs, played


@pytest.mark.parametrize(("drafts", "rate"), [(1, 1 / 2), (3, 3 / 4)])
def test_the_planted_win_rate_is_within_the_interval(tmp_path, drafts, rate):
    cycle = contested(tmp_path, HONEST, drafts=drafts)
    with Store(cycle.store) as store:
        contest = begun(store, cycle, 500)
        assert played(store, contest).complete
        found = analyse(judged(store, contest), "tuned", "base")
    win = found.all["win_rate"]
    assert win.low < rate < win.high
    assert win.high - win.low < 0.15
    assert found.wins + found.ties + found.losses == len(contest.prompts) == found.all.items
    assert {part.name for part in found.categories} == {"billing", "returns", "other"}
    assert sum(part.items for part in found.categories) == found.all.items


def test_who_is_candidate_turns_the_win_rate_round(tmp_path):
    tuned, base = checkpoint("tuned", drafts=3), checkpoint("base")
    faults = ({"accuracy": 0.7, "ties": 0.2}, {"accuracy": 0.8}, {"accuracy": 0.7})
    cycle = contested(tmp_path, *faults)
    turned = contested(tmp_path, *faults, evaluation={"candidate": base, "baseline": tuned})
    with Store(cycle.store) as store:
        contest = begun(store, cycle, 300)
        assert played(store, contest).votes
        answers = spending(store, contest).answers
        back = Contest.of(store, turned)
        assert played(store, back).complete
        assert spending(store, back).answers == answers  # they are the same, and were there
        one, other = (analyse(judged(store, each), "x", "y").all["win_rate"] for each in (contest, back))
    # Ids of pairs, and with them orders and the simulated judges' coins, are other ones: the rate is the same up to noise.
    assert one.value == pytest.approx(1 - other.value, abs=0.08)


def test_which_answer_is_called_a_is_decided_by_a_hash_and_judges_see_both_orders(tmp_path):
    """A judge that always takes the first slot contradicts itself, so it can give nobody a win."""
    cycle = contested(tmp_path, {"position_bias": 0.5, "accuracy": 0.5})
    with Store(cycle.store) as store:
        contest = begun(store, cycle, 200)
        played(store, contest)
        table = judged(store, contest)
    found = analyse(table, "tuned", "base")
    assert found.ties == found.all.items
    assert found.all["win_rate"].value == 0.5
    assert isnan(found.all["win_rate"].low)
    assert 0.3 < table.candidate_is_a.mean() < 0.7


def test_what_was_answered_is_never_asked_again(tmp_path):
    cycle = contested(tmp_path, {"accuracy": 0.8, "failures": 0.1}, {"accuracy": 0.8}, limits={"max_attempts": 1})
    with Store(cycle.store) as store:
        contest = begun(store, cycle, 120)
        first = played(store, contest)
        assert first.failures > 0  # one attempt is not always enough
        before = spending(store, contest)
        open_now = sum(need.most_calls for needs in priced(store, contest, Rubric.of(cycle)) for need in needs)
        assert open_now == first.failures
        played(store, contest)
        after = spending(store, contest)
        assert after.answers == before.answers == 2 * len(contest.prompts)
        keys = [(v["pair_id"], v["judge"], v["shown"], v["repeat"]) for v in store.votes(contest.judging.name)]
        assert len(keys) == len(set(keys)) == after.votes


def test_a_prompt_without_every_vote_is_left_out_and_counted(tmp_path):
    cycle = contested(tmp_path, {"failures": 0.3}, limits={"max_attempts": 1})
    with Store(cycle.store) as store:
        contest = begun(store, cycle, 100)
        played(store, contest)
        found = analyse(judged(store, contest), "tuned", "base")
    assert found.unjudged > 0
    assert found.all.items == len(contest.prompts) - found.unjudged


def test_a_budget_stops_it_and_the_rest_is_asked_later(tmp_path):
    cycle = contested(tmp_path, HONEST)
    with Store(cycle.store) as store:
        contest = begun(store, cycle, 100)
        outcome = played(store, contest, max_cost=0.02)
        assert outcome.out_of_budget
        assert store.spent(cycle.name) <= 0.02  # the side runs are paid by the cycle
        assert played(store, contest, max_cost=10.0).complete
        assert judged(store, contest).unjudged == 0


def test_what_it_costs_is_said_before(tmp_path):
    cycle = contested(tmp_path, HONEST, HONEST)
    with Store(cycle.store) as store:
        contest = begun(store, cycle, 100)
        n = len(contest.prompts)
        plan = total([need for needs in priced(store, contest, Rubric.of(cycle)) for need in needs])
        assert plan["calls"] == 2 * n + 2 * 2 * n
        played(store, contest)
        spent = spending(store, contest)
        assert plan["cost_usd"] / 2 < spent.cost_usd < plan["most_usd"]
        assert total([need for needs in priced(store, contest, Rubric.of(cycle)) for need in needs])["calls"] == 0


def test_the_same_answer_twice_is_a_tie_that_nobody_judges(tmp_path):
    """Two names for one model that says one thing only: nothing is paid for judging it."""
    same = {"provider": "simulated", "model": "policy", "extra": {"same": 1, "calls": 0}}
    cycle = contested(
        tmp_path, HONEST, evaluation={"candidate": {**same, "name": "new"}, "baseline": {**same, "name": "old"}}
    )
    with Store(cycle.store) as store:
        contest = begun(store, cycle, 60)
        played(store, contest)
        found = analyse(judged(store, contest), "new", "old")
        assert spending(store, contest).votes == 0
    assert found.same == found.ties == len(contest.prompts)


def test_labels_and_audits_of_the_cycle_know_nothing_of_it(tmp_path):
    cycle = contested(tmp_path, HONEST)
    with Store(cycle.store) as store:
        contest = begun(store, cycle, 60)
        before = store.made_from(cycle.name)
        played(store, contest)
        assert store.made_from(cycle.name) == before
        assert not store.has_votes(cycle.name)


def test_fewer_prompts_are_among_the_more_and_none_was_trained_on(tmp_path):
    from training.preferences import held_out_pairs

    cycle = contested(tmp_path, HONEST)
    few = contested(tmp_path, HONEST, evaluation={"prompts": 20})
    with Store(cycle.store) as store:
        everything = {prompt.prompt_id for prompt in begun(store, cycle, 200).prompts}
        some = {prompt.prompt_id for prompt in Contest.of(store, few).prompts}
        held_out = {pair.prompt_id for pair, _ in store.work_on(cycle.name, held_out_pairs(store, cycle), {})}
    assert len(some) == 20
    assert some < everything == held_out
    assert 60 < len(everything) < 140


def test_nothing_to_compare_is_said(tmp_path):
    cycle = contested(tmp_path, HONEST)
    with Store() as store:
        store.register(cycle, Rubric.of(cycle).system)
        with pytest.raises(UsageError, match="no prompt of cycle"):
            Contest.of(store, cycle)
        store.add_pairs(cycle.name, pairs(9))
        recorded = cycle.model_copy(update={"judges": ()})
        with pytest.raises(UsageError, match="nobody can be asked"):
            Contest.of(store, recorded)


# -- corrected by people -------------------------------------------------------------------------------------------------


def biased(n=1500, rate=0.55, favour=0.4, seed=3):
    """A contest whose judges all favour the candidate; and what people would say of every pair."""
    found = simulated(HI, n, np.random.default_rng(seed), rate=rate, favour=favour)
    count = (found.said > 0).sum(axis=1)
    is_a = np.arange(n) % 2 == 0
    table = Judged(
        prompt_ids=tuple(f"q{k}" for k in range(n)),
        category=(None,) * n,
        pair_ids=tuple(f"e{k}" for k in range(n)),
        value=(count >= 2).astype(float),
        leaning=2 * count,
        log_odds=dawid_skene(found.votes()).llr,
        candidate_is_a=is_a,
        candidate_length=np.full(n, 10),
        baseline_length=np.full(n, 10),
    )
    sides = np.where(is_a, found.gold, -found.gold)
    return table, {f"e{k}": {A: Verdict.A, B: Verdict.B}[side] for k, side in enumerate(sides.tolist())}


def asked(table, truth, n, seed=0):
    """People's answers on a drawn sample."""
    return Answers({pair_id: truth[pair_id] for pair_id in review.draw(table, n, seed=seed)}, by_votes=True)


@pytest.mark.parametrize("by_votes", [True, False])
def test_people_correct_what_all_judges_share(by_votes):
    held, judges, width = 0, 0, []
    for seed in range(40):
        table, truth = biased(seed=seed)
        if by_votes:
            answers = asked(table, truth, 120)
        else:
            chosen = np.random.default_rng(seed).choice(list(truth), 120, replace=False)
            answers = Answers({str(k): truth[str(k)] for k in chosen})
        found = analyse(table, "new", "old", answers)
        held += found.by_people.corrected.low <= 0.55 <= found.by_people.corrected.high
        judges += found.all["win_rate"].low <= 0.55 <= found.all["win_rate"].high
        width.append(found.by_people.corrected.high - found.by_people.corrected.low)
        assert found.by_people.answers == 120
    assert held >= 35
    assert judges <= 5
    assert np.mean(width) < 0.85 * 2 * 1.98 * 0.4975 / 120**0.5  # of people alone


def test_answers_on_every_pair_are_the_truth_and_know_which_side_is_the_candidates():
    table, truth = biased(n=200)
    found = by_people(table, Answers(truth))
    wins = [truth[f"e{k}"] is (Verdict.A if k % 2 == 0 else Verdict.B) for k in range(200)]
    assert found.corrected.value == pytest.approx(np.mean(wins))


def test_the_same_answers_need_nobodys_word():
    """Half of the prompts have the same answer twice: the win rate is halfway between a half and people's on the others."""
    table, truth = biased(n=400)
    ids = tuple(None if k >= 200 else name for k, name in enumerate(table.pair_ids))
    columns = {name: getattr(table, name) for name in Judged.__dataclass_fields__}
    half = Judged(**columns | {"pair_ids": ids, "value": np.where(np.arange(400) >= 200, 0.5, table.value)})
    found = by_people(half, Answers({name: truth[name] for name in ids if name}))
    wins = np.mean([truth[f"e{k}"] is (Verdict.A if k % 2 == 0 else Verdict.B) for k in range(200)])
    assert found.corrected.value == pytest.approx((wins + 0.5) / 2)
    assert found.answers == 200


def test_no_answer_about_these_pairs_is_no_correction():
    assert by_people(biased(n=50)[0], Answers({"other": Verdict.A})) is None


def test_an_item_is_never_calibrated_on_its_own_answer():
    table, truth = biased(n=300)
    rows = np.arange(120)
    y = np.array([float(truth[f"e{k}"] is (Verdict.A if k % 2 == 0 else Verdict.B)) for k in rows])
    names = np.asarray(table.prompt_ids, dtype=object)
    chance, factor = calibrated(table.log_odds, rows, y, names)
    turned = y.copy()
    turned[7] = 1 - turned[7]
    other, _ = calibrated(table.log_odds, rows, turned, names)
    assert chance[7] == other[7]
    assert not np.array_equal(chance, other)
    assert 0 < factor < 1  # they share errors
    _, none = calibrated(table.log_odds, rows[:40], y[:40], names)
    assert isnan(none)


def test_people_are_asked_more_where_judges_disagree_and_everywhere_a_little():
    table, _ = biased(n=1200)
    drawn = review.draw(table, 120, seed=0)
    assert len(set(drawn)) == 120
    count = np.bincount(table.leaning, minlength=7)[::2]
    asked_of = np.bincount([table.leaning[int(name[1:])] for name in drawn], minlength=7)[::2]
    share = asked_of / count
    assert (asked_of >= 2).all()
    assert share[1:3].mean() > 1.3 * share[[0, 3]].mean()
    assert drawn == review.draw(table, 120, seed=0)
    assert set(review.draw(table, 60, seed=0)) < set(review.draw(table, 600, seed=0))


def test_the_file_for_people_says_nothing_of_checkpoints_or_votes_and_comes_back(tmp_path):
    cycle, file = contested(tmp_path, HONEST), tmp_path / "people" / "review.jsonl"
    with Store(cycle.store) as store:
        contest = begun(store, cycle, 60)
        played(store, contest)
        drawn = review.draw(judged(store, contest), 10, seed=0)
        assert review.write((pair for pair, _ in store.work_on(contest.judging.name, drawn, {})), file) == 10
    text = file.read_text()
    assert "tuned" not in text
    assert "model_a" not in text
    assert review.read(file).said == {}
    rows = [json.loads(line) | {"gold": "tie"} for line in text.splitlines()]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = review.read(file)
    assert (found.by_votes, set(found.said)) == (True, set(drawn))


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{"pair_id": "p", "gold": "c"}], "row 1: 'pair_id' names a pair"),
        ([{"gold": "a"}], "row 1: 'pair_id' names a pair"),
        ([{"pair_id": "p", "gold": "a"}, {"pair_id": "p", "gold": "b"}], "row 2: pair p was answered 'a' before"),
        ([{"pair_id": "p", "gold": "a"}, {"pair_id": "q", "gold": "b", "drawn": "by votes"}], "keep one kind"),
    ],
)
def test_answers_that_make_no_sense_are_refused(tmp_path, rows, said):
    file = tmp_path / "gold.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(UsageError, match=said):
        review.read(file)
