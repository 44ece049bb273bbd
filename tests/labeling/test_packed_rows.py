"""Files that are packed with gzip, as object stores and Langfuse's blob export have them."""

from __future__ import annotations

import gzip
import json
import random

import pytest

from consensus.errors import UsageError
from labeling.rows import BadRow, read_records, read_rows

ROWS = [{"id": str(k), "text": f"Grüße {k} " + "".join(random.Random(k).choices("abcdef", k=300))} for k in range(200)]
LINES = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS).encode()
CSV = ("id,text\n" + "".join(f"{row['id']},{row['text']}\n" for row in ROWS)).encode()
FILES = {"a.jsonl": LINES, "a.ndjson": LINES, "a.json": json.dumps(ROWS).encode(), "a.csv": CSV}


@pytest.mark.parametrize("read", [read_rows, read_records])
@pytest.mark.parametrize("name", FILES)
def test_a_packed_file_has_the_rows_of_the_plain_one(tmp_path, name, read):
    (tmp_path / name).write_bytes(FILES[name])
    (tmp_path / f"{name}.gz").write_bytes(gzip.compress(FILES[name]))
    assert list(read(tmp_path / f"{name}.gz")) == list(read(tmp_path / name)) == list(enumerate(ROWS, 1))


@pytest.mark.parametrize("damage", ["cut", "flipped"])
def test_of_a_damaged_file_the_rows_before_are_kept_and_the_place_is_said(tmp_path, damage):
    packed = bytearray(gzip.compress(LINES))
    if damage == "cut":
        del packed[len(packed) // 2 :]
    else:
        packed[len(packed) // 2 : len(packed) // 2 + 40] = b"\xff" * 40
    file = tmp_path / "a.jsonl.gz"
    file.write_bytes(packed)
    found = list(read_records(file))
    good = [row for row in found if not isinstance(row, BadRow) and row[1] in ROWS]
    assert 0 < len(good) < 200
    assert good == list(enumerate(ROWS[: len(good)], 1))
    assert isinstance(found[-1], BadRow)
    assert "cut or damaged" in found[-1].reason


@pytest.mark.parametrize(
    ("name", "said"), [("a.jsonl.gz", "cannot read"), ("a.parquet.gz", "must end in"), ("a.gz", "must end in")]
)
def test_what_is_not_packed_or_no_rows_is_refused(tmp_path, name, said):
    (tmp_path / name).write_bytes(LINES)
    with pytest.raises(UsageError, match=said):
        list(read_records(tmp_path / name))
