"""Bodies that are compressed on their way, as ``gzip`` or ``deflate``."""

import gzip
import zlib
from typing import Final

from driftline.api.predict import too_large
from driftline.errors import InputError

COMPRESS_FROM_BYTES: Final = 1024
"""Shorter answers go as they are: compressing them costs time, and saves no packet."""

MOST_OF_A_BYTE: Final = 1032
"""How many bytes one byte of deflate becomes at most."""

_LEVEL: Final = 1
_GZIP: Final = 16 + zlib.MAX_WBITS
_WINDOWS: Final = {"gzip": _GZIP, "x-gzip": _GZIP, "deflate": zlib.MAX_WBITS}


def decompressed(body: bytes, coding: str | None, max_bytes: int) -> bytes:
    """Returns a body as it was before it was compressed.

    Args:
        body: As it came.
        coding: Its ``Content-Encoding``.
        max_bytes: No more than that is made of it.

    Raises:
        InputError: It is longer, or no such body, or the coding is none of those that are read.
    """
    coding = (coding or "identity").strip().lower()
    if coding == "identity":
        return body
    if coding not in _WINDOWS:
        raise InputError("unsupported_media_type", "The Content-Encoding must be gzip, deflate or identity.")
    decompressor = zlib.decompressobj(_WINDOWS[coding])
    try:
        plain = decompressor.decompress(body, max_bytes + 1)
    except zlib.error as error:
        raise InputError("wrong_value", f"The body is not {coding}, as its Content-Encoding says.") from error
    if len(plain) > max_bytes:
        raise too_large(max_bytes)
    if not decompressor.eof or decompressor.unused_data:
        raise InputError("wrong_value", f"The body is not one whole {coding}, as its Content-Encoding says.")
    return plain


def compressed(body: bytes, accepted: str | None) -> tuple[bytes, str | None]:
    """Returns a body as it is to be sent, and its coding; None where it stays as it is.

    Args:
        body: What is to be sent.
        accepted: The request's ``Accept-Encoding``.
    """
    if accepted is None or len(body) < COMPRESS_FROM_BYTES:
        return body, None
    codings = _accepted(accepted)
    if "gzip" in codings:
        return gzip.compress(body, _LEVEL, mtime=0), "gzip"
    if "deflate" in codings:
        return zlib.compress(body, _LEVEL), "deflate"
    return body, None


def _accepted(header: str) -> set[str]:
    codings = set()
    for item in header.lower().split(","):
        coding, _, weight = item.partition(";")
        if weight.replace(" ", "") not in {"q=0", "q=0.0", "q=0.00", "q=0.000"}:
            codings.add(coding.strip())
    return codings
