"""Tells the lines of a damaged block that are still good from those that are not."""

import itertools
import os
import re
import zlib
from pathlib import Path
from typing import NamedTuple

from driftline.contract.checksum import vouched
from driftline.durable import make_directory, write_durably
from driftline.eventlog.record import Block

QUARANTINE = "quarantine"
_NAME = re.compile(r"\d{8}-(?:\d+-(\d+)\.bin|\d{4}-\d\d-\d\d-(\d+)\.parquet)")


class Damage(NamedTuple):
    """A stretch of a segment whose bytes are not those that were committed; nothing of it is given to anyone.

    Attributes:
        segment: The segment's number, from 1.
        start: Offset in it, bytes.
        length: Bytes.
        lines: How many lines it was; 0 if all of them are good, and the checksum in the record is what is wrong.
        day: Of a Parquet file, which day's it is; else empty. The stretch is then all of the file.
    """

    segment: int
    start: int
    length: int
    lines: int
    day: str = ""

    def __str__(self) -> str:
        day = f"day={self.day}/" if self.day else ""
        return f"{day}{self.segment:08d}:{self.start}-{self.start + self.length}"


class Sifted(NamedTuple):
    """What a block holds.

    Attributes:
        lines: Its good lines, without their newline, each with its row in the log.
        damage: The rest.
    """

    lines: list[tuple[int, bytes]]
    damage: list[Damage]


def split(content: bytes) -> list[bytes]:
    """Returns the lines of a block; nothing but a newline ends one."""
    return content.removesuffix(b"\n").split(b"\n") if content else []


def intact(block: Block, content: bytes) -> bool:
    """Whether these are the bytes that were committed as this block."""
    return len(content) == block.length and zlib.crc32(content) == block.crc


def sift(block: Block, content: bytes) -> Sifted:
    """Returns the lines of a block; where it is damaged, those that vouch for themselves.

    Lines from before there was a checksum in each cannot do that: of a damaged block with such lines they all go.
    """
    lines = split(content)
    if intact(block, content):
        return Sifted(list(enumerate(lines, block.first_row)), [])
    good = [vouched(line) for line in lines]
    if all(good):
        return Sifted(list(enumerate(lines, block.first_row)), [Damage(block.segment, block.start, len(content), 0)])
    kept: list[tuple[int, bytes]] = []
    damage: list[Damage] = []
    start, row, index = block.start, block.first_row, 0
    for is_good, group in itertools.groupby(zip(good, lines, strict=True), lambda pair: pair[0]):
        stretch = [line for _, line in group]
        index += len(stretch)
        length = sum(len(line) + 1 for line in stretch)
        if is_good:
            kept += enumerate(stretch, row)
            row += len(stretch)
        else:
            # Where a newline came or went, lines are more or fewer than they were: count those behind from the end.
            behind = max(row, block.first_row + block.lines - (len(lines) - index))
            damage.append(Damage(block.segment, start, min(length, block.start + len(content) - start), behind - row))
            row = behind
        start += length
    return Sifted(kept, damage)


def set_aside(log_dir: Path, damage: Damage, content: bytes) -> Path | None:
    """Brings damaged bytes to quarantine, under a name that says where they were, and returns where they are.

    Returns:
        None if they were there already.

    Raises:
        OSError: The file system refuses.
    """
    path = log_dir / QUARANTINE / f"{damage.segment:08d}-{damage.start}-{damage.lines}.bin"
    if path.exists():
        return None
    make_directory(path.parent)
    write_durably(path, content)
    give_to_owner(log_dir, path.parent, path)
    return path


def give_to_owner(log_dir: Path, *paths: Path) -> None:
    """Gives files to whom the log belongs, where root has made them: the worker is to be able to write them too."""
    if os.geteuid() == 0:
        owner = log_dir.stat()
        for path in paths:
            os.chown(path, owner.st_uid, owner.st_gid)


def lines_set_aside(log_dir: Path) -> int:
    """Returns how many lines of the log lie in quarantine."""
    try:
        names = os.listdir(log_dir / QUARANTINE)
    except (FileNotFoundError, NotADirectoryError):
        return 0
    return sum(int(found[1] or found[2]) for found in map(_NAME.fullmatch, names) if found)
