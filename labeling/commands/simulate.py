"""`consensus simulate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from labeling.providers.simulated import Simulated


def simulate(cycle: Path, /, *overrides: str, port: int = 8080, json: bool = False) -> int:
    """Serve the simulated judges of a cycle file as an OpenAI-compatible server on 127.0.0.1, until Ctrl-C.

    A simulated model under `generation:` is served with them.
    Judges then reach it with `api_base: http://127.0.0.1:PORT/v1`. The pairs that the cycle file names under `input:` and that
    have gold are what the judges take for true. It takes batches too (`label --batch`), and works through each in three seconds.

    Parameters
    ----------
    cycle: Path
        The cycle file; its judges with `provider: simulated` are served by their model name.
    overrides: str
        Settings that differ from the file, as key=value.
    port: int
        The port; 0 lets the system choose.
    json: bool
        Print the address as a JSON object.
    """
    import asyncio

    from consensus.cyclefile import load
    from consensus.errors import UsageError
    from consensus.nouns import Pair
    from consensus.terminal import emit, out
    from labeling.pairs import read_pairs
    from labeling.providers.server import serve
    from labeling.providers.simulated import SimulatedJudge, World
    from labeling.providers.simulated_model import SimulatedModel

    if not 0 <= port <= 65535:
        raise UsageError(f"--port is a number from 0 to 65535, not {port}")
    loaded = load(cycle, overrides)
    rows = read_pairs(loaded.input.pairs, loaded.input.columns) if loaded.input.pairs else ()
    world = World.of(row for row in rows if isinstance(row, Pair))
    judges: dict[str, Simulated] = {
        judge.model: SimulatedJudge.of(judge, world) for judge in loaded.judges if judge.provider == "simulated"
    }
    if loaded.generation and loaded.generation.provider == "simulated":
        judges[loaded.generation.model] = SimulatedModel.of(loaded.generation)
    if not judges:
        raise UsageError(f"{cycle} has no judge with 'provider: simulated'")

    async def forever() -> None:
        try:
            runner, chosen = await serve(judges, port)
        except OSError as error:
            raise UsageError(f"cannot listen on 127.0.0.1:{port}: {error.strerror}") from None
        address = f"http://127.0.0.1:{chosen}/v1"
        if json:
            emit({"address": address, "models": list(judges)})
        else:
            out().print(f"serving {', '.join(judges)} on {address}; stop with Ctrl-C", markup=False)
        try:
            await asyncio.Event().wait()
        finally:
            await runner.cleanup()

    asyncio.run(forever())
    return 0
