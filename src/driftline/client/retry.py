"""When to ask again: never so that one call could become two predictions, unless that was allowed."""

import random
from typing import Final, NamedTuple

from driftline.errors import AnswerError, AnswerLostError, BusyError, ClientError, UnreachableError

_SERVER_ERROR: Final = 500


class Retry(NamedTuple):
    """How often to ask again, and after how long.

    A call is asked again if nothing can have come of it: there was no connection, or the server says that it kept
    nothing and is to be asked later (429, 503). Feedback, and what only reads, may be sent twice, so it is asked again
    after a lost answer too.

    Attributes:
        attempts: How often a call is sent at most, 1 or more.
        first_wait_s: The longest wait before the second attempt; it doubles each time. How long it really is, is drawn:
            a quarter of it at least.
        longest_wait_s: The longest wait. A server that wants to be left alone for longer is not asked again.
        lost_predictions: Ask again for a prediction whose answer was lost. The first may be in the log: then there are
            two events, with two request ids, of one prediction.
    """

    attempts: int = 4
    first_wait_s: float = 0.1
    longest_wait_s: float = 5.0
    lost_predictions: bool = False


NEVER: Final = Retry(attempts=1)


class Course:
    """The attempts of one call.

    Args:
        retry: How often, and after how long.
        repeatable: Whether sending it twice does no harm.
        draw: Returns a number from 0 to 1.
    """

    def __init__(self, retry: Retry, *, repeatable: bool, draw: random.Random | None = None) -> None:
        self._retry = retry
        self._repeatable = repeatable or retry.lost_predictions
        self._random = draw or random.Random()  # noqa: S311 (spreads clients in time)
        self._failures = 0

    def wait_s(self, error: ClientError) -> float:
        """Returns how long to wait before the next attempt.

        Raises:
            ClientError: That very error, if there is none.
        """
        self._failures += 1
        retry_after_s = error.retry_after_s if isinstance(error, BusyError) else None
        if self._failures >= self._retry.attempts or not self._may_be_sent_again(error):
            raise error
        longest = min(self._retry.first_wait_s * 2.0 ** (self._failures - 1), self._retry.longest_wait_s)
        drawn = longest * self._random.uniform(0.25, 1.0)
        if retry_after_s is None:
            return drawn
        if retry_after_s > self._retry.longest_wait_s:
            raise error
        return retry_after_s + drawn  # and not all who were refused together come together

    def _may_be_sent_again(self, error: ClientError) -> bool:
        match error:
            case UnreachableError() | BusyError():
                return True
            case AnswerLostError():
                return self._repeatable
            case AnswerError():
                return self._repeatable and error.status >= _SERVER_ERROR
        return False
