"""The courier: everything is delivered, whoever is away, and whatever dies."""

import asyncio
import functools
import os
import signal
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import ParamSpec

import pytest
from prometheus_client import REGISTRY

from driftline.monitor import courier as module
from driftline.monitor.alert import Alert
from driftline.monitor.courier import Courier, backoff_us
from driftline.monitor.delivery import DeliveryQueue
from driftline.monitor.sink import AlertSink
from driftline.monitor.webhook import WebhookSink
from tests.monitor.examples import START_US, Clock, an_alert, connect
from tests.monitor.receivers import TIMEOUT_S, HttpReceiver
from tests.processes import Script
from tests.waiting import eventually, find_free_port, wait_until

# Observes an alarm, and sends what waits, in a process that can be killed.
MONITOR = """
import asyncio, sys, time
from pathlib import Path
from driftline.monitor.courier import Courier
from driftline.monitor.delivery import DeliveryQueue
from driftline.monitor.webhook import WebhookSink
from tests.monitor.examples import START_US, connect, judged, make_alarms

path, url, windows, stop_at = Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]

async def main():
    alarms = make_alarms(connect(path), lambda: START_US, "webhook", close_after=1)
    for number, window in enumerate(windows):
        alarms.observe(judged(number, window == "a"))
    print("observed", flush=True)
    if stop_at == "observed":
        sys.stdin.read()
    clock_us = lambda: time.time_ns() // 1000
    await Courier(DeliveryQueue(connect(path)), {"webhook": WebhookSink(url, 10.0)}, clock_us).run()

asyncio.run(main())
"""


P = ParamSpec("P")


def on_a_loop(test: Callable[P, Coroutine[None, None, None]]) -> Callable[P, None]:
    """The test, run by an event loop."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        asyncio.run(test(*args, **kwargs))

    return run


@asynccontextmanager
async def running(courier: Courier) -> AsyncIterator[None]:
    """The courier at work; it has stopped when this ends."""
    task = asyncio.create_task(courier.run())
    try:
        yield
    finally:
        courier.stop()
        await asyncio.wait_for(task, 30)


def counted(result: str, sink: str = "webhook") -> float:
    found = REGISTRY.get_sample_value("driftline_alert_deliveries_total", {"sink": sink, "result": result})
    assert found is not None
    return found


@pytest.fixture
def receiver() -> Iterator[HttpReceiver]:
    server = HttpReceiver()
    yield server
    server.close()


@pytest.fixture
def queue(database: sqlite3.Connection) -> DeliveryQueue:
    return DeliveryQueue(database)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits as in life, a hundred times as short."""
    monkeypatch.setattr(module, "_FIRST_WAIT_US", 10_000)
    monkeypatch.setattr(module, "_LAST_WAIT_US", 50_000)
    monkeypatch.setattr(module, "_POLL_S", 0.01)
    monkeypatch.setattr(module, "_DISK_WAIT_S", 0.05)


def now_us() -> int:
    return time.time_ns() // 1000


@on_a_loop
async def test_what_is_put_is_sent_and_recorded(queue: DeliveryQueue, receiver: HttpReceiver) -> None:
    before = counted("delivered")
    async with running(Courier(queue, {"webhook": receiver.sink}, now_us)):
        queue.put(an_alert(), ["webhook"], now_us())
        await eventually(lambda: receiver.notices and not queue.waiting())
    assert receiver.notices == [an_alert().notice_id]
    assert counted("delivered") == before + 1


@on_a_loop
async def test_a_receiver_that_was_away_gets_everything_in_order_when_it_is_back(
    queue: DeliveryQueue, receiver: HttpReceiver
) -> None:
    before = counted("failed")
    receiver.mood = "is in trouble"
    for number in range(5):
        queue.put(an_alert(number), ["webhook"], now_us())
    async with running(Courier(queue, {"webhook": receiver.sink}, now_us)):
        await eventually(lambda: len(receiver.notices) >= 4)
        assert set(receiver.notices) == {an_alert(0).notice_id}, "it is asked one thing at a time"
        [first, *_] = queue.waiting()
        assert first.last_error == "127.0.0.1 has answered 503: ok that is all"
        receiver.mood = "takes"
        asked = len(receiver.notices)
        await eventually(lambda: not queue.waiting())
    assert receiver.notices[-5:] == [an_alert(number).notice_id for number in range(5)]
    assert counted("failed") >= before + asked - 1


@on_a_loop
async def test_a_sink_that_hangs_keeps_nothing_from_another(queue: DeliveryQueue, receiver: HttpReceiver) -> None:
    other = HttpReceiver()
    try:
        other.mood = "hangs"
        queue.put(an_alert(), ["slack", "webhook"], now_us())
        async with running(Courier(queue, {"slack": other.sink, "webhook": receiver.sink}, now_us)):
            await eventually(lambda: [delivery.sink for delivery in queue.waiting()] == ["slack"])
            assert len(receiver.notices) == 1
    finally:
        other.close()


@pytest.mark.parametrize("how", ["stopped", "cancelled"])
@on_a_loop
async def test_what_is_being_sent_when_it_is_to_end_is_finished_and_recorded(
    queue: DeliveryQueue, receiver: HttpReceiver, how: str
) -> None:
    receiver.may_answer.clear()
    queue.put(an_alert(), ["webhook"], now_us())
    courier = Courier(queue, {"webhook": WebhookSink(receiver.url, 20)}, now_us)
    task = asyncio.create_task(courier.run())
    await eventually(receiver.before_answer.is_set)
    if how == "stopped":
        courier.stop()
    else:
        task.cancel()
    await asyncio.sleep(0)
    assert not task.done()
    receiver.may_answer.set()
    await asyncio.wait([task], timeout=60)
    assert task.cancelled() == (how == "cancelled")
    assert queue.waiting() == []
    assert len(receiver.notices) == 1


@on_a_loop
async def test_how_long_a_receiver_asks_to_be_left_alone_it_is(queue: DeliveryQueue, receiver: HttpReceiver) -> None:
    receiver.answer = (429, {"Retry-After": "30"})
    queue.put(an_alert(), ["webhook"], START_US)
    clock = Clock()
    async with running(Courier(queue, {"webhook": receiver.sink}, clock)):
        await eventually(lambda: queue.waiting()[0].attempts)
        assert queue.waiting()[0].next_try_us == START_US + 30_000_000
        receiver.answer = None
        clock.now_us += 30_000_000
        await eventually(lambda: not queue.waiting())
    assert len(receiver.notices) == 2


@on_a_loop
async def test_a_defect_that_one_alert_brings_to_light_keeps_none_of_the_others_back(queue: DeliveryQueue) -> None:
    class Broken(AlertSink):
        taken: list[Alert] = []  # noqa: RUF012

        async def send(self, alert: Alert) -> None:
            if alert == an_alert(0):
                raise KeyError("a secret of the alert")
            self.taken.append(alert)

    queue.put(an_alert(0), ["webhook"], now_us())
    queue.put(an_alert(1), ["webhook"], now_us())
    async with running(Courier(queue, {"webhook": Broken()}, now_us)):
        await eventually(lambda: Broken.taken)
    assert Broken.taken == [an_alert(1)]
    [waiting] = queue.waiting()
    assert waiting.last_error == "defect: KeyError"


@on_a_loop
async def test_a_database_that_is_busy_is_waited_for(
    queue: DeliveryQueue, database: sqlite3.Connection, receiver: HttpReceiver, tmp_path: Path
) -> None:
    queue.put(an_alert(), ["webhook"], now_us())
    database.execute("PRAGMA busy_timeout = 1")
    other = connect(tmp_path / "monitor.sqlite")
    other.execute("BEGIN IMMEDIATE")
    async with running(Courier(queue, {"webhook": receiver.sink}, now_us)):
        await eventually(lambda: len(receiver.notices) >= 2)
        assert set(receiver.notices) == {an_alert().notice_id}, "what could not be recorded is told apart by its id"
        other.execute("ROLLBACK")
        await eventually(lambda: not queue.waiting())
    other.close()


@on_a_loop
async def test_without_a_sink_it_waits_to_be_stopped(queue: DeliveryQueue) -> None:
    async with running(Courier(queue, {}, now_us)):
        queue.put(an_alert(), ["webhook"], now_us())
        await asyncio.sleep(0)
    assert len(queue.waiting()) == 1


def test_waits_double_up_to_five_minutes_less_up_to_half(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    longest = [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]
    for attempts, seconds in enumerate(longest):
        waits = {backoff_us(attempts) for _ in range(200)}
        assert seconds * 500_000 <= min(waits) < max(waits) <= seconds * 1_000_000
        assert len(waits) > 100
    assert backoff_us(10_000) <= 300_000_000


# -- kill -9


def test_killed_between_alarm_and_call_the_alert_is_sent_by_the_next(tmp_path: Path, receiver: HttpReceiver) -> None:
    path = tmp_path / "monitor.sqlite"
    with Script(MONITOR, path, receiver.url, "qa", "observed") as monitor:
        assert monitor.hear() == "observed"
        monitor.kill()
    assert receiver.notices == []
    with Script(MONITOR, path, receiver.url, "qa", ""):
        wait_until(lambda: receiver.notices)
        database = connect(path)
        wait_until(lambda: not DeliveryQueue(database).waiting())
        database.close()
    assert len(receiver.notices) == 1


def test_killed_between_call_and_record_it_is_sent_again_under_the_same_id(
    tmp_path: Path, receiver: HttpReceiver
) -> None:
    path = tmp_path / "monitor.sqlite"
    receiver.may_answer.clear()
    with Script(MONITOR, path, receiver.url, "qa", "") as monitor:
        wait_until(lambda: receiver.notices)
        os.kill(monitor.process.pid, signal.SIGKILL)
        monitor.process.wait(60)
    receiver.may_answer.set()
    with Script(MONITOR, path, receiver.url, "qa", ""):
        wait_until(lambda: len(receiver.notices) == 2)
    assert len(set(receiver.notices)) == 1


def test_killed_again_and_again_everything_is_told_once_in_its_order(tmp_path: Path, receiver: HttpReceiver) -> None:
    path = tmp_path / "monitor.sqlite"
    windows = "qaq" * 8  # opens and closes eight times
    for met in (1, 2, 5, 9, 14):
        with Script(MONITOR, path, receiver.url, windows, "") as monitor:
            wait_until(lambda met=met: len(set(receiver.notices)) >= met)  # type: ignore[misc]  # a lambda's default
            monitor.kill()
    database = connect(path)
    with Script(MONITOR, path, receiver.url, windows, ""):
        wait_until(lambda: len(set(receiver.notices)) == 16 and not DeliveryQueue(database).waiting())
    database.close()
    once = list(dict.fromkeys(receiver.notices))
    assert len(receiver.notices) <= 16 + 5, "only what was under way at a kill is sent again"
    assert [notice.partition(".")[2] for notice in once] == ["firing", "resolved"] * 8
    assert len({notice.partition(".")[0] for notice in once}) == 8


@on_a_loop
async def test_where_nobody_listens_nothing_is_lost(queue: DeliveryQueue) -> None:
    queue.put(an_alert(), ["webhook"], now_us())
    sink = WebhookSink(f"http://127.0.0.1:{find_free_port()}/", TIMEOUT_S)
    async with running(Courier(queue, {"webhook": sink}, now_us)):
        await eventually(lambda: queue.waiting()[0].attempts >= 3)
    assert queue.waiting()[0].last_error == "127.0.0.1 cannot be reached: Connection refused"
