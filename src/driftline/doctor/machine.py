"""Versions, limits, and the clock of this machine."""

import platform
import re
import resource
import sys
import time
from collections.abc import Iterator
from importlib import metadata

from driftline import __version__
from driftline.doctor.finding import Finding, Installation

_REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+)(?:\[[^\]]*\])?([^;]*)(;.*)?")
_BOUND = re.compile(r"(>=|<)\s*([0-9.]+)")
_FEW_FILES = 1024
_NO_SOONER_THAN = 1_760_000_000
"""October 2025: a clock that is behind this was never set."""
_LOOK_S = 0.05
_DRIFT_S = 0.02


def check_machine(_: Installation) -> Iterator[Finding]:
    """Yields what is found of versions, open files and the clock."""
    yield from _versions()
    yield _open_files()
    yield _clock()


def _versions() -> Iterator[Finding]:
    python = platform.python_version()
    yield Finding(
        "versions", "ok", f"driftline {__version__}, Python {python}, {platform.system()} {platform.release()}"
    )
    wrong = [*_wrong_versions()]
    if wrong:
        yield Finding(
            "dependencies", "problem", "; ".join(wrong), f"install again: {sys.executable} -m pip install driftline"
        )
    else:
        yield Finding("dependencies", "ok", "all are there, in versions that are supported")


def _wrong_versions() -> Iterator[str]:
    for requirement in metadata.requires("driftline") or ():
        found = _REQUIREMENT.fullmatch(requirement)
        if found is None or "extra" in (found[3] or ""):
            continue
        try:
            version = metadata.version(found[1])
        except metadata.PackageNotFoundError:
            yield f"{found[1]} is missing"
            continue
        for sign, bound in _BOUND.findall(found[2]):
            if (_numbers(version) >= _numbers(bound)) != (sign == ">="):
                yield f"{found[1]} is {version}, and must be {sign}{bound}"


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


def _open_files() -> Finding:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft in {resource.RLIM_INFINITY, -1}:
        return Finding("open files", "ok", "no limit")
    text = f"{soft:,} at once, and every connection is one"
    if soft < _FEW_FILES:
        return Finding("open files", "warning", text, "raise it: ulimit -n 65536, or LimitNOFILE= of the service")
    return Finding("open files", "ok", text)


def _clock() -> Finding:
    wall, steady = time.time(), time.monotonic()
    if wall < _NO_SOONER_THAN:
        text = f"it says {time.strftime('%Y-%m-%d', time.gmtime(wall))}: it was never set"
        return Finding("clock", "problem", text, "set it, and keep it set with NTP: events are stamped by it")
    time.sleep(_LOOK_S)
    stepped_s = (time.time() - wall) - (time.monotonic() - steady)
    if abs(stepped_s) > _DRIFT_S:
        text = f"it moved by {stepped_s * 1000:+.0f} ms within {_LOOK_S * 1000:.0f} ms"
        return Finding("clock", "warning", text, "somebody sets it in steps: let NTP slew it")
    return Finding("clock", "ok", f"{time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime(wall))} UTC, and steady")
