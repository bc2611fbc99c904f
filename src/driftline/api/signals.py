"""Signals in the process that watches: something to wait for beside other things, and nothing a child takes over."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Final, Self

STOPS: Final = frozenset({signal.SIGTERM, signal.SIGINT})
HEEDED: Final = STOPS | {signal.SIGHUP}


class Signals:
    """The signals that this process heeds, from the beginning of the ``with``; can be waited for like a file.

    After its end they do nothing, so that a second Ctrl-C does not turn an orderly end into another one. Only for the
    main thread.
    """

    def __enter__(self) -> Self:
        self._read, self._write = os.pipe()
        for end in (self._read, self._write):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        for number in HEEDED:
            signal.signal(number, _do_nothing)  # the pipe tells; the default would end us
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        signal.set_wakeup_fd(-1)
        os.close(self._read)
        os.close(self._write)

    def fileno(self) -> int:
        """Returns the descriptor that is readable when there are signals to take."""
        return self._read

    def take(self) -> set[int]:
        """Returns the numbers of those that have come since it was last asked; does not wait."""
        try:
            return set(os.read(self._read, 1 << 16))
        except BlockingIOError:
            return set()


@contextmanager
def held_back() -> Iterator[None]:
    """Holds signals back, here and in a process that is started meanwhile, which lets them through by itself.

    A forked process begins with its parent's handlers, and Python has it forget what came during the fork: a SIGTERM
    that it gets so early would be lost. Held back, it waits until :func:`let_signals_end_us`.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, HEEDED)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def let_signals_end_us() -> None:
    """Lets signals end this process, also one held back; but for SIGHUP, of which the parent decides what it means."""
    signal.set_wakeup_fd(-1)  # the parent's
    for number in STOPS:
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HEEDED)


def _do_nothing(number: int, frame: object) -> None:
    del number, frame
