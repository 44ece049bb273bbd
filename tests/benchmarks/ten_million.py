"""Ten million votes into labels, and how soon `status` answers on such a store.

python -m tests.benchmarks.ten_million
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from consensus.store import Store
from consensus.summary import keep_up, summary
from tests.consensus.cycles import cycle_of

PAIRS = 3_333_333
JUDGES = ["x", "y", "z"]


def fill(file: Path) -> None:
    """Three judges' votes on every pair, each in the order of its rotation; 40 % a, 40 % b, 10 % ties, 10 % abstentions."""
    cycle = cycle_of(JUDGES)
    first, second = ("('0x' || sha256('pair-' || i)[1:2])::SMALLINT", "('0x' || sha256('pair-' || i)[3:4])::SMALLINT")
    said = "CASE WHEN h < 4 THEN 'a' WHEN h < 8 THEN 'b' WHEN h < 9 THEN 'tie' ELSE 'abstain' END"
    with Store(file) as store:
        store.register(cycle, "rubric")
        store.db.execute(
            "INSERT INTO pairs SELECT 'pair-' || i, 'q', '\"p\"', '\"a\"', '\"b\"', NULL, NULL, '{}', 'h', now()::TIMESTAMP "
            f"FROM range({PAIRS}) t(i)"
        )
        store.db.execute(
            f"INSERT INTO cycle_pairs SELECT 'cycle-1', 'pair-' || i, {first}, {second} FROM range({PAIRS}) t(i)"
        )
        for seat, judge in enumerate(cycle.judges):
            store.db.execute(
                f"INSERT INTO votes SELECT 'cycle-1', 'pair-' || i, ?, ?, CASE WHEN ({first} + {seat}) % 2 = 1 THEN 'ba' "
                f"ELSE 'ab' END, 0, {said}, NULL, 'raw', 'm', 1, 1, 0.1, 0.1, 0, 'stop', 1, now()::TIMESTAMP, NULL, NULL "
                f"FROM (SELECT i, hash(i, {seat}) % 10 AS h FROM range({PAIRS}) t(i))",
                [judge.label, judge.config_hash("rubric")],
            )


def label(file: Path) -> None:
    """In a process of its own, so that its peak memory is its own."""
    with Store(file) as store:
        cpu = time.process_time()
        reasons = store.reasons("cycle-1")
        cpu = time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"labels: {cpu:.1f} s of CPU, {peak:.0f} MB; { ({reason.value: n for reason, n in reasons.items()}) }")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        store, cycle = Path(folder) / "consensus.duckdb", Path(folder) / "cycle.yaml"
        cycle.write_text("judges:\n" + "".join(f"  - {{provider: recorded, model: {judge}}}\n" for judge in JUDGES))
        for step in ("fill", "label"):
            _itself(step, store)
        _status("nothing was ever worked out", cycle)
        _status("again", cycle)
        _itself("killed", store)
        _status("label was killed", cycle)
        _itself("ended", store)
        _status("label ended", cycle)


def killed(file: Path) -> None:
    """As after a `label` that was killed: what it kept on its way is older than the last third of the votes."""
    with Store(file) as store:
        store.db.execute("DELETE FROM figures")
        kept = store.db.execute("SELECT count(*) * 2 // 3 FROM votes").fetchall()[0][0]
        store.db.execute(f"CREATE TABLE late AS SELECT * FROM votes WHERE rowid >= {kept}")
        store.db.execute(f"DELETE FROM votes WHERE rowid >= {kept}")
        keep_up(store, "cycle-1")
        store.db.execute("INSERT INTO votes SELECT * FROM late")
        store.db.execute("DROP TABLE late")


def ended(file: Path) -> None:
    """The last thing that `label` and `ingest --votes` do."""
    with Store(file) as store:
        summary(store, "cycle-1")


def _itself(step: str, store: Path) -> None:
    subprocess.run([sys.executable, "-m", "tests.benchmarks.ten_million", step, str(store)], check=True)


def _status(after: str, cycle: Path) -> None:
    words, started = [sys.executable, "-m", "consensus.cli", "status", str(cycle)], time.perf_counter()
    said = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    late = next((line for line in said.splitlines() if "after these figures" in line), "complete")
    print(f"status, {after}: {time.perf_counter() - started:.2f} s ({late})")


if __name__ == "__main__":
    steps = {"fill": fill, "label": label, "killed": killed, "ended": ended}
    steps[sys.argv[1]](Path(sys.argv[2])) if sys.argv[1:] else main()
