"""Hostile HTTP for as long as you like: ``python -m tests.api.fuzz --seconds 600 --seed 7``.

Well-formed requests are broken in ways drawn from a seed (line endings, lengths, chunks, headers, encodings, bytes
flipped, cut, doubled, sent in pieces, connections reset) and sent to a served API. Whatever comes: no answer is a 5xx
or no HTTP, no process dies, an honest client on its own connection is served throughout, and what is kept is what was
answered.
"""

import argparse
import json
import random
import re
import socket
import struct
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.api.api_process import EXAMPLE, ApiProcess
from tests.waiting import wait_until

QUIET_S = 0.25
BODY_LIMIT = 100_000
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] (\d{3}) [^\r\n]*\r\n")
_REQUEST_ID = re.compile(rb'\{"request_id":"([0-9a-f-]{36})"')

VALUES = (
    *(b"NaN", b"-Infinity", b"1e999", b"-0", b"1e-400", b"9" * 5000, b"0x10", b"1_0", b"01", b"+1", b".5", b"1."),
    *(b"true", b"null", b'"1"', b"[1]", b"{}", b"\xff", b'"\\ud800"', b"\xef\xbb\xbf1", b"", b"1 2"),
)
HEADERS = (
    *(b"Content-Length: 5", b"Content-Length: -1", b"Content-Length: 1e3", b"Content-Length: 99999999999999999999"),
    *(b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip, chunked", b"Transfer-Encoding : chunked"),
    *(b"Transfer-Encoding:\x0bchunked", b"Expect: 100-continue", b"Upgrade: h2c", b"Connection: close, x"),
    *(b"Host: a\r\nHost: b", b"Content-Type: \xff\xfe", b"Content-Encoding: gzip", b"X-API-Key: \x80" * 20),
    *(b"traceparent: 00-" + b"f" * 300, b"X-Request-Id: " + b"\t" * 50, b" folded: 1", b":", b"X", b"X: \x00"),
    *(b"Range: bytes=0-0", b"Forwarded: for=_x", b"X: " + b"a" * 70_000),
)
LINES = (
    *(b"POST /predict HTTP/1.1", b"POST /predict HTTP/1.0", b"POST /predict HTTP/9.9", b"POST  /predict  HTTP/1.1"),
    *(b"POST http://x/predict HTTP/1.1", b"POST /predict?" + b"a=&" * 99 + b" HTTP/1.1", b"POST /../predict HTTP/1.1"),
    *(b"\x00\x01\x02", b"PRI * HTTP/2.0", b"CONNECT x:1 HTTP/1.1", b"OPTIONS * HTTP/1.1", b"GET /%00%ff HTTP/1.1"),
    *(b"GET /static-offline-docs/..%5c..%2fx HTTP/1.1", b"BREW /predict HTTP/1.1", b"POST /predict#x HTTP/1.1", b""),
)


@dataclass
class Outcome:
    """What came of a run.

    Attributes:
        exchanges: Connections that were made.
        statuses: How often each status was answered.
        answered: The ids of all predictions whose answers were read.
        unread: Requests whose answers nobody waited for: the log may have them.
        wrong: What must not be, a sentence each.
    """

    exchanges: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    answered: list[str] = field(default_factory=list)
    unread: int = 0
    wrong: list[str] = field(default_factory=list)


def request(draw: random.Random) -> bytes:
    """One request, mostly broken."""
    body = draw.choice(BODIES)(draw)
    line = LINES[0] if draw.random() < 0.7 else draw.choice(LINES)
    headers = [b"Host: x", b"Content-Type: application/json"]
    headers += draw.sample(HEADERS, draw.choice((0, 0, 0, 1, 2)))
    framing = draw.random()
    if framing < 0.5:
        length = len(body) if draw.random() < 0.7 else max(0, len(body) + draw.choice((-9, -1, 1, 9, 10**6)))
        headers.append(b"Content-Length: %d" % length)
    elif framing < 0.9:
        headers.append(b"Transfer-Encoding: chunked")
        body = chunked(draw, body)
    draw.shuffle(headers)
    return b"\r\n".join([line, *headers, b"", b""]) + body


def chunked(draw: random.Random, body: bytes) -> bytes:
    """A body in chunks, whose sizes may lie."""
    sent = b""
    while body:
        size = draw.randint(1, len(body))
        said = b"%x" % size
        if draw.random() < 0.15:
            lies = (b"%X;a=b" % size, b"0x%x" % size, b"-1", b"f" * 17, b"", b" %x" % size, b"%x\n" % size, b"z")
            said = draw.choice(lies)
        sent += said + b"\r\n" + body[:size] + draw.choice((b"\r\n",) * 9 + (b"\n",))
        body = body[size:]
    return sent + draw.choice((b"0\r\n\r\n",) * 6 + (b"0\r\nX: y\r\n\r\n", b"0\r\n", b"", b"00000000000000000\r\n\r\n"))


def odd_json(draw: random.Random) -> bytes:
    """Nearly a request's body."""
    names = list(json.loads(EXAMPLE))
    fields = [(draw.choice([*names, "", "\u0000", "x" * 999]), draw.choice([b"1", *VALUES])) for _ in range(3)]
    return b"{" + b",".join(json.dumps(name).encode() + b":" + value for name, value in fields) + b"}"


def deep(draw: random.Random) -> bytes:
    """More brackets than anybody needs."""
    return draw.choice((b"[", b'{"a":', b"[{")) * draw.randint(1, 30_000)


def flipped(draw: random.Random, sent: bytes) -> bytes:
    """The same with some bytes changed, cut, or doubled."""
    changed = bytearray(sent)
    for _ in range(draw.randint(1, 4)):
        if not changed:
            break
        at = draw.randrange(len(changed))
        stop = min(len(changed), at + draw.randint(1, 20))
        match draw.randrange(4):
            case 0:
                changed[at] = draw.randrange(256)
            case 1:
                del changed[at:stop]
            case 2:
                changed[at:at] = changed[at:stop]
            case _:
                changed[at:at] = draw.choice((b"\r\n", b"\n", b"\r", b"\0", b" ", b"\xff"))
    return bytes(changed)


BODIES: tuple[Callable[[random.Random], bytes], ...] = (
    lambda _: EXAMPLE,
    lambda _: EXAMPLE,
    odd_json,
    deep,
    lambda draw: draw.randbytes(draw.randint(0, 400)),
    lambda draw: EXAMPLE + b" " * draw.choice((1, 999, BODY_LIMIT)),
    lambda _: SMUGGLED,
)


def exchange(draw: random.Random, port: int, outcome: Outcome) -> None:
    """One connection from its first byte to its end."""
    sent = b"".join(request(draw) for _ in range(draw.choice((1, 1, 1, 2, 5))))
    if draw.random() < 0.4:
        sent = flipped(draw, sent)
    resets, received = draw.random() < 0.05, b""
    outcome.exchanges += 1
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        try:
            for piece in pieces(draw, sent):
                connection.sendall(piece)
            if resets:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            else:
                if draw.random() < 0.8:
                    connection.shutdown(socket.SHUT_WR)
                connection.settimeout(QUIET_S)
                while chunk := connection.recv(65536):
                    received += chunk
            cut = resets
        except OSError:  # it said no more for a while, or went away while it was spoken to
            cut = True
    answers = judge(received, sent, outcome)
    if cut:
        outcome.unread += max(0, sent.count(b"predict") - answers)


def pieces(draw: random.Random, sent: bytes) -> list[bytes]:
    """What is sent, cut where it may hurt."""
    cuts = sorted(draw.randint(0, len(sent)) for _ in range(draw.choice((0, 0, 1, 3))))
    return [sent[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(sent)], strict=True)]


def judge(received: bytes, sent: bytes, outcome: Outcome) -> int:
    """Notes the answers, and what is wrong with them; returns how many there are."""
    if received and not _STATUS_LINE.match(received):
        outcome.wrong.append(f"no HTTP: {received[:80]!r} to {sent[:300]!r}")
    statuses = [int(status) for status in _STATUS_LINE.findall(received)]
    outcome.statuses.update(statuses)
    outcome.answered += [found.decode() for found in _REQUEST_ID.findall(received)]
    if any(status >= 500 for status in statuses):
        outcome.wrong.append(f"{statuses} to {sent[:600]!r}")
    return len(statuses)


def fuzz(api: ApiProcess, seed: int, seconds: float) -> Outcome:
    """What came of a run against a served API that nobody else talks to."""
    outcome = Outcome()
    draw = random.Random(seed)
    workers = api.workers()
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and not outcome.wrong:
        exchange(draw, api.port, outcome)
        if outcome.exchanges % 10 == 0:
            honest = api.predict()
            if honest.status_code != 200:
                outcome.wrong.append(f"an honest client got {honest.status_code}")
            else:
                outcome.answered.append(honest.json()["request_id"])
    if api.workers() != workers:
        outcome.wrong.append("a process has died")
    outcome.wrong += wrong_in_the_outbox(api, outcome)
    for word in ("Traceback", "request.failed", "panicked"):
        if word in api.log():
            outcome.wrong.append(f"the server's log says {word}")
    return outcome


def wrong_in_the_outbox(api: ApiProcess, outcome: Outcome) -> list[str]:
    """What is not so: each answered id is kept once, and nothing else but what nobody waited for."""
    wait_until(lambda: api.metrics()["driftline_events_accepted_total"] == len(api.events()))
    kept = Counter(event["request_id"] for event in api.events())
    lost = [request_id for request_id in outcome.answered if kept[request_id] != 1]
    unasked = len(kept) - len(set(outcome.answered))
    wrong = [f"answered, and kept {kept[request_id]} times: {request_id}" for request_id in lost]
    if unasked > outcome.unread:
        wrong.append(f"{unasked} predictions are kept that nobody was told of; {outcome.unread} were not waited for")
    return wrong


def main() -> int:
    """The exit code: 1 if anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**9))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        api = ApiProcess(Path(directory), max_body_bytes=BODY_LIMIT)
        try:
            api.wait_until_up()
            outcome = fuzz(api, options.seed, options.seconds)
        finally:
            api.stop()
    lines = [
        f"seed {options.seed}: {outcome.exchanges:,} connections, {len(outcome.answered):,} predictions answered",
        f"statuses: {dict(sorted(outcome.statuses.items()))}",
        *(f"WRONG: {each}" for each in outcome.wrong),
        "nothing wrong" if not outcome.wrong else f"{len(outcome.wrong)} wrong",
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    return int(bool(outcome.wrong))


if __name__ == "__main__":
    sys.exit(main())
