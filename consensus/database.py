"""The DuckDB file under the store: opening it, its tables' migrations, transactions, and rows and columns by table."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import duckdb

from consensus.errors import ConsensusError, StoreBusy, UsageError
from consensus.tables import in_columns, utc_now

if TYPE_CHECKING:
    import pyarrow as pa

_DAMAGE = (
    duckdb.OperationalError,
    duckdb.FatalException,
    duckdb.InternalError,
)  # of the file or the disk; others are bugs


class Database:
    """A DuckDB file whose tables are the migrations'; a context manager.

    Attributes:
        db: the connection, for SQL.
    Raises:
        StoreBusy: another process has the file open.
        UsageError: the file is not a store, or was written by a newer version.
    """

    def __init__(self, path: Path | str = ":memory:") -> None:
        self.path = path
        self.db = _connect(path)
        self._types: dict[str, dict[str, str]] = {}  # by table, its columns and their types
        try:
            self._migrate()
        except duckdb.Error as error:
            self.db.close()
            raise ConsensusError(f"cannot prepare the store {path}: {error}") from None
        except UsageError:
            self.db.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.close()
        except duckdb.Error as unsaved:
            error = error or unsaved
        if isinstance(error, _DAMAGE):
            raise ConsensusError(f"the store {self.path} cannot be read or written: {error}") from error

    def close(self) -> None:
        """Fold the write-ahead log into the file and let go of it."""
        self.db.close()

    def twin(self) -> Self:
        """The same store through a connection of its own, for another thread."""
        twin = object.__new__(type(self))
        twin.path, twin.db, twin._types = self.path, self.db.cursor(), self._types
        return twin

    def _migrate(self) -> None:
        self.db.execute("SET enable_progress_bar = false")  # it would draw into the results on stdout
        self.db.execute("CREATE TABLE IF NOT EXISTS migrations (number INTEGER, name VARCHAR, applied_at TIMESTAMP)")
        done = self._one("SELECT coalesce(max(number), 0) FROM migrations")
        folder = resources.files("consensus").joinpath("migrations")
        files = sorted((f for f in folder.iterdir() if f.name.endswith(".sql")), key=lambda f: f.name)
        if done > len(files):
            raise UsageError(
                f"the store {self.path} was written by a newer version of judge-consensus; upgrade to open it"
            )
        for number, file in enumerate(files, 1):
            if number > done:
                note = f"INSERT INTO migrations VALUES ({number}, '{file.name}', TIMESTAMP '{utc_now():%Y-%m-%d %H:%M:%S}')"
                script = f"BEGIN; {file.read_text('utf-8')}; {note}; COMMIT"
                self.db.execute(script)

    def _one(self, sql: str, *values: Any) -> Any:
        rows = self.db.execute(sql, values).fetchall()  # all, as an unfinished result blocks the connection
        return rows[0][0] if rows else None

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of it or nothing."""
        self.db.begin()
        try:
            yield
        except BaseException:
            self.db.rollback()
            raise
        self.db.commit()

    def append(self, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Append rows to a table, by the names of its columns."""
        self.db.register("batch", self.as_table(table, rows))
        self.db.execute(f"INSERT INTO {table} SELECT * FROM batch")
        self.db.unregister("batch")

    def as_table(self, table: str, rows: Sequence[Mapping[str, Any]]) -> pa.Table:
        """Rows as Arrow, in the columns of a table of the store: what appends them is some hundred times faster so."""
        if table not in self._types:
            self._types[table] = dict(
                self.db.execute(f"SELECT column_name, column_type FROM (DESCRIBE {table})").fetchall()
            )
        return in_columns(rows, self._types[table])

    def columns(self, sql: str, values: Any, **tables: pa.Table) -> pa.Table:
        """A result in columns, through a connection of its own: another one may still have rows to fetch.

        Args:
            tables: to be read in the query under these names.
        """
        db = self.db.cursor()
        for name, table in tables.items():
            db.register(name, table)
        return db.sql(sql, params=values).to_arrow_table()


def _connect(path: Path | str) -> duckdb.DuckDBPyConnection:
    # Checkpoints stop the writer; with a raised threshold the one at close is the only one.
    config: dict[str, str | bool | int | float | list[str]] = {"wal_autocheckpoint": "1GB"}
    # What a query is done with goes back to the system at once: labels of ten million votes take a tenth less memory so.
    config |= {"allocator_flush_threshold": "16MB", "allocator_bulk_deallocation_flush_threshold": "16MB"}
    if path == ":memory:":
        return duckdb.connect(path, config=config)
    file = Path(path).absolute()  # else DuckDB takes what stands before a colon for the name of an extension
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        db = duckdb.connect(str(file), config=config)
    except (duckdb.Error, OSError) as error:
        if holder := re.search(r"Conflicting lock is held in .*?\(PID (\d+)\)", str(error)):
            raise StoreBusy(f"the store {path} is in use by process {holder[1]}; wait for it, or stop it") from None
        raise UsageError(f"cannot open the store {path}: {error}") from None
    if not db.execute("SELECT 1 FROM duckdb_databases() WHERE path IS NOT NULL").fetchone():
        db.close()  # a CSV or JSON file: DuckDB reads it as a table, and would keep votes in memory only
        raise UsageError(f"cannot open the store {path}: it is a file of another kind")
    return db
