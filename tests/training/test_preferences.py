"""Which pairs are trained on, which side is chosen, and with what chance."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from consensus.chances import FEWEST
from consensus.nouns import Pair, Verdict
from consensus.store import Store
from tests.training.runs import labeled, pairs, said, with_training
from training.preferences import plan


def planned(cycle, **changed):
    with Store(cycle.store) as store:
        return plan(store, with_training(cycle, **changed) if changed else cycle)


def rows(found):
    return {row["pair_id"]: row for row in found.table.to_pylist()}


@pytest.fixture(scope="module")
def cycle(tmp_path_factory):
    return labeled(tmp_path_factory.mktemp("cycle"), pairs(400, gold=200))[1]


def test_no_prompt_is_on_both_sides(cycle):
    found = planned(cycle, validation=0.3)
    sides = {(row["prompt_id"], row["held_out"]) for row in found.table.to_pylist()}
    assert len(sides) == len({prompt for prompt, _ in sides}) > 100
    assert {held_out for _, held_out in sides} == {True, False}


def test_near_duplicate_prompts_are_on_one_side(tmp_path):
    head = " ".join(f"word{k}" for k in range(80))
    twins = [Pair(f"t{k}", f"{head} {k}", "one", "two") for k in range(8)]
    others = [Pair(f"o{k}", " ".join(f"other{k}-{j}" for j in range(20)), "one", "two") for k in range(40)]
    _, cycle = said(tmp_path, [*twins, *others], {pair.pair_id: "aaa" for pair in [*twins, *others]})
    found = planned(cycle, validation=0.5)
    assert len({row["held_out"] for name, row in rows(found).items() if name.startswith("t")}) == 1
    assert (found.groups, found.largest) == (41, 8)


def test_soft_takes_every_pair_on_which_the_votes_lean_to_a_side_with_a_chance_of_at_least_half(cycle):
    found = planned(cycle, gold=False)
    assert found.policy == "soft"
    reasons = Counter(found.left_out["reason"].to_pylist())
    assert reasons.keys() <= {"undecided", "held_out_without_label"}
    chances = np.array(found.table["p_chosen"])
    assert ((chances > 0.5) & (chances < 1)).all()
    with Store(cycle.store) as store:
        split = {item.pair.pair_id for item in store.labeled(cycle.name, kept_only=False) if not item.label.kept}
    assert split & rows(found).keys()


def test_the_calibrated_chances_of_the_training_pairs_are_the_share_that_people_bear_out(tmp_path):
    _, cycle = labeled(tmp_path, pairs(3000, gold=3000, per_prompt=1))
    found = planned(cycle, gold=False, near=None)
    train = [row for row in found.table.to_pylist() if not row["held_out"]]
    right = np.mean([row["gold"] == "chosen" for row in train])
    assert np.mean([row["p_chosen"] for row in train]) == pytest.approx(right, abs=0.03)


def test_hard_takes_the_kept_pairs_for_true(cycle):
    found = planned(cycle, policy="hard", gold=False)
    with Store(cycle.store) as store:
        kept = {item.pair.pair_id: item.label.verdict for item in store.labeled(cycle.name)}
    assert {name: row["a"] for name, row in rows(found).items()} == {name: side == "a" for name, side in kept.items()}
    assert set(found.table["p_chosen"].to_pylist()) == {1.0}
    assert set(found.left_out["reason"].to_pylist()) <= {"split", "tie", "unstable", "too_few_votes"}


@pytest.mark.parametrize("policy", ["soft", "hard"])
def test_a_persons_verdict_stands_above_the_panels(cycle, policy):
    found = planned(cycle, policy=policy)
    people = {pair.pair_id: pair.gold for pair in pairs(400, gold=200) if pair.gold}
    chosen = {name: row for name, row in rows(found).items() if name in people}
    assert chosen.keys() == people.keys()
    assert found.by_people == len(people)
    for name, row in chosen.items():
        assert (row["a"], row["p_chosen"], row["gold"]) == (people[name] == "a", 1.0, "chosen")


def test_a_persons_tie_leaves_the_pair_out(tmp_path):
    given = [Pair("p0", "q0", "x", "y", gold=Verdict.TIE), Pair("p1", "q1", "x", "y"), Pair("p2", "q2", "x", "y")]
    _, cycle = said(tmp_path, given, {pair.pair_id: "aaa" for pair in given}, "validation: 0, near: null")
    assert rows(planned(cycle)).keys() == {"p1", "p2"}
    assert planned(cycle).left_out.to_pylist() == [{"pair_id": "p0", "reason": "gold_tie"}]
    assert rows(planned(cycle, gold=False)).keys() == {"p0", "p1", "p2"}


def test_without_gold_soft_becomes_hard_and_says_so(tmp_path):
    _, cycle = labeled(tmp_path, pairs(60, gold=FEWEST - 1))
    found = planned(cycle)
    assert found.policy == "hard"
    assert f"a calibration needs {FEWEST}" in found.because


def test_a_loss_that_reads_no_chances_takes_kept_pairs_and_says_so(cycle):
    assert planned(cycle).policy == "soft"
    found = planned(cycle, loss="ipo")
    assert found.policy == "hard"
    assert "'loss: ipo' reads no pair's own chance" in found.because
    assert found.digest == planned(cycle, policy="hard").digest


def test_gold_of_held_out_prompts_does_not_calibrate(tmp_path):
    given = pairs(400, gold=400)
    _, cycle = labeled(tmp_path, given)
    one = planned(cycle, gold=False)
    held_out = {name for name, row in rows(one).items() if row["held_out"]}
    (tmp_path / "other").mkdir()
    turned = [
        Pair(p.pair_id, p.prompt, p.completion_a, p.completion_b, p.category, p.gold.swapped())
        if p.pair_id in held_out
        else p
        for p in given
    ]
    _, other = labeled(tmp_path / "other", turned)
    assert [r["p_chosen"] for r in planned(other, gold=False).table.to_pylist()] == [
        r["p_chosen"] for r in one.table.to_pylist()
    ]


def test_what_is_held_out_has_a_verdict(cycle):
    found = planned(cycle, gold=False, validation=0.5)
    with Store(cycle.store) as store:
        kept = {item.pair.pair_id for item in store.labeled(cycle.name)}
    assert {name for name, row in rows(found).items() if row["held_out"]} <= kept
    assert "held_out_without_label" in found.left_out["reason"].to_pylist()


def test_every_pair_is_in_the_table_or_left_out_for_a_reason(cycle):
    found = planned(cycle)
    assert sorted(found.table["pair_id"].to_pylist() + found.left_out["pair_id"].to_pylist()) == sorted(
        pair.pair_id for pair in pairs(400, gold=200)
    )


def test_support_is_the_panels_for_the_chosen_side_and_unknown_for_the_other(tmp_path):
    given = [Pair("p0", "q0", "x", "y", gold=Verdict.B), Pair("p1", "q1", "x", "y", gold=Verdict.A)]
    _, cycle = said(tmp_path, given, {"p0": "aab", "p1": "aab"}, "validation: 0")
    found = rows(planned(cycle))
    assert [found["p0"]["support"], found["p1"]["support"]] == [None, pytest.approx(2 / 3)]


def test_the_digest_is_that_of_the_data(cycle, tmp_path):
    assert planned(cycle).digest == planned(cycle).digest
    assert (
        len({planned(cycle, **how).digest for how in ({}, {"policy": "hard"}, {"gold": False}, {"validation": 0.3})})
        == 4
    )


def test_a_judging_that_stopped_when_it_was_sure_still_gives_each_pair_its_chance(tmp_path):
    """The votes of such a cycle are no fair sample of the judges, but they are all that is known of the pair."""
    _, cycle = labeled(tmp_path, pairs(300, gold=200), tie=0)
    called = cycle.model_copy(
        update={
            "judges": tuple(judge.model_copy(update={"provider": "simulated"}) for judge in cycle.judges),
            "sampling": cycle.sampling.model_copy(update={"stop": "confident"}),
        }
    )
    with Store(cycle.store) as store:
        found = plan(store, with_training(called, gold=False))
    assert not {"undecided"} & set(found.left_out["reason"].to_pylist())
