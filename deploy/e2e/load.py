"""Clients that ask for predictions all the time, and remember every answer they got."""

import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

CLIENTS = 4
PAUSE_S = 0.01
AFTER_A_FAILURE_S = 0.1
TIMEOUT_S = 5.0
BODY = json.dumps({"feature_1": 1.5, "feature_2": -0.7})
OK = 200


@dataclass
class Load:
    """What came of it.

    Attributes:
        answered: The ``request_id`` of each answer with status 200.
        refused: Answers with another status.
        failed: Requests without an answer: the API was away.
        longest_gap_s: The longest time without an answer to anybody.
    """

    answered: list[str] = field(default_factory=list)
    refused: int = 0
    failed: int = 0
    longest_gap_s: float = 0.0
    _last: float = field(default_factory=time.monotonic)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, status: int | None, request_id: str = "") -> None:
        """Counts an answer, or that there was none."""
        with self._lock:
            if status == OK:
                now = time.monotonic()
                self.answered.append(request_id)
                self.longest_gap_s = max(self.longest_gap_s, now - self._last)
                self._last = now
            elif status is None:
                self.failed += 1
            else:
                self.refused += 1

    def summary(self) -> str:
        """In a few words, for the step's line."""
        away = f", {self.refused + self.failed} without one" if self.refused + self.failed else ""
        return f"{len(self.answered):,} answers{away}, longest gap {self.longest_gap_s:.1f} s"


@contextmanager
def load_on(url: str, draw: Callable[[], str] = lambda: BODY) -> Iterator[Load]:
    """Puts the API under load for as long as the block takes; what was answered is complete after it.

    Args:
        url: The API's.
        draw: Gives the body of the next request.
    """
    load, stop = Load(), threading.Event()
    clients = [threading.Thread(target=_ask, args=(url, draw, load, stop), daemon=True) for _ in range(CLIENTS)]
    for client in clients:
        client.start()
    try:
        yield load
    finally:
        stop.set()
        for client in clients:
            client.join(timeout=2 * TIMEOUT_S)


def predict(url: str) -> tuple[int, str]:
    """Status and ``request_id`` of one prediction.

    Raises:
        OSError: There was no answer.
    """
    connection = _connect(url)
    try:
        return _predict(connection, BODY)
    except http.client.HTTPException as error:
        raise OSError(str(error) or type(error).__name__) from error
    finally:
        connection.close()


def _ask(url: str, draw: Callable[[], str], load: Load, stop: threading.Event) -> None:
    connection = _connect(url)
    while not stop.wait(PAUSE_S):
        try:
            load.note(*_predict(connection, draw()))
        except (OSError, http.client.HTTPException):
            load.note(None)
            connection.close()  # the next request opens it again
            stop.wait(AFTER_A_FAILURE_S)
    connection.close()


def _predict(connection: http.client.HTTPConnection, body: str) -> tuple[int, str]:
    connection.request("POST", "/predict", body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    said = answer.read()
    return answer.status, str(json.loads(said)["request_id"]) if answer.status == OK else ""


def _connect(url: str) -> http.client.HTTPConnection:
    address = urlsplit(url)
    return http.client.HTTPConnection(address.hostname or "", address.port, timeout=TIMEOUT_S)
