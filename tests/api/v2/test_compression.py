import gzip
import tracemalloc
import zlib
from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline.api.v2.compression import COMPRESS_FROM_BYTES, compressed, decompressed
from driftline.errors import InputError

LONG = b"tensor" * COMPRESS_FROM_BYTES
MAX_BYTES = 100_000
COMPRESS: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "GZIP": gzip.compress, "deflate": zlib.compress}


def refused(body: bytes, coding: str, max_bytes: int = MAX_BYTES) -> str:
    with pytest.raises(InputError) as caught:
        decompressed(body, coding, max_bytes)
    return caught.value.reason


@pytest.mark.parametrize("coding", [None, "", "identity", " Identity"])
def test_a_body_that_is_not_compressed_stays_as_it_is(coding: str | None) -> None:
    assert decompressed(b"x", coding, MAX_BYTES) == b"x"


@given(st.binary(max_size=200), st.sampled_from(sorted(COMPRESS)))
def test_a_compressed_body_is_what_it_was(body: bytes, coding: str) -> None:
    assert decompressed(COMPRESS[coding](body), coding, MAX_BYTES) == body


def test_a_bomb_is_not_made_longer_than_a_body_may_be() -> None:
    bomb = gzip.compress(bytes(5_000_000))
    tracemalloc.start()
    assert refused(bomb, "gzip") == "body_too_large"
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()
    assert decompressed(gzip.compress(bytes(100)), "gzip", 100) == bytes(100)
    assert refused(gzip.compress(bytes(101)), "gzip", 100) == "body_too_large"


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_a_body_that_is_not_compressed_as_it_says_is_refused(coding: str) -> None:
    whole = gzip.compress(b"x" * 100) if coding == "gzip" else zlib.compress(b"x" * 100)
    for body in (b"", b"{}", whole[:-1], whole + b"!", whole + whole):
        assert refused(body, coding) == "wrong_value"


@pytest.mark.parametrize("coding", ["br", "gzip, gzip", "zstd", "chunked"])
def test_a_coding_that_is_not_read_is_refused(coding: str) -> None:
    assert refused(b"x", coding) == "unsupported_media_type"


@given(st.binary(max_size=100), st.sampled_from(["gzip", "deflate"]))
def test_no_body_makes_anything_but_a_body_or_a_refusal(body: bytes, coding: str) -> None:
    with suppress(InputError):
        assert len(decompressed(body, coding, 50)) <= 50


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        (None, None),
        ("", None),
        ("identity", None),
        ("br", None),
        ("gzip", "gzip"),
        ("deflate", "deflate"),
        ("gzip, deflate, br", "gzip"),
        ("GZIP;q=1.0", "gzip"),
        ("gzip;q=0, deflate", "deflate"),
        ("gzip; q=0.000", None),
    ],
)
def test_an_answer_is_compressed_as_it_is_asked_for(accepted: str | None, coding: str | None) -> None:
    sent, sent_coding = compressed(LONG, accepted)
    assert sent_coding == coding
    assert decompressed(sent, coding, MAX_BYTES) == LONG
    assert (len(sent) < len(LONG)) == (coding is not None)


def test_a_short_answer_is_not_worth_it() -> None:
    assert compressed(b"{}", "gzip") == (b"{}", None)
