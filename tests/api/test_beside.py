import asyncio
import threading

import pytest

from driftline.api.beside import LARGE_BYTES, read_beside

WAIT_S = 0.2


async def two(body_bytes: int, wait_s: float) -> list[object]:
    """Returns what comes of two reads that each wait for the other to run."""
    meeting = threading.Barrier(2, timeout=wait_s)

    def read() -> bool:
        return meeting.wait() >= 0

    return await asyncio.gather(*(read_beside(body_bytes, read) for _ in range(2)), return_exceptions=True)


def test_small_bodies_are_read_at_the_same_time() -> None:
    assert asyncio.run(two(LARGE_BYTES, 10)) == [True, True]


def test_large_bodies_are_read_one_after_another() -> None:
    assert [type(each) for each in asyncio.run(two(LARGE_BYTES + 1, WAIT_S))] == [threading.BrokenBarrierError] * 2


@pytest.mark.parametrize("body_bytes", [1, LARGE_BYTES + 1])
def test_what_a_read_raises_is_raised_to_who_waits_for_it(body_bytes: int) -> None:
    with pytest.raises(ZeroDivisionError):
        asyncio.run(read_beside(body_bytes, lambda: 1 // 0))


def test_the_loop_goes_on_while_a_large_body_is_read() -> None:
    async def go_on() -> bool:
        read = threading.Event()
        waiting = asyncio.ensure_future(read_beside(LARGE_BYTES + 1, read.wait, 10))
        await asyncio.sleep(0)
        read.set()
        return await waiting

    assert asyncio.run(go_on())
