"""The references of segments: a segment is held against the reference's rows in it, and not against those of all."""

import itertools
from collections.abc import Mapping
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from driftline.drift.layout import Layout
from driftline.drift.profile import FEWEST_ROWS, Profile
from driftline.monitor.fold import Segments, segment_counts
from driftline.monitor.lines import LineReader
from driftline.monitor.sources import CHUNK_ROWS, Lines

DAY_S = 86_400.0

Counts = dict[str, NDArray[np.int64]]


def counts_by_segment(lines: Lines, profile: Profile, segment_by: str, first_row: int, stop_row: int) -> Counts:
    """Returns what the reference's rows of a log are in each segment, in constant memory.

    Args:
        lines: The log.
        profile: The reference.
        segment_by: The column that divides it.
        first_row: The first of its rows.
        stop_row: The row behind the last one.

    Raises:
        LogDamagedError: The log cannot be read.
    """
    segments, layout = Segments(profile, segment_by), Layout(profile.columns)
    reader = LineReader(profile.model, profile.columns)
    found: Counts = {}
    numbered = lines.numbered(first_row, stop_row)
    while chunk := list(itertools.islice(numbered, CHUNK_ROWS)):
        rows = reader.read(chunk).rows
        if len(rows.times_us):
            for name, counts in segment_counts(segments, layout, rows.values).items():
                found[name] = found[name] + counts if name in found else counts
    return found


def judged_segments(profile: Profile, references: Mapping[str, NDArray[np.int64]]) -> Counts:
    """Returns those of the segments that have rows enough in the reference to be held against them."""
    bins = profile.columns[0].bins.count
    return {name: counts for name, counts in references.items() if int(counts[:bins].sum()) >= FEWEST_ROWS}


def rows_a_day(profile: Profile) -> float | None:
    """Returns the traffic that the reference had; None if its times are not known."""
    first, last = profile.origin.first_timestamp, profile.origin.last_timestamp
    if first is None or last is None:
        return None
    seconds = (datetime.fromisoformat(last) - datetime.fromisoformat(first)).total_seconds()
    return profile.rows / seconds * DAY_S if seconds > 0 else None
