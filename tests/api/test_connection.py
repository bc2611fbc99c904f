"""One connection: what is pipelined, breaks off, dawdles, or is no HTTP gets its answers, in order, or a clear end."""

import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from driftline.api import connection as connection_module
from driftline.api.connection import HEAD_MAX_BYTES, HEADERS_MAX
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


@pytest.mark.parametrize("request_", [post(), get(), get(b"/openapi.json")], ids=["predict", "health", "openapi"])
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
                sent += deaf.send(get(b"/docs") * 1000)
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
    request, asked = post(EXAMPLE, b"X: " + b"a" * 1000, path=b"/predict?"), 1500
    most, answered = 0, 0
    with served.connect() as connection:
        sending = threading.Thread(target=connection.sendall, args=[request * asked])
        sending.start()
        while answered < asked:
            answered += connection.recv(65536).count(b"}")  # one is in each answer
            most = max(most, *served.call(lambda: [len(each.pipeline) for each in connections(served)]))
        sending.join()
    assert most < asked / 3


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
