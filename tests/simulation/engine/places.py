"""Where in the code a system call comes from."""

import sys
from functools import lru_cache
from types import CodeType

_PACKAGE = "/driftline/"


def caller(call: str) -> str:
    """Returns the innermost function of the package on the stack, and the call it makes, without its numbers."""
    frame = sys._getframe(2)
    while frame.f_back is not None:
        place = _place(frame.f_code)
        if place:
            return f"{place}: {call.partition(' ')[0]}"
        frame = frame.f_back
    return f"in a thread: {call.partition(' ')[0]}"


@lru_cache(maxsize=4096)
def _place(code: CodeType) -> str:
    _, found, module = code.co_filename.rpartition(f"/src{_PACKAGE}")
    return f"{module} {code.co_qualname}" if found and module != "durable.py" else ""
