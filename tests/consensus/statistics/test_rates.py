"""Shares as an imperfect judge sees them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consensus.statistics.rates import true_share


def test_rogan_and_gladens_estimate_of_sixty_percent():
    """Statistics O11."""
    assert true_share(0.6, specificity=0.8, sensitivity=0.9) == pytest.approx(0.5714285714285712)


@given(st.floats(0, 1), st.floats(0.55, 1), st.floats(0.55, 1))
def test_it_undoes_what_the_judge_does_to_the_share(share, specificity, sensitivity):
    seen = share * sensitivity + (1 - share) * (1 - specificity)
    assert true_share(seen, specificity=specificity, sensitivity=sensitivity) == pytest.approx(share, abs=1e-9)


def test_a_judge_that_tosses_a_coin_tells_nothing():
    with pytest.raises(ValueError, match="no better than chance"):
        true_share(0.6, specificity=0.5, sensitivity=0.5)
