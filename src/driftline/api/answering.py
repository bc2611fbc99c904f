"""From the framework's request to the answer that is decided elsewhere, and back."""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response

from driftline.api.body import read_body, read_headers
from driftline.api.keeper import Headers
from driftline.api.observe import respond
from driftline.api.predict import refuse
from driftline.api.routes import Form
from driftline.api.service import Service
from driftline.contract.problems import Answer
from driftline.errors import InputError

Decide = Callable[[Headers, bytes], Awaitable[Answer]]


async def answered(
    decide: Decide | None,
    request: Request,
    max_body_bytes: int,
    service: Service,
    form: Form = lambda answer: answer,
) -> Response:
    """Returns the response to a request.

    Args:
        decide: Returns the answer; None as long as the service starts.
        request: The request, whose body is not read yet.
        max_body_bytes: Longer bodies are refused.
        service: Where the wait for the body may be ended.
        form: How to tell the problems that are found before ``decide`` is asked.
    """
    if decide is None:
        return respond(form(refuse(InputError("not_ready", "The server is starting."))))
    try:
        body = await read_body(request, max_body_bytes, service.reading)
    except InputError as error:
        return respond(form(refuse(error)))
    return respond(await decide(read_headers(request), body))
