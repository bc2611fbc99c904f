"""The lane answers what the application answers, to the byte, and a turn of the loop is one append."""

import json
import os
import re
import shutil
import signal
import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from driftline.api import lane
from driftline.api.keys import add_key
from driftline.api.metrics import REFUSED
from driftline.contract.examples import refused_bodies
from driftline.contract.package import read_package, seed_schema
from driftline.contract.roster_file import Canary, Entry, RosterFile, write_roster_file
from driftline.contract.schema import ModelSchema, Row
from driftline.outbox.outbox import Outbox
from driftline.outbox.root import OutboxRoot
from tests.api.api_process import EXAMPLE, code_of, status_of
from tests.api.conftest import StartApi
from tests.api.models import write_package
from tests.api.stand import MAX_BODY_BYTES, Stand, counted, moved, post, receive_until, stand
from tests.outbox.test_sync import Disk
from tests.waiting import wait_until

TRACE = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
CREDIT = b'{"income": 1.5, "customer": "c"}'
HEADERS = [
    *((b"Content-Type", value) for value in (b"application/json", b"APPLICATION/x+json", b"text/plain", b"", b"\xff")),
    (b"content-type", b"application/json; charset=latin-1"),
    *((b"Content-Encoding", value) for value in (b"gzip", b"identity", b"IDENTITY", b"")),
    *((b"TraceParent", value) for value in (TRACE, TRACE.upper(), b"00-1-1-00")),
    *((b"X-Request-Id", value) for value in (b"order-4711", b"two words", b"", b"a" * 129, b"\xe4")),
    *((b"Connection", value) for value in (b"close", b"keep-alive", b"Upgrade")),
    *((b"Expect", value) for value in (b"100-continue", b"100-Continue", b"something")),
    (b"Upgrade", b"h2c"),
    (b"Authorization", b"Basic abc"),
]
TARGETS = [b"/predict", b"/predict", b"/predict", b"/predict?a=%31", b"/predict?", b"/predict/", b"http://x/predict"]


class Sent(NamedTuple):
    """One request: how it is put, and where it is cut."""

    body: bytes
    headers: Sequence[tuple[bytes, bytes]]
    method: bytes
    target: bytes
    version: bytes
    chunked: bool
    cuts: Sequence[int]

    @property
    def written(self) -> bytes:
        lines = [b"%b %b HTTP/%b" % (self.method, self.target, self.version), b"Host: x"]
        lines += [b"%b: %b" % header for header in self.headers]
        if self.chunked:
            parts = [self.body[:7], self.body[7:]]
            body = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts if part) + b"0\r\n\r\n"
            lines.append(b"Transfer-Encoding: chunked")
        else:
            body = self.body
            lines.append(b"Content-Length: %d" % len(body))
        return b"\r\n".join([*lines, b"", body])


class Both:
    """The same service twice: once with the lane, once the application alone."""

    def __init__(self, made: Callable[[str, bool], Stand], schema: ModelSchema, keys: Sequence[bytes] = ()) -> None:
        self.schema, self.keys = schema, keys
        self._made = made
        self.stands: list[Stand] = []

    def open(self, opened: ExitStack) -> "Both":
        for name, laned in (("laned", True), ("alone", False)):
            self.stands.append(self._made(name, laned))
            opened.callback(self.stands[-1].close)
        return self


def no_room(root: OutboxRoot) -> Outbox:
    return Outbox(root, max_bytes=100)


def no_directory(root: OutboxRoot) -> Outbox:
    shutil.rmtree(root.path)
    return Outbox(root)


ID = "01a20a66-e670-7344-9870-[0-9a-f]{12}"
KINDS = ("plain", "split", "together", "keys", "full", "full-served", "lost", "lost-served", "durable")


@pytest.fixture(scope="module", params=KINDS)
def both(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    """Both, of one kind."""
    folder = tmp_path_factory.mktemp(request.param)
    kind, model, schema, keys = request.param, None, seed_schema(), []
    config: dict[str, Any] = {}
    if kind == "split":
        model = folder / "models"
        for version in ("1", "2"):
            write_package(model / version, version, bias=float(version))
        write_roster_file(model, RosterFile(models={"credit": Entry(version="1", canary=Canary("2", 0.5, None))}))
        schema = read_package(model / "1").schema
    elif kind == "together":
        model = write_package(folder / "model", "1", extra="max_batch_size = 8")
        schema = read_package(model).schema
    elif kind == "keys":
        config["keys"] = folder / "keys.toml"
        keys = [add_key(folder / "keys.toml", name, rate).encode() for name, rate in (("one", None), ("few", 0.001))]

    def made(name: str, laned: bool) -> Stand:
        return Stand(
            folder / name,
            laned=laned,
            model=model,
            outbox={"full": no_room, "lost": no_directory}.get(kind.partition("-")[0], Outbox),
            serve_unlogged=kind.endswith("-served"),
            durable=kind == "durable",
            **config,
        )

    with ExitStack() as opened:
        yield Both(made, schema, keys).open(opened)


def requests(schema: ModelSchema, keys: Sequence[bytes]) -> st.SearchStrategy[Sent]:
    numbers = st.floats(-1e300, 1e300) | st.integers(-9, 9)
    texts = st.text(max_size=5)
    right = st.fixed_dictionaries(
        {each.name: texts if each.type == "category" else numbers for each in schema.features}
    )
    bodies = st.one_of(
        right.map(lambda row: json.dumps(row).encode()),
        st.sampled_from([json.dumps(schema.example).encode(), *refused_bodies(schema).values()]),
        st.sampled_from([MAX_BODY_BYTES, MAX_BODY_BYTES + 1]).map(json.dumps(schema.example).encode().ljust),
        st.binary(max_size=20),
    )
    pool = [
        *HEADERS,
        *((b"X-API-Key", key) for key in (*keys, b"unknown")),
        *((b"Authorization", b"bearer " + key) for key in keys),
    ]
    mostly_let_in = [(b"X-API-Key", keys[0])] if keys else [(b"Accept", b"*/*")]
    return st.builds(
        Sent,
        bodies,
        st.lists(st.sampled_from(pool) | st.sampled_from(mostly_let_in), max_size=4),
        st.sampled_from([b"POST", b"POST", b"POST", b"POST", b"GET", b"PUT"]),
        st.sampled_from(TARGETS),
        st.sampled_from([b"1.1", b"1.1", b"1.1", b"1.0"]),
        st.booleans(),
        st.lists(st.integers(1, 300), max_size=3),
    )


def exchange(made: Stand, sent: Sequence[Sent]) -> list[bytes]:
    """All that comes back, without what differs from one moment to the next."""
    received: list[bytes] = []
    with made.connect() as connection:
        connection.settimeout(20)
        for each in sent:
            written, start = each.written, 0
            for end in sorted({min(cut, len(written)) for cut in each.cuts} | {len(written)}):
                connection.sendall(written[start:end])
                made.turns(1)
                start = end
            got = receive_until(connection, 1)
            if len(got) == 1 and status_of(got[0]) == 100:
                got += receive_until(connection, 1)
            received += got
            if not got or b"\r\nconnection: close\r\n" in got[-1]:
                break
        connection.shutdown(socket.SHUT_WR)
        received += receive_until(connection)
    made.turns()
    return [re.sub(rb"\r\nretry-after: \d{3,4}\r\n", b"\r\nretry-after: N\r\n", dated(each)) for each in received]


def numbered(received: Sequence[bytes], events: Sequence[object]) -> tuple[str, str]:
    """Answers and events with the ids of requests counted from 0: what was asked before has used up some or not."""
    texts = repr(received), json.dumps(events)
    ids = {each: f"id {at}" for at, each in enumerate(dict.fromkeys(re.findall(ID, "".join(texts))))}
    told, kept = (re.sub(ID, lambda found: ids[found[0]], text) for text in texts)
    return told, kept


def dated(answer: bytes) -> bytes:
    return re.sub(rb"\r\ndate: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT\r\n", b"\r\ndate: D\r\n", answer)


@settings(max_examples=15)
@given(drawn=st.data())
def test_the_same_request_gets_the_same_answer_event_and_counts_with_the_lane_and_without(
    both: Both, drawn: st.DataObject
) -> None:
    sent = drawn.draw(st.lists(requests(both.schema, both.keys), min_size=1, max_size=3))
    outcomes = []
    for made in both.stands:
        before, seq = counted(), made.outbox.next_seq
        received = exchange(made, sent)
        events = made.events(seq) if made.outbox.next_seq else []
        outcomes.append((*numbered(received, events), moved(before)))
    assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize("both", ["plain"], indirect=True)
def test_what_is_plainly_asked_for_goes_the_short_way(both: Both) -> None:
    asked: list[None] = []
    laned = both.stands[0]
    assert laned.lane is not None
    usual = laned.lane.ask
    laned.lane.ask = lambda *args: asked.append(usual(*args))  # type: ignore[method-assign]
    with laned.connect() as connection:
        connection.sendall(post())
        receive_until(connection, 1)
    del laned.lane.ask
    assert len(asked) == 1


# -- a turn


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
        self.wait.wait(0.005)
        return float(row[0] or 0)


def test_more_than_a_turn_can_do_stands_in_line_and_is_answered_or_refused_and_then_it_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane, "TURN_S", 0.001)
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
        assert not made.call(lambda: made.gate.has_line)
        assert made.call(made.gate.enter) is not None
        assert made.call(made.gate.enter) is not None
        kept = [event["request_id"] for event in made.events()]
    assert len(kept) == 5 + sum(status_of(answer) == 200 for answer in received)


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
