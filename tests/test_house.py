"""The house itself: the front door is fast, every shipped file works, the wheel is whole."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
HEAVY = (
    "litellm",
    "duckdb",
    "torch",
    "transformers",
    "datasets",
    "pydantic",
    "pyarrow",
    "numpy",
    "aiohttp",
    "jinja2",
    "vl_convert",
)
COMMANDS = (
    "ingest",
    "generate",
    "label",
    "export",
    "train",
    "status",
    "init",
    "doctor",
    "simulate",
    "demo",
    "report",
    "evaluate",
    "gate",
)


def imported_by(*words):
    """The top-level modules that are loaded after a command's help was printed, and the processor seconds it took."""
    code = (
        "import sys, time\n"
        "from consensus.cli import main\n"
        f"try: main({list(words)!r})\n"
        "except SystemExit: pass\n"
        "print(time.process_time(), *{name.partition('.')[0] for name in sys.modules}, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    seconds, *modules = done.stderr.split()
    return done.stdout, float(seconds), set(modules)


def test_the_top_help_names_every_command_and_imports_nothing_heavy():
    text, _, modules = imported_by("--help")
    assert [name for name in COMMANDS if not re.search(rf"\b{name}\b", text)] == []
    assert modules.isdisjoint(HEAVY)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_describes_every_option_and_imports_nothing_heavy(command):
    text, _, modules = imported_by(command, "--help")
    options = re.findall(r"│[ *]+(--[a-z-]+|[A-Z]{3,})\b(.*)", text)
    assert options
    assert [name for name, said in options if not re.search(r"[a-z]{3}", said)] == []
    assert modules.isdisjoint(HEAVY)


def test_the_version_is_said_once():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    text, _, _ = imported_by("--version")
    assert text.strip() == project["version"]
    assert f"## {project['version']}" in (ROOT / "CHANGELOG.md").read_text()


@pytest.mark.slow
def test_the_wheel_holds_the_four_packages_and_the_configs(tmp_path):
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", tmp_path, ROOT],
        check=True,
        capture_output=True,
        env={**os.environ, "PIP_NO_INDEX": "1"},
    )
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.partition("/")[0] for name in names if ".dist-info" not in name}
    assert tops == {"consensus", "labeling", "training", "evaluation"}
    assert {"consensus/configs/panel.yaml", "consensus/configs/rubrics/pairwise.md"} <= set(names)
    assert {"evaluation/report/page.html.jinja", "evaluation/report/page.css"} <= set(names)
    assert any(name.startswith("consensus/migrations/0001") for name in names)
