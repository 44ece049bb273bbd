"""Auditing in tests as a user would: the command, in this process."""

from __future__ import annotations

import json

import pytest

from consensus.cli import main


def run(capsys, *words):
    """Exit code, stdout, stderr of a command."""
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    said = capsys.readouterr()
    return ended.value.code, said.out, said.err


def audited(capsys, *words):
    """The object of `consensus audit --json`, and the exit code."""
    code, out, _ = run(capsys, "audit", *words, "--json")
    return json.loads(out), code


def recorded_cycle(folder, data, judges, *, pairs=None, votes=None):
    """A cycle file of recorded votes."""
    lines = ["judges:", *(f"  - {{provider: recorded, model: {judge}}}" for judge in judges)]
    files = (pairs or data / "pairs.jsonl", votes or data / "votes.jsonl")
    lines.append(f"input: {{pairs: {files[0]}, votes: {files[1]}}}")
    (folder / "cycle.yaml").write_text("\n".join(lines))
    return folder / "cycle.yaml"
