"""Waiting for something to become true, with a deadline, instead of sleeping and hoping."""

import asyncio
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any, Protocol, TypeVar

T = TypeVar("T")

PAUSE_S = 0.01
PATIENCE_S = 30.0
"""Far more than anything takes here, even on a machine that is busy with other things."""


class WaitUntil(Protocol):
    """The type of the ``wait_until`` fixture."""

    def __call__(self, condition: Callable[[], T], within_s: float = PATIENCE_S) -> T: ...


def wait_until(condition: Callable[[], T], within_s: float = PATIENCE_S) -> T:
    """The first truthy value of ``condition``; an ``AssertionError`` if none comes in time.

    An ``OSError`` of the condition (connection refused, no such file) counts as "not yet".
    """
    for value in _asked_again(condition, within_s):
        if value:
            return value
        time.sleep(PAUSE_S)
    raise AssertionError("unreachable")


async def eventually(condition: Callable[[], T], within_s: float = PATIENCE_S) -> T:
    """As :func:`wait_until`, for code whose event loop must run meanwhile."""
    for value in _asked_again(condition, within_s):
        if value:
            return value
        await asyncio.sleep(PAUSE_S)
    raise AssertionError("unreachable")


async def cancelled(task: "asyncio.Task[Any]") -> None:
    """Cancels a task until it has ended.

    Once may not be enough: redis-py sends with ``asyncio.wait_for``, and that of Python 3.11 swallows a cancellation
    that comes in the same turn of the loop as the answer.
    """
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=0.1)


def find_free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _asked_again(condition: Callable[[], T], within_s: float) -> Iterator[T | None]:
    deadline = time.monotonic() + within_s
    while True:
        last: object
        try:
            last = value = condition()
            yield value
        except OSError as error:
            last = error
            yield None
        if time.monotonic() >= deadline:
            raise AssertionError(f"not true within {within_s} s; last answer: {last!r}")
