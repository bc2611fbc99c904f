"""The process that watches: starts those that answer, and replaces them, one that died or all of them one by one."""

import math
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from typing import Final

import structlog

from driftline.api.handover import Handover
from driftline.api.signals import STOPS, Signals, held_back

log = structlog.get_logger()

START_S: Final = 30.0
BACKOFF_FIRST_S: Final = 1.0
BACKOFF_MAX_S: Final = 10.0
QUEUE_S: Final = 1.0
SETTLED_AFTER_S: Final = 10.0
FIRST_STARTS_MAX: Final = 3

_Cause = dict[str, int | str | None]


class Processes:
    """Keeps a process at work in each place, until SIGTERM or SIGINT; not reusable.

    All that happens comes out of one call that waits for signals, for processes that say they serve, for the ends of
    processes, and for the next moment something is due: nothing is polled, and nothing happens beside it.

    Args:
        places: How many processes answer at once.
        new_process: Returns the process for a place, not started yet.
        handover: The sockets, and what the processes tell each other.
        hung_up: Asked at SIGHUP: whether it came because the terminal is gone, and means the end.
        kill_after_s: What a process has to end after SIGTERM, before SIGKILL.
    """

    def __init__(
        self,
        places: int,
        new_process: Callable[[int], BaseProcess],
        handover: Handover,
        hung_up: Callable[[], bool],
        kill_after_s: float,
    ) -> None:
        self._places = [_Place(number) for number in range(places)]
        self._new_process = new_process
        self._handover = handover
        self._hung_up = hung_up
        self._kill_after_s = kill_after_s
        self._outdated: list[_Place] = []
        self._change: _Change | None = None
        self._exit_code: int | None = None

    def run(self) -> int:
        """Returns the exit code when all processes are gone: 0 after a signal, 1 if one cannot serve at all."""
        with Signals() as signals:
            try:
                while self._exit_code is None:
                    self._start_what_is_due()
                    self._wait(signals)
            finally:
                self._stop()
        return self._exit_code

    def _start_what_is_due(self) -> None:
        now = time.monotonic()
        for place in self._places:
            if place.process is None and now >= place.start_at:
                try:
                    place.process = self._start(place)
                except OSError as error:  # no memory or no process number left
                    self._mourn(place, {"reason": error.strerror}, hopeless=True)
        if self._change is not None and now >= self._change.deadline:
            log.warning("api.killed", pid=self._change.awaited.pid)
            self._change.awaited.kill()
            self._change.deadline = math.inf
        elif self._change is None and self._outdated:
            self._begin_change(self._outdated.pop(0), now)

    def _start(self, place: "_Place") -> BaseProcess:
        process = self._new_process(place.number)
        with held_back():
            process.start()
        return process

    def _begin_change(self, place: "_Place", now: float) -> None:
        if place.process is None:
            place.start_at = now  # the next one will be new anyway
            return
        try:
            self._change = _Change(place, self._start(place), now + START_S)
        except OSError as error:
            self._give_up_changing({"reason": error.strerror})

    def _wait(self, signals: Signals) -> None:
        ends = [process.sentinel for process in self._all()]
        ready = wait([signals.fileno(), self._handover.said, *ends], self._patience_s())
        # Signals first: after Ctrl-C in a terminal, which the processes get too, their end is no surprise.
        for number in signals.take():
            if number in STOPS or self._hung_up():
                self._exit_code = 0
                return
            self._outdated = list(self._places)
        for pid in self._handover.who_serves():
            self._note_serving(pid)
        for process in list(self._all()):
            if process.sentinel in ready:
                process.join()
                self._note_end(process)

    def _all(self) -> Iterator[BaseProcess]:
        yield from (place.process for place in self._places if place.process is not None)
        if self._change is not None:
            yield self._change.awaited

    def _patience_s(self) -> float | None:
        if self._outdated and self._change is None:
            return 0.0
        due = [place.start_at for place in self._places if place.process is None]
        due += [self._change.deadline] if self._change is not None else []
        at = min(due, default=math.inf)
        return None if at == math.inf else max(0.0, at - time.monotonic())

    def _note_serving(self, pid: int) -> None:
        now = time.monotonic()
        change = self._change
        if change is not None and change.old is None and change.new.pid == pid:
            change.old, change.place.process = change.place.process, change.new
            change.place.backoff_s = 0.0
            change.deadline = now + self._kill_after_s
            change.awaited.terminate()
        for place in self._places:
            if place.process is not None and place.process.pid == pid:
                place.has_served, place.serving_since = True, now

    def _note_end(self, process: BaseProcess) -> None:
        change = self._change
        if change is not None and process is change.old:
            log.info("api.replaced", by=change.new.pid, **_cause(process))
            self._change = None
        elif change is not None and process is change.new and change.old is None:
            self._give_up_changing(_cause(process))
        else:
            [place] = (place for place in self._places if place.process is process)
            place.process = None
            if change is not None and change.place is place and change.old is None:
                log.error("api.died", by=change.new.pid, **_cause(process))
                place.process, place.serving_since, self._change = change.new, None, None
            else:
                self._mourn(place, _cause(process), hopeless=process.exitcode is not None and process.exitcode >= 0)

    def _give_up_changing(self, cause: _Cause) -> None:
        log.error("api.not_replaced", **cause)
        self._change = None
        self._outdated.clear()

    def _mourn(self, place: "_Place", cause: _Cause, *, hopeless: bool) -> None:
        """Decides when a place whose process is gone gets another one, or that there is no point.

        Args:
            place: See there.
            cause: Why it is gone, for the log.
            hopeless: Whether the next one would end in the same way if none has served so far.
        """
        now = time.monotonic()
        if place.serving_since is not None and now - place.serving_since >= SETTLED_AFTER_S:
            place.backoff_s = 0.0
        place.serving_since = None
        place.first_starts += 1
        nobody_has_served = not any(each.has_served for each in self._places)
        if not place.has_served and (hopeless or (nobody_has_served and place.first_starts >= FIRST_STARTS_MAX)):
            log.error("api.not_started", **cause)
            self._exit_code = 1
            return
        place.start_at = now + place.backoff_s
        if place.backoff_s > QUEUE_S and any(other.serving_since is not None for other in self._places):
            self._handover.leave_place(place.number)
        log.error("api.died", **cause, again_in_s=place.backoff_s)
        place.backoff_s = min(max(BACKOFF_FIRST_S, 2 * place.backoff_s), BACKOFF_MAX_S)

    def _stop(self) -> None:
        self._handover.end()
        self._handover.close()
        processes = list(self._all())
        for process in processes:
            process.terminate()
        deadline = time.monotonic() + self._kill_after_s
        for process in processes:
            process.join(max(0.0, deadline - time.monotonic()))
            if process.exitcode is None:
                log.warning("api.killed", pid=process.pid)
                process.kill()
                process.join()


@dataclass(eq=False)
class _Place:
    """Where one process answers at a time, with a socket of its own."""

    number: int
    process: BaseProcess | None = None
    serving_since: float | None = None
    has_served: bool = False
    first_starts: int = 0
    start_at: float = 0.0
    backoff_s: float = 0.0


@dataclass(eq=False)
class _Change:
    """One process following another: the new one is awaited to serve, then the old one, told by us, to end."""

    place: _Place
    new: BaseProcess
    deadline: float
    old: BaseProcess | None = None

    @property
    def awaited(self) -> BaseProcess:
        return self.old or self.new


def _cause(process: BaseProcess) -> _Cause:
    code = process.exitcode
    if code is not None and code < 0:
        with suppress(ValueError):
            return {"pid": process.pid, "signal": signal.Signals(-code).name}
    return {"pid": process.pid, "exit_code": code}
