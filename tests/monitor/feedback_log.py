"""A log of predictions and what became of them, drawn from a seed: early and late, told twice, corrected, of nobody."""

import random
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from driftline.contract.checksum import with_checksum
from driftline.contract.event import timestamp
from driftline.eventlog.writer import LogWriter

START_US = 1_800_000_000_000_000
MODEL = "seed"
PRODUCER = "b" * 32

Event = dict[str, Any]


class Made(NamedTuple):
    """A prediction as a test needs it."""

    request_id: str
    made_us: int
    score: float


def request_id(made_us: int, number: int) -> str:
    """A UUIDv7 of this time."""
    return str(uuid.UUID(int=made_us // 1000 << 80 | 0x7 << 76 | 0x2 << 62 | number))


def prediction(made_us: int, number: int, score: float, version: str = "1") -> Event:
    return {
        "request_id": request_id(made_us, number),
        "features": {"feature_1": score * 10 - 5, "feature_2": 0.0},
        "probability": score,
        "predicted_class": int(score >= 0.5),
        "timestamp": timestamp(made_us * 1000),
        "schema_version": 1,
        "kind": "prediction",
        "model": MODEL,
        "model_version": version,
    }


def feedback(about: str, outcome: int, at_us: int) -> Event:
    return {
        "request_id": about,
        "outcome": outcome,
        "at": timestamp(at_us * 1000),
        "timestamp": timestamp(at_us * 1000),
        "schema_version": 1,
        "kind": "feedback",
    }


def drawn(seed: int, count: int) -> list[Event]:
    """Predictions a tenth of a second apart, some late in the log, and feedback on some, anywhere."""
    random_ = random.Random(seed)
    placed: list[tuple[float, Event]] = []
    for number in range(count):
        made_us = START_US + number * 100_000 + random_.randrange(1000)
        event = prediction(made_us, number, random_.random(), version=random_.choice("12"))
        place = number + (random_.uniform(0, count) if random_.random() < 0.02 else 0)
        placed.append((place, event))
        for _ in range(random_.choice((0, 0, 1, 1, 2, 3))):
            told = place + random_.choice((-30, 0.5, 5, 200)) * random_.random()
            at_us = made_us + random_.choice((0, 10**6, 10**9, random_.randrange(10**8)))
            about = event["request_id"] if random_.random() < 0.9 else request_id(made_us, count + number)
            placed.append((told, feedback(about, random_.randrange(2), at_us)))
    return [event for _, event in sorted(placed, key=lambda each: each[0])]


def write(log_dir: Path, events: Sequence[Event], first_seq: int = 0) -> None:
    """Appends the events to the log, as the worker would."""
    writer = LogWriter(log_dir)
    assert writer.try_open()
    for start in range(0, len(events), 1000):
        lines = [
            with_checksum(msgspec.json.encode({**event, "producer": PRODUCER, "seq": first_seq + start + at}))
            for at, event in enumerate(events[start : start + 1000])
        ]
        stop = first_seq + start + len(lines)
        writer.append(b"".join(line + b"\n" for line in lines), len(lines), {PRODUCER: stop})
    writer.close()
