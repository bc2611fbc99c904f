"""An outbox directory as a test writes, tears and damages it: where every record lies, byte for byte."""

from dataclasses import dataclass
from pathlib import Path

from driftline.outbox.record import decode
from driftline.outbox.segments import segment_firsts, segment_name


@dataclass(frozen=True)
class Place:
    """Where a record lies: ``start <= offset < end`` of a segment."""

    path: Path
    start: int
    end: int


def places(directory: Path) -> dict[int, Place]:
    """Where each record lies, by seq; the segments must be whole."""
    found: dict[int, Place] = {}
    for first in segment_firsts(directory):
        path = directory / segment_name(first)
        content, offset = path.read_bytes(), 0
        while (record := decode(content, offset)) is not None:
            found[record.seq] = Place(path, offset, record.end)
            offset = record.end
        assert offset == len(content), f"{path} is not whole"
    return found


def overwrite(path: Path, offset: int, content: bytes) -> None:
    """Changes bytes of a file in place."""
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(content)


def flip(path: Path, offset: int) -> None:
    """Changes one bit of a file."""
    overwrite(path, offset, bytes([path.read_bytes()[offset] ^ 1]))


def append(path: Path, content: bytes) -> None:
    """Adds bytes to a file, as a write that was interrupted does."""
    with path.open("ab") as file:
        file.write(content)
