"""What became of predictions, in the monitor's store: each outcome, and the counts by cell, version and segment."""

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from driftline.monitor.judge import ROLLED
from driftline.monitor.store import packed, unpacked
from driftline.monitor.transaction import atomically
from driftline.quality.counting import Counting
from driftline.quality.delay import DELAYS, HOUR_US, MATURITIES_US, Cohort

Counts = NDArray[np.int64]
_ASKED_AT_ONCE: Final = 500
_COLUMNS: Final = (
    "request_id, outcome, at_us, row, told, corrected, cell, version, segment, made_us, score, predicted_class"
)
MOST_TOLD: Final = 100
"""Different outcomes of one prediction that are remembered: so nobody can fill the disk by telling new ones."""


class Prediction(NamedTuple):
    """What was predicted, and where it is counted.

    Attributes:
        cell: The slice of time, or of rows.
        version: The model's.
        segment: Which.
        made_us: When it was made, microseconds since 1970.
        score: The probability, or the number; of many classes the probability of each, as little-endian doubles.
        predicted_class: Which of the classes; -1 for a number.
    """

    cell: int
    version: str
    segment: str
    made_us: int
    score: float | bytes
    predicted_class: int


class Outcome(NamedTuple):
    """What is known of one request id.

    It is a function of the set of what was told, whatever came first.

    Attributes:
        request_id: The prediction's, in lower case.
        outcome: Which of the classes, or the number: the one with the latest time; of those that are as late the last
            in the log.
        at_us: That time.
        row: The row of the log that told so.
        told: Each outcome that was told, with its earliest time, in the order of these; more than one if the outcome
            was corrected.
        prediction: None as long as the log has none of this id.
    """

    request_id: str
    outcome: float
    at_us: int
    row: int
    told: tuple[tuple[float, int], ...]
    prediction: Prediction | None = None

    @property
    def known_us(self) -> int:
        """Since when the outcome is known: telling it again changes nothing."""
        return dict(self.told)[self.outcome]

    @property
    def corrected(self) -> bool:
        """Whether another outcome was told, too."""
        return len(self.told) > 1


class ScoredKey(NamedTuple):
    """Where predictions are counted."""

    cell: int
    version: str
    segment: str


class QualityKey(NamedTuple):
    """Where predictions with outcomes are counted; by how long those took, too."""

    cell: int
    version: str
    segment: str
    delay: int


class Scope(NamedTuple):
    """Which predictions to sum up: ``first <= cell < stop``, of one segment or version, or of all."""

    first: int
    stop: int
    segment: str | None = None
    version: str | None = None

    def condition(self) -> tuple[str, list[int | str]]:
        """Returns it as SQL, with its parameters."""
        parts: list[tuple[str, int | str | None]] = [
            ("cell >= ?", self.first),
            ("cell < ?", self.stop),
            ("segment = ?", self.segment),
            ("version = ?", self.version),
        ]
        given = [(text, value) for text, value in parts if value is not None]
        return " AND ".join(text for text, _ in given), [value for _, value in given]


class Known(NamedTuple):
    """How many outcomes there are.

    Attributes:
        predictions: Predictions that have one.
        corrected: Those of them that were told two.
        without_prediction: Ids that no prediction in the log has, or not yet.
    """

    predictions: int
    corrected: int
    without_prediction: int


class Connected(Protocol):
    """What has a monitor's file open; :class:`~driftline.monitor.store.MonitorStore` is one."""

    @property
    def connection(self) -> sqlite3.Connection:
        """The connection to it."""


class Outcomes:
    """The tables ``outcomes``, ``quality`` and ``scored`` of a store.

    Args:
        store: The store; who writes does so within a transaction of it.
        counting: How the model's predictions are counted.
    """

    def __init__(self, store: Connected, counting: Counting) -> None:
        self._connection = store.connection
        self._counting = counting

    # -- one by one

    def get(self, request_ids: Iterable[str]) -> dict[str, Outcome]:
        """Returns what is known of these ids."""
        keys = [UUID(request_id).bytes for request_id in request_ids]
        found = {}
        for start in range(0, len(keys), _ASKED_AT_ONCE):
            asked = keys[start : start + _ASKED_AT_ONCE]
            query = f"SELECT {_COLUMNS} FROM outcomes WHERE request_id IN ({', '.join('?' * len(asked))})"  # noqa: S608 - names of ours
            for row in self._connection.execute(query, asked):
                outcome = _outcome(row)
                found[outcome.request_id] = outcome
        return found

    def put(self, outcomes: Iterable[Outcome]) -> None:
        """Replaces what is known of some ids."""
        self._connection.executemany(
            f"INSERT OR REPLACE INTO outcomes ({_COLUMNS}) VALUES ({', '.join('?' * 12)})",  # noqa: S608 - names of ours
            (
                (
                    *(UUID(each.request_id).bytes, *each[1:4], json.dumps(each.told), each.corrected),
                    *(each.prediction or (None,) * len(Prediction._fields)),
                )
                for each in outcomes
            ),
        )

    def without_prediction(self, first_us: int, last_us: int, after: str = "") -> list[Outcome]:
        """Returns some of those whose ids were made in that time and have no prediction, in the order of the ids.

        Args:
            first_us: Microseconds since 1970.
            last_us: The same.
            after: Those behind this id; so a loop gets all of them.
        """
        low = max(0, first_us // 1000).to_bytes(6, "big")
        high = (last_us // 1000 + 1).to_bytes(6, "big")
        rows = self._connection.execute(
            f"SELECT {_COLUMNS} FROM outcomes WHERE cell IS NULL AND request_id > ? AND request_id < ? "  # noqa: S608 - names of ours
            "ORDER BY request_id LIMIT ?",
            (max(low, UUID(after).bytes if after else b""), high, _ASKED_AT_ONCE),
        )
        return [_outcome(row) for row in rows]

    def known(self) -> Known:
        """Returns how many there are."""
        row = self._connection.execute(
            "SELECT count(cell), count(cell) FILTER (WHERE corrected), count(*) - count(cell) FROM outcomes"
        ).fetchone()
        return Known(*row)

    # -- counts

    def add_scored(self, added: Mapping[ScoredKey, Counts]) -> None:
        """Adds predictions to those that are counted."""
        self._add("scored", "cell = ? AND version = ? AND segment = ?", added.items())

    def add_quality(self, added: Mapping[QualityKey, Counts]) -> None:
        """Adds predictions with outcomes; what is negative takes away what was counted before."""
        self._add("quality", "cell = ? AND version = ? AND segment = ? AND delay = ?", added.items())

    def _add(self, table: str, condition: str, added: Iterable[tuple[ScoredKey | QualityKey, Counts]]) -> None:
        # The names are ours.
        for key, counts in added:
            row = self._connection.execute(f"SELECT counts FROM {table} WHERE {condition}", key).fetchone()  # noqa: S608
            summed = counts if row is None else counts + unpacked(row[0])
            if summed.any():
                values = (*key, packed(summed))
                marks = ", ".join("?" * len(values))
                self._connection.execute(f"INSERT OR REPLACE INTO {table} VALUES ({marks})", values)  # noqa: S608
            else:
                self._connection.execute(f"DELETE FROM {table} WHERE {condition}", key)  # noqa: S608

    def scored(self, scope: Scope) -> Counts:
        """Returns the sum of the predictions in a scope, whether they have outcomes or not."""
        return self._sum("scored", scope, self._counting.scored_size)

    def labelled(self, scope: Scope, maturity_us: int | None = None) -> Counts:
        """Returns the sum of the predictions in a scope that have outcomes.

        Args:
            scope: Which.
            maturity_us: Only outcomes that took at most so long, one of :data:`~driftline.quality.delay.MATURITIES_US`;
                then the scope should hold only predictions that are at least so old.
        """
        delays = DELAYS if maturity_us is None else MATURITIES_US.index(maturity_us) + 1
        return self._sum("quality", scope, self._counting.labelled_size, delays)

    def roll_up(self, width_us: int, before_us: int) -> int:
        """Makes the counts of cells that begin before a time sums by the hour, and returns how many cells they were.

        A sum stands under the first cell of its hour, so a scope of whole hours is what it was. What comes late for an
        hour is counted under its own cell, until this is called again. An hour is a transaction.

        Args:
            width_us: Length of a cell, shorter than an hour.
            before_us: A whole number of hours.
        """
        rolled = 0
        for table in ("scored", "quality"):
            query = f"SELECT DISTINCT cell FROM {table} WHERE cell < ?"  # noqa: S608 - names of ours
            hours: dict[int, list[int]] = {}
            for (cell,) in self._connection.execute(query, (-(-before_us // width_us),)):
                hours.setdefault(cell * width_us // HOUR_US, []).append(cell)
            for hour, cells in hours.items():
                first = -(-hour * HOUR_US // width_us)
                if cells != [first]:
                    self._roll_up_hour(table, first, cells)
                    rolled += len(cells)
        return rolled

    def _roll_up_hour(self, table: str, first: int, cells: list[int]) -> None:
        condition = "cell >= ? AND cell <= ?"
        span = (min(cells), max(cells))
        sums: dict[tuple[int | str, ...], Counts] = {}
        with atomically(self._connection):
            for _, *key, counts in self._connection.execute(f"SELECT * FROM {table} WHERE {condition}", span):  # noqa: S608
                whole = (first, *key)
                sums[whole] = sums[whole] + unpacked(counts) if whole in sums else unpacked(counts)
            self._connection.execute(f"DELETE FROM {table} WHERE {condition}", span)  # noqa: S608
            for whole, counts in sums.items():
                if counts.any():
                    marks = ", ".join("?" * (len(whole) + 1))
                    self._connection.execute(f"INSERT INTO {table} VALUES ({marks})", (*whole, packed(counts)))  # noqa: S608

    def cohorts(self, scope: Scope, now_us: int, width_us: int) -> list[Cohort]:
        """Returns the predictions of each cell, and how many of them had outcomes how soon.

        Args:
            scope: Which.
            now_us: What their ages are counted to.
            width_us: Length of a cell; 0 where cells are of rows.
        """
        condition, parameters = scope.condition()
        rows: dict[int, int] = {}
        query = f"SELECT cell, counts FROM scored WHERE {condition}"  # noqa: S608 - names of ours
        for cell, counts in self._connection.execute(query, parameters):
            rows[cell] = rows.get(cell, 0) + self._counting.scored_rows(unpacked(counts))
        delays = {cell: np.zeros(DELAYS, np.int64) for cell in rows}
        query = f"SELECT cell, delay, counts FROM quality WHERE {condition}"  # noqa: S608 - names of ours
        for cell, delay, counts in self._connection.execute(query, parameters):
            delays[cell][delay] += self._counting.labelled_rows(unpacked(counts))
        youngest_us = self._youngest_us(scope, sorted(rows), width_us)
        return [Cohort(now_us - youngest_us[cell], rows[cell], delays[cell]) for cell in sorted(rows)]

    def _youngest_us(self, scope: Scope, cells: Iterable[int], width_us: int) -> dict[int, int]:
        if not width_us:
            query = "SELECT cell, max(stop_us) FROM cells WHERE cell >= ? AND cell < ? GROUP BY cell"
            return dict(self._connection.execute(query, scope[:2]))
        row = self._connection.execute("SELECT value FROM meta WHERE key = ?", (ROLLED,)).fetchone()
        rolled = -(1 << 62) if row is None else int(row[0])
        return {
            cell: (cell * width_us // HOUR_US + 1) * HOUR_US if cell < rolled else (cell + 1) * width_us
            for cell in cells
        }

    def _sum(self, table: str, scope: Scope, size: int, delays: int | None = None) -> Counts:
        condition, parameters = scope.condition()
        if delays is not None:
            condition, parameters = f"{condition} AND delay < ?", [*parameters, delays]
        summed = np.zeros(size, np.int64)
        for (counts,) in self._connection.execute(f"SELECT counts FROM {table} WHERE {condition}", parameters):  # noqa: S608 - names of ours
            summed += unpacked(counts)
        return summed


def _outcome(row: Sequence[Any]) -> Outcome:
    request_id, outcome, at_us, told_row, told, _, *made = row
    prediction = None if made[0] is None else Prediction(*made)
    earliest = tuple((value, since_us) for value, since_us in json.loads(told))
    return Outcome(str(UUID(bytes=request_id)), outcome, at_us, told_row, earliest, prediction)
