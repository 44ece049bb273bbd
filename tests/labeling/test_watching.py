"""What a run leaves behind while it runs."""

from __future__ import annotations

from consensus import summary as summaries
from consensus.store import Store
from labeling import watching
from tests.labeling.runs import label_cycle, pairs, simulated


def test_a_long_run_keeps_figures_on_its_way(tmp_path, monkeypatch):
    monkeypatch.setattr(summaries, "AT_ONCE", 20)
    monkeypatch.setattr(watching, "SUMMARISE_EVERY_S", 0.3)
    cycle = simulated(tmp_path, *[{"latency_s": 0.1, "max_parallel": 4}] * 3)
    with Store(cycle.store) as store:
        label_cycle(store, cycle, pairs(60))
        made_from, figures = store.last_figures(cycle.name)
        now = store.made_from(cycle.name)
        assert 20 < made_from.votes == figures["votes"] < now.votes == 180
