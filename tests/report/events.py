"""Lines of a log, as the service writes them."""

import json
import math
import random
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from driftline.eventlog.reader import LogReader
from driftline.eventlog.writer import LogWriter

BEGAN = datetime(2026, 11, 23, 21, 0, 0, 123456, tzinfo=UTC)
SD = 10 / math.sqrt(12)
"""Standard deviation of what is uniform in -5..5."""

MakeLog = Callable[[Iterable[bytes]], LogReader]


def at(second: int) -> datetime:
    """When the event of this number happens."""
    return BEGAN + timedelta(seconds=second)


def event(number: int, features: dict[str, Any] | None = None, **changes: Any) -> bytes:
    """One line; events are a second apart."""
    values = {"feature_1": number / 1000, "feature_2": -number / 1000} if features is None else features
    return json.dumps(
        {
            "request_id": f"{number:032x}",
            "features": values,
            "probability": 0.25 + 0.5 * (number % 2),
            "predicted_class": number % 2,
            "timestamp": at(number).isoformat().replace("+00:00", "Z"),
            "schema_version": 1,
            "kind": "prediction",
            "producer": "0" * 32,
            "seq": number,
            "model": "seed",
            "model_version": "1",
            "trace_id": None,
            "traceparent": None,
            "client_request_id": None,
            **changes,
        }
    ).encode()


def events(count: int) -> list[bytes]:
    """Predictions that differ in their numbers only."""
    return [event(number) for number in range(count)]


def traffic(count: int, *, shift_after: int = 0, shift_by: float = 0.0, seed: int = 7) -> Iterator[bytes]:
    """Predictions of the seed's model on inputs uniform in -5..5; feature_1 shifts after so many."""
    chance = random.Random(seed)
    for number in range(count):
        first = chance.uniform(-5, 5) + (shift_by if number >= shift_after else 0.0)
        second = chance.uniform(-5, 5)
        probability = 1 / (1 + math.exp(-(-0.3 + 0.8 * first - 0.4 * second)))
        yield event(
            number,
            {"feature_1": first, "feature_2": second},
            probability=probability,
            predicted_class=int(probability >= 0.5),
        )


def write_log(directory: Path, lines: Iterable[bytes]) -> Path:
    """Commits these lines to a new log, and returns its directory."""
    content = list(lines)
    writer = LogWriter(directory)
    assert writer.try_open()
    writer.append(b"".join(line + b"\n" for line in content), len(content), {"0" * 32: len(content)})
    writer.close()
    return directory
