"""The gate's decisions: gain and guards, and how often it may look."""

from __future__ import annotations

from math import inf, isnan

import numpy as np
import pytest

from consensus.errors import UsageError
from consensus.gates import Contest, looks_before
from consensus.results import Result, add_results, results
from consensus.sections.evaluation import Gate, Guard
from consensus.statistics.intervals import Interval, wilson
from consensus.statistics.paired import Verdict
from consensus.statistics.sequential import next_look
from consensus.store import Store
from evaluation.audit.result import Figure
from evaluation.gate.decision import combined, decide
from evaluation.gate.guards import Standing, by_audit, by_production, by_results
from evaluation.gate.items import Items, contestants, paired
from evaluation.gate.run import gate
from evaluation.gate.words import advice, markdown, reasons
from evaluation.records import contest_results
from tests.consensus.cycles import cycle_of
from tests.evaluation.made_audits import audit_of
from tests.evaluation.test_head_to_head import asked, biased


@pytest.fixture
def store():
    with Store() as opened:
        yield opened


def wins(rate, prompts=200, *, seed=1, start=0, **more):
    """Direct comparisons of new with old, two of each prompt, every tenth a tie."""
    rng = np.random.default_rng([seed, start])
    made = []
    for k in range(start, start + prompts):
        for item in range(2):
            value = 0.5 if rng.random() < 0.1 else float(rng.random() < rate)
            named = {"checkpoint": "new", "cycle": "c", "metric": "win", "baseline": "old"} | more
            made.append(Result(**named, item=f"{k}.{item}", prompt_id=f"p{k}", value=value, category="ab"[k % 2]))
    return made


def lengths(checkpoint, mean, prompts=200, metric="length"):
    rng = np.random.default_rng(int(mean))
    drawn = rng.gamma(20, mean / 20, prompts)
    drawn *= mean / drawn.mean()
    return [Result(checkpoint, "c", metric, f"{k}", f"p{k}", float(x)) for k, x in enumerate(drawn)]


def cycle(*guards, **settings):
    return cycle_of(["x"], cycle={"name": "c"}, gate={"guard": list(guards), **settings})


def decided(store, *guards, audited=audit_of, **settings):
    return gate(store, cycle(*guards, **settings), audited=lambda: audited(["x", "y"]))


def test_a_planted_gain_is_promoted_a_planted_loss_rejected_and_a_toss_up_is_neither(store):
    for rate, expected in ((0.65, Verdict.PROMOTE), (0.35, Verdict.REJECT), (0.5, Verdict.INCONCLUSIVE)):
        add_results(store, wins(rate, checkpoint=f"of {rate}"))
        found = decided(store)
        assert (found.contest.checkpoint, found.contest.baseline) == (f"of {rate}", "old")
        assert found.verdict == expected


def test_a_gain_that_is_not_surely_above_the_smallest_that_matters_is_not_promoted(store):
    add_results(store, wins(0.65))
    assert decided(store).verdict == Verdict.PROMOTE
    assert decided(store, min_effect=0.12).verdict == Verdict.INCONCLUSIVE
    assert decided(store, min_effect=0.4).verdict == Verdict.REJECT


def test_two_checkpoints_measured_by_themselves_are_paired_by_item(store):
    add_results(store, [*lengths("old", 100), *lengths("new", 120)])
    add_results(store, [Result("new", "c", "length", "only new", "p", 5.0)])
    found = decided(store, metric="length", baseline="old")
    assert (found.value, found.reference) == pytest.approx((120, 100))
    assert found.test.mean.value == pytest.approx(found.value - found.reference)
    assert (found.test.mean.n, found.unpaired) == (200, 1)


def test_rewards_against_the_same_reference_are_paired_too(store):
    add_results(store, wins(0.5, baseline="base", checkpoint="old", metric="reward_correct"))
    add_results(store, wins(0.7, baseline="base", metric="reward_correct"))
    found = decided(store, metric="reward_correct", baseline="old")
    assert found.test.mean.n == 400
    assert found.test.mean.value == pytest.approx(0.2, abs=0.08)


@pytest.mark.parametrize(
    ("rows", "settings", "message"),
    [
        ([], {}, "there are no results of 'win'.*none; 'consensus evaluate'"),
        (["new"], {"metric": "reward"}, "there are: win"),
        (["new"], {"baseline": "new"}, "only the baseline"),
        (["new"], {"baseline": "nobody"}, "no common item"),
        (["new", "even newer"], {}, None),
    ],
)
def test_what_cannot_be_compared_is_refused_with_what_there_is(store, rows, settings, message):
    for name in rows:
        add_results(store, wins(0.5, 5, checkpoint=name))
    if message is None:
        assert contestants(results(store), "win") == ("even newer", "old")
        add_results(store, wins(0.5, 5, checkpoint="even newer", baseline="older"))
        message = "say what 'even newer' has to beat in 'win'; there is old, older"
    with pytest.raises(UsageError, match=message):
        decided(store, **settings)


def test_looking_again_at_the_same_results_is_the_same_look(store):
    add_results(store, wins(0.55))
    first, again = decided(store), decided(store)
    assert (first.number, again.number) == (1, 1)
    assert again.as_dict() == first.as_dict()
    add_results(store, wins(0.55)[::-1])
    assert decided(store).number == 1  # the same again, written in another order


def test_more_results_are_another_look_for_which_nothing_is_left_if_one_was_planned(store):
    add_results(store, wins(0.5, 50))
    assert decided(store).verdict == Verdict.INCONCLUSIVE
    add_results(store, wins(0.9, 200, start=50))
    found = decided(store)
    assert (found.number, found.look.critical, found.verdict) == (2, inf, Verdict.INCONCLUSIVE)
    assert "the planned looks (1) are taken" in reasons(found)[0]
    assert "new prompts" in advice(found)[0]


def test_what_a_look_spent_is_not_had_again_by_planning_more_afterwards(store):
    add_results(store, wins(0.5, 50))
    decided(store)
    decided(store, looks=5)
    add_results(store, wins(0.9, 200, start=50))
    assert decided(store, looks=5).look.critical == inf


def test_five_planned_looks_have_obrien_and_flemings_bounds(store):
    seen = []
    for k in range(5):
        add_results(store, wins(0.53, 40, start=40 * k))
        seen.append(decided(store, looks=5).look.critical)
    assert seen == pytest.approx([4.8769, 3.3570, 2.6803, 2.2898, 2.0310], abs=2e-4)
    assert len(looks_before(store, Contest("c", "new", "old", "win"), "other results")) == 5


def test_another_checkpoint_starts_from_its_own_first_look(store):
    add_results(store, wins(0.5, 50))
    decided(store)
    add_results(store, wins(0.5, 60, checkpoint="newer"))
    assert decided(store).number == 1


def test_what_would_be_needed_is_said_and_suffices(store):
    """As many prompts as the gate asks for would show the gain that was seen in four of five cases."""
    add_results(store, wins(0.53, 150))
    found = decided(store)
    (seen, *typical) = found.needed
    assert found.verdict == Verdict.INCONCLUSIVE
    assert seen.seen
    assert seen.effect == pytest.approx(found.test.mean.value)
    assert [needed.effect for needed in typical] == [0.02, 0.03, 0.05]
    assert found.detectable == pytest.approx(found.test.mean.error * (1.95996 + 0.84162), rel=1e-4)
    error = found.test.mean.error * np.sqrt(found.test.mean.clusters / seen.prompts)
    assert seen.effect / error == pytest.approx(1.95996 + 0.84162, rel=0.01)
    assert seen.items == pytest.approx(2 * seen.prompts, abs=1)


def guarded(store, **limit):
    """How one guard stands for checkpoint new against old."""
    return [
        (ruling.subject, ruling.standing) for ruling in by_results(Guard(**limit), results(store), "new", "old", 0.95)
    ]


def test_a_guard_is_kept_broken_or_open_by_the_bound_of_its_interval(store):
    add_results(store, wins(0.6))
    found = wilson(*(lambda items: (items.value, items.prompt))(paired(results(store), "win", "new", "old")))
    for limit, expected in (
        (found.low - 1e-6, Standing.KEPT),
        (found.value, Standing.OPEN),
        (found.high + 1e-6, Standing.BROKEN),
    ):
        assert guarded(store, metric="win", at_least=limit) == [(None, expected)]
    assert guarded(store, metric="win", at_most=found.high) == [(None, Standing.KEPT)]
    assert guarded(store, metric="win", at_most=found.low - 1e-6) == [(None, Standing.BROKEN)]
    assert guarded(store, metric="win", drop_at_most=0.05) == [(None, Standing.KEPT)]
    assert guarded(store, metric="win", rise_at_most=0.01) == [(None, Standing.BROKEN)]


def test_a_floor_by_category_finds_the_one_that_suffers(store):
    """Category b loses what category a gains; the mean hides it."""
    rows = [
        Result("new", "c", "win", f"{k}", f"p{k}", float(k % 2 == 0 or k % 8 == 1), f"{'ab'[k % 2]}", "old")
        for k in range(400)
    ]
    add_results(store, rows)
    assert guarded(store, metric="win", at_least=0.45) == [(None, Standing.KEPT)]
    assert guarded(store, metric="win", by="category", at_least=0.45) == [("a", Standing.KEPT), ("b", Standing.BROKEN)]
    found = decided(store, {"metric": "win", "by": "category", "drop_at_most": 0.05})
    assert found.verdict == Verdict.REJECT
    assert any("win (b) drop at most 0.05 is broken" in line for line in reasons(found))


def test_length_inflation_is_the_ratio_of_the_means(store):
    add_results(store, [*lengths("old", 100), *lengths("new", 130)])
    (ruling,) = by_results(Guard(metric="length", ratio_at_most=1.15), results(store), "new", "old", 0.95)
    assert ruling.standing == Standing.BROKEN
    assert ruling.found.value == pytest.approx(1.3)
    assert ruling.found.high - 1.3 == pytest.approx(1.96 * 1.3 * np.sqrt(2 / 20 / 200), rel=0.15)
    assert guarded(store, metric="length", ratio_at_most=1.6) == [(None, Standing.KEPT)]
    assert guarded(store, metric="length", rise_at_most=40) == [(None, Standing.KEPT)]


def test_a_guard_that_cannot_be_judged_holds_the_checkpoint_up_unless_it_may_pass(store):
    add_results(
        store, [*wins(0.65), Result("new", "c", "safe", "1", "p", 1.0), Result("new", "c", "safe", "2", "p", 0.0)]
    )
    guard = {"metric": "safe", "at_least": 0.2}
    found = decided(store, guard)
    assert found.verdict == Verdict.INCONCLUSIVE
    assert "cannot be said to hold" in reasons(found)[1]
    assert decided(store, guard | {"unsure": "pass"}).verdict == Verdict.PROMOTE


def test_a_guard_on_the_audit_asks_the_panel_or_every_judge():
    audit = audit_of(["x", "y"], seed=3)
    (panel,) = by_audit(Guard(audit="alpha", at_least=-1), audit)
    assert panel.subject is None
    both = list(by_audit(Guard(audit="tie", at_most=1), audit))
    assert [ruling.subject for ruling in both] == ["x", "y"]
    for ruling in both:
        figure = next(judge for judge in audit.judges if judge.judge == ruling.subject)["tie"]
        assert ruling.standing == (Standing.KEPT if figure.bounded else Standing.OPEN)


def test_a_figure_that_an_audit_does_not_have_is_no_guard_that_holds():
    (ruling,) = by_audit(Guard(audit="score_safety", at_least=0), audit_of(["x"]))
    assert ruling.holds_up
    assert ruling.reason == "this audit does not have it"


def test_of_a_bias_the_size_counts_whichever_its_side():
    audit = audit_of(["x"])
    figure = Figure("position_bias", -0.2, -0.25, -0.15, 100)
    audit.judges[0].figures["position_bias"] = figure
    (ruling,) = by_audit(Guard(audit="position_bias", at_most=0.1), audit)
    assert (ruling.found.low, ruling.found.high, ruling.standing) == (0.15, 0.25, Standing.BROKEN)


def test_an_audit_is_made_only_where_a_guard_asks_for_one(store):
    add_results(store, wins(0.65))

    def never(_):
        raise AssertionError

    assert decided(store, audited=never).promotes
    assert [ruling.subject for ruling in decided(store, {"audit": "tie", "at_most": 1}).rulings] == ["x", "y"]
    with pytest.raises(UsageError, match="no figure 'repeat_flips'; did you mean 'repeat_flip'"):
        decided(store, {"audit": "repeat_flips", "at_most": 0.2})


@pytest.mark.parametrize(
    ("limit", "ours", "theirs", "expected"),
    [
        ({"at_least": 0.7}, (0.8, 0.75, 0.85), None, Standing.KEPT),
        ({"at_least": 0.8}, (0.8, 0.75, 0.85), None, Standing.OPEN),
        ({"drop_at_most": 0.02}, (0.8, 0.75, 0.85), (0.81, 0.79, 0.83), Standing.OPEN),
        ({"drop_at_most": 0.02}, (0.8, 0.78, 0.82), (0.72, 0.70, 0.74), Standing.KEPT),
        ({"drop_at_most": 0.02}, (0.6, 0.58, 0.62), (0.72, 0.70, 0.74), Standing.BROKEN),
        ({"ratio_at_most": 1.2}, (1.0, 0.9, 1.1), (1.0, 0.95, 1.05), Standing.KEPT),
        ({"ratio_at_most": 1.2}, (2.0, 1.9, 2.1), (1.0, 0.95, 1.05), Standing.BROKEN),
        ({"drop_at_most": 0.02}, (0.8, 0.78, 0.82), None, Standing.OPEN),
    ],
)
def test_production_is_a_guard_on_other_requests(limit, ours, theirs, expected):
    figures = {"new": ours, "old": theirs}

    def measured(checkpoint, metric):
        return figures[checkpoint] and Figure(metric, *figures[checkpoint], 100)

    ruling = by_production(Guard(production="tool_use_accuracy", **limit), measured, "new", "old")
    assert ruling.standing == expected
    assert (ruling.reason == "") == (theirs is not None or "at_least" in limit)


def test_the_difference_of_two_intervals_is_that_of_independent_means():
    """Symmetric intervals add as errors do: .03 and .04 make .05."""

    def measured(checkpoint, _):
        return Figure("m", 0.5, 0.47, 0.53, 9) if checkpoint == "new" else Figure("m", 0.4, 0.36, 0.44, 7)

    found = by_production(Guard(production="m", drop_at_most=1), measured, "new", "old").found
    assert found == Interval(pytest.approx(0.1), pytest.approx(0.05), pytest.approx(0.15), 7)


def test_everything_must_speak_for_the_checkpoint(store):
    add_results(store, wins(0.65))
    kept = tuple(by_results(Guard(metric="win", at_least=0.3), results(store), "new", "old", 0.95))
    broken = tuple(by_results(Guard(metric="win", at_least=0.9), results(store), "new", "old", 0.95))
    assert combined(Verdict.PROMOTE, kept) == Verdict.PROMOTE
    assert combined(Verdict.INCONCLUSIVE, kept) == Verdict.INCONCLUSIVE
    assert combined(Verdict.PROMOTE, kept + broken) == Verdict.REJECT
    assert combined(Verdict.REJECT, kept) == Verdict.REJECT


def test_a_sure_interval_of_five_prompts_is_not_promoted_and_says_why(store):
    add_results(store, [Result("new", "c", "win", f"{k}", f"p{k}", 0.9 + k / 100, None, "old") for k in range(5)])
    found = decided(store)
    assert found.test.effect.low > 0
    assert found.verdict == Verdict.INCONCLUSIVE
    assert "sign flips of so few prompts do not" in reasons(found)[0]


def test_differences_that_are_all_equal_decide_nothing_and_say_so(store):
    add_results(store, [Result("new", "c", "win", f"{k}", f"p{k}", 1.0, None, "old") for k in range(50)])
    found = decided(store)
    assert found.verdict == Verdict.INCONCLUSIVE
    assert isnan(found.detectable)
    assert "no interval" in reasons(found)[0]
    assert found.needed == ()


def test_names_cannot_break_the_summary(store):
    add_results(store, wins(0.6, checkpoint="new|*x*<b>", baseline="a_b"))
    text = markdown(decided(store, {"metric": "win", "by": "category", "at_least": 0.1}))
    assert "new|\\*x\\*\\<b\\>" in text
    assert all(line.count("|") - line.count("\\|") in (0, 4) for line in text.splitlines() if line.startswith("| "))


@pytest.mark.slow
def test_judges_who_all_favour_the_new_checkpoint_promote_it_and_people_on_a_sample_do_not(store):
    """In truth neither is better, except for the one that wins four of five times."""
    by_judges, by_people = [], []
    for seed in range(1, 6):
        table, truth = biased(n=1000, rate=0.5, seed=seed)
        add_results(store, contest_results(table, f"new {seed}", "old", "c", asked(table, truth, 120)))
        by_judges.append(decided(store).promotes)
        by_people.append(decided(store, metric="win_corrected").promotes)
    assert all(by_judges)
    assert not any(by_people)
    table, truth = biased(n=1000, rate=0.8, seed=0)
    add_results(store, contest_results(table, "better", "old", "c", asked(table, truth, 120)))
    assert decided(store, metric="win_corrected").promotes


@pytest.mark.slow
def test_the_detectable_gain_is_promoted_in_four_of_five_cases():
    shown = np.mean([drawn(0.0, seed).detectable for seed in range(20)])
    promoted = sum(drawn(shown, seed).promotes for seed in range(200))
    assert promoted / 200 == pytest.approx(0.8, abs=0.08)


def drawn(effect, seed):
    """A decision on 300 items of 100 prompts with this true gain."""
    rng = np.random.default_rng(seed)
    place = np.repeat(np.arange(100), 3)
    values = 0.5 + effect + rng.normal(0, 0.2, 100)[place] + rng.normal(0, 0.3, 300)
    names = np.arange(300).astype(str).astype(object)
    items = Items(values, np.full(300, 0.5), names, place.astype(str).astype(object), np.full(300, None), direct=True)
    look = next_look([], 100, looks=1, alpha=0.025)
    contest = Contest("c", "new", "old", "win")
    return decide(items, Gate(), contest, look=look, number=1, rulings=(), rng=rng)
