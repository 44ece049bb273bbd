"""Where the files of `configs/` are: in the repository, or in the installed wheel."""

from __future__ import annotations

from pathlib import Path


def shipped(name: str) -> Path:
    """A file or folder of `configs/`.

    Raises:
        FileNotFoundError: there is none of this name.
    """
    here = Path(__file__).parent
    for folder in (here / "configs", here.parent / "configs"):
        if (folder / name).exists():
            return folder / name
    raise FileNotFoundError(f"judge-consensus ships no configs/{name}")
