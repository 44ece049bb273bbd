"""Bad input: every bad row is refused with its number and a reason, every good one beside it is kept, nothing else happens.

The bad and good rows are made from a seed, mixed, written to files and read back from a real store.
"""

from __future__ import annotations

import csv
import io
import json
import os
import random
import re
import socket
import string
import subprocess
import sys
from contextlib import suppress
from itertools import count
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consensus.cli import main
from consensus.errors import ConsensusError, UsageError
from consensus.nouns import Pair, Verdict
from consensus.store import Store
from labeling.intake import ingest_pairs, ingest_votes
from tests.consensus.cycles import cycle_of

CYCLE = cycle_of(["judge-1", "judge-2", "judge-3"])
ALPHABET = (
    string.ascii_letters
    + string.digits
    + " .,;:!?'\"\\/{}[]()<>|#%&*`~\n\r\t\u0001\u0085\u2028\ufeff"
    + "äßЖ中🙂\u202e\u0301"
)
IDS = [
    "'; DROP TABLE pairs; --",
    '"',
    "\\",
    "a\nb",
    " padded ",
    "null",
    "%s",
    "[/bold]",
    "../../etc",
    "x' OR '1'='1",
    "Ж🙂",
    "$1",
    "{}",
]


def text_of(rng, *, longest=60):
    """Text with everything in it that is text, and never blank."""
    return "".join(rng.choices(ALPHABET, k=rng.randrange(longest))) + rng.choice(string.ascii_letters)


def good(rng, serial):
    """A row that is right, however odd it looks."""
    a, b = f"{text_of(rng)} {serial}", f"{text_of(rng)} {serial}!"
    row = {"pair_id": f"{rng.choice(IDS)}-{serial}", "prompt": text_of(rng), "completion_a": a, "completion_b": b}
    call = {
        "id": "c1",
        "type": "function",
        "function": {"name": "search", "arguments": json.dumps({"q": text_of(rng)})},
    }
    odd = [
        {"pair_id": serial},
        {"pair_id": str(-serial)},
        {"gold": rng.choice(["a", "B", " tie ", None])},
        {"category": rng.choice(["maths", 7, None, "x'); --"])},
        {"completion_a": [{"role": "assistant", "content": a}]},
        {
            "completion_b": [
                {"role": "assistant", "content": None, "tool_calls": [call]},
                {"role": "tool", "content": b, "name": "search"},
            ]
        },
        {
            "prompt": [
                {"role": "system", "content": "s"},
                {"role": "user", "content": [{"type": "text", "text": text_of(rng)}]},
            ]
        },
        {"prompt": {"role": "user", "content": text_of(rng)}},
        {"completion_a": '[{"role": "user"', "completion_b": '{"verdict": "A"}'},
        {"completion_a": f"NaN{serial}", "completion_b": "\\u0000 \\ud800"},
        {"extra": nested(60), "n": 10**30, "tools": [{"name": "f"}], "nothing": None, "half": 0.5},
        {"completion_a": a * 2000},
        {},
    ]
    return row | rng.choice(odd)


def nested(levels):
    value = None
    for level in range(levels):
        value = [value] if level % 2 else {"x": value}
    return value


def expected(row):
    """The pair that a good row is."""

    def text(value):
        return [value] if isinstance(value, dict) else value

    known = ("pair_id", "prompt", "completion_a", "completion_b", "category", "gold")
    gold, category = row.get("gold"), row.get("category")
    return Pair(
        str(row["pair_id"]),
        *(text(row[name]) for name in known[1:4]),
        category if category is None else str(category),
        gold and Verdict(gold.strip().lower()),
        {key: value for key, value in row.items() if key not in known},
    )


def chat(**message):
    return [{"role": "assistant", "content": "x"}, message]


def bad_values(rng):
    """Changes to a good row that make it bad, each with a word of the reason."""
    side = rng.choice(["prompt", "completion_a", "completion_b"])
    call = {"id": "1", "function": {"name": "f", "arguments": "{}"}}
    return [
        ({side: None}, f"{side} is missing"),
        ({side: rng.choice(["", " ", "\n\t", "\u2003"])}, f"{side} is empty"),
        ({side: rng.choice([0, 7, -1.5, True, False])}, f"{side} must be text"),
        ({side: rng.choice([[], [{"role": "user"}], [{"role": "user", "content": " "}]])}, f"{side} is empty"),
        ({side: [{"role": "user", "content": [{"type": "text", "text": ""}]}]}, f"{side} is empty"),
        ({side: rng.choice([["x"], chat() + [None], [[]], [5]])}, "(is not an object|no role)"),
        ({side: chat(content="x")}, f"message 2 of {side} has no role"),
        ({side: chat(role=rng.choice([None, 5, "", " ", ["user"]]), content="x")}, f"message 2 of {side} has no role"),
        ({side: chat(role="user", content=rng.choice([5, {"text": "x"}, True]))}, f"content of message 2 of {side}"),
        (
            {side: chat(role="user", tool_calls=rng.choice(["f()", {"f": 1}, 5, True]))},
            f"tool_calls of message 2 of {side}",
        ),
        (
            {
                side: chat(
                    role="user", tool_calls=[rng.choice(["f", 5, None, [], {"function": "f"}, {"function": None}])]
                )
            },
            "a tool call of",
        ),
        ({side: chat(role="user", tool_calls=[call | {"id": rng.choice([5, ["c"], True])}])}, "id of a tool call"),
        ({side: chat(role="user", tool_calls=[{"function": {"name": 5}}])}, "name of a tool call"),
        ({side: f"x{chr(0)}y"}, f"{side} has a NUL"),
        ({side: chat(role="user", content=chr(0))}, f"{side} has a NUL"),
        ({"more": {chr(0): 1}}, "extra fields has a NUL"),
        ({"pair_id": chr(0)}, "pair_id has a NUL"),
        ({"category": f"a{chr(0)}"}, "category has a NUL"),
        ({"completion_a": "same", "completion_b": "same"}, "are the same"),
        ({"pair_id": rng.choice([True, 1.5, ["a"], {"a": 1}])}, "pair_id must be text"),
        ({"pair_id": rng.choice(["", "  ", "\t"])}, "pair_id is empty"),
        ({"pair_id": "x" * 1001}, "longer than 1,000"),
        ({"category": rng.choice([["a"], {"a": 1}])}, "category must be text"),
        ({"gold": rng.choice(["c", "", "A.", 1, True, ["a"], {"a": 1}, nested(90), "x" * 10_000])}, "gold must be"),
        ({"pair_id": "taken", "prompt": text_of(rng)}, "earlier row with another text"),
    ]


def bad_json(rng, row):
    """Lines that are not the JSON of a row, each with a word of the reason."""
    line = json.dumps(row, ensure_ascii=rng.random() < 0.5)
    number = rng.choice(
        ["NaN", "Infinity", "-Infinity", "1e999", "-1e400", "9" * 5000, "[" * 500 + "]" * 500, "[" * 10**5]
    )
    half = rng.choice(["\\ud800", "\\udfff", "\\ud83dx", "\\udc00\\ud800"])
    broken = rng.choice(
        [
            line[: rng.randrange(1, len(line) - 1)],
            line + "}",
            line + line,
            line.replace('"', "'"),
            "{,}",
            line[:-1] + ",}",
        ]
    )
    cut = broken.replace("\n", " ").replace("\r", " ")
    return [
        (cut.encode(), "not JSON"),
        (rng.choice([b"[1]", b'"text"', b"5", b"null", b"true", b"[]", b"{}x"]), "(a row is an object|not JSON)"),
        (b"{}", "prompt is missing; the row has: nothing"),
        (f'{line[:-1]}, "more": {number}}}'.encode(), "(is not JSON|too large|nested too deeply)"),
        (f'{line[:-1]}, "prompt": "again"}}'.encode(), "'prompt' is given twice"),
        (f'{line[:-1]}, "more": {{"x": 1, "x": 2}}}}'.encode(), "'x' is given twice"),
        (f'{line[:-1]}, "more": "{half}"}}'.encode(), "half of a surrogate pair"),
        (f'{line[:-1]}, "{half}": 1}}'.encode(), "half of a surrogate pair"),
        (
            line.encode()[:-1] + rng.choice([b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf8\x88", b"\xe2\x82"]) + b"}",
            "not UTF-8 at byte",
        ),
        (line.replace("\n", " ").encode("utf-16-le").replace(b"\n", b""), "not (JSON|UTF-8)"),
        (b"\xef\xbb\xbf\xef\xbb\xbf" + line.encode(), "not JSON"),
        (b"// comment", "not JSON"),
    ]


def mixed(seed, n, *, only_values=False):
    """n rows: those that are good, as rows, and those that are bad, as (row or line, reason)."""
    rng, serials = random.Random(seed), count(1)
    yield {"pair_id": "taken", "prompt": "q", "completion_a": "a", "completion_b": "b"}
    for _ in range(n):
        row = good(rng, next(serials))
        if rng.random() < 0.35:
            yield row
        elif only_values or rng.random() < 0.6:
            change, reason = rng.choice(bad_values(rng))
            yield row | change, reason
        else:
            yield rng.choice(bad_json(rng, row))


def outcome(folder, file, **options):
    """What a store on disk holds after a file was ingested: the intake and the pairs by id."""
    with Store(folder / "bad-input.duckdb") as store:
        store.register(CYCLE, "rubric")
        intake = ingest_pairs(store, CYCLE, file, **options)
    with Store(folder / "bad-input.duckdb") as store:
        return intake, {pair.pair_id: pair for pair, _ in store.work(CYCLE.name, {})}


def check(rows, intake, stored):
    """Every good row is stored with exactly its text, every bad one refused by number and reason, nothing else is there."""
    bad = {number: row[1] for number, row in enumerate(rows, 1) if isinstance(row, tuple)}
    assert stored == {pair.pair_id: pair for pair in (expected(row) for row in rows if isinstance(row, dict))}
    assert [refused.row for refused in intake.refused] == sorted(bad)
    assert [(r.row, r.reason) for r in intake.refused if not re.search(bad[r.row], r.reason)] == []
    assert (intake.read, intake.new) == (len(rows) - len(bad), len(rows) - len(bad))
    return len(bad)


def json_line(row):
    if isinstance(row, tuple):
        row = row[0]
    return row if isinstance(row, bytes) else json.dumps(row, ensure_ascii=len(row) % 2 == 0).encode()


@pytest.mark.parametrize(("end", "start"), [(b"\n", b""), (b"\r\n", b"\xef\xbb\xbf")], ids=["unix", "windows"])
def test_a_thousand_bad_rows_are_refused_one_by_one_and_the_good_ones_beside_them_kept(tmp_path, end, start):
    rows = list(mixed(f"jsonl{end!r}", 2000))
    (tmp_path / "pairs.jsonl").write_bytes(start + end.join(map(json_line, rows)) + end)
    assert check(rows, *outcome(tmp_path, tmp_path / "pairs.jsonl")) >= 1000


def test_the_same_holds_in_an_array(tmp_path):
    rows = list(mixed("array", 600, only_values=True))
    (tmp_path / "pairs.json").write_bytes(b"[\n" + b",\n".join(map(json_line, rows)) + b"\n]\n")
    assert check(rows, *outcome(tmp_path, tmp_path / "pairs.json")) >= 300


def bad_cells(rng, serial):
    """Lines of a CSV file, without their end, that are no rows."""
    fields = ["id", "q", f"a{serial}", f"b{serial}", "", ""]
    chats = [
        '[{"role": "user", "content": "cut of',
        '[{"role": "user", "content": NaN}]',
        '[ {"role": "user"}, {"x": 1}]',
    ]
    return rng.choice(
        [
            (",".join(fields[: rng.randrange(1, 6)]).encode(), "cells, the header has 6"),
            (",".join(fields + ["more"] * rng.randrange(1, 4)).encode(), "cells, the header has 6"),
            (b",q,,b,,", "completion_a is missing"),
            (b'," ",a,b,,', "prompt is empty"),
            (b",q,same,same,,", "are the same"),
            (b",q,a,b,,neither", "gold must be"),
            (b",q,a\x00,b,,", "completion_a has a NUL"),
            (b",q,a" + rng.choice([b"\xff", b"\xe4", b"\xed\xa0\x80"]) + b",b,,", "not UTF-8"),
            (b"taken,other,a,b,,", "earlier row with another text"),
            (
                f',q,"{rng.choice(chats).replace(chr(34), chr(34) * 2)}",b,,'.encode(),
                "(begins like chat messages|has no role|is empty)",
            ),
        ]
    )


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_the_same_holds_in_csv(tmp_path, end):
    rng = random.Random(f"csv{end}")
    names = ["pair_id", "prompt", "completion_a", "completion_b", "category", "gold"]
    rows, lines = (
        [{"pair_id": "taken", "prompt": "q", "completion_a": "a", "completion_b": "b"}],
        ["\ufeff" + ",".join(names), "taken,q,a,b,,"],
    )
    lines = [line.encode() for line in lines]
    for serial in range(1, 500):
        if rng.random() < 0.4:
            row = good(rng, serial)
            row = {name: row.get(name) for name in names} | {
                "pair_id": str(row["pair_id"]),
                "category": None,
                "gold": None,
            }
            cells = io.StringIO(newline="")
            shown = [
                v if isinstance(v, str) or v is None else json.dumps([v] if isinstance(v, dict) else v)
                for v in row.values()
            ]
            csv.writer(cells, lineterminator="", quoting=csv.QUOTE_ALL).writerow(shown)
            odd = isinstance(row["completion_a"], str) and row["completion_a"].startswith('[{"role"')
            rows.append((row, "begins like chat messages") if odd else {k: v for k, v in row.items() if v is not None})
            lines.append(cells.getvalue().encode())
        else:
            line, reason = bad_cells(rng, serial)
            rows.append((line, reason))
            lines.append(line)
    (tmp_path / "pairs.csv").write_bytes(end.encode().join(lines))
    assert check(rows, *outcome(tmp_path, tmp_path / "pairs.csv")) >= 200


def test_the_same_holds_in_parquet(tmp_path):
    """Text comes as bytes here, so that it may also be no text."""
    rng = random.Random("parquet")
    rows = [{"pair_id": "taken", "prompt": "q", "completion_a": "a", "completion_b": "b"}]
    for serial in range(1, 500):
        row = good(rng, serial)
        row = {"pair_id": str(row["pair_id"])} | {
            name: text_of(rng) + name for name in ("prompt", "completion_a", "completion_b")
        }
        side = rng.choice(["prompt", "completion_a", "completion_b"])
        change, reason = rng.choice(
            [
                ({side: None}, "is missing"),
                ({side: " "}, "is empty"),
                ({side: "\0"}, "NUL"),
                ({side: b"\xff\xfe"}, "cannot be read"),
            ]
            + [
                ({"pair_id": "taken"}, "another text"),
                ({"completion_a": "c", "completion_b": "c"}, "the same"),
                ({"pair_id": ""}, "empty"),
            ]
        )
        rows.append(row if rng.random() < 0.4 else (row | change, reason))
    plain = [row[0] if isinstance(row, tuple) else row for row in rows]
    columns = {}
    for name in plain[0]:
        values = pa.array(
            [value.encode() if isinstance(value := row[name], str) else value for row in plain], pa.binary()
        )
        columns[name] = pa.Array.from_buffers(pa.string(), len(values), values.buffers())
    pq.write_table(pa.table(columns), tmp_path / "pairs.parquet", row_group_size=100)
    assert check(rows, *outcome(tmp_path, tmp_path / "pairs.parquet")) >= 200


def test_columns_that_python_has_no_type_for_are_read_or_refused_row_by_row(tmp_path):
    at = pa.array([1_234_567_891, 0], pa.timestamp("ns", "UTC"))
    far = pa.array([0, 2**62], pa.timestamp("us"))
    chats = pa.array([[[("role", "assistant"), ("content", "x")]]] * 2, pa.list_(pa.map_(pa.string(), pa.string())))
    raw = pa.array([b"q1", b"q2"], pa.binary())
    table = {
        "pair_id": ["1", "2"],
        "prompt": raw,
        "completion_a": chats,
        "completion_b": ["y", "y"],
        "at": at,
        "far": far,
        "nan": [float("nan")] * 2,
    }
    pq.write_table(pa.table(table), tmp_path / "pairs.parquet")
    intake, stored = outcome(tmp_path, tmp_path / "pairs.parquet")
    extra = {"at": "1970-01-01 00:00:01.234567891Z", "far": "1970-01-01 00:00:00", "nan": None}
    assert stored == {"1": Pair("1", "q1", [{"role": "assistant", "content": "x"}], "y", extra=extra)}
    assert [(bad.row, bad.reason) for bad in intake.refused] == [(2, "cannot be read: date value out of range")]


def test_an_id_that_the_store_has_with_another_text_is_refused_by_its_row_number(tmp_path):
    file = tmp_path / "pairs.jsonl"
    rows = [{"pair_id": name, "prompt": "q", "completion_a": "a", "completion_b": "b"} for name in ("x", "y", "z")]
    file.write_bytes(b"\n".join(map(json_line, rows)))
    outcome(tmp_path, file)
    changed = [rows[0], rows[1] | {"prompt": "Q"}, {}, rows[2] | {"completion_a": "A"}, rows[1] | {"prompt": "Q"}]
    file.write_bytes(b"\n".join(map(json_line, changed)))
    intake, stored = outcome(tmp_path, file)
    assert stored == {pair.pair_id: pair for pair in map(expected, rows)}
    assert (intake.read, intake.new, [bad.row for bad in intake.refused]) == (1, 0, [2, 3, 4, 5])
    assert intake.refused[0].reason == "pair_id 'y' stands in the store with another text"


@pytest.mark.parametrize("suffix", ["jsonl", "json", "csv", "parquet"])
def test_a_completion_of_ten_megabytes_is_read_right(tmp_path, suffix):
    long = ("ten MB, 'quoted', \"twice\"\r\n\u2028 🙂 " * 400_000)[: 10 * 2**20]
    rows = [{"pair_id": "long", "prompt": "q", "completion_a": long, "completion_b": "b"}]
    file = tmp_path / f"pairs.{suffix}"
    match suffix:
        case "jsonl" | "json":
            file.write_text(json.dumps(rows if suffix == "json" else rows[0]))
        case "csv":
            file.write_text("".join(map(csv_line, [rows[0].keys(), rows[0].values()])), newline="")
        case "parquet":
            pq.write_table(pa.Table.from_pylist(rows), file)
    intake, stored = outcome(tmp_path, file)
    assert intake.refused == []
    assert stored["long"].completion_a == long


def test_long_rows_go_into_the_store_a_few_at_a_time(tmp_path, monkeypatch):
    """A thousand completions of 10 MB would not fit into memory."""
    monkeypatch.setattr("labeling.intake.LARGE", 1000)
    together = []
    monkeypatch.setattr(Store, "add_pairs", lambda self, cycle, pairs: (together.append(len(pairs)) or len(pairs), []))
    chat = [{"role": "assistant", "content": "x" * 600}]
    rows = [{"prompt": f"q{k}", "completion_a": chat if k % 2 else "x" * 600, "completion_b": "y"} for k in range(7)]
    (tmp_path / "pairs.jsonl").write_bytes(b"\n".join(map(json_line, rows)))
    outcome(tmp_path, tmp_path / "pairs.jsonl")
    assert together == [2, 2, 2, 1]


def broken_files(folder):
    """Files that cannot be read at all, by what is wrong with them."""
    row = json_line({"prompt": "q", "completion_a": "a", "completion_b": "b"})
    pq.write_table(
        pa.table({"prompt": ["q"] * 99, "completion_a": ["a"] * 99, "completion_b": ["b"] * 99}),
        folder / "whole.parquet",
    )
    whole = (folder / "whole.parquet").read_bytes()
    contents = {
        "empty.json": b"",
        "object.json": row,
        "text.json": b"hello",
        "latin.json": b'["\xe4"]',
        "utf16.json": '["x"]'.encode("utf-16"),
        "utf16.jsonl": row.decode().encode("utf-16"),
        "utf16.csv": "prompt,completion_a,completion_b\n".encode("utf-16"),
        "header-twice.csv": b"prompt,prompt,completion_a,completion_b\n1,2,3,4\n",
        "header-latin.csv": b"prompt,completion_a,completion_b,\xe4\n1,2,3,4\n",
        "empty.parquet": b"",
        "text.parquet": b"PAR1 no parquet PAR1",
        "half.parquet": whole[: len(whole) // 2],
        "no-end.parquet": whole[:-4],
        "no-start.parquet": whole[50:],
        "pairs.txt": row,
        "pairs": row,
        "pairs.jsonl.gz": row,
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    (folder / "folder.jsonl").mkdir()
    return [folder / name for name in [*contents, "folder.jsonl", "none.jsonl", "x" * 300 + ".jsonl", "nul\0.jsonl"]]


def test_a_file_that_cannot_be_read_is_a_usage_error_that_names_it_and_stores_nothing(tmp_path):
    for file in broken_files(tmp_path):
        with pytest.raises(UsageError, match=re.escape(str(file))) as error:
            outcome(tmp_path, file)
        assert len(str(error.value).replace(str(file), "")) > 12
    assert outcome(tmp_path, tmp_path / "whole.parquet")[0].new == 1


def test_an_unreadable_file_is_a_usage_error(tmp_path):
    file = tmp_path / "pairs.jsonl"
    if os.geteuid() == 0:  # whom nothing is forbidden, but this file has nothing at its first byte
        if not Path("/proc/self/mem").exists():
            pytest.skip("no file is unreadable here")
        file.symlink_to("/proc/self/mem")
    else:
        file.write_text("{}")
        file.chmod(0)
    with pytest.raises(UsageError, match=r"cannot read .*pairs\.jsonl: \w+"):
        outcome(tmp_path, file)


@pytest.mark.parametrize("name", ["empty.jsonl", "empty.csv", "blank.jsonl", "header.csv", "none.json"])
def test_a_file_without_rows_has_no_pairs_and_nothing_to_refuse(tmp_path, name):
    content = {"blank.jsonl": "\n \r\n\n", "header.csv": "prompt,completion_a,completion_b\n", "none.json": " [ ] "}
    (tmp_path / name).write_text(content.get(name, ""))
    intake, stored = outcome(tmp_path, tmp_path / name)
    assert (intake.read, intake.refused, stored) == (0, [], {})


def rows_and_table(n):
    rows = [
        {"pair_id": f"p{k}", "prompt": f"q{k}", "completion_a": 'a, "b"\n', "completion_b": f"b{k}"} for k in range(n)
    ]
    return rows, pa.Table.from_pylist(rows)


def test_where_a_file_breaks_the_rows_before_are_kept_and_the_break_has_a_number(tmp_path):
    rows, table = rows_and_table(60)
    lines = [json.dumps(row) for row in rows]
    (tmp_path / "array.json").write_text("[" + ",".join(lines[:30]) + ', {"prompt": , ' + ",".join(lines[30:]) + "]")
    (tmp_path / "two.json").write_text("[" + ",".join(lines[:30]) + "]\n[" + ",".join(lines[30:]) + "]")
    (tmp_path / "cut.json").write_text("[" + ",".join(lines[:30]))
    (tmp_path / "quotes.csv").write_text(
        "pair_id,prompt,completion_a,completion_b\n" + "".join(csv_line(r.values()) for r in rows[:30]) + 'x,"q"q,a,b\n'
    )
    (tmp_path / "open.csv").write_text(
        "pair_id,prompt,completion_a,completion_b\n" + "".join(csv_line(r.values()) for r in rows[:30]) + 'x,"q,a,b\n'
    )
    pq.write_table(table, tmp_path / "whole.parquet", row_group_size=30, compression="none", use_dictionary=False)
    whole = bytearray((tmp_path / "whole.parquet").read_bytes())
    start = pq.ParquetFile(tmp_path / "whole.parquet").metadata.row_group(1).column(0).data_page_offset
    whole[start : start + 40] = b"\xff" * 40
    (tmp_path / "damaged.parquet").write_bytes(whole)
    for number, name in enumerate(["array.json", "two.json", "cut.json", "quotes.csv", "open.csv", "damaged.parquet"]):
        (tmp_path / str(number)).mkdir()
        intake, stored = outcome(tmp_path / str(number), tmp_path / name)
        assert stored == {pair.pair_id: pair for pair in map(expected, rows[:30])}, name
        assert [bad.row for bad in intake.refused] == [31], name
        assert "nothing after" in intake.refused[0].reason, name


def csv_line(cells_of_it):
    cells = io.StringIO(newline="")
    csv.writer(cells, lineterminator="\n", quoting=csv.QUOTE_ALL).writerow(cells_of_it)
    return cells.getvalue()


# -- whatever comes ----------------------------------------------------------------------------------------------------

TEXT = st.text(st.characters(codec=None, exclude_categories=()), max_size=8)  # lone surrogates and NUL among them
NUMBERS = st.integers() | st.floats() | st.sampled_from([10**400, -(10**25), 1e308])
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT | st.sampled_from(["a", "tie", "ab", "p1", "judge-1", "text"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(TEXT | st.sampled_from(["role", "content", "tool_calls", "text"]), inner, max_size=4)
    ),
    max_leaves=12,
)
CHATS = st.lists(
    st.fixed_dictionaries(
        {"role": st.just("user") | VALUES},
        optional=dict.fromkeys(("content", "tool_calls", "function_call", "name", "refusal", "tool_call_id"), VALUES),
    ),
    max_size=3,
)
PAIR_ROWS = st.fixed_dictionaries(
    {name: st.text(min_size=1) | CHATS | VALUES for name in ("prompt", "completion_a", "completion_b")},
    optional=dict.fromkeys(("pair_id", "category", "gold", "extra"), VALUES),
)
VOTE_ROWS = st.fixed_dictionaries(
    {
        "pair_id": st.just("p1") | VALUES,
        "judge": st.just("judge-1") | VALUES,
        "order": st.sampled_from(["ab", "ba"]) | VALUES,
    },
    optional=dict.fromkeys(("verdict", "repeat", "raw", "shown"), VALUES),
)


@pytest.fixture(scope="module")
def store():
    """One for many examples, as making one takes a tenth of a second."""
    with Store() as made:
        made.register(CYCLE, "rubric")
        made.add_pairs(CYCLE.name, [Pair("p1", "q", "a", "b")])
        yield made


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("whatever")


def both_ways(store, file):
    """A file, ingested as pairs and as votes; nothing may come out of it but a usage error."""
    for ingest in (lambda: ingest_pairs(store, CYCLE, file), lambda: ingest_votes(store, CYCLE, file, "rubric")):
        with suppress(UsageError):
            intake = ingest()
            assert all(bad.row > 0 and bad.reason for bad in intake.refused)
            json.dumps(intake.figures(), ensure_ascii=False).encode()
            "\n".join(intake.lines()).encode()


@given(st.lists(VALUES | PAIR_ROWS | VOTE_ROWS, min_size=1, max_size=8))
def test_whatever_json_the_rows_are_each_is_counted_once_and_nothing_is_raised(store, folder, rows):
    file = folder / "rows.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)))
    intake = ingest_pairs(store, CYCLE, file)
    assert intake.read + len(intake.refused) == len(rows)
    votes = ingest_votes(store, CYCLE, file, "rubric")
    assert votes.read + len(votes.refused) + votes.other_judges.total() <= len(rows)  # the same vote twice counts once
    assert all(pair.prompt for pair, _ in store.work(CYCLE.name, {}))


@given(
    st.binary(max_size=200) | st.text(max_size=200).map(lambda t: t.encode("utf-8", "surrogatepass")),
    st.sampled_from(["jsonl", "json", "csv", "parquet"]),
)
def test_whatever_bytes_a_file_has_nothing_is_raised_but_a_usage_error(store, folder, content, suffix):
    file = folder / f"bytes.{suffix}"
    file.write_bytes(
        {"json": b"[", "csv": b"prompt,completion_a,completion_b\n", "parquet": b"PAR1"}.get(suffix, b"") + content
    )
    both_ways(store, file)


@given(st.sampled_from(["jsonl", "json", "parquet"]), st.floats(0, 1), st.binary(max_size=3))
def test_a_file_that_is_cut_is_never_read_as_something_else(store, folder, suffix, share, instead):
    rows, table = rows_and_table(5)
    whole = {"jsonl": "\n".join(map(json.dumps, rows)).encode(), "json": json.dumps(rows).encode()}
    if suffix == "parquet":
        pq.write_table(table, folder / "cut.parquet")
        whole["parquet"] = (folder / "cut.parquet").read_bytes()
    cut = whole[suffix][: int(share * len(whole[suffix]))]
    (folder / f"cut.{suffix}").write_bytes(cut)
    cycle = cycle_of(["x"], cycle={"name": f"cut-{suffix}"})
    store.register(cycle, "rubric")
    try:
        ingest_pairs(store, cycle, folder / f"cut.{suffix}")
    except UsageError:
        assert suffix != "jsonl"
    assert {pair.pair_id: pair for pair, _ in store.work(cycle.name, {})}.items() <= {
        p.pair_id: p for p in map(expected, rows)
    }.items()


# -- recorded votes ----------------------------------------------------------------------------------------------------


def bad_votes(rng):
    """Changes to a good vote that make it bad, each with a word of the reason."""
    return [
        ({"pair_id": rng.choice(["p-unknown", "P1", "p1 ", "'; --", 99])}, "the cycle has no pair"),
        ({"pair_id": rng.choice([None, "", " "])}, "pair_id (is missing|must be text)"),
        ({"pair_id": rng.choice([True, 1.5, ["p1"], {"p": 1}, nested(90)])}, "pair_id must be text"),
        ({"judge": rng.choice([None, "", True, ["judge-1"], {"a": 1}])}, "judge (is missing|must be text)"),
        ({"judge": "judge-1\0"}, "judge has a NUL"),
        ({"order": rng.choice([None, "", "AB", "a", 1, ["ab"], {"ab": 1}])}, "order must be 'ab' or 'ba'"),
        ({"verdict": rng.choice(["", "A", "both", 1, True, ["a"], {"a": 1}, "x" * 10_000])}, "verdict must be"),
        ({"repeat": rng.choice([-1, 65536, 1.5, "", "x", "²", "-1", "9" * 5000, True, [0], 10**30])}, "repeat must be"),
        ({"raw": rng.choice([5, True, ["x"], {"x": 1}])}, "raw must be text"),
        ({"raw": "x\0"}, "raw has a NUL"),
        ({"pair_id": "p1", "judge": "judge-1", "order": "ab", "repeat": 0, "verdict": "b"}, "another verdict"),
    ]


def test_bad_votes_are_refused_one_by_one_and_the_good_ones_beside_them_kept(tmp_path):
    rng, rows, want = random.Random("votes"), [], {}
    for number in range(1, 1001):
        ballot = (f"p{rng.randrange(1, 50)}", f"judge-{rng.randrange(1, 4)}", rng.choice(["ab", "ba"]), number)
        if number == 1:
            ballot = ("p1", "judge-1", "ab", 0)
        verdict, raw = rng.choice(["a", "b", "tie", None, "abstain"]) if number > 1 else "a", text_of(rng)
        row = dict(zip(("pair_id", "judge", rng.choice(["order", "shown"]), "repeat"), ballot, strict=True)) | {
            "verdict": verdict,
            "raw": raw,
        }
        if number > 1 and rng.random() < 0.5:
            if rng.random() < 0.8:
                change, reason = rng.choice(bad_votes(rng))
                row.pop("shown", None)
                rows.append(({"order": ballot[2]} | row | change, reason))
            else:
                rows.append(rng.choice(bad_json(rng, row)[:2] + bad_json(rng, row)[3:4] + bad_json(rng, row)[5:]))
        elif rng.random() < 0.1 and number > 1:
            rows.append(row | {"judge": "a stranger"})
        else:
            rows.append(row)
            want[ballot] = (verdict or "abstain", raw)
    (tmp_path / "votes.jsonl").write_bytes(b"\r\n".join(map(json_line, rows)))
    with Store(tmp_path / "votes.duckdb") as store:
        store.register(CYCLE, "rubric")
        store.add_pairs(CYCLE.name, [Pair(f"p{k}", "q", "a", "b") for k in range(1, 50)])
        intake = ingest_votes(store, CYCLE, tmp_path / "votes.jsonl", "rubric")
        stored = {
            (v["pair_id"], v["judge"], v["shown"], v["repeat"]): (v["verdict"], v["raw"])
            for v in store.votes(CYCLE.name)
        }
    bad = {number: row[1] for number, row in enumerate(rows, 1) if isinstance(row, tuple)}
    assert len(bad) > 400
    assert stored == want
    assert [refused.row for refused in intake.refused] == sorted(bad)
    assert [(r.row, r.reason) for r in intake.refused if not re.search(bad[r.row], r.reason)] == []
    assert intake.other_judges == {"a stranger": len(rows) - len(bad) - len(want)}


# -- the command line --------------------------------------------------------------------------------------------------


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A folder with a cycle of simulated judges and 20 pairs."""
    monkeypatch.chdir(tmp_path)
    judges = [f"  - {{provider: simulated, model: sim-{k}}}" for k in range(3)]
    Path("cycle.yaml").write_text("\n".join(["judges:", *judges, "input: {pairs: pairs.jsonl}", "store: cycle.duckdb"]))
    rows = [{"pair_id": f"p{k}", "prompt": f"q{k}", "completion_a": "x", "completion_b": f"y{k}"} for k in range(20)]
    Path("pairs.jsonl").write_bytes(b"\n".join(map(json_line, rows)))
    return tmp_path


def run(capsys, *words):
    """Exit code and what was printed; there is never a traceback."""
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    said = "".join(capsys.readouterr())
    assert "Traceback" not in said
    return ended.value.code or 0, said


def test_good_rows_are_kept_and_the_bad_ones_listed_with_their_numbers(home, capsys):
    rows = list(mixed("cli", 200))
    Path("mixed.jsonl").write_bytes(b"\n".join(map(json_line, rows)))
    bad = [number for number, row in enumerate(rows, 1) if isinstance(row, tuple)]
    code, said = run(capsys, "ingest", "cycle.yaml", "--pairs", "mixed.jsonl", "--json")
    file = json.loads(said)["files"][0]
    assert (code, file["new"], [row["row"] for row in file["refused"]]) == (0, len(rows) - len(bad), bad)
    code, said = run(capsys, "ingest", "cycle.yaml", "--pairs", "mixed.jsonl")
    assert (code, said.count("\n")) == (0, 10)
    assert f"row {bad[0]} and " in said
    assert "more reasons; --json lists every row" in said


def test_a_file_of_nothing_but_bad_rows_fails(home, capsys):
    Path("bad.jsonl").write_text("{}\n{\n")
    assert run(capsys, "ingest", "cycle.yaml", "--pairs", "bad.jsonl")[0] == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("ingest cycle.yaml --pairs none.jsonl", "there is no file none.jsonl"),
        ("ingest cycle.yaml --votes none.jsonl", "there is no file none.jsonl"),
        ("ingest cycle.yaml --pairs .", "its name must end in .jsonl"),
        (f"ingest cycle.yaml --pairs {'x' * 300}.jsonl", "File name too long"),
        ("ingest cycle.yaml --map prompt", "--map is given as ours=theirs"),
        ("ingest cycle.yaml --map prompt=", "--map is given as ours=theirs"),
        ("ingest cycle.yaml --map question=prompt", "the columns of a pair are pair_id, prompt"),
        ("ingest cycle.yaml nonsense", "settings are given as key=value"),
        ("ingest cycle.yaml store=.", "cannot open the store"),
        ("ingest cycle.yaml store=pairs.jsonl", "it is a file of another kind"),
        ("ingest cycle.yaml store=notes.md", "not a valid DuckDB database file"),
        ("ingest cycle.yaml store=pairs.jsonl/x.duckdb", "cannot open the store"),
        ("ingest cycle.yaml store=newer.duckdb", "was written by a newer version"),
        ("ingest cycle.yaml rubric.file=none.md", "cannot read the rubric"),
        ("ingest cycle.yaml rubric.file=.", "cannot read the rubric"),
        ("ingest cycle.yaml rubric.file=latin.md", "cannot read the rubric"),
        ("ingest cycle.yaml rubric.file=empty.md", "is empty"),
        ("ingest cycle.yaml rubric.file=nul.md", "has NUL characters"),
        ("label cycle.yaml judges.0.extra.accuracy=2", "should be less than or equal to 1"),
        ("label cycle.yaml judges.0.extra.flip_rate=0.49999999999999994", "should be less than or equal to 0.49"),
        ("label cycle.yaml --max-cost nan", "--max-cost is an amount of US dollars"),
        ("label cycle.yaml --max-cost much", "Invalid value"),
        ("status cycle.yaml", "there is no store"),
        ("status .", "cannot read ."),
        ("status none.yaml", "'consensus init none.yaml' writes one"),
        ("export cycle.yaml", "there is no store"),
        ("init cycle.yaml", "--force overwrites it"),
        ("init . --force", "Is a directory"),
        ("init cycle.yaml/new.yaml", "cannot write"),
        (f"init {'x' * 300}", "File name too long"),
        ("simulate cycle.yaml --port 99999", "from 0 to 65535"),
        ("simulate cycle.yaml --port x", "Invalid value"),
        ("status", "requires an argument"),
        ("stauts cycle.yaml", "Unknown command"),
    ],
)
def test_every_mistake_of_use_is_a_message_and_exit_code_two(home, capsys, words, said):
    Path("notes.md").write_text("# notes\n" * 2000)
    for name, content in {"latin.md": b"\xe4", "empty.md": b" \n", "nul.md": b"a\0b"}.items():
        Path(name).write_bytes(content)
    if "newer" in words:
        with Store(Path("newer.duckdb")) as store:
            store.db.execute("INSERT INTO migrations VALUES (99, 'from the future', TIMESTAMP '2040-01-01')")
    code, printed = run(capsys, *words.split())
    assert (code, said in " ".join(printed.replace("│", " ").split())) == (2, True), printed


def test_a_file_of_another_kind_as_store_keeps_its_bytes(home, capsys):
    """DuckDB opens a CSV or JSON file as a table in memory: votes would be asked, paid for, and gone."""
    for name, content in {"table.csv": b"a,b\n1,2\n", "table.jsonl": b'{"x": 1}\n'}.items():
        Path(name).write_bytes(content)
        assert run(capsys, "label", "cycle.yaml", f"store={name}")[0] == 2
        assert Path(name).read_bytes() == content


def test_a_store_named_like_an_extension_of_duckdb_is_a_file(home, capsys):
    assert run(capsys, "label", "cycle.yaml", "store='sqlite:votes.db'")[0] == 0
    assert Path("sqlite:votes.db").is_file()


def test_a_store_of_another_program_or_a_damaged_one_fails_with_a_message(home, capsys):
    with duckdb.connect("other.duckdb") as other:
        other.execute("CREATE TABLE migrations (x INTEGER)")
    assert run(capsys, "status", "cycle.yaml", "store=other.duckdb")[0] == 1
    assert run(capsys, "label", "cycle.yaml")[0] == 0
    whole = Path("cycle.duckdb").read_bytes()
    for length in (100, 4096, 12288):
        Path("cut.duckdb").write_bytes(whole[:length])
        code, said = run(capsys, "status", "cycle.yaml", "store=cut.duckdb")
        assert (code, "cannot open the store" in said) == (2, True)


def test_a_disk_that_fails_under_the_store_is_a_message_and_a_mistake_of_ours_is_not():
    with pytest.raises(ConsensusError, match="cannot be read or written: no space left"), Store():
        raise duckdb.IOException("no space left")
    with pytest.raises(duckdb.BinderException), Store() as store:
        store.db.execute("SELECT nonsense")


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_what_the_user_may_not_write_fails_with_a_message(home, capsys):
    assert run(capsys, "label", "cycle.yaml")[0] == 0
    Path("cycle.duckdb").chmod(0o444)
    assert run(capsys, "status", "cycle.yaml")[0] == 2
    Path("cycle.duckdb").chmod(0o644)
    Path("closed").mkdir(mode=0o555)
    for name in ("closed/x.jsonl", "closed/x.parquet", "closed/x"):
        assert run(capsys, "export", "cycle.yaml", "--out", name)[0] == 1


def test_export_to_where_nothing_can_be_written_fails_with_a_message(home, capsys):
    assert run(capsys, "label", "cycle.yaml")[0] == 0
    Path("folder.jsonl").mkdir()
    Path("folder.parquet").mkdir()
    for name in (
        "cycle.yaml",
        "cycle.yaml/x.jsonl",
        "cycle.yaml/x.parquet",
        "folder.jsonl",
        "folder.parquet",
        "x" * 300,
    ):
        code, said = run(capsys, "export", "cycle.yaml", "--out", name)
        assert (code, "cannot write" in said) == (1, True)


def test_a_port_in_use_is_a_message(home, capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        code, said = run(capsys, "simulate", "cycle.yaml", "--port", taken.getsockname()[1])
    assert (code, "cannot listen on 127.0.0.1" in said) == (2, True)


def test_what_the_machine_refuses_is_a_message_in_json_too(home, capsys):
    code, said = run(capsys, "status", "cycle.yaml", f"store={'x' * 300}", "--json")
    assert (code, json.loads(said.splitlines()[0])["exit_code"]) == (1, 1)


def test_names_full_of_markup_are_printed_as_they_are(home, capsys):
    code, said = run(capsys, "label", "cycle.yaml", "cycle.name='[/bold]'", "judges.0.name='[red]x'")
    assert (code, "[red]x" in said) == (0, True)
    assert run(capsys, "status", "cycle.yaml", "cycle.name='[/bold]'", "judges.0.name='[red]x'")[0] == 0


def test_a_file_name_that_is_no_text_is_printed_all_the_same(home):
    name = b"\xff pairs.jsonl"
    try:
        Path(os.fsdecode(name)).write_bytes(Path("pairs.jsonl").read_bytes())
    except OSError:
        pytest.skip("the file system takes no such name")
    command = [sys.executable, "-m", "consensus.cli", "ingest", "cycle.yaml", "--pairs", name]
    done = subprocess.run(
        command, capture_output=True, check=False, env={**os.environ, "PYTHONIOENCODING": "utf-8:strict"}
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"20 pairs" in done.stdout


def test_a_vote_that_was_paid_for_is_stored_even_if_its_text_is_no_text(store):
    """Providers send halves of surrogate pairs, escaped."""
    from consensus.nouns import Ballot, Failure, Shown, Vote

    ballot = Ballot("p1", "judge-1", Shown.AB, 9)
    vote = Vote(ballot, Verdict.A, "cut \ud83d", {"x\ud800": {"a": 1.0, "b": 2.0}}, "model\udfff")
    store.add(CYCLE.name, {"judge-1": "h"}, [vote, Failure(ballot, "bad_reply", "half \udc00")])
    assert [v["raw"] for v in store.votes(CYCLE.name) if v["repeat"] == 9] == ["cut ?"]


def test_every_row_that_was_taken_can_be_judged_and_exported(home, capsys):
    """Nothing odd that passes the door may stop the run behind it."""
    rows = list(mixed("whole way", 400))
    Path("pairs.jsonl").write_bytes(b"\n".join(map(json_line, rows)))
    n = sum(isinstance(row, dict) for row in rows)
    assert run(capsys, "label", "cycle.yaml")[0] == 0
    code, said = run(capsys, "status", "cycle.yaml", "--json")
    figures = json.loads(said)
    assert (code, figures["pairs"], figures["failures"], "too_few_votes" in figures["reasons"]) == (0, n, [], False)
    for name in ("out.jsonl", "out.parquet", "out"):
        code, said = run(capsys, "export", "cycle.yaml", "--out", name, "--json")
        assert (code, json.loads(said)["rows"]) == (0, figures["kept"])
    assert pq.read_table("out.parquet").num_rows == figures["kept"] > n / 2
