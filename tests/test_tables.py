"""Tables are read a piece at a time, each format to the same rows, and what is wrong is named."""

import json
from pathlib import Path

import duckdb
import pytest

from driftline.errors import TableError
from driftline.tables import PIECE_ROWS, Table

ROWS = [(at, f"text {at}", at / 4) for at in range(PIECE_ROWS + 3)]


def write(path: Path) -> Path:
    match path.suffix:
        case ".csv":
            path.write_text("a,b,c\n" + "".join(f"{a},{b},{c}\n" for a, b, c in ROWS))
        case ".jsonl":
            path.write_text("".join(json.dumps({"a": a, "b": b, "c": c}) + "\n\n" for a, b, c in ROWS))
        case _:
            with duckdb.connect() as connection:
                rows = f"SELECT i AS a, 'text ' || i AS b, i / 4 AS c FROM range({len(ROWS)}) t(i)"
                connection.execute(f"COPY ({rows}) TO '{path.with_name('x')}' (FORMAT parquet)")
            path.with_name("x").rename(path)
    return path


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_all_rows_come_in_order_in_pieces(tmp_path: Path, suffix: str) -> None:
    table = Table(write(tmp_path / f"it's [1] *.{suffix}"))
    assert table.names == ("a", "b", "c")
    told: list[tuple[int, int]] = []
    pieces = list(table.pieces(progress=lambda done, total: told.append((done, total))))
    assert [len(piece["a"]) for piece in pieces] == [PIECE_ROWS, 3]
    rows = [row for piece in pieces for row in zip(*piece.values(), strict=True)]
    assert rows == ([tuple(map(str, row)) for row in ROWS] if table.text else ROWS)
    assert 0 < told[0][0] <= told[-1][0] <= told[-1][1]
    assert sum(len(piece["b"]) for piece in table.pieces(most_rows=5)) == 5


def test_a_wide_table_comes_in_smaller_pieces(tmp_path: Path) -> None:
    path = tmp_path / "wide.csv"
    line = ",".join(map(str, range(1000)))
    path.write_text(f"{line}\n" * 300)
    assert max(len(piece["0"]) for piece in Table(path).pieces()) == 100


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_csv_file_may_have_other_delimiters_quotes_and_a_mark(tmp_path: Path, delimiter: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(delimiter.join(["a", '"b ""x"""', "c"]) + "\r\n" + delimiter.join(["1", '"2\n3"', ""]), "utf-8-sig")
    (piece,) = Table(path).pieces()
    assert piece == {"a": ["1"], 'b "x"': ["2\n3"], "c": [""]}


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.txt", b"a", "a.txt does not end in one of .csv, .jsonl, .ndjson, .parquet"),
        ("a.csv", b"", "a.csv has no columns"),
        ("a.csv", b"a,b,a\n", "has a column twice: a"),
        ("a.csv", b"a,b\n1\n", "line 2 has 1 fields, its header 2"),
        ("a.csv", b'a,b\n1,"2\n', "line 2: unexpected end of data"),
        ("a.csv", b"a,b\n\xff,2\n", "cannot be read: 'utf-8' codec"),
        ("a.jsonl", b"\n", "a.jsonl has no columns"),
        ("a.jsonl", b"[1]\n", "line 1 is not an object"),
        ("a.jsonl", b'{"a": 1}\n{"a": \n', "line 2 is not JSON"),
        ("a.jsonl", b'{"a": 1}\n\n{"b": 1}\n', "line 3 does not have the same fields as the first: a, b"),
        ("a.parquet", b"PAR1", "a.parquet cannot be read: "),
        ("none/a.parquet", None, "cannot be read: No such file or directory"),
        ("none/a.csv", None, "cannot be read: No such file or directory"),
    ],
)
def test_what_cannot_be_read_is_said(tmp_path: Path, name: str, content: bytes | None, says: str) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(TableError, match=says):
        list(Table(path).pieces())
