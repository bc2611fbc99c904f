"""The nearest of the names that exist, for messages about one that does not."""

from collections.abc import Iterable
from difflib import get_close_matches

_COMPARED_CHARS = 64  # a hostile name may be a megabyte long


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Returns ``"; did you mean NAME?"`` for the known name that looks most like ``name``, or nothing."""
    matches = get_close_matches(name[:_COMPARED_CHARS], list(known), n=1)
    return f"; did you mean {matches[0]}?" if matches else ""
