"""The judges that can be asked in batches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from consensus.cycle import Cycle
from labeling.panel import PanelJudge
from labeling.providers.routes import batch_price

if TYPE_CHECKING:
    from labeling.providers.batch import BatchApi
    from labeling.providers.batch_apis import Session
    from labeling.providers.wire import Wire


@dataclass(frozen=True)
class BatchJudge:
    """A judge whose provider takes batches; its price is that of a batch."""

    judge: PanelJudge
    wire: Wire
    api: BatchApi


def batch_judges(
    panel: Mapping[str, PanelJudge], cycle: Cycle, session: Session
) -> tuple[dict[str, BatchJudge], dict[str, str]]:
    """The judges that take batches, and why the others have to be asked online."""
    from labeling.providers.batch_apis import api_of, why_online
    from labeling.providers.wire import Wire

    able, unable = {}, {}
    for name, judge in at_batch_price(panel, cycle).items():
        wire = judge.transport
        if why := why_online(judge.config, cycle):
            unable[name] = why
        elif isinstance(wire, Wire):
            able[name] = BatchJudge(judge, wire, api_of(wire, session, cycle.limits.timeout_s))
        else:
            unable[name] = f"its requests cannot be rebuilt exactly ({judge.why_default})"
    return able, unable


def at_batch_price(judges: Mapping[str, PanelJudge], cycle: Cycle) -> dict[str, PanelJudge]:
    """The judges, those that take batches at the price of a batch."""
    from labeling.providers.batch_apis import why_online

    return {
        name: judge if why_online(judge.config, cycle) else replace(judge, price=batch_price(judge.config))
        for name, judge in judges.items()
    }
