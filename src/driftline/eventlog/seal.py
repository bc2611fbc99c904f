"""A checksum over the rows of the log's record, kept in the record itself.

SQLite finds pages that make no sense; a digit that another digit has taken the place of makes sense. A producer's
number that was raised by one would have an outbox delete what the log never got. So every row has a hash, and the sum
of all hashes is kept beside the rows: a commit adds what it adds and subtracts what it replaces, and nothing has to be
read again until the file is opened.

A Driftline from before there was a seal leaves it behind, as it leaves behind the count of openings that stands in it:
then it is made anew, since nothing can be said of those rows.
"""

import hashlib
import sqlite3
from collections.abc import Iterable
from typing import Final

TABLES: Final = {
    "identity": "log_id",
    "predecessors": "log_id",
    "segments": "number, created_at",
    "blocks": "segment, start, length, first_row, lines, crc",
    "producers": "producer, committed",
    "gaps": "producer, first_seq, stop_seq",
    "tombstones": "producer, seq",
    "compacted": "segment, first_row, lines",
    "parquet": "segment, day, first_row, stop_row, lines, size_bytes, crc",
    "expired": "producer, first_seq, stop_seq",
}
SCHEMA: Final = "CREATE TABLE IF NOT EXISTS seal (digest TEXT NOT NULL, openings INTEGER NOT NULL) STRICT"

_MODULUS: Final = 1 << 64

Row = tuple[object, ...]


def row_hash(table: str, row: Row) -> int:
    """Returns the hash of one row; what differs in one value has nothing in common with it."""
    return int.from_bytes(hashlib.blake2b(repr((table, *row)).encode(), digest_size=8).digest())


def digest_of(connection: sqlite3.Connection) -> int:
    """Returns the sum of the hashes of all rows, whose order does not matter; reads all of them."""
    total = 0
    there = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema")}
    for table, columns in TABLES.items():
        if table not in there:  # a log of which nothing was ever compacted lacks some
            continue
        for row in connection.execute(f"SELECT {columns} FROM {table}"):  # noqa: S608 (only the names above)
            total += row_hash(table, row)
    return total % _MODULUS


def holds(connection: sqlite3.Connection) -> bool:
    """Whether the rows are those that were sealed; also if they never were. Call it within a transaction."""
    found = _seal(connection)
    return found is None or found == f"{digest_of(connection):016x}"


def renew(connection: sqlite3.Connection) -> None:
    """Seals what is there, if it is not sealed. Call it within a transaction."""
    connection.execute(SCHEMA)
    if _seal(connection) is None:
        connection.execute("DELETE FROM seal")
        connection.execute(
            "INSERT INTO seal SELECT ?, openings FROM identity LIMIT 1", (f"{digest_of(connection):016x}",)
        )


def difference(table: str, removed: Iterable[Row], added: Iterable[Row]) -> int:
    """Returns by how much a change of a table changes the sum."""
    return sum(row_hash(table, row) for row in added) - sum(row_hash(table, row) for row in removed)


def follow(connection: sqlite3.Connection, change: int) -> None:
    """Has the seal follow a change, within the same transaction."""
    try:
        digest = int(connection.execute("SELECT digest FROM seal").fetchone()[0], 16)
    except (TypeError, ValueError) as error:
        raise sqlite3.DatabaseError("the checksum of its rows is damaged") from error
    connection.execute("UPDATE seal SET digest = ?", (f"{(digest + change) % _MODULUS:016x}",))


def _seal(connection: sqlite3.Connection) -> str | None:
    """The digest that was recorded, or None if there is none, or one from before an older Driftline wrote here."""
    if not connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'seal'").fetchone():
        return None
    row = connection.execute("SELECT digest FROM seal JOIN identity USING (openings)").fetchone()
    return None if row is None else str(row[0])
