"""Logs of predictions, written by the real writer, and what is in them by a plain recount."""

import json
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Self
from uuid import UUID

import numpy as np

from driftline.contract.checksum import with_checksum
from driftline.contract.event import encode, timestamp
from driftline.contract.logged import logged_features
from driftline.contract.outputs import outputs_of
from driftline.contract.package import seed_schema
from driftline.contract.request import RequestDecoder
from driftline.contract.schema import Feature, ModelSchema, Score
from driftline.drift.bins import CategoryBins, NumberBins
from driftline.drift.profile import Column, Profile
from driftline.eventlog.reader import LogReader
from driftline.monitor.lines import value_in
from driftline.monitor.sources import profile_of_log
from driftline.monitor.store import MonitorStore
from tests.eventlog.lines import open_log

SCHEMA: Final = seed_schema()
PRODUCERS: Final = ("a" * 32, "b" * 32, "c" * 32)
US: Final = 1_000_000
START_US: Final = int(datetime(2026, 11, 23, 21, 0, tzinfo=UTC).timestamp()) * US
NONE_OF_OURS: Final = (
    b'{"kind": "feedback", "producer": "x", "seq": 1, "timestamp": "2026-11-23T21:00:00Z", "request_id": "y"}',
    b'{"kind": "shadow", "producer": "x", "seq": 2, "timestamp": "2026-11-23T21:00:00Z", "model": "seed"}',
    b'{"kind": "prediction", "producer": "x", "seq": 3}',
    b"no JSON at all",
    b'{"kind": "prediction", "producer": "\xff", "seq": 4, "timestamp": "2026-11-23T21:00:00Z"}',
)
"""Feedback, what is of no model that is watched, and three lines that are no events."""

Event = dict[str, Any]


def event(at_us: int, one: float | None, two: float | None, **other: Any) -> Event:
    """A prediction, as the API logs it; what is given by name stands in it as it is."""
    probability = 0.5 if one is None or not np.isfinite(one) else float(1 / (1 + np.exp(-one)))
    plain = {
        "features": {"feature_1": one, "feature_2": two},
        "probability": probability,
        "predicted_class": int(probability >= 0.5),
        "timestamp": timestamp(at_us * 1000),
        "kind": "prediction",
        "producer": PRODUCERS[0],
        "model": SCHEMA.name,
        "model_version": "1",
    }
    return plain | other


def events(
    rows: int, *, first_s: float = 0, every_s: float = 1, seed: int = 0, shift: float = 0, **other: Any
) -> list[Event]:
    """Predictions at even times, of normal features, the first of them shifted."""
    drawn = np.random.default_rng(seed).normal(size=(rows, 2))
    return [
        event(START_US + round((first_s + at * every_s) * US), float(one) + shift, float(two), **other)
        for at, (one, two) in enumerate(drawn)
    ]


_FEATURES: Final = (
    Feature("amount", "float", range=(0.0, 1e6)),
    Feature("visits", "int", nullable=True),
    Feature("member", "bool"),
    Feature("postcode", "category"),
    Feature("plan", "category", categories=("free", "basic", "pro", "old")),
    Feature("city", "category", log="hash"),
    Feature("salary", "float", log="hash"),
    Feature("remark", "category", log="drop"),
    Feature("country", "category", role="context"),
)
"""Of every sort; postcodes begin with a 0, and nobody has the plan ``old``."""
LABELS: Final = ("stay", "leave", "unsure")
MANY: Final = ModelSchema(name="churn", version="2", output="multiclass", labels=LABELS, features=_FEATURES)
NUMBER: Final = ModelSchema(name="price", version="1", output="regression", features=_FEATURES)
NAMED: Final = ModelSchema(name="fraud", version="1", output="binary", labels=("good", "bad"), features=_FEATURES)
WATCHED: Final = ("amount", "visits", "member", "postcode", "plan", "city", "country")
"""What the log has of these features, but for the salary: a hash of a number says nothing."""


def mixed(schema: ModelSchema, rows: int, *, seed: int = 0, first: int = 0, **fixed: Any) -> list[Event]:
    """Predictions of a model with features of every sort, a second apart, as the API writes them.

    Args:
        schema: One of those above.
        rows: How many.
        seed: Of what is drawn.
        first: The number of the first one, which says when it is made.
        fixed: Values that all of them have.
    """
    draw = np.random.default_rng(seed)
    decoder, logged, outputs = RequestDecoder(schema), logged_features(schema, b"key"), outputs_of(schema)
    found = []
    for at in range(first, first + rows):
        values = {
            "amount": float(draw.lognormal(3, 1)),
            "visits": None if draw.random() < 0.1 else int(draw.poisson(4)),
            "member": bool(draw.random() < 0.3),
            "postcode": f"0{draw.integers(1, 9)}000",
            "plan": str(draw.choice(["free", "basic", "pro"], p=[0.6, 0.3, 0.1])),
            "city": f"city {draw.integers(5)}",
            "salary": float(draw.normal(50, 10)),
            "remark": "none of your business",
            "country": str(draw.choice(["FR", "DE"])),
            **fixed,
        }
        shares = draw.dirichlet([3.0, 2.0, 1.0])
        score: dict[str, Score] = {
            "multiclass": tuple(shares.tolist()),
            "binary": float(shares[1]),
            "regression": float(shares[0] * 100),
        }
        us = START_US + at * US
        made = outputs.event(
            str(UUID(int=us // 1000 << 80 | 0x7 << 76 | 0x2 << 62 | at)),
            logged(decoder.make(*values.values())),
            *outputs.of(score[schema.output]),
            *(timestamp(us * 1000), 1, "prediction", PRODUCERS[0], 0, schema.name, schema.version, None, None, None),
        )
        found.append(json.loads(encode(made)))
    return found


def feedback(about: Event, outcome: Any, *, after_s: int = 60) -> Event:
    """What became of a prediction, told so long after it was made."""
    told = datetime.fromisoformat(about["timestamp"]) + timedelta(seconds=after_s)
    at = timestamp(round(told.timestamp() * 1_000_000) * 1000)
    plain = {"request_id": about["request_id"], "outcome": outcome, "at": at, "timestamp": at, "schema_version": 1}
    return {**plain, "kind": "feedback", "producer": PRODUCERS[0]}


class PredictionLog:
    """A log that predictions are added to."""

    def __init__(self, log_dir: Path, *, segment_max_bytes: int = 256 << 20) -> None:
        self.log_dir = log_dir
        self._writer = open_log(log_dir, segment_max_bytes=segment_max_bytes)
        self._seqs: Counter[str] = Counter()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._writer.close()

    def add(self, added: Iterable[Event]) -> None:
        """Commits them together."""
        lines = []
        for each in added:
            seq = self._seqs[each["producer"]]
            self._seqs[each["producer"]] += 1
            lines.append(with_checksum(json.dumps({**each, "seq": seq}, separators=(",", ":")).encode()) + b"\n")
        self._writer.append(b"".join(lines), len(lines), dict(self._seqs))

    def add_lines(self, lines: Sequence[bytes]) -> None:
        """Commits lines of any sort."""
        self._seqs["f" * 32] += len(lines)
        self._writer.append(b"".join(line + b"\n" for line in lines), len(lines), dict(self._seqs))


def profile_of(log_dir: Path, first_row: int, stop_row: int) -> Profile:
    """The reference of rows of a log."""
    with LogReader(log_dir) as log:
        return profile_of_log(log, SCHEMA, first_row, stop_row)


Counted = dict[tuple[int, str, str], list[int]]
"""Counts by cell, version and producer."""


def recount(found: Iterable[Event], profile: Profile, width_us: int) -> Counted:
    """Counts one value after the other, by nothing but the edges of the profile."""
    counted: Counted = {}
    for each in found:
        at = datetime.fromisoformat(each["timestamp"])
        cell = round(at.timestamp() * US) // width_us
        key = (cell, each["model_version"], each["producer"])
        own = counted.setdefault(key, [0] * sum(column.bins.count for column in profile.columns))
        start = 0
        for column in profile.columns:
            own[start + bin_of(column, _value(each, column))] += 1
            start += column.bins.count
    return counted


def bin_of(column: Column, value: Any) -> int:
    """The bin of one value."""
    if value is None or value != value:  # noqa: PLR0124 - NaN
        return 0
    if isinstance(column.bins, CategoryBins):
        values = list(column.bins.values)
        text = str(value).lower() if isinstance(value, bool) else str(value)
        return values.index(text) + 2 if text in values else 1
    assert isinstance(column.bins, NumberBins)
    return bisect_left(column.bins.edges, value) + 1


def _value(each: Event, column: Column) -> Any:
    return value_in(each, column)


def stored(store: MonitorStore) -> Counted:
    """What the monitor has counted, whatever the segment, the cells and what was rolled up of them."""
    counted: Counted = {}
    for key, cell in store.cells_apart(-(1 << 62), 1 << 62).items():
        place = (key.cell, key.version, key.producer)
        before = counted.get(place, [0] * len(cell.counts))
        counted[place] = [one + other for one, other in zip(before, cell.counts.tolist(), strict=True)]
        assert cell.counts.sum() % cell.rows == 0
    return counted
