"""Two panels over the same pairs."""

from __future__ import annotations

import pytest

from consensus.comparison import compare, comparison_lines
from consensus.errors import UsageError
from consensus.nouns import Ballot, Verdict, Vote
from consensus.rule import shown
from consensus.store import Store
from tests.consensus.cycles import cycle_of
from tests.labeling.runs import pairs

GIVEN = pairs(6)  # the gold of pair k is "ab"[k % 2]


def judged(store, name, verdicts):
    """A cycle of one recorded judge who says these verdicts of the pairs."""
    cycle = cycle_of(["judge"], cycle={"name": name})
    store.register(cycle, "rubric")
    store.add_pairs(name, GIVEN)
    hashes = {"judge": cycle.judges[0].config_hash("rubric")}
    votes = [
        Vote(Ballot(pair.pair_id, "judge", shown(pair.pair_id, 0)), Verdict(verdict))
        for pair, verdict in zip(GIVEN, verdicts, strict=True)
    ]
    store.add(name, hashes, votes)


def tie(word):
    return ["tie" if letter == "-" else letter for letter in word]


def test_a_cycle_agrees_with_its_copy_and_two_ways_of_comparing_are_mirror_images():
    with Store() as store:
        judged(store, "one", tie("abab-b"))
        judged(store, "copy", tie("abab-b"))
        judged(store, "two", tie("aabba-"))
        same = compare(store, "one", "copy")
        here, there = compare(store, "one", "two"), compare(store, "two", "one")
    assert (same["kept_both"], same["same"], same["agree"]["value"], same["kept_more"]["value"]) == (5, 5, 1.0, 0.0)
    assert here["agree"] == there["agree"]
    assert here["kept_more"]["value"] == -there["kept_more"]["value"]
    assert (
        (here["kept_here_only"], here["kept_there_only"])
        == (there["kept_there_only"], there["kept_here_only"])
        == (1, 1)
    )


def test_the_counts_are_those_of_a_table_by_hand():
    """Gold is ababab: of the opposite labels on pairs 1, 2 and 3 the first cycle is right on all."""
    with Store() as store:
        judged(store, "one", tie("abab-b"))
        judged(store, "two", tie("aabaa-"))
        found = compare(store, "one", "two")
    assert (found["shared"], found["kept_both"], found["same"]) == (6, 4, 1)
    assert (found["opposite_with_gold"], found["right_here"]) == (3, 3)
    assert "of 3 pairs with gold that they label oppositely, 3 are right here" in "\n".join(comparison_lines(found))


def test_cycles_without_a_pair_in_common_cannot_be_compared():
    with Store() as store:
        judged(store, "one", tie("ababab"))
        for other in ("nobody", "one"):
            with pytest.raises(UsageError, match="share no pairs"):
                compare(store, "one", other)
