"""A turn of the loop is one append and one sync, and what cannot be kept or done in it is refused alone."""

import json
import os
import signal
import socket
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from driftline.api import admission
from driftline.api.metrics import REFUSED
from driftline.contract.schema import Row
from driftline.errors import ScoringError
from driftline.outbox.outbox import Outbox
from driftline.outbox.root import OutboxRoot
from tests.api.api_process import EXAMPLE, code_of, status_of
from tests.api.conftest import StartApi
from tests.api.models import write_package
from tests.api.stand import Stand, counted, moved, no_directory, post, receive_until, stand
from tests.outbox.test_sync import Disk
from tests.waiting import wait_until


class Watched(Outbox):
    """Takes note of how many events come at once; has no words for some."""

    def __init__(self, root: OutboxRoot, *, max_bytes: int = 1 << 30) -> None:
        super().__init__(root, max_bytes=max_bytes)
        self.appended: list[int] = []

    def append_all(self, payloads: Iterable[bytes]) -> int:
        payloads = list(payloads)
        if any(b"unforeseen" in payload for payload in payloads):
            raise ZeroDivisionError
        first = super().append_all(payloads)
        self.appended.append(len(payloads))
        return first


@contextmanager
def one_turn(made: Stand, requests: Sequence[bytes]) -> Iterator[list[socket.socket]]:
    """Has each request come by a connection of its own, and all of them be found by one turn of the loop."""
    with ExitStack() as opened:
        connections = [opened.enter_context(made.connect()) for _ in requests]
        wait_until(lambda: made.call(lambda: made.listener.open_connections) == len(requests))
        go_on = threading.Event()
        made.hold(go_on)
        for connection, request in zip(connections, requests, strict=True):
            connection.sendall(request)
        go_on.set()
        yield connections


def answers_of(connections: Sequence[socket.socket]) -> list[bytes]:
    return [receive_until(connection, 1)[0] for connection in connections]


def told(answer: bytes) -> str:
    return str(json.loads(answer.partition(b"\r\n\r\n")[2])["request_id"])


def test_what_comes_in_one_turn_is_kept_by_one_append_and_each_gets_its_own(tmp_path: Path) -> None:
    bodies = [b'{"feature_1": %d, "feature_2": 0}' % number for number in range(40)]
    before = counted()
    with stand(tmp_path / "a", outbox=Watched) as made:
        with one_turn(made, [post(body, b"X-Request-Id: r%d" % at) for at, body in enumerate(bodies)]) as connections:
            received = answers_of(connections)
        assert set(moved(before).values()) == {40}
        assert len(moved(before)) == 3
        assert isinstance(made.outbox, Watched)
        assert made.outbox.appended == [40]
        events = {event["request_id"]: event for event in made.events()}
    for number, answer in enumerate(received):
        event = events[told(answer)]
        assert (event["features"]["feature_1"], event["client_request_id"]) == (number, f"r{number}")
        assert event["probability"] == json.loads(answer.partition(b"\r\n\r\n")[2])["probability"]


@pytest.mark.parametrize("room", [0, 1, 7, 20])
def test_where_there_is_room_for_some_of_a_turn_they_are_kept_and_the_others_refused(tmp_path: Path, room: int) -> None:
    with stand(tmp_path / "sizing") as made, made.connect() as connection:
        connection.sendall(post())
        receive_until(connection, 1)
        event_bytes = made.outbox.held_bytes
    before = REFUSED["outbox_full"]._value.get()
    # The ids and seqs of all are as long, but for the digits of seq.
    most = room * event_bytes + event_bytes // 2

    def small(root: OutboxRoot) -> Outbox:
        return Outbox(root, max_bytes=max(most, 8))

    with stand(tmp_path / "a", outbox=small) as made:
        with one_turn(made, [post()] * 20) as connections:
            received = answers_of(connections)
        events = made.events() if room else []
    kept = [told(answer) for answer in received if status_of(answer) == 200]
    assert len(kept) == room
    assert sorted(kept) == sorted(event["request_id"] for event in events)
    assert {code_of(answer) for answer in received if status_of(answer) != 200} <= {"outbox_full"}
    assert REFUSED["outbox_full"]._value.get() - before == 20 - room


def test_where_nothing_can_be_kept_all_of_a_turn_are_refused(tmp_path: Path) -> None:
    with stand(tmp_path / "a", outbox=no_directory) as made:
        with one_turn(made, [post()] * 20) as connections:
            received = answers_of(connections)
        assert made.outbox.next_seq == 0
    assert {(status_of(answer), code_of(answer)) for answer in received} == {(503, "outbox_unavailable")}


class Fails:
    """A model with an error that nobody foresaw."""

    def score(self, rows: Sequence[Row]) -> list[float]:
        return [self.score_row(row) for row in rows]

    def score_row(self, row: Row) -> float:
        return 1 / (1 + row[0])  # type: ignore[operator]


def test_what_nobody_foresaw_fails_its_own_request_and_no_other_of_the_turn(tmp_path: Path) -> None:
    requests = [post() for _ in range(10)]
    requests[3] = post(b'{"feature_1": -1, "feature_2": 0}')
    requests[6] = post(EXAMPLE, b"X-Request-Id: unforeseen")
    with stand(tmp_path / "a", outbox=Watched) as made:
        made.service.roster.default().model = Fails()  # type: ignore[misc]
        with one_turn(made, requests) as connections:
            received = answers_of(connections)
            for connection in connections:  # each got one answer and no other
                connection.sendall(post())
            assert {status_of(answer) for answer in answers_of(connections)} == {200}
        assert len(made.lines()) == 8 + 10
    assert [status_of(answer) for answer in received] == [500 if at in {3, 6} else 200 for at in range(10)]
    assert {code_of(received[at]) for at in (3, 6)} == {"internal_error"}


def test_clients_that_are_gone_when_they_would_be_answered_disturb_nobody(tmp_path: Path) -> None:
    with stand(tmp_path / "a") as made:
        with one_turn(made, [post()] * 10) as connections:
            for connection in connections[::2]:
                connection.close()
            assert {status_of(answer) for answer in answers_of(connections[1::2])} == {200}
        assert len(made.lines()) == 10


# -- the disk


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    disk = Disk()
    monkeypatch.setattr("driftline.outbox.outbox.sync_content", disk.sync)
    return disk


def always(root: OutboxRoot) -> Outbox:
    return Outbox(root, sync="always")


def test_where_answers_wait_for_the_disk_a_turn_waits_for_one_sync_and_none_is_answered_before(
    tmp_path: Path, disk: Disk
) -> None:
    disk.free.clear()
    with stand(tmp_path / "a", outbox=always, durable=True) as made:
        with one_turn(made, [post()] * 10) as connections:
            wait_until(lambda: disk.synced)
            connections[0].settimeout(0.05)
            with pytest.raises(TimeoutError):
                connections[0].recv(1)
            connections[0].settimeout(10)
            disk.free.set()
            assert {status_of(answer) for answer in answers_of(connections)} == {200}
        assert len(disk.synced) == 1


def test_where_the_sync_fails_all_of_the_turn_are_refused_and_the_next_are_kept(tmp_path: Path, disk: Disk) -> None:
    disk.failing = True
    with stand(tmp_path / "a", outbox=always, durable=True) as made, one_turn(made, [post()] * 10) as connections:
        refused = answers_of(connections)
        disk.failing = False
        for connection in connections:
            connection.sendall(post())
        assert {status_of(answer) for answer in answers_of(connections)} == {200}
    assert {(status_of(answer), code_of(answer)) for answer in refused} == {(503, "outbox_unavailable")}


# -- the line


class Slow:
    """A model that takes its time, and everybody else's."""

    def __init__(self) -> None:
        self.wait = threading.Event()

    def score(self, rows: Sequence[Row]) -> list[float]:
        return [self.score_row(row) for row in rows]

    def score_row(self, row: Row) -> float:
        end = time.perf_counter() + 0.002  # of the processor's time: a wait is nothing that a turn could do too much of
        while not self.wait.is_set() and time.perf_counter() < end:
            pass
        return float(row[0] or 0)


def test_more_than_a_turn_can_do_stands_in_line_and_is_answered_or_refused_and_then_it_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission, "TURN_S", 0.001)
    with stand(tmp_path / "a", max_in_flight=2) as made:
        slow = Slow()
        made.service.roster.default().model = slow  # type: ignore[misc]
        with one_turn(made, [post(b'{"feature_1": 0.5, "feature_2": 0}')] * 60) as connections:
            received = answers_of(connections)
            assert {status_of(answer) for answer in received} == {200, 503}
            assert {code_of(answer) for answer in received if status_of(answer) == 503} == {"overloaded"}
            slow.wait.set()
            for connection in connections[:5]:
                connection.sendall(post(b'{"feature_1": 0.5, "feature_2": 0}'))
                assert status_of(receive_until(connection, 1)[0]) == 200
        assert not made.call(made.gate.is_full)
        assert made.call(made.gate.enter) is not None
        assert made.call(made.gate.enter) is not None
        kept = [event["request_id"] for event in made.events()]
    assert len(kept) == 5 + sum(status_of(answer) == 200 for answer in received)


class Batches:
    """A model that takes note of how many rows come at once; of one row it has no score, and that fails all."""

    def __init__(self) -> None:
        self.rows: list[int] = []

    def score(self, rows: Sequence[Row]) -> list[float]:
        self.rows.append(len(rows))
        return [self._of(row) for row in rows]

    def score_row(self, row: Row) -> float:
        self.rows.append(1)
        return self._of(row)

    @staticmethod
    def _of(row: Row) -> float:
        if row[0] == 666:
            raise ScoringError("the model fails")
        return float(row[0] or 0) / 1000


@pytest.mark.parametrize("wrong", [None, 3])
def test_the_rows_of_a_turn_are_scored_together_and_each_gets_its_own_or_its_own_error(
    tmp_path: Path, wrong: int | None
) -> None:
    incomes = [666 if at == wrong else at for at in range(20)]
    package = write_package(tmp_path / "model", "1", extra="max_batch_size = 8")
    with stand(tmp_path / "a", model=package) as made:
        made.service.roster.default().model = batches = Batches()  # type: ignore[misc]
        with one_turn(made, [post(b'{"income": %d, "customer": "c"}' % income) for income in incomes]) as connections:
            received = answers_of(connections)
        events = {event["request_id"]: event for event in made.events()}
    assert batches.rows == ([8, 8, 4] if wrong is None else [8, *[1] * 8, 8, 4])
    for at, answer in enumerate(received):
        if at == wrong:
            assert (status_of(answer), code_of(answer)) == (500, "scoring_failed")
            continue
        event = events[told(answer)]
        assert (event["features"]["income"], event["probability"]) == (at, at / 1000)
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["probability"] == at / 1000
    assert len(events) == 20 - (wrong is not None)


# -- the process


def test_a_process_that_is_killed_has_kept_all_that_it_answered_once(start_api: StartApi) -> None:
    api = start_api()
    [worker] = api.workers()
    found: list[str] = []
    enough, killed = threading.Event(), threading.Event()

    def ask() -> None:
        with socket.create_connection(("127.0.0.1", api.port), timeout=10) as connection:
            try:
                while not killed.is_set():  # the next process takes who was still waiting in the queue
                    connection.sendall(post() * 4)
                    received = receive_until(connection, 4)
                    found.extend(told(answer) for answer in received if b'"predicted_class"' in answer)
                    if len(found) > 400:
                        enough.set()
                    if len(received) < 4:
                        return
            except OSError:
                return

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    assert enough.wait(20)
    os.kill(worker, signal.SIGKILL)
    killed.set()
    for thread in threads:
        thread.join()
    kept = [event["request_id"] for event in api.events()]
    assert len(kept) == len(set(kept))
    assert set(found) <= set(kept)
    assert len(found) == len(set(found)) > 400
