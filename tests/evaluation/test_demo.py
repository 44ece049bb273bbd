"""The demo is the main job, end to end; it is what a newcomer sees first."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.training.tiny import tiny_model


@pytest.mark.slow
def test_the_demo_runs_a_whole_cycle_from_pairs_to_a_report(tmp_path):
    folder = tmp_path / "demo"
    model = tiny_model(tmp_path / "model", max_position_embeddings=4096)
    done = subprocess.run(
        [sys.executable, "-m", "consensus.cli", "demo", str(folder), "--pairs", "90", "--model", str(model), "--json"],
        capture_output=True,
        text=True,
        check=True,
    )
    figures = json.loads(done.stdout)
    rows = [json.loads(line) for line in (folder / "preferences.jsonl").read_text("utf-8").splitlines()]
    assert figures["schema_version"] == 1
    assert figures["same_over_http"] is True
    assert (figures["pairs"], figures["calls"]["full"]) == (90, 270)
    assert 180 <= figures["votes"] < 270
    assert figures["kept"] == len(rows) == figures["dataset"]["rows"]
    assert all(row["chosen"] != row["rejected"] for row in rows)
    assert all(row["prompt"][-1]["role"] == "user" for row in rows)
    assert figures["training"]["result"]["steps"] == 16
    assert (Path(figures["training"]["adapter"]) / "adapter_model.safetensors").exists()
    assert figures["evaluation"]["items"] == figures["training"]["data"]["held_out"] > 0
    assert figures["gate"]["verdict"] in ("promote", "reject", "inconclusive")
    assert figures["gate"]["checkpoint"] == figures["training"]["run"]
    page = Path(figures["report"]["path"]).read_text("utf-8")
    assert len(figures["report"]["sentences"]) == 5
    assert figures["training"]["run"] in page
