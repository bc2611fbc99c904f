"""More requests than can be answered: who waits, who is let in, who is refused, and that others do not notice."""

import asyncio
import itertools
import socket
import threading
import time
from collections.abc import Callable, Coroutine
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.types import Message

from driftline.api import admission
from driftline.api.admission import BURST_S, HELD_S, REFUSALS_PER_TICK, TICK_S, Admission, Gate, Ticket
from driftline.api.routes import Routes
from tests.api.api_process import EXAMPLE, JSON_TYPE, code_of, receive, status_of
from tests.api.conftest import StartApi
from tests.api.traffic import AGAIN, HEAD, Traffic, begun_bodies, connect
from tests.clock import run
from tests.scoring.packages import floats, write_package
from tests.waiting import eventually, wait_until

SLOW = """
import time


class Model:
    def predict(self, matrix):
        end = time.perf_counter() + 0.004 * len(matrix)
        while time.perf_counter() < end:
            pass
        return [0.0] * len(matrix)
"""


def gated(max_in_flight: int, script: Callable[[Gate], Coroutine[Any, Any, None]]) -> None:
    """Runs a script whose time, and the gate's, passes only when it waits: no stall of the machine is a long line."""

    async def main() -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(admission, "perf_counter", asyncio.get_running_loop().time)
            await script(Gate(max_in_flight))

    run(main(), within_s=20)


def enter(gate: Gate) -> Ticket:
    ticket = gate.enter()
    assert ticket is not None
    return ticket


def test_up_to_the_limit_nobody_waits_and_what_leaves_makes_room() -> None:
    async def script(gate: Gate) -> None:
        tickets = [enter(gate) for _ in range(3)]
        assert gate.enter() is None
        gate.leave(tickets[0])
        assert gate.enter() is not None
        assert gate.enter() is None

    gated(3, script)


def test_a_burst_waits_in_order_and_nobody_of_it_is_refused() -> None:
    async def script(gate: Gate) -> None:
        first = enter(gate)
        order: list[int] = []

        async def ask(number: int) -> None:
            ticket = await gate.wait()
            assert ticket is not None
            order.append(number)
            gate.leave(ticket)

        waiting = [asyncio.create_task(ask(number)) for number in range(50)]
        await asyncio.sleep(0)
        gate.leave(first)
        await asyncio.gather(*waiting)
        assert order == list(range(50))

    gated(1, script)


def test_when_the_line_lasts_the_newest_goes_first_and_the_others_are_refused() -> None:
    async def script(gate: Gate) -> None:
        working = enter(gate)
        early = [asyncio.create_task(gate.wait()) for _ in range(20)]
        await asyncio.sleep(BURST_S / 2)
        keeps_it_long = asyncio.create_task(gate.wait())
        await asyncio.sleep(BURST_S * 0.6)
        newest = asyncio.create_task(gate.wait())
        await asyncio.sleep(0)
        gate.leave(working)
        assert await newest is not None
        assert await keeps_it_long is None
        assert await asyncio.gather(*early) == [None] * 20

    gated(1, script)


def test_a_line_in_front_of_work_that_never_ends_is_refused_all_the_same() -> None:
    async def script(gate: Gate) -> None:
        enter(gate)
        assert await gate.wait() is None

    gated(1, script)


def test_who_waits_for_a_body_makes_room_until_it_is_there() -> None:
    async def script(gate: Gate) -> None:
        slow = enter(gate)
        gate.body_begins(slow)
        await eventually(lambda: (ticket := gate.enter()) is not None and ticket)
        gate.body_ends(slow)
        gate.leave(slow)
        assert gate.enter() is None, "the other one is still there"

    gated(1, script)


def test_one_that_is_cancelled_in_the_line_takes_no_place() -> None:
    async def script(gate: Gate) -> None:
        working = enter(gate)
        gone = asyncio.create_task(gate.wait())
        stays = asyncio.create_task(gate.wait())
        await asyncio.sleep(0)
        gone.cancel()
        gate.leave(working)
        ticket = await stays
        assert ticket is not None
        gate.leave(ticket)
        assert gate.enter() is not None

    gated(1, script)


@pytest.fixture(scope="module")
def slow_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package whose model keeps the processor for a while."""
    folder = write_package(
        tmp_path_factory.mktemp("slow") / "model",
        "regression",
        floats(["x"]),
        {"runtime": "python", "class": "model:Model"},
    )
    (folder / "model.py").write_text(SLOW)
    return folder


@pytest.mark.parametrize("path", ["/predict", "/models/model/predict"])
def test_under_overload_some_are_answered_the_rest_gets_a_503_and_health_answers(
    start_api: StartApi, slow_model: Path, path: str
) -> None:
    api = start_api(max_in_flight=4, model=slow_model)
    row = b'{"x": 1.0}'

    def predict() -> httpx.Response:
        return api.client.post(path, content=row, headers=JSON_TYPE)

    with Traffic(api.port, keep_alive=True, clients=48, body=row, path=path.encode()) as traffic:
        wait_until(lambda: traffic.answers.count(503) >= 20 and traffic.answers.count(200) >= 200, within_s=30)
        for probe in ("/health", "/health/live", "/metrics"):
            assert api.client.get(probe).status_code == 200
        refused = wait_until(lambda: [answer for _ in range(5) if (answer := predict()).status_code == 503], 30)[0]
    assert refused.json()["code"] == "overloaded"
    assert refused.headers["content-type"] == "application/problem+json"
    assert int(refused.headers["retry-after"]) > 0
    assert traffic.failures == []
    assert [predict().status_code for _ in range(20)] == [200] * 20, "it is over as soon as it is over"
    refusals = api.metrics()['driftline_events_refused_total{reason="overloaded"}']
    assert refusals >= traffic.answers.count(503) + 1
    route = path.replace("/model/", "/{name}/")
    assert api.metrics()[f'driftline_requests_total{{route="{route}",status="503"}}'] == refusals


def test_bodies_that_drip_take_no_place_from_others(start_api: StartApi) -> None:
    api = start_api(max_in_flight=4)
    stop = threading.Event()
    with begun_bodies(api.port, 50) as connections:

        def drip() -> None:
            while not stop.wait(0.05):
                for connection in connections:
                    with suppress(OSError):  # on a very slow machine their time is up
                        connection.sendall(b" ")

        dripping = threading.Thread(target=drip)
        dripping.start()
        try:
            # As soon as one is answered, no more than three of the fifty count, and those not for long.
            wait_until(lambda: api.predict().status_code == 200)
            assert [api.predict().status_code for _ in range(200)] == [200] * 200
        finally:
            stop.set()
            dripping.join()


@pytest.mark.parametrize("begun", [b"", HEAD[:20], HEAD + b"\r\n" + EXAMPLE[:5]])
def test_hundreds_of_silent_connections_do_not_keep_others_out(start_api: StartApi, begun: bytes) -> None:
    api = start_api(max_in_flight=4)
    with ExitStack() as closing:
        silent = [closing.enter_context(connect(api.port)) for _ in range(400)]
        for connection in silent:
            connection.sendall(begun)
        for _ in range(20):
            assert status_of(api.send_raw(AGAIN)) == 200
        for connection in silent:
            connection.shutdown(socket.SHUT_WR)  # half-closed, and still to be read from
        wait_until(lambda: status_of(api.send_raw(AGAIN)) == 200)


def test_nor_do_hundreds_of_bodies_that_were_asked_for_and_stop_half_way(start_api: StartApi) -> None:
    api = start_api()
    with begun_bodies(api.port, 400) as silent:
        for connection in silent:
            connection.sendall(EXAMPLE[:5])
        wait_until(lambda: status_of(api.send_raw(AGAIN)) == 200)
        for _ in range(20):
            assert status_of(api.send_raw(AGAIN)) == 200
        for connection in silent:
            connection.shutdown(socket.SHUT_WR)  # each of them is a request to be refused now, and a place taken
        wait_until(lambda: status_of(api.send_raw(AGAIN)) == 200)


def test_headers_without_end_are_cut_off_and_others_are_served(start_api: StartApi) -> None:
    api = start_api()
    for _ in range(20):
        response = api.send_raw(b"GET /health HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 200_000)
        assert status_of(response) in {0, 431}
    assert api.predict().status_code == 200


def test_a_connection_that_is_idle_or_dawdles_over_its_headers_for_too_long_is_closed(start_api: StartApi) -> None:
    api = start_api(keep_alive_s=1.0)
    for begun in (b"", HEAD[:20], AGAIN):
        began = time.monotonic()
        with connect(api.port) as connection:
            connection.sendall(begun)
            while connection.recv(65536):  # or the connection's own time is up, and that is an error
                pass
        assert time.monotonic() - began > 0.9


def test_a_body_that_does_not_come_is_answered_when_the_server_stops(start_api: StartApi) -> None:
    api = start_api()
    with begun_bodies(api.port, 1) as [slow]:
        slow.sendall(EXAMPLE[:5])
        assert api.stop() == 0
        response = receive(slow)
    assert (status_of(response), code_of(response)) == (408, "body_timeout")
    assert "Killing" not in api.log()


def test_of_many_who_waited_in_vain_no_more_than_a_few_are_told_in_one_go() -> None:
    async def script(gate: Gate) -> None:
        ticket = enter(gate)
        waiting = [asyncio.create_task(gate.wait()) for _ in range(10 * REFUSALS_PER_TICK)]
        await asyncio.sleep(2 * BURST_S)  # until all of them are given up
        gate.leave(ticket)
        told = [0]
        while told[-1] < len(waiting):
            await asyncio.sleep(TICK_S / 10)
            told.append(sum(task.done() for task in waiting))
        assert max(after - before for before, after in itertools.pairwise(told)) <= 2 * REFUSALS_PER_TICK

    gated(1, script)


def test_when_the_server_stops_who_waits_is_refused_soon_and_for_the_last_time_on_the_connection() -> None:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    async def script(gate: Gate) -> None:
        enter(gate)  # and it does not leave: there is work, and nobody is refused for want of it
        scope = {"type": "http", "path": "/predict", "headers": [(b"content-length", b"0")]}
        admission = Admission(lambda *_: asyncio.sleep(0), gate, (), Routes([], {}))
        asking = [asyncio.create_task(admission(scope, receive, send)) for _ in range(60)]
        await asyncio.sleep(2 * BURST_S)  # until all of them are given up
        began = asyncio.get_running_loop().time()
        gate.parting = True
        await asyncio.gather(*asking)
        assert asyncio.get_running_loop().time() - began < 1

    gated(1, script)
    starts = [message for message in sent if message["type"] == "http.response.start"]
    assert [start["status"] for start in starts] == [503] * 60
    assert (b"connection", b"close") in starts[-1]["headers"]


def test_who_waited_in_vain_is_told_at_once_when_nobody_is_being_answered_any_more() -> None:
    async def script(gate: Gate) -> None:
        ticket = enter(gate)
        waiting = [asyncio.create_task(gate.wait()) for _ in range(400)]
        await asyncio.sleep(2 * BURST_S)  # a stall, long enough for all of them to be given up
        began = asyncio.get_running_loop().time()
        gate.leave(ticket)
        for told in asyncio.as_completed(waiting):
            if (admitted := await told) is not None:
                gate.leave(admitted)
        assert asyncio.get_running_loop().time() - began < HELD_S / 4

    gated(1, script)
