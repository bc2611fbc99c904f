"""One connection: what is pipelined, breaks off, dawdles, or is no HTTP gets its answers, in order, or a clear end."""

import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from driftline.api import connection as connection_module
from driftline.api.connection import HEAD_MAX_BYTES, HEADERS_MAX, PIPELINE_MAX
from driftline.api.fast_path import FastPath
from tests.api.api_process import EXAMPLE, status_of
from tests.api.models import write_package
from tests.api.stand import (
    BODY,
    CHUNKED,
    HEAD,
    INVALID_URL,
    KINDS,
    Stand,
    ask,
    closes,
    connections,
    get,
    held_back,
    post,
    receive_until,
    stand,
    statuses,
)
from tests.waiting import wait_until

LONG = b"X: " + b"a" * 4000  # of requests with that, one read brings less than may stand in line

# -- several requests on one connection


@settings(max_examples=25)
@given(
    kinds=st.lists(st.sampled_from(sorted(KINDS)), min_size=1, max_size=8),
    cuts=st.lists(st.integers(1, 500), max_size=3),
)
def test_pipelined_requests_are_all_answered_in_their_order_and_kept_once(
    served: Stand, kinds: list[str], cuts: list[int]
) -> None:
    sent = b"".join(KINDS[kind][0] for kind in kinds)
    before = served.outbox.next_seq
    places = sorted({min(cut, len(sent)) for cut in cuts} | {len(sent)})
    with served.connect() as connection:
        for start, end in zip([0, *places], places, strict=False):
            connection.sendall(sent[start:end])
            served.turns(1)
        received = receive_until(connection, len(kinds))
    assert statuses(received) == [KINDS[kind][1] for kind in kinds]
    kept = [event["request_id"] for event in served.events(before)]
    told = [answer[-200:].partition(b'"request_id":"')[2][:36].decode() for answer in received]
    assert kept == [request_id for request_id in told if request_id]


def test_one_that_is_scored_slowly_keeps_its_place_before_those_that_are_not(tmp_path: Path) -> None:
    model = write_package(tmp_path / "model", "1", extra="max_batch_size = 8\nmax_batch_delay_ms = 30")
    slow = post(b'{"income": 1.0, "customer": "c"}')
    with stand(tmp_path / "api", model=model) as made, made.connect() as connection:
        connection.sendall(slow + post(b"{}") + get() + slow + get(b"/nothing"))
        assert statuses(receive_until(connection, 5)) == [200, 422, 200, 200, 404]
        assert len(made.lines()) == 2


def test_what_stands_in_line_keeps_its_place_before_what_was_sent_behind_it(tmp_path: Path) -> None:
    model = write_package(tmp_path / "model", "1", extra="max_batch_size = 8")
    slow = post(b'{"income": 1.0, "customer": "c"}')
    with stand(tmp_path / "api", model=model, max_in_flight=1) as made:
        ticket = made.call(made.gate.enter)
        assert ticket is not None
        with made.connect() as connection:
            connection.sendall(slow + get() + get(b"/nothing"))
            wait_until(lambda: made.call(made.gate.is_full))
            made.call(lambda: made.gate.leave(ticket))
            assert statuses(receive_until(connection, 3)) == [200, 200, 404]


def test_a_line_that_clients_have_left_takes_no_place_from_others(tmp_path: Path) -> None:
    model = write_package(tmp_path / "model", "1", extra="max_batch_size = 8")
    slow = post(b'{"income": 1.0, "customer": "c"}')
    with stand(tmp_path / "api", model=model, max_in_flight=1) as made:
        ticket = made.call(made.gate.enter)
        assert ticket is not None
        for _ in range(3):
            with made.connect() as connection:
                connection.sendall(slow)
                made.turns()
        made.turns()
        made.call(lambda: made.gate.leave(ticket))
        with made.connect() as connection:
            for _ in range(3):
                connection.sendall(slow)
                assert statuses(receive_until(connection, 1)) == [200]


# -- a client that has said all it will


@pytest.mark.parametrize("at_once", [False, True])
@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (b"", []),
        (HEAD[:20], []),
        (HEAD, [400]),
        (HEAD + BODY[:5], [400]),
        (post(), [200]),
        (post() * 3, [200] * 3),
        (get() + post() + get(), [200] * 3),
        (post() + HEAD[:20], [200]),
        (post() + get() + HEAD[:20], [200, 200]),
        (post() + HEAD + BODY[:5], [200, 400]),
        (get() + HEAD + BODY[:5], [200, 400]),
        (post() + get() + CHUNKED[:-7], [200, 200, 400]),
    ],
)
def test_who_closes_one_half_gets_all_answers_and_then_the_end(
    served: Stand, sent: bytes, expected: list[int], at_once: bool
) -> None:
    received = ask(served, sent, half_close=True, at_once=at_once)
    assert statuses(received) == expected
    assert not any(map(closes, received[:-1]))


# -- a client that does not take what it is sent


@pytest.mark.parametrize(
    "request_",
    [post(EXAMPLE, LONG), get(b"/health/live", LONG), get(b"/openapi.json", LONG)],
    ids=["predict", "health", "openapi"],
)
def test_who_reads_late_is_held_back_and_then_gets_every_answer(served: Stand, request_: bytes) -> None:
    with served.connect() as connection:
        asked = 0
        while not held_back(served):
            connection.sendall(request_ * 10)
            asked += 10
        received = receive_until(connection, asked)
    assert statuses(received) == [200] * asked


def test_who_never_reads_takes_neither_memory_nor_a_place_from_others_and_is_cut_off(tight: Stand) -> None:
    with tight.connect() as deaf:
        deaf.setblocking(False)
        sent, quiet_since = 0, time.monotonic()
        while not held_back(tight) or time.monotonic() - quiet_since < 0.1:
            with suppress(BlockingIOError):
                sent += deaf.send(get(b"/docs", LONG) * 100)
                quiet_since = time.monotonic()
        assert sent < 8 << 20
        [held] = held_back(tight)
        assert tight.call(held.transport.get_write_buffer_size) < 1 << 20
        assert tight.call(lambda: len(held.pipeline)) < 10_000
        for path in (b"/openapi.json", b"/docs"):
            with tight.connect() as connection:
                connection.sendall(get(path))
                assert statuses(receive_until(connection, 1)) == [200]
        wait_until(lambda: not tight.call(lambda: tight.listener.open_connections))


def test_what_is_pipelined_is_read_no_faster_than_it_is_answered(served: Stand) -> None:
    request, asked = post(EXAMPLE, LONG, path=b"/predict?"), 400
    most, answered = 0, 0
    with served.connect() as connection:
        sending = threading.Thread(target=connection.sendall, args=[request * asked])
        sending.start()
        while answered < asked:
            answered += connection.recv(65536).count(b"}")  # one is in each answer
            most = max(most, *served.call(lambda: [len(each.pipeline) for each in connections(served)]))
        sending.join()
    assert most < asked / 3


@pytest.mark.parametrize(
    "request_",
    [
        post(path=b"/predict?"),
        post(),
        get(),
        get(b"/health", b"Connection: Upgrade", b"Upgrade: h2c"),
    ],
    ids=["application", "predict", "health", "upgrade"],
)
def test_who_asks_for_too_much_at_once_gets_answers_to_what_came_first_and_then_the_end(
    served: Stand, request_: bytes
) -> None:
    received = ask(served, request_ * 10 * PIPELINE_MAX, at_once=True)
    assert statuses(received) == [200] * (PIPELINE_MAX + 1)
    assert [closes(each) for each in received].index(True) == PIPELINE_MAX


# -- trailers


@pytest.mark.parametrize("path", [b"/predict", b"/predict/batch"])
def test_a_trailer_is_no_header(served: Stand, path: bytes) -> None:
    body = EXAMPLE if path == b"/predict" else b"[%b]" % EXAMPLE
    trailers = b"Content-Type: text/plain\r\nX-Request-Id: mine\r\nContent-Encoding: br\r\n"
    request = CHUNKED.replace(b"%x\r\n%b" % (len(EXAMPLE), EXAMPLE), b"%x\r\n%b" % (len(body), body))
    request = request.replace(b" /predict ", b" %b " % path)[: -len(b"\r\n")] + trailers + b"\r\n"
    before = served.outbox.next_seq
    with served.connect() as connection:
        connection.sendall(request + get())
        assert statuses(receive_until(connection, 2)) == [200, 200]
    [event] = served.events(before)
    assert not event.get("client_request_id")
    assert b"mine" not in b"".join(served.lines(before))


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize(
    "trailers",
    [b"a:\r\n" * (HEADERS_MAX + 2), b"a: " + b"a" * 4 * HEAD_MAX_BYTES, b"a" * 4 * HEAD_MAX_BYTES],
    ids=["many", "long", "endless-name"],
)
def test_trailers_that_are_too_much_break_the_request_off(served: Stand, trailers: bytes, at_once: bool) -> None:
    before = served.outbox.next_seq
    with served.connect() as connection:
        connection.sendall(CHUNKED[: -len(b"\r\n")])
        if not at_once:
            served.turns()
        connection.sendall(trailers)
        [refusal] = receive_until(connection)
    assert status_of(refusal) == 400
    assert closes(refusal)
    assert served.outbox.next_seq == before


def test_a_long_body_in_chunks_is_not_taken_for_trailers(served: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_module, "HEAD_MAX_BYTES", 500)
    head = CHUNKED.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    with served.connect() as connection:
        for part in (head, b"3ca\r\n", b" " * 900, EXAMPLE.ljust(70), b"\r\n", b"0\r\na: b\r\n", b"\r\n"):
            connection.sendall(part)
            served.turns()
        assert statuses(receive_until(connection, 1)) == [200]


# -- errors of ours


@pytest.mark.parametrize(
    ("where", "sent", "expected"),
    [
        ((FastPath, "wanted"), post() + get(), [500]),
        ((FastPath, "ask"), post() + get(), [500]),
        ((HttpToolsProtocol, "on_headers_complete"), get() + get(), [500]),
        ((HttpToolsProtocol, "on_headers_complete"), post() + get(), [200]),
        ((HttpToolsProtocol, "on_body"), post(path=b"/predict?"), [400]),
    ],
)
def test_an_error_of_ours_is_logged_and_ends_the_connection_with_an_answer(
    served: Stand, monkeypatch: pytest.MonkeyPatch, where: tuple[type, str], sent: bytes, expected: list[int]
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("unforeseen")

    monkeypatch.setattr(*where, fail)
    with capture_logs() as logs:
        received = ask(served, sent)
    assert statuses(received) == expected
    assert closes(received[-1])
    assert [str(entry["exc_info"]) for entry in logs if entry["event"] == "connection.failed"] == ["unforeseen"]


# -- heads


@pytest.mark.parametrize("request_", [post(), CHUNKED, get()])
def test_a_request_that_comes_byte_by_byte_is_answered(served: Stand, request_: bytes) -> None:
    with served.connect() as connection:
        for at in range(len(request_)):
            connection.sendall(request_[at : at + 1])
            served.turns(1)
        assert statuses(receive_until(connection, 1)) == [200]


@pytest.mark.parametrize(
    "request_",
    [
        post(EXAMPLE, b"X: " + b"a" * HEAD_MAX_BYTES),
        b"GET /" + b"a" * HEAD_MAX_BYTES + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /" + b"a" * 2 * HEAD_MAX_BYTES,
        get(b"/health", *[b"X: a"] * HEADERS_MAX),
        post() + get(b"/health", b"X: " + b"a" * 20 * HEAD_MAX_BYTES),
        get(b"/health", b"X: " + b"a" * 20 * HEAD_MAX_BYTES),
    ],
    ids=["header", "url", "endless-url", "headers", "behind-another", "megabytes"],
)
def test_a_head_that_is_too_much_is_told_so_and_who_sends_on_sees_no_reset(served: Stand, request_: bytes) -> None:
    received = ask(served, request_, half_close=True)
    assert statuses(received)[-1] in ({200, 431} if request_.startswith(post()) else {431})
    assert closes(received[-1])


def test_a_head_that_is_just_not_too_much_is_read(served: Stand) -> None:
    head = get(b"/health", *[b"X: a"] * (HEADERS_MAX - 1))
    padded = get(b"/health", b"X: " + b"a" * (HEAD_MAX_BYTES - 200))
    with served.connect() as connection:
        connection.sendall(head + padded)
        assert statuses(receive_until(connection, 2)) == [200, 200]


def test_a_head_that_begins_behind_a_long_body_is_not_taken_for_a_long_one(
    served: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_module, "HEAD_MAX_BYTES", 1000)
    with served.connect() as connection:
        connection.sendall(post(b" " * 5000, path=b"/predict/batch") + get()[:10])
        served.turns()
        connection.sendall(get()[10:])
        assert statuses(receive_until(connection, 2)) == [422, 200]
        connection.sendall(post(b" " * 5000, path=b"/predict/batch") + get()[:10])
        served.turns()
        connection.sendall(b"a" * 1001)
        assert statuses(receive_until(connection)) == [422, 431]


@pytest.mark.parametrize(
    "bad",
    [
        INVALID_URL,
        b"GET http://x HTTP/1.1\r\nHost: x\r\n\r\n",
        b"CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
    ],
)
@pytest.mark.parametrize("good", [b"", post(), get(), post() + get(), get() + post()])
def test_what_is_no_request_is_a_400_and_takes_no_answer_from_those_before_it(
    served: Stand, good: bytes, bad: bytes
) -> None:
    received = ask(served, good + bad)
    before = good.count(b"Host: x")
    assert statuses(received) == ([200] * before if before else [400])
    assert closes(received[-1])


def test_options_of_everything_is_answered_and_the_connection_goes_on(served: Stand) -> None:
    with served.connect() as connection:
        connection.sendall(b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n" + post())
        assert statuses(receive_until(connection, 2)) == [404, 200]


@pytest.mark.parametrize("connection_header", [b"Upgrade", b"Upgrade, HTTP2-Settings", b"keep-alive, Upgrade"])
def test_who_asks_for_another_protocol_is_answered_in_this_one_and_the_body_is_read(
    served: Stand, connection_header: bytes
) -> None:
    asked = b"Connection: " + connection_header, b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA"
    request = post(EXAMPLE, *asked)
    with served.connect() as connection:
        connection.sendall(request[:-10])
        served.turns()
        connection.sendall(request[-10:])
        assert statuses(receive_until(connection, 1)) == [200]
        connection.sendall(request * 50 + get(b"/health", *asked))
        assert statuses(receive_until(connection, 51)) == [200] * 51


@pytest.mark.parametrize(
    "head",
    [
        post(b"", path=b"/nothing").replace(b"Content-Length: 0", b"Content-Length: 5000000"),
        post(b"").replace(b"Content-Length: 0", b"Content-Length: 5000000"),
        post(b"", b"Expect: 100-continue", path=b"/nothing").replace(b"Content-Length: 0", b"Content-Length: 5000000"),
        INVALID_URL,
    ],
)
def test_who_sends_on_after_a_refusal_reads_it_whole_and_sees_no_reset(served: Stand, head: bytes) -> None:
    with served.connect() as connection:
        connection.sendall(head)
        for _ in range(50):
            connection.sendall(b" " * 100_000)
        [refusal] = receive_until(connection)
    assert status_of(refusal) in {400, 404, 413}
    assert closes(refusal)
