"""Lines of one producer, numbered, and what of them a log directory holds."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from driftline.contract.checksum import with_checksum
from driftline.eventlog.reader import LogReader
from driftline.eventlog.writer import LINK_NAME, SEGMENTS, LogWriter

PRODUCER = "a" * 32
START = datetime(2026, 11, 23, 21, 0, 0, tzinfo=UTC)


def line(seq: int, size: int = 0) -> bytes:
    """One event, which vouches for itself; ``seq`` is also its second."""
    event = {
        "producer": PRODUCER,
        "seq": seq,
        "timestamp": (START + timedelta(seconds=seq)).isoformat(),
        "x": "x" * size,
    }
    return with_checksum(json.dumps(event).encode())


def join(lines: Iterable[bytes]) -> bytes:
    return b"".join(line + b"\n" for line in lines)


def append(writer: LogWriter, first: int, stop: int, size: int = 0) -> None:
    """Appends the lines of these seqs in one commit."""
    writer.append(join(line(seq, size) for seq in range(first, stop)), stop - first, {PRODUCER: stop})


def open_log(log_dir: Path, *, segment_max_bytes: int = 256 << 20, segment_max_age_s: float = 86400.0) -> LogWriter:
    writer = LogWriter(log_dir, segment_max_bytes=segment_max_bytes, segment_max_age_s=segment_max_age_s)
    assert writer.try_open()
    return writer


def segments(log_dir: Path) -> list[Path]:
    return sorted((log_dir / SEGMENTS).iterdir())


def content(log_dir: Path) -> bytes:
    """All bytes of all segments, committed or not."""
    return b"".join(path.read_bytes() for path in segments(log_dir))


def check_whole(log_dir: Path, seqs: int) -> None:
    """The log of a writer that has just opened it: these lines to the byte, by every account of it."""
    lines = content(log_dir).splitlines()
    assert [json.loads(one)["seq"] for one in lines] == list(range(seqs))
    with LogReader(log_dir) as log:
        assert log.rows == seqs
        assert log.committed().get(PRODUCER, 0) == seqs
        assert list(log.lines()) == lines
        assert sum(len(found) for _, found in log.identities()) == seqs
        assert not log.damaged
        assert log.size_bytes == len(content(log_dir))
    assert (log_dir / LINK_NAME).resolve() == segments(log_dir)[-1]
    assert (log_dir / LINK_NAME).readlink() == Path(SEGMENTS) / segments(log_dir)[-1].name


def prediction(seq: int, at: datetime, producer: str = PRODUCER, **others: object) -> bytes:
    """One event as the API makes it, with two features that follow from its seq."""
    event = {
        "request_id": f"{seq:08d}",
        "features": {"feature_1": seq + 0.5, "feature_2": -seq},
        "probability": seq % 100 / 100,
        "predicted_class": seq % 2,
        "timestamp": at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "kind": "prediction",
        "producer": producer,
        "seq": seq,
        "model": "seed",
        "model_version": "1",
        "trace_id": None,
        **others,
    }
    return with_checksum(json.dumps(event, separators=(",", ":")).encode())


def days_of_predictions(log_dir: Path, days: int, *, a_day: int = 10, segment_max_bytes: int = 2_000) -> list[bytes]:
    """Makes a log of some days, in several segments; the end of each day stands behind the beginning of the next."""
    writer = open_log(log_dir, segment_max_bytes=segment_max_bytes)
    lines = [
        prediction(seq, START.replace(hour=0) + timedelta(days=seq / a_day + (seq % a_day == 0 and seq > 0) * -0.05))
        for seq in range(days * a_day)
    ]
    for seq, one in enumerate(lines):
        writer.append(one + b"\n", 1, {PRODUCER: seq + 1})
    writer.close()
    return lines
