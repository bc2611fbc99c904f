"""A long log does not become a lot of memory."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from driftline.eventlog.compaction import compact_log
from driftline.eventlog.writer import LogWriter
from tests.report.events import at, event

pytestmark = pytest.mark.long

BATCH_ROWS = 3_000
MEASURE = """
import json, resource, sys
from datetime import datetime
from pathlib import Path
from driftline.eventlog.reader import LogReader
from driftline.report.reading import read_windows
from driftline.report.selection import Selection, TimeRange

middle = datetime.fromisoformat(sys.argv[2])
with LogReader(Path(sys.argv[1])) as log:
    ends = read_windows(log, Selection())
    drawn = read_windows(log, Selection(reference_range=TimeRange(stop=middle), current_range=TimeRange(middle)))
    looked_at = drawn.reference.out_of + drawn.current.out_of
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({"rows": looked_at, "kib": peak, "last": ends.current.span}))
"""


def write_long_log(directory: Path, megabytes: int, segment_max_bytes: int = 256 << 20) -> int:
    """Writes the same thousands of events again and again, and returns how many there are then."""
    batch = b"".join(event(number) + b"\n" for number in range(BATCH_ROWS))
    writer = LogWriter(directory, segment_max_bytes=segment_max_bytes)
    assert writer.try_open()
    while writer.size_bytes < megabytes * 1_000_000:
        writer.append(batch, BATCH_ROWS, {})
    rows = writer.rows
    writer.close()
    return rows


def peak_mib(directory: Path, rows: int) -> float:
    """The most memory that a process took which has read the windows of reports on this log."""
    command = [sys.executable, "-c", MEASURE, str(directory), at(BATCH_ROWS // 2).isoformat()]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert found["rows"] == rows
    assert found["last"] == [rows - 200, rows]
    return float(found["kib"]) / 1024


def test_200_megabytes_of_log_take_no_more_memory_than_2(tmp_path: Path) -> None:
    peaks = []
    for megabytes in (2, 200):
        directory = tmp_path / f"{megabytes}"
        peaks.append(peak_mib(directory, write_long_log(directory, megabytes)))
    assert peaks[1] - peaks[0] < 16, f"{peaks} MiB"


def test_nor_do_64_megabytes_that_are_parquet_take_more_than_16(tmp_path: Path) -> None:
    peaks = []
    for megabytes in (16, 64):
        directory = tmp_path / f"{megabytes}"
        rows = write_long_log(directory, megabytes, segment_max_bytes=14_000_000)
        assert compact_log(directory).segments
        peaks.append(peak_mib(directory, rows))
    assert peaks[1] - peaks[0] < 32, f"{peaks} MiB"
