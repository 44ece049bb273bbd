"""With what chance a vote was asked: the vectorised weights against the rule pair by pair, and what they are good for."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

import numpy as np
import pytest

from consensus.cycle_votes import read
from consensus.nouns import Ballot, Shown, Verdict
from consensus.sequence import audited, inclusion, line_up
from consensus.statistics.agreement import Panel, pairwise_agreement
from consensus.statistics.votes import ABSTAIN, TIE, A, B, Cells
from consensus.store import Store
from tests.labeling.runs import label_cycle, pairs, simulated

FAULTS = (
    {"accuracy": 0.8, "flip_rate": 0.1, "ties": 0.1},
    {"accuracy": 0.75, "position_bias": 0.1},
    {"accuracy": 0.7, "prose": 0.05},
)
CODE = {Verdict.A: A, Verdict.B: B, Verdict.TIE: TIE, Verdict.ABSTAIN: ABSTAIN}


def labeled(folder, n=300, **sampling):
    """A simulated cycle that was labeled lazily, and its store."""
    cycle = simulated(folder, *FAULTS, sampling={"stop": "settled", "audit_share": 0.2} | sampling)
    store = Store(cycle.store)
    label_cycle(store, cycle, pairs(n))
    return store, cycle


@pytest.mark.parametrize("orders", ["one", "both"])
def test_weights_are_the_inverse_chances_of_the_sequence_pair_by_pair(tmp_path, orders):
    store, cycle = labeled(tmp_path, orders=orders)
    with store:
        found = read(store, cycle)
        by_pair = defaultdict(dict)
        for vote in store.votes(cycle.name):
            ballot = Ballot(vote["pair_id"], vote["judge"], Shown(vote["shown"]))
            by_pair[vote["pair_id"]][ballot] = Verdict(vote["verdict"])
    votes, expected = found.votes, {}
    for pair_id, said in by_pair.items():
        line = line_up(pair_id, cycle.judge_names, cycle.rule)
        if audited(pair_id, cycle.cycle.seed, 0.2):
            expected |= {ballot: 1 / chance for ballot, chance in inclusion(line, said, cycle.rule, 0.2).items()}
        else:
            expected |= dict.fromkeys(said, 1.0)
    names = [
        Ballot(votes.pair_ids[p], votes.judges[j], Shown.AB if f else Shown.BA)
        for p, j, f in zip(votes.pair, votes.judge, votes.first, strict=True)
    ]
    assert dict(zip(names, votes.weight, strict=True)) == pytest.approx(expected)
    assert set(np.round(votes.weight, 6)) == {1.0, 5.0}


def agreement(votes):
    """Of every two judges."""
    panel = Panel.of(votes, Cells.of(votes), planned=3)
    return np.array([pairwise_agreement(panel, *two).value for two in ((0, 1), (0, 2), (1, 2))])


def test_weighted_agreement_is_that_of_the_full_panel_where_the_plain_one_is_not(tmp_path):
    """The last judge is asked where the others disagree: unweighted, all seem to agree less than they do."""
    (tmp_path / "lazy").mkdir()
    store, cycle = labeled(tmp_path / "lazy", n=1000, audit_share=0.3)
    full = simulated(tmp_path, *FAULTS)
    with store, Store(full.store) as everything:
        lazy = read(store, cycle).votes
        label_cycle(everything, full, pairs(1000))
        whole = read(everything, full).votes
    plain = replace(lazy, weight=np.ones(len(lazy.pair)))
    assert agreement(lazy) == pytest.approx(agreement(whole), abs=0.035)
    assert (agreement(plain) < agreement(whole) - 0.02).all()


def test_every_vote_has_weight_1_where_everybody_is_asked_or_nobody_is_called(tmp_path):
    store, cycle = labeled(tmp_path, stop="never")
    with store:
        assert (read(store, cycle).votes.weight == 1).all()


def test_without_pairs_that_are_asked_completely_every_vote_was_needed(tmp_path):
    store, cycle = labeled(tmp_path, n=60, audit_share=0.0)
    with store:
        votes = read(store, cycle).votes
    assert len(votes.pair) < 180
    assert (votes.weight == 1).all()


def test_columns_are_the_rows_of_the_store(tmp_path):
    store, cycle = labeled(tmp_path, n=60)
    with store:
        found, rows = read(store, cycle), list(store.votes(cycle.name))
        labels = {item.pair.pair_id: item.label for item in store.labeled(cycle.name, kept_only=False)}
    votes = found.votes
    names = [votes.pair_ids[p] for p in votes.pair]
    judges = [votes.judges[j] for j in votes.judge]
    ours = set(zip(names, judges, np.where(votes.first, "ab", "ba"), votes.repeat, votes.choice, strict=True))
    assert ours == {(r["pair_id"], r["judge"], r["shown"], r["repeat"], CODE[Verdict(r["verdict"])]) for r in rows}
    assert [labels[name].kept for name in votes.pair_ids] == found.kept.tolist()
    assert [CODE.get(labels[name].verdict, 2) for name in votes.pair_ids] == found.label.tolist()
    assert len(set(votes.cluster.tolist())) == 20
    assert found.planned.all()


def test_votes_under_other_settings_of_a_judge_are_left_out(tmp_path):
    store, cycle = labeled(tmp_path, n=30)
    with store:
        before = len(read(store, cycle).votes.pair)
        store.db.execute("UPDATE votes SET config_hash = 'other' WHERE judge = 'sim-0'")
        after = read(store, cycle).votes
    assert 0 < len(after.pair) < before
    assert 0 not in after.judge


def test_repeats_of_a_sample_weigh_as_much_as_the_sample_is_rare(tmp_path):
    """Calls of an audit on 30 of 300 pairs stand for ten each; what the label asked anyway stands for itself."""
    store, cycle = labeled(tmp_path)
    with store:
        store.db.execute(
            "INSERT INTO votes SELECT * REPLACE (1 AS repeat) FROM votes WHERE pair_id IN "
            "(SELECT 'pair-' || k FROM range(30) t(k)) AND judge = 'sim-1'"
        )
        votes = read(store, cycle).votes
    again = votes.repeat == 1
    assert votes.weight[again] == pytest.approx(300 / again.sum())
    assert set(votes.weight[~again & (votes.pair >= 30)]) <= {1.0, 1 / (1 - 0.8 * (1 - again.sum() / 300))}


def test_where_judging_stops_when_sure_only_pairs_that_are_asked_completely_count(tmp_path):
    """As a random sample of the pairs: every vote of them, and each for as many as the sample is rare."""
    store, cycle = labeled(tmp_path, stop="never")
    with store:
        sure = cycle.model_copy(update={"sampling": cycle.sampling.model_copy(update={"stop": "confident"})})
        found = read(store, sure)
        names = {pair.pair_id for pair in pairs(300) if audited(pair.pair_id, cycle.cycle.seed, 0.2)}
    assert {found.votes.pair_ids[k] for k in found.votes.pair} == names
    assert len(found.votes.pair) == 3 * len(names)
    assert found.votes.weight.tolist() == pytest.approx([5.0] * len(found.votes.pair))
