"""`consensus init`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal


def init(
    cycle: Path = Path("cycle.yaml"),
    /,
    *,
    kind: Literal["panel", "cycle", "simulated", "recorded"] = "panel",
    force: bool = False,
) -> int:
    """Write a commented cycle file to start from.

    Parameters
    ----------
    cycle: Path
        Where to write it.
    kind: str
        panel: three providers. cycle: the same, from production traces on. simulated: no key, no network. recorded: votes that
        somebody's judges gave already.
    force: bool
        Overwrite a file that is there.
    """
    from consensus.errors import UsageError
    from consensus.shipped import shipped
    from consensus.terminal import out, plain

    try:
        if cycle.exists() and not force:
            raise UsageError(f"{cycle} is there already; --force overwrites it")
        cycle.parent.mkdir(parents=True, exist_ok=True)
        cycle.write_text(shipped(f"{kind}.yaml").read_text("utf-8"), "utf-8")
    except OSError as error:
        raise UsageError(f"cannot write {cycle}: {error.strerror}") from None
    name = plain(str(cycle))
    out().print(
        f"wrote {name}; next: set its 'input:', then [bold]consensus doctor {name}[/] and [bold]consensus label {name} --dry-run[/]"
    )
    return 0
