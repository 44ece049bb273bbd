"""Which run this is: its name, and what it was made with."""

from __future__ import annotations

import platform
import re
import subprocess
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from consensus.nouns import digest
from consensus.sections.training import Training

PACKAGES = ("judge-consensus", "torch", "transformers", "trl", "peft", "accelerate", "datasets")


def run_name(cycle: str, settings: Training, data_hash: str) -> str:
    """`{cycle}-{first 8 of the hash of config and data}`: the same labels trained in the same way are the same run."""
    config = settings.identity()
    config["model"] = Path(settings.model).name if Path(settings.model).is_absolute() else settings.model
    named = re.sub(r"[^A-Za-z0-9._-]", "-", cycle)[:80].lstrip("._-") or "cycle"
    return f"{named}-{digest([config, data_hash])[:8]}"


def versions(folder: Path) -> dict[str, Any]:
    """Of packages (None where one is not installed), Python, and the git commit that stands in the folder."""
    found: dict[str, Any] = {"python": platform.python_version(), "git": git(folder)}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = None
    return found


def git(folder: Path) -> str | None:
    """The commit, with `+` behind it where files differ from it; None outside of a repository, or without git."""
    try:
        commit, changed = (
            subprocess.run(
                ["git", "-C", str(folder), *words], capture_output=True, text=True, check=True, timeout=10
            ).stdout
            for words in (("rev-parse", "HEAD"), ("status", "--porcelain", "--untracked-files=no"))
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return commit.strip() + ("+" if changed.strip() else "")


def difference(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """The settings that differ, a line each."""
    return [
        f"  training.{name}: {before.get(name, 'not there')} before, {now.get(name, 'not there')} now"
        for name in sorted(before.keys() | now.keys())
        if before.get(name) != now.get(name)
    ]
