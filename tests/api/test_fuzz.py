"""Some seconds of hostile HTTP, from the same seed each time; ``python -m tests.api.fuzz`` runs for longer."""

import pytest

from tests.api.api_process import EXAMPLE, ApiProcess, code_of, status_of
from tests.api.conftest import StartApi
from tests.api.fuzz import BODY_LIMIT, SMUGGLED, Outcome, fuzz, judge

HEAD = b"POST /predict HTTP/1.1\r\nHost: x\r\n"
CHUNKED = b"%x\r\n%s\r\n0\r\n\r\n" % (len(EXAMPLE), EXAMPLE)


@pytest.mark.long
def test_nothing_hostile_gets_through(start_api: StartApi) -> None:
    api = start_api(max_body_bytes=BODY_LIMIT)
    outcome = fuzz(api, seed=20261124, seconds=6)
    assert outcome.wrong == []
    assert outcome.exchanges > 20
    assert {200, 400} <= set(outcome.statuses)


def test_a_run_sees_what_is_wrong(start_api: StartApi) -> None:
    api = start_api(max_body_bytes=BODY_LIMIT)
    outcome = Outcome()
    judge(b"HTTP/1.1 500 Internal Server Error\r\n\r\n", b"", outcome)
    judge(b"SSH-2.0\r\n", b"", outcome)
    assert len(outcome.wrong) == 2
    lost = fuzz(api, seed=1, seconds=0)
    assert lost.wrong == []
    api.predict()  # kept, and the run was not told
    assert any("nobody was told of" in each for each in fuzz(api, seed=1, seconds=0).wrong)


@pytest.mark.parametrize(
    "framing",
    [
        b"Content-Length: 4\r\nTransfer-Encoding: chunked",
        b"Transfer-Encoding: chunked\r\nContent-Length: 4",
        b"Transfer-Encoding: xchunked",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        b"Transfer-Encoding: chunked, identity",
        b"Transfer-Encoding : chunked",
        b"Content-Length: %d, %d" % (len(CHUNKED), len(CHUNKED)),
        b"Content-Length: +%d" % len(CHUNKED),
        b"Content-Length: 0x5",
        b"X: a\r\n b: c",
    ],
)
def test_a_request_whose_end_can_be_read_in_two_ways_is_the_last_on_its_connection(
    api: ApiProcess, framing: bytes
) -> None:
    before = len(api.events())
    received = api.send_raw(HEAD + framing + b"\r\n\r\n" + CHUNKED + SMUGGLED + SMUGGLED, half_close=True)
    assert received.count(b"HTTP/1.1 ") == 1, "what stands behind it was taken for a request"
    assert status_of(received) in {200, 400}
    assert len(api.events()) == before + (status_of(received) == 200)


@pytest.mark.parametrize("coding", [b"gzip, chunked", b"deflate, chunked"])
def test_a_body_in_another_coding_is_not_read_as_if_it_were_plain(api: ApiProcess, coding: bytes) -> None:
    before = len(api.events())
    response = api.send_raw(HEAD + b"Transfer-Encoding: " + coding + b"\r\n\r\n" + CHUNKED)
    assert (status_of(response), code_of(response)) == (415, "unsupported_media_type")
    assert len(api.events()) == before


def test_chunked_is_chunked_in_any_letters(api: ApiProcess) -> None:
    assert status_of(api.send_raw(HEAD + b"Transfer-Encoding: Chunked\r\n\r\n" + CHUNKED)) == 200
