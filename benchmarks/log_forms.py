"""What the two forms of a closed segment take: bytes, seconds of CPU, memory; as a table of Markdown.

python benchmarks/log_forms.py --rows 1000000
"""

import argparse
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import uuid_utils

from driftline.contract.checksum import with_checksum
from driftline.eventlog.compaction import compact_log
from driftline.eventlog.query import queried
from driftline.eventlog.reader import LogReader
from driftline.eventlog.writer import LogWriter
from driftline.telemetry import configure_logging

BATCH_ROWS = 2_000
PRODUCER = "9f" * 16
MEAN = "SELECT avg(feature_1) FROM predictions"


def write(log_dir: Path, rows: int) -> None:
    """Writes so many predictions of the seed's model, 150 ms apart, and leaves no segment but an empty one open."""
    chance, start = random.Random(1), datetime(2026, 11, 23, tzinfo=UTC)
    writer = LogWriter(log_dir)
    writer.try_open()
    for first in range(0, rows, BATCH_ROWS):
        stop = min(first + BATCH_ROWS, rows)
        lines = [_line(seq, start + timedelta(milliseconds=150 * seq), chance) + b"\n" for seq in range(first, stop)]
        writer.append(b"".join(lines), stop - first, {PRODUCER: stop})
    writer.close()
    writer = LogWriter(log_dir, segment_max_bytes=1)
    writer.try_open()
    writer.append(b"", 0, {})
    writer.close()


def _line(seq: int, at: datetime, chance: random.Random) -> bytes:
    event = {
        "request_id": str(uuid_utils.uuid7()),
        "features": {"feature_1": chance.gauss(0, 1), "feature_2": chance.gauss(0, 1)},
        "probability": chance.random(),
        "predicted_class": 1,
        "timestamp": at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "schema_version": 1,
        "kind": "prediction",
        "producer": PRODUCER,
        "seq": seq,
        "model": "seed",
        "model_version": "1",
        "trace_id": None,
        "traceparent": None,
        "client_request_id": None,
    }
    return with_checksum(msgspec.json.encode(event))


def read(log_dir: Path) -> None:
    """Reads every line."""
    with LogReader(log_dir) as log:
        for _ in log.numbered():
            pass


def query(log_dir: Path) -> None:
    """Asks for the mean of a feature."""
    with queried(log_dir, MEAN, 1 << 30) as table:
        list(table.rows)


def compact(log_dir: Path) -> None:
    """Compacts all of it."""
    compact_log(log_dir)


WORK: dict[str, Callable[[Path], None]] = {"read": read, "query": query, "compact": compact}


def measured(work: str, log_dir: Path) -> str:
    """Does some work in a process of its own; returns its seconds of CPU and its peak of memory."""
    command = [sys.executable, __file__, "--work", work, "--log", str(log_dir)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def size(log_dir: Path, rows: int) -> str:
    """Returns the bytes an event."""
    with LogReader(log_dir) as log:
        return f"{log.size_bytes / rows:.0f}"


def main() -> None:
    """Measures, or is the process that is measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--work", choices=WORK)
    parser.add_argument("--log", type=Path)
    asked = parser.parse_args()
    configure_logging("auto")  # to stderr
    if asked.work:
        began = time.process_time()
        WORK[asked.work](asked.log)
        peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        sys.stdout.write(f"{time.process_time() - began:.1f} s of CPU, {peak_mb} MB\n")
        return
    with tempfile.TemporaryDirectory() as folder:
        log_dir = Path(folder)
        write(log_dir, asked.rows)
        as_json = [size(log_dir, asked.rows), measured("read", log_dir), measured("query", log_dir)]
        compacting = measured("compact", log_dir)
        as_parquet = [size(log_dir, asked.rows), measured("read", log_dir), measured("query", log_dir)]
    sys.stdout.write("| | JSON | Parquet |\n| --- | --- | --- |\n")
    for what, *cells in zip(("bytes an event", "all lines read", MEAN), as_json, as_parquet, strict=True):
        sys.stdout.write(f"| {what} | {' | '.join(cells)} |\n")
    sys.stdout.write(f"\ncompacted in {compacting}\n")


if __name__ == "__main__":
    main()
