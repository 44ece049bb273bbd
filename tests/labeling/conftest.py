"""Fixtures for the tests of batches."""

from __future__ import annotations

import pytest

from labeling.providers import wire
from tests.labeling.batch_servers import Anthropic, OpenAI


@pytest.fixture(params=[OpenAI, Anthropic], ids=["openai", "anthropic"])
def protocol(request):
    """Each of the two."""
    return request.param


@pytest.fixture
def keys(monkeypatch):
    """Some are needed; any will do."""
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY"):
        monkeypatch.setenv(name, "sk-test")


@pytest.fixture
def proven_once(monkeypatch):
    """A judge's requests are proven equal to litellm's once a test, not at every run of it: that takes most of the time."""
    real, known = wire.prepare, {}

    def prepare(route, parameters):
        key = repr((route, parameters))
        if key not in known:
            known[key] = real(route, parameters)
        return known[key]

    monkeypatch.setattr(wire, "prepare", prepare)
