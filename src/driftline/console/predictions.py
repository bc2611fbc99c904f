"""Finds a prediction in the log by its id: that says when it was made, and the monitor which rows are of that time."""

import uuid
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np

from driftline.console import words
from driftline.console.reading import Reading, Standing
from driftline.contract.schema import Label
from driftline.drift.bins import MISSING, STRANGE, NumberBins
from driftline.drift.layout import Layout
from driftline.drift.profile import Column, Profile
from driftline.errors import LogError
from driftline.eventlog.reader import LogReader
from driftline.monitor.lines import value_in, values_of
from driftline.monitor.outcomes import Outcome, Outcomes
from driftline.quality.counting import counting_of

SLACK_US: Final = 2_000_000
MOST_ROWS: Final = 400_000
"""That are looked through for one id."""
_TIMED_VERSION: Final = 7


class Place(NamedTuple):
    """Where a value stands in the reference."""

    name: str
    value: Any
    place: str
    strange: bool


class Found(NamedTuple):
    """What there is to say of an id.

    Attributes:
        trouble: Why there is no event; empty if there is one.
        row: Of the log.
        event: All of its fields.
        places: The values that the monitor watches, and where they stand in the reference.
        outcome: What became of it, if that was told.
        told: The outcome by its name, or the number.
        right: Whether it came as predicted; None of a number.
    """

    trouble: str
    row: int = 0
    event: dict[str, Any] | None = None
    places: tuple[Place, ...] = ()
    outcome: Outcome | None = None
    told: Label | float | None = None
    right: bool | None = None


def find_prediction(reading: Reading, log_dir: Path, request_id: str) -> Found:
    """Returns the event of a request."""
    try:
        parsed = uuid.UUID(request_id)
    except ValueError:
        return Found("This is no request id: those are UUIDs, as in the answer to a prediction.")
    if parsed.version != _TIMED_VERSION:
        return Found("Driftline's request ids are UUIDs of version 7; this is one of another version.")
    wanted = str(parsed)
    needle = f'"request_id":"{wanted}"'.encode()
    standing = reading.standing()
    us = (parsed.int >> 80) * 1000
    spans = [*reading.spans_at(us, SLACK_US), (standing.position_row, standing.position_row + MOST_ROWS)]
    left = MOST_ROWS
    try:
        with LogReader(log_dir) as lines:
            for first, stop in spans:
                for row, line in lines.numbered(first, min(stop, first + left)):
                    if needle in line and (event := _event(line, wanted)) is not None:
                        found = Found("", row, event, tuple(_places(standing, event)))
                        return _with_outcome(found, reading, standing.profile, wanted)
                left -= stop - first
                if left <= 0:
                    break
    except LogError as error:
        return Found(f"The log cannot be read: {error.message}")
    return Found("It is not in the log. A prediction that was answered is there within a second or so.")


def _with_outcome(found: Found, reading: Reading, profile: Profile | None, request_id: str) -> Found:
    """What became of it, in the words of the model's classes."""
    if profile is None or found.event is None:
        return found
    outcomes = Outcomes(reading, counting_of(profile.output, profile.classes))
    outcome = outcomes.get([request_id]).get(request_id)
    if outcome is None or not profile.classes:
        return found._replace(outcome=outcome, told=outcome and outcome.outcome)
    told = profile.classes[int(outcome.outcome)]
    return found._replace(outcome=outcome, told=told, right=told == found.event.get("predicted_class"))


def _event(line: bytes, wanted: str) -> dict[str, Any] | None:
    event = msgspec.json.decode(line)
    return event if event.get("request_id") == wanted and event.get("kind") == "prediction" else None


def _places(standing: Standing, event: dict[str, Any]) -> list[Place]:
    features = event.get("features") or {}
    if standing.profile is None or standing.profile.model != event.get("model"):
        return [Place(name, value, "", strange=False) for name, value in features.items()]
    return [_place(column, value_in(event, column)) for column in standing.profile.columns]


def _place(column: Column, value: Any) -> Place:
    counts = np.asarray(column.counts)
    number = isinstance(column.bins, NumberBins)
    code = int(Layout([column]).codes([values_of(column, [value])])[0, 0])
    label = column.bins.labels()[code]
    share = counts[code] / max(counts.sum(), 1)
    if number and STRANGE < code < column.bins.count - 1:
        held = max(counts[MISSING + 1 :].sum(), 1)
        label = f"about {words.percent(float((counts[MISSING + 1 : code].sum() + counts[code] / 2) / held))} are lower"
    elif code > STRANGE and not number:
        label = f"{words.percent(float(share))} have it"
    return Place(column.name, value, label, strange=code != MISSING and share == 0)
