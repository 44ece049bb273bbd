"""What several test modules share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
# CI asks for the same examples every time, so that it fails by what was changed; everybody else looks for new ones.
settings.register_profile("default", deadline=None, max_examples=100, derandomize="DERANDOMIZE" in os.environ)
settings.load_profile("default")

DATA = Path(__file__).resolve().parent.parent.parent / "shared" / "data"


@pytest.fixture
def recorded_data() -> Path:
    """The folder of real recorded votes; a test that needs it is skipped where it is not there."""
    if not DATA.is_dir():
        pytest.skip("the recorded votes are not on this machine")
    return DATA
