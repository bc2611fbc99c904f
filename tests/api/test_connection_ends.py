"""How a connection ends: by its time, by too many others, with the server; and the same over TLS."""

import socket
import ssl
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from driftline.api import body
from driftline.api import listener as listener_module
from driftline.api.config import ApiConfig
from driftline.api.connection import HEADERS_MAX, LINGER_S, Connection
from driftline.api.listener import CLOSE_S, SHUTDOWN_S, TICK_S, TICKS
from driftline.api.process import DRAIN_S, HANDSHAKES_S
from driftline.api.server import KILL_AFTER_S
from driftline.api.shadow import STOP_S as SHADOWS_S
from tests.api.api_process import code_of, status_of
from tests.api.conftest import StartApi
from tests.api.stand import (
    BODY,
    HEAD,
    INVALID_URL,
    KINDS,
    TIGHT,
    Stand,
    ask,
    closes,
    get,
    post,
    receive_until,
    stand,
    statuses,
)
from tests.certificates import Pair, make_pair
from tests.waiting import wait_until


@pytest.mark.parametrize("begun", [b"", HEAD[:20], post(), post() + HEAD[:20], get() + HEAD[:20]])
def test_who_is_idle_or_dawdles_over_a_head_is_closed(tight: Stand, begun: bytes) -> None:
    began = time.monotonic()
    received = ask(tight, begun)
    assert 0.4 < time.monotonic() - began < 5
    assert statuses(received) == [200] * (len(begun) > len(HEAD[:20]))


def test_a_body_that_does_not_come_in_time_is_a_408_and_one_that_does_is_read(
    served: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(body, "BODY_TIMEOUT_S", 0.8)
    with served.connect() as never, served.connect() as late, served.connect() as line:
        never.sendall(HEAD + BODY[:5])
        late.sendall(HEAD + BODY[:5])
        line.sendall(get() + HEAD + BODY[:5])
        wait_until(lambda: served.call(lambda: len(served.service.reading)) == 3)
        late.sendall(BODY[5:])
        assert statuses(receive_until(late, 1)) == [200]
        late.sendall(post())
        assert statuses(receive_until(late, 1)) == [200]
        [refusal] = receive_until(never)
        assert (status_of(refusal), code_of(refusal)) == (408, "body_timeout")
        assert statuses(receive_until(line)) == [200, 408]


def test_those_who_are_too_many_are_told_so_and_the_others_stay(tmp_path: Path) -> None:
    with stand(tmp_path / "few", connections_max=3) as few, ExitStack() as opened:
        ours = [opened.enter_context(few.connect()) for _ in range(3)]
        wait_until(lambda: few.call(lambda: few.listener.open_connections) == 3)
        with few.connect() as surplus:
            [refusal] = receive_until(surplus)
            assert status_of(refusal) == 503
            assert closes(refusal)
            assert b"\r\nretry-after: 1\r\n" in refusal
            wait_until(lambda: few.call(lambda: few.listener.open_connections) == 3, within_s=LINGER_S / 2)
        for connection in ours:
            connection.sendall(post())
            assert statuses(receive_until(connection, 1)) == [200]


def test_a_connection_whose_look_fails_ends_and_the_others_are_looked_at_as_before(
    tight: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = Connection.look
    failed: list[Connection] = []

    def fail_once(connection: Connection, now: float) -> None:
        if not failed:
            failed.append(connection)
            raise RuntimeError("unforeseen")
        look(connection, now)

    monkeypatch.setattr(Connection, "look", fail_once)
    with capture_logs() as logs, tight.connect() as one, tight.connect() as other:
        for each in (one, other):
            with suppress(ConnectionResetError):
                assert receive_until(each) == []
        assert [entry["event"] for entry in logs] == ["connection.failed"]
    assert failed


def test_no_turn_looks_at_all_connections_and_a_second_does(served: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener_module, "LOOKS", 1)
    looked: list[tuple[float, Connection]] = []
    monkeypatch.setattr(Connection, "look", lambda connection, now: looked.append((now, connection)))
    with ExitStack() as opened:
        for _ in range(8):
            opened.enter_context(served.connect())
        wait_until(lambda: len({connection for _, connection in looked}) >= 8)
        wait_until(lambda: len(looked) >= 24)
    assert max(Counter(now for now, _ in looked).values()) <= 8 / TICKS + 1
    assert looked[-1][0] - looked[0][0] <= 24 / 8 * TICKS * TICK_S + 1


# -- when the server stops


def test_a_stop_takes_less_than_it_may() -> None:
    assert DRAIN_S + HANDSHAKES_S + CLOSE_S + SHADOWS_S + ApiConfig.flush_s < KILL_AFTER_S


@pytest.fixture
def opened() -> Iterator[ExitStack]:
    """Closes what is opened."""
    with ExitStack() as stack:
        yield stack


def test_on_sigterm_each_gets_what_it_asked_for_as_the_last_on_its_connection(
    start_api: StartApi, opened: ExitStack
) -> None:
    api = start_api()

    def connect(sent: bytes) -> socket.socket:
        connection = opened.enter_context(socket.create_connection(("127.0.0.1", api.port), timeout=10))
        connection.sendall(sent)
        return connection

    idle, asked, in_head, in_body = connect(b""), connect(post()), connect(HEAD[:20]), connect(HEAD + BODY[:5])
    broken, piped = connect(INVALID_URL), connect(get() + HEAD + BODY[:5])
    assert statuses(receive_until(asked, 1)) == [200]
    assert statuses(receive_until(piped, 1)) == [200]
    assert api.answers()
    api.process.send_signal(15)
    wait_until(lambda: "stopping" in api.send_raw(get(b"/health/ready")).decode())
    for connection, rest in ((asked, post()), (in_head, post()[20:]), (in_body, BODY[5:]), (piped, BODY[5:])):
        connection.sendall(rest)
        [last] = receive_until(connection)
        assert status_of(last) == 200
        assert closes(last)
    assert statuses(receive_until(broken)) == [400]
    assert receive_until(idle) == []
    assert api.process.wait(10) == 0
    assert len(api.events()) == 5
    assert "Traceback" not in api.log()


# -- the same over TLS


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return make_pair(tmp_path_factory.mktemp("pair"))


@pytest.fixture(scope="module")
def safe(tmp_path_factory: pytest.TempPathFactory, pair: Pair) -> Iterator[Stand]:
    """The same over TLS, with little patience and little room."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*pair)
    with stand(tmp_path_factory.mktemp("safe"), tls=context, **TIGHT) as made:
        yield made


def connect_safely(made: Stand, pair: Pair) -> ssl.SSLSocket:
    context = ssl.create_default_context(cafile=str(pair.certificate))
    return context.wrap_socket(made.connect(), server_hostname="127.0.0.1")


def test_over_tls_pipelined_requests_are_answered_and_an_idle_client_is_closed(safe: Stand, pair: Pair) -> None:
    kinds = [*KINDS, *reversed(KINDS)]
    with connect_safely(safe, pair) as connection:
        connection.sendall(b"".join(KINDS[kind][0] for kind in kinds))
        assert statuses(receive_until(connection)) == [KINDS[kind][1] for kind in kinds]


@pytest.mark.parametrize(
    ("sent", "expected"),
    [(INVALID_URL, 400), (get(b"/health", *[b"X: a"] * HEADERS_MAX), 431), (HEAD[:20], None), (b"\0\0\0\0", 400)],
)
def test_over_tls_what_is_wrong_is_told_and_closed(safe: Stand, pair: Pair, sent: bytes, expected: int | None) -> None:
    with connect_safely(safe, pair) as connection:
        connection.sendall(sent)
        received = receive_until(connection)
    assert statuses(received) == ([] if expected is None else [expected])


def test_over_tls_who_never_reads_is_cut_off(safe: Stand, pair: Pair) -> None:
    with connect_safely(safe, pair) as deaf:
        deaf.settimeout(0.5)
        with pytest.raises(OSError, match=r"."):
            deaf.sendall(get(b"/openapi.json") * 400_000)
        wait_until(lambda: not safe.call(lambda: safe.listener.open_connections))


def test_over_tls_who_does_not_say_goodbye_is_not_waited_for(
    tmp_path: Path, safe: Stand, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    with connect_safely(safe, pair) as mute:
        mute.sendall(INVALID_URL)
        wait_until(lambda: safe.call(lambda: safe.listener.open_connections) == 1)
        wait_until(lambda: not safe.call(lambda: safe.listener.open_connections), within_s=SHUTDOWN_S + 2)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*pair)
    with stand(tmp_path / "own", tls=context) as own, connect_safely(own, pair) as idle:
        idle.sendall(get())
        assert statuses(receive_until(idle, 1)) == [200]
        began = time.monotonic()
        own.run(own.listener.close(at_most_s=20))
        assert time.monotonic() - began < SHUTDOWN_S / 2
        assert receive_until(idle) == []
