"""How likely labels are right, on simulated judges whose worth is known."""

from __future__ import annotations

from math import isnan

import pytest

from consensus.chances import FEWEST, chances
from consensus.cycle_votes import read
from consensus.store import Store
from tests.labeling.runs import label_cycle, labels, pairs, simulated

FAULTS = ({"accuracy": 0.9}, {"accuracy": 0.75}, {"accuracy": 0.65})


def labeled(folder, n):
    cycle = simulated(folder, *FAULTS)
    with Store(cycle.store) as store:
        label_cycle(store, cycle, pairs(n))
        return chances(read(store, cycle)), labels(store, cycle.name)


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    return labeled(tmp_path_factory.mktemp("many"), 1200)


def test_every_kept_pair_has_a_chance_and_no_other(many):
    found, made = many
    assert found.by_pair.keys() == {name for name, label in made.items() if label.kept}
    assert found.gold == 1200


def test_the_mean_chance_is_the_share_of_labels_that_people_agree_with(many):
    found, made = many
    right = [made[pair.pair_id].verdict == pair.gold for pair in pairs(1200) if pair.pair_id in found.by_pair]
    mean = sum(found.by_pair.values()) / len(found.by_pair)
    assert mean == pytest.approx(sum(right) / len(right), abs=0.03)


def test_labels_that_all_judges_share_are_surer_than_labels_of_two_against_one(many):
    found, made = many
    unanimous = [p for name, p in found.by_pair.items() if made[name].support == 1]
    split = [p for name, p in found.by_pair.items() if made[name].support < 1]
    assert min(unanimous) > sum(split) / len(split)


def test_with_little_gold_there_are_none(tmp_path):
    found, _ = labeled(tmp_path, FEWEST - 1)
    assert (found.by_pair, found.gold) == ({}, FEWEST - 1)
    assert isnan(found.factor)
