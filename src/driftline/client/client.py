"""The synchronous client."""

import ssl
import time
from collections.abc import Iterable
from datetime import datetime
from types import TracebackType
from typing import Final, Self

import httpx

from driftline.client.calls import (
    Call,
    Features,
    as_client_error,
    batch_call,
    checked,
    feedback_calls,
    health_of,
    prediction_call,
    prediction_of,
    predictions_of,
    usual_headers,
)
from driftline.client.results import Health, Model, Models, Outcome, Prediction, read
from driftline.client.retry import Course, Retry
from driftline.errors import ClientError


class Client:
    """Asks one server, over connections that are used again; may be shared by threads.

    Every method raises :class:`~driftline.errors.ClientError` or one of its kinds, and nothing else of the network; the
    first itself where the client was closed.

    Args:
        url: The server's: ``https://host:8000``.
        key: The API key; None where none is asked for.
        timeout_s: The longest wait for a connection, and for each part of an answer.
        retry: When to ask again.
        tls: Whom to trust over HTTPS; None for those whom the system trusts.
    """

    def __init__(
        self,
        url: str,
        *,
        key: str | None = None,
        timeout_s: float = 10.0,
        retry: Retry = Retry(),  # noqa: B008 (a constant)
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._retry: Final = retry
        verify = True if tls is None else tls
        self._http: Final = httpx.Client(base_url=url, headers=usual_headers(key), timeout=timeout_s, verify=verify)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()

    def predict(
        self,
        features: Features,
        *,
        model: str | None = None,
        version: str | None = None,
        client_request_id: str | None = None,
        traceparent: str | None = None,
    ) -> Prediction:
        """Returns what a model gives for features; by then it will be in the log, unless ``logged`` says otherwise.

        Args:
            features: By their names.
            model: Its name; None for the default.
            version: Its version; None for the one that serves.
            client_request_id: Kept in the event, for you to find it by (``X-Request-Id``).
            traceparent: Kept in the event (W3C Trace Context).

        Raises:
            RefusedError: The features are not what the model takes; ``errors`` says what is wrong.
            AnswerLostError: No answer came; the prediction may be in the log.
            ValueError: Something cannot be sent as it is; nothing was.
        """
        call = prediction_call(
            features, model=model, version=version, client_request_id=client_request_id, traceparent=traceparent
        )
        return prediction_of(self._ask(call))

    def predict_batch(
        self,
        rows: Iterable[Features],
        *,
        model: str | None = None,
        version: str | None = None,
        client_request_id: str | None = None,
        traceparent: str | None = None,
    ) -> list[Prediction]:
        """Returns what a model gives for each row, in their order: all of them or none; see :meth:`predict`."""
        call = batch_call(
            rows, model=model, version=version, client_request_id=client_request_id, traceparent=traceparent
        )
        return predictions_of(self._ask(call))

    def feedback(self, request_id: str, outcome: str | float | bool, at: datetime | None = None) -> None:
        """Tells what became of a prediction; see :class:`~driftline.client.results.Outcome`."""
        self.feedback_batch([Outcome(request_id, outcome, at)])

    def feedback_batch(self, outcomes: Iterable[Outcome]) -> None:
        """Tells what became of predictions, some hundred in one request; after an error, all may be told again."""
        for call in feedback_calls(outcomes):
            self._ask(call)

    def models(self) -> tuple[Model, ...]:
        """Returns what is served."""
        return read(self._ask(Call("GET", "/models", repeatable=True)).content, Models).models

    def health(self) -> Health:
        """Returns whether the server is to be asked, as it says itself; asks it once."""
        return health_of(self._send(Call("GET", "/health", repeatable=True)))

    def _ask(self, call: Call) -> httpx.Response:
        course = Course(self._retry, repeatable=call.repeatable)
        while True:
            try:
                return checked(self._send(call))
            except ClientError as error:
                time.sleep(course.wait_s(error))

    def _send(self, call: Call) -> httpx.Response:
        headers = {"content-type": "application/json", **call.headers} if call.body is not None else call.headers
        try:
            return self._http.request(call.method, call.path, content=call.body, headers=dict(headers))
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise as_client_error(error) from error
        except RuntimeError as error:
            if self._http.is_closed:
                raise ClientError("the client is closed") from error
            raise
