"""What of a segment that is Parquet goes into a record that is being rebuilt."""

from collections.abc import Sequence
from pathlib import Path

from driftline.errors import LogDamagedError
from driftline.eventlog.form_record import Compacted, Forms
from driftline.eventlog.parquet_files import checksum_of, days_on_disk, parquet_path, set_file_aside
from driftline.eventlog.rebuilt import Earlier, Rebuilt, event_of
from driftline.eventlog.record import ParquetFile


def read_parquet(log_dir: Path, segment: int, rebuilt: Rebuilt, earlier: Earlier, forms: Forms) -> int:
    """Takes the files of one segment into account; returns the row behind the last of it.

    A file keeps the checksum that an earlier record had for it, if that could be believed. Otherwise it is believed
    like lines are, one by one; a file with one that is not gets a checksum that it does not have, and stays damaged.
    One that cannot be read at all is set aside.

    Args:
        log_dir: The directory of the log.
        segment: The segment's number.
        rebuilt: Takes the lines.
        earlier: What could be believed of the record.
        forms: Takes the segment and its files.

    Raises:
        OSError: A file cannot be read, or not be set aside.
    """
    from driftline.eventlog.parquet import windows  # noqa: PLC0415 (DuckDB takes long to load)

    known = earlier.compacted.get(segment)
    files = []
    for day in days_on_disk(log_dir, segment):
        if known is not None and (segment, day) not in earlier.files:
            continue  # it has expired, and was not deleted yet
        file = _file(log_dir, segment, day, earlier)
        if file is not None:
            files.append(file)
    forms.parquet.extend(files)
    if known is None:
        first_row = min((file.first_row for file in files), default=0)
        known = Compacted(segment, first_row, max((file.stop_row for file in files), default=0) - first_row)
    forms.compacted.append(known)
    sound, suspects = _sorted_out(log_dir, files)
    before = rebuilt.lines
    for lines in windows(sound, suspects, known.first_row, known.first_row + known.lines) if files else ():
        for _, line in lines:
            event = event_of(line)
            if event is not None:
                rebuilt.lines += 1
                rebuilt.count(event)
    rebuilt.damaged_lines += sum(file.lines for file in files) - (rebuilt.lines - before)
    return known.first_row + known.lines


def _sorted_out(log_dir: Path, files: Sequence[ParquetFile]) -> tuple[list[Path], list[Path]]:
    sound: list[Path] = []
    suspects: list[Path] = []
    for file in files:
        path = parquet_path(log_dir, file.segment, file.day)
        (sound if checksum_of(path) == (file.size_bytes, file.crc) else suspects).append(path)
    return sound, suspects


def _file(log_dir: Path, segment: int, day: str, earlier: Earlier) -> ParquetFile | None:
    """What is to be recorded of a file; None if nothing of it can be read."""
    from driftline.eventlog.parquet import rows_of, windows  # noqa: PLC0415 (DuckDB takes long to load)

    path = parquet_path(log_dir, segment, day)
    size_bytes, crc = checksum_of(path)
    recorded = earlier.files.get((segment, day))
    if recorded is not None and size_bytes >= recorded.size_bytes:
        return recorded
    file = ParquetFile(segment, day, 0, 0, recorded.lines if recorded else 0, size_bytes, crc)
    try:
        file = ParquetFile(segment, day, *rows_of(path), size_bytes, crc)
        good = sum(
            event_of(line) is not None
            for lines in windows([path], [], file.first_row, file.stop_row)
            for _, line in lines
        )
    except LogDamagedError:
        set_file_aside(log_dir, file)
        return None
    if good == file.lines:
        return file
    set_file_aside(log_dir, file)
    return file._replace(crc=crc ^ 1)
