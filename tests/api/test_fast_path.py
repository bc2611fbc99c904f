"""The fast path answers what the application answers, to the byte, and keeps and counts the same."""

import json
import re
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from driftline.api.keys import add_key
from driftline.contract.examples import refused_bodies
from driftline.contract.package import read_package, seed_schema
from driftline.contract.roster_file import Canary, Entry, RosterFile, write_roster_file
from driftline.contract.schema import ModelSchema
from driftline.outbox.outbox import Outbox
from driftline.outbox.root import OutboxRoot
from tests.api.api_process import status_of
from tests.api.models import write_package
from tests.api.stand import MAX_BODY_BYTES, Stand, counted, moved, no_directory, post, receive_until, stand

TRACE = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
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
    """The same service twice: once with the fast path, once the application alone."""

    def __init__(self, made: Callable[[str, bool], Stand], schema: ModelSchema, keys: Sequence[bytes] = ()) -> None:
        self.schema, self.keys = schema, keys
        self._made = made
        self.stands: list[Stand] = []

    def open(self, opened: ExitStack) -> "Both":
        for name, fast in (("fast", True), ("alone", False)):
            self.stands.append(self._made(name, fast))
            opened.callback(self.stands[-1].close)
        return self


def no_room(root: OutboxRoot) -> Outbox:
    return Outbox(root, max_bytes=100)


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

    def made(name: str, fast: bool) -> Stand:
        return Stand(
            folder / name,
            fast=fast,
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
def test_the_same_request_gets_the_same_answer_event_and_counts_with_the_fast_path_and_without(
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


def test_what_is_plainly_asked_for_goes_the_short_way(tmp_path: Path) -> None:
    with stand(tmp_path / "a") as made, made.connect() as connection:
        assert made.fast_path is not None
        asked: list[None] = []
        usual = made.fast_path.ask
        made.fast_path.ask = lambda *args: asked.append(usual(*args))  # type: ignore[method-assign]
        connection.sendall(post())
        receive_until(connection, 1)
        assert len(asked) == 1
