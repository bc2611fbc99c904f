"""The reading of bodies beside the event loop, the large ones one after another."""

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final, ParamSpec, TypeVar

LARGE_BYTES: Final = 1 << 20
"""Longer bodies wait for each other: what they are read into may take many times their length."""

_Given = ParamSpec("_Given")
_Read = TypeVar("_Read")

# A thread of its own, and no semaphore: it belongs to no loop, and goes on to the next body only when one is read,
# also where nobody waits for it any more. There is no thread before there is a large body.
_in_turn: Final = ThreadPoolExecutor(1, thread_name_prefix="large-bodies")


async def read_beside(
    body_bytes: int, read: Callable[_Given, _Read], *args: _Given.args, **kwargs: _Given.kwargs
) -> _Read:
    """Returns what a function returns that is called in a thread, or raises what it raises.

    Args:
        body_bytes: How long the body is that it reads; more than :data:`LARGE_BYTES` waits until no other such body of
            this process is being read.
        read: Called.
        *args: Given to it.
        **kwargs: Given to it.
    """
    if body_bytes <= LARGE_BYTES:
        return await asyncio.to_thread(read, *args, **kwargs)
    called = partial(contextvars.copy_context().run, read, *args, **kwargs)
    return await asyncio.get_running_loop().run_in_executor(_in_turn, called)
