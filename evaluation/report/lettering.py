"""Names of judges as they may be drawn: whoever wrote them, they must not upset the program that draws, nor outgrow their room.

Characters that XML forbids (control characters, U+FFFE) end its whole process, and where it shortens a text itself it may cut a
character in two, which it then cannot write.
"""

from __future__ import annotations

from collections.abc import Sequence
from unicodedata import east_asian_width

COLUMN = 7.2
"""Pixels of a column of the font that texts are measured in, at 12 pixels."""


def drawable(name: str, pixels: float) -> str:
    """A name without characters that cannot be printed, cut to so many pixels."""
    legible = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in name)
    room = int(pixels / COLUMN)
    if sum(map(_columns, legible)) <= room:
        return legible
    kept, used = "", 1  # the ellipsis
    for c in legible:
        used += _columns(c)
        if used > room:
            break
        kept += c
    return f"{kept}…"


def distinct(names: Sequence[str], pixels: float) -> list[str]:
    """The same of several names, which are numbered where they could no longer be told apart."""
    drawn = [drawable(name, pixels) for name in names]
    if len(set(drawn)) == len(drawn):
        return drawn
    return [drawable(f"{number} {name}", pixels) for number, name in enumerate(names, 1)]


def _columns(c: str) -> int:
    if c > "\uffff":
        return 4  # an emoji, say, is measured as two unknown characters
    return 2 if east_asian_width(c) in "WF" else 1
