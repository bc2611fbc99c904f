"""Runs all checks, one after the other; what one cannot look at is a finding, and the others go on."""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from driftline.doctor.broker import check_broker
from driftline.doctor.disks import check_disks
from driftline.doctor.eventlog import check_log
from driftline.doctor.finding import Finding, Installation
from driftline.doctor.machine import check_machine
from driftline.doctor.outboxes import check_outboxes
from driftline.errors import DriftlineError, LogNotFoundError
from driftline.eventlog.store import FILE_NAME
from driftline.telemetry import redact
from driftline.transport.ledger import Progress, take_ledger

Check = Callable[[Installation], Iterator[Finding]]

CHECKS: Final[Mapping[str, Check]] = {
    "machine": check_machine,
    "disks": check_disks,
    "outboxes": check_outboxes,
    "log": check_log,
    "broker": check_broker,
}


def examine(
    at: Installation, further: Mapping[str, Check] | None = None, *, count: bool, progress: Progress | None = None
) -> Iterator[Finding]:
    """Yields what is found, whether Driftline runs or not; it is not disturbed.

    Args:
        at: What to look at.
        further: Checks of what is not this folder's to know, by what they look at.
        count: Take the ledger too, which reads the whole log.
        progress: Is told how far that is.
    """
    for name, check in {**CHECKS, **(further or {})}.items():
        yield from _looked_at(name, check, at)
    if count:
        yield from _looked_at("ledger", lambda here: _ledger(here, progress), at)


def _looked_at(name: str, check: Check, at: Installation) -> Iterator[Finding]:
    try:
        for finding in check(at):
            yield finding._replace(text=redact(finding.text))
    except PermissionError as error:
        remedy = "run it as the user that Driftline runs as"
        yield Finding(name, "problem", f"{error.filename} may not be read by this user", remedy)
    except (OSError, DriftlineError) as error:
        remedy = "the findings above may say why; else look at the disk (dmesg)"
        yield Finding(name, "problem", redact(f"could not be looked at: {error}"), remedy)


def _ledger(at: Installation, progress: Progress | None) -> Iterator[Finding]:
    if at.broker_url is not None and not (at.log_dir / FILE_NAME).exists():
        yield Finding("ledger", "ok", "not taken: the log is on another machine")
        return
    try:
        taken = take_ledger(at.outbox_dir, at.log_dir, progress)
    except LogNotFoundError:
        yield Finding("ledger", "ok", "nothing has been accepted yet")
        return
    text = f"{taken.accepted:,} accepted = {taken.logged:,} logged + {taken.in_flight:,} in flight"
    if taken.balanced:
        yield Finding("ledger", "ok", text)
        return
    wrong = {name: getattr(taken, name) for name in ("quarantined", "missing", "duplicated")}
    text += "".join(f", {count:,} {name}" for name, count in wrong.items() if count)
    yield Finding("ledger", "problem", text, "driftline ledger says more; docs/log.md says what may be brought back")
