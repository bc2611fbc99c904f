"""What a check has found, and what all checks are given to look at."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

_KIB = 1024
_UNITS = ("KiB", "MiB", "GiB", "TiB")

Level = Literal["ok", "warning", "problem"]


class Finding(NamedTuple):
    """One line of the doctor's report.

    Attributes:
        check: What was looked at.
        level: ``problem`` is what breaks something now or will soon; ``warning`` what one should know.
        text: What was found.
        remedy: What to do about it; empty if it is ok.
    """

    check: str
    level: Level
    text: str
    remedy: str = ""


@dataclass(frozen=True)
class Installation:
    """What the settings say of an installation.

    Attributes:
        data: The folder of all of it.
        outbox_dir: The outboxes.
        log_dir: The log.
        broker_url: Address of Redis, with its password; None is embedded.
        broker_timeout_s: Longest wait for one answer of it.
        processes: API processes.
        outbox_max_bytes: What the outboxes of each may hold.
        outbox_sync: What an answer waits for.
        log_segment_max_bytes: Size of one file of the log.
    """

    data: Path
    outbox_dir: Path
    log_dir: Path
    broker_url: str | None
    broker_timeout_s: float
    processes: int
    outbox_max_bytes: int
    outbox_sync: Literal["os", "always"]
    log_segment_max_bytes: int


def size(count: int) -> str:
    """Returns a number of bytes for people: ``1.5 GiB``."""
    if count < _KIB:
        return f"{count} bytes"
    power = min(int(math.log(count, _KIB)), len(_UNITS))
    return f"{count / _KIB**power:.1f} {_UNITS[power - 1]}"


def duration(seconds: float) -> str:
    """Returns a time span for people: ``3 h 20 min``."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{seconds:.1f} s"
