"""The demo is the main job, end to end; it is what a newcomer sees first."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest


@pytest.mark.slow
def test_the_demo_runs_a_whole_cycle_and_leaves_a_dataset(tmp_path):
    folder = tmp_path / "demo"
    done = subprocess.run(
        [sys.executable, "-m", "consensus.cli", "demo", str(folder), "--pairs", "60", "--json"],
        capture_output=True,
        text=True,
        check=True,
    )
    figures = json.loads(done.stdout)
    rows = [json.loads(line) for line in (folder / "preferences.jsonl").read_text("utf-8").splitlines()]
    assert figures["schema_version"] == 1
    assert figures["same_over_http"] is True
    assert (figures["pairs"], figures["calls"]["full"]) == (60, 180)
    assert 120 <= figures["votes"] < 180
    assert figures["kept"] == len(rows) == figures["dataset"]["rows"]
    assert all(row["chosen"] != row["rejected"] for row in rows)
    assert all(row["prompt"][-1]["role"] == "user" for row in rows)
