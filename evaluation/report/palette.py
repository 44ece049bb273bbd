"""The colours of the report, by role; the page's style sheet gives each one value by day and one by night.

Blue and orange are told apart by people of every colour vision (Okabe & Ito 2008), and no picture says anything by colour alone.
"""

from __future__ import annotations

INK = "currentColor"
QUIET = "var(--quiet)"
LINE = "var(--line)"
GOOD = "var(--good)"
WARN = "var(--warn)"
HEAT_STEPS = (0.5, 0.6, 0.7, 0.8, 0.9)
"""Shares at which a cell of the heat map becomes one step darker."""


def heat(share: float) -> tuple[str, str]:
    """Background and text of a share in [0, 1]."""
    step = sum(share >= bound for bound in HEAT_STEPS)
    return f"var(--heat-{step})", f"var(--heat-ink-{step})"
