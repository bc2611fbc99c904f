"""One client's connection: HTTP/1.1 is read, ``/predict`` goes the fast path, and all else to the application.

Parsing is that of llhttp, by httptools; answering through the application is uvicorn's. Added is the fast path, which
makes no task and no scope, and what a server on an open network needs: bounds on the head of a request and on how long
it may take, clients that close their half, and answers that reach who is still sending.
"""

import math
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

import structlog
from httptools import (
    HttpParserCallbackError,
    HttpParserError,
    HttpParserInvalidURLError,
    HttpParserUpgrade,
    HttpRequestParser,
)
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from driftline.api.body import BROKEN, SLOW
from driftline.api.predict import internal_error
from driftline.api.wire import Flow, Wire, bare, has_path, head_without_upgrade
from driftline.contract.problems import Answer

if TYPE_CHECKING:
    import asyncio

    from driftline.api.fast_path import Wanted
    from driftline.api.listener import Listener

log = structlog.get_logger()

HEAD_MAX_BYTES: Final = 64 * 1024
HEADERS_MAX: Final = 100
PIPELINE_MAX: Final = 100
LINGER_S: Final = 2.0
FAST_BODY_S: Final = 0.5

_BUSY: Final[Any] = SimpleNamespace(response_complete=False)


class Connection(HttpToolsProtocol):
    """A protocol of :mod:`asyncio`, made for each connection.

    Args:
        listener: What all connections share.
    """

    def __init__(self, listener: "Listener") -> None:
        super().__init__(listener.config, listener.state, {}, listener.loop)
        self.transport: asyncio.Transport
        self._listener: Final = listener
        self._fast_path: Final = listener.fast_path
        self._wire: Final = Wire(self.finish)
        self._idle_since = math.inf  # no request is being worked on, or its head is not read to its end
        self._in_head = False
        self._head_bytes = 0  # in what came before
        self._head_slack_bytes = 0  # of these may be of what stood before the head
        self._chunk_bytes = 0
        self._chunk_begins = False  # what comes next is its first byte
        self._in_body = False
        self._trailers = 0  # of the body
        self._trailer_bytes = -math.inf  # of what came since a chunk was announced: of the last one, they follow
        self._wanted: Wanted | None = None  # what the fast path wants of the headers; of no other request
        self._body = b""
        self._body_since = math.inf
        self._unanswered = False  # the fast path owes an answer
        self._last = False
        self._held = False  # what is next waits for the client to take what it was sent
        self._unread_bytes = 0
        self._unread_since = 0.0
        self._deaf = False  # what else comes is thrown away
        self._discarding_since = math.inf

    # -- what comes from the transport

    def connection_made(self, transport: "asyncio.Transport") -> None:  # type: ignore[override]
        """Begins, or sends the client away if there are too many."""
        super().connection_made(transport)
        self.flow = Flow(transport, self.pipeline)
        self._wire.use(transport)
        self._idle_since = self.loop.time()
        self._listener.admit(self)

    def data_received(self, data: bytes) -> None:
        """Has the bytes parsed, whose parts come to the ``on_`` methods."""
        if self._deaf:
            return
        self._chunk_bytes = len(data)
        self._chunk_begins = not (self._in_head or self._in_body)
        while True:
            try:
                self.parser.feed_data(data)
            except HttpParserUpgrade as upgrade:
                if self._deaf:
                    return
                data = self._without_upgrade() + data[upgrade.args[0] :]
                continue
            except HttpParserCallbackError as error:
                self._fail(error.__context__)
            except HttpParserError:
                self._break_off()
            break
        self._trailer_bytes += len(data)
        if self._trailer_bytes > HEAD_MAX_BYTES:
            self._break_off()
        if self._in_head and not self._deaf:
            self._head_bytes += len(data)
            if self._head_bytes - self._head_slack_bytes > HEAD_MAX_BYTES:
                self.refuse(431)

    def eof_received(self) -> bool:  # type: ignore[override]
        """Returns whether the client, who has sent all it will, is still to be answered."""
        if self.scheme == "https" or self._discarding_since < math.inf:
            return False
        if self._in_body and not self._deaf:
            self._break_off()
            self._in_body = False  # there is nothing that would not be read
            return True
        self._make_last()
        return self._unanswered or not self._is_complete()

    def pause_writing(self) -> None:
        """The client does not take what it is sent: until it does, no more is read from it, and no request begun."""
        super().pause_writing()
        self.flow.pause_reading()

    def resume_writing(self) -> None:
        """It does."""
        super().resume_writing()
        if self._held:
            self._held = False
            self._go_on()
        else:
            self.flow.resume_reading()

    # -- what the parser finds

    def on_message_begin(self) -> None:
        """A request begins."""
        self.url = b""
        self.headers = []
        self._in_head = True
        self._head_slack_bytes = 0 if self._chunk_begins else self._chunk_bytes
        self._chunk_begins = False
        if not self._unanswered and self._is_complete():
            self._idle_since = self.loop.time()

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header of it; those behind the body are nobody's, for who may ask is known by then."""
        if self._in_head:
            self.headers.append((name.lower(), value))
            return
        self._trailers += 1
        if self._trailers > HEADERS_MAX:
            self._break_off()

    def on_chunk_header(self) -> None:
        """A part of its body is announced, or its end."""
        self._trailer_bytes = -self._chunk_bytes

    def on_chunk_complete(self) -> None:
        """The part is whole."""
        self._trailer_bytes = -math.inf

    def on_headers_complete(self) -> None:
        """Its head is whole: whose is it?"""
        if self._deaf:
            return
        self._in_head, self._in_body = False, True
        self._trailers = 0
        large = self._head_bytes + self._chunk_bytes > HEAD_MAX_BYTES and self._header_bytes() > HEAD_MAX_BYTES
        if large or len(self.headers) > HEADERS_MAX:
            self.refuse(431)
            return
        self._head_bytes = 0
        self._idle_since = math.inf
        if self.parser.should_upgrade():
            if self.parser.get_method() == b"CONNECT":
                self.refuse(400)
            return
        fast_path, parser = self._fast_path, self.parser
        if (
            fast_path is not None
            and self.url == fast_path.url
            and parser.get_method() == b"POST"
            and not self._unanswered
            and self._is_complete()
            and not self.flow.write_paused
            and parser.should_keep_alive()
            and parser.get_http_version() == "1.1"
        ):
            self._wanted = fast_path.wanted(self.headers)
            if self._wanted is not None:
                self._body = b""
                self._body_since = self.loop.time()
                return
        self._begin_answer()

    def on_body(self, body: bytes) -> None:
        """A part of its body."""
        if self._wanted is not None:
            self._body += body
        elif self._is_begun():
            self._trailer_bytes = -math.inf
            super().on_body(body)

    def on_message_complete(self) -> None:
        """It is whole."""
        if self._deaf or self.parser.should_upgrade():
            return
        self._in_body = False
        if self._wanted is None:
            if self._is_begun():
                super().on_message_complete()
            return
        assert self._fast_path is not None
        wanted, self._wanted = self._wanted, None
        body, self._body = self._body, b""
        self._unanswered = True
        self._fast_path.ask(self, self.headers, wanted, body)

    # -- answers

    def reply(self, answer: Answer, *, last: bool = False) -> None:
        """Sends the answer that the fast path owes.

        Args:
            answer: What it says.
            last: Whether the connection ends with it.
        """
        self._unanswered = False
        transport = self.transport
        if transport.is_closing():
            return
        last = last or (self._last and not self.pipeline)
        transport.write(self._listener.response(answer, last=last))
        if last:
            self.finish()
        else:
            self._go_on()

    def refuse(self, status: int) -> None:
        """Refuses what is no request, and ends the connection: with the answer that is on its way, if any."""
        self._deaf = True
        if self._unanswered or not self._is_complete():
            self._make_last()
        elif not self.transport.is_closing():
            self.transport.write(bare(status, self._listener.date))
            self._in_body = True
            self.finish()

    def turn_away(self) -> None:
        """Ends the connection that has just begun, at once: to let a client that is too many linger costs a place."""
        self._deaf = True
        self.transport.write(bare(503, self._listener.date, b"retry-after: 1\r\n"))
        self.transport.close()

    def finish(self) -> None:
        """Ends the connection; a client that is still sending first gets what was written to it."""
        unread = self._in_body or self.flow.read_paused
        if not unread or self.scheme == "https" or not self.transport.can_write_eof():
            self.transport.close()
            return
        # Closed with something unread, the kernel would send a reset, which throws away what was not received yet.
        self._deaf, self._discarding_since = True, self.loop.time()
        self.transport.write_eof()
        self.pipeline.clear()
        self.flow.resume_reading()

    def shutdown(self) -> None:
        """Ends the connection now if it is idle, and else with the answer that is on its way."""
        if self.is_idle:
            self.transport.close()
        else:
            self._make_last()

    @property
    def is_idle(self) -> bool:
        """Whether no answer is on its way."""
        return not self._unanswered and self._is_complete() and self._wanted is None

    def on_response_complete(self) -> None:
        """Goes on after an answer of the application's; no timer is set, for :meth:`look` is called."""
        if not self.transport.is_closing() and self._discarding_since == math.inf:
            self._go_on()

    def look(self, now: float) -> None:
        """Ends what lasts too long; called now and then."""
        unread_bytes = self.transport.get_write_buffer_size()
        if unread_bytes != self._unread_bytes:
            self._unread_bytes, self._unread_since = unread_bytes, now
        elif unread_bytes and now - self._unread_since >= self._listener.keep_alive_s:
            self.transport.abort()  # to close it would be to wait for the client
            return
        if now - self._discarding_since >= LINGER_S or now - self._idle_since >= self._listener.keep_alive_s:
            self.transport.close()
        elif self._wanted is not None and now - self._body_since >= FAST_BODY_S:
            self.hand_over()

    def hand_over(self) -> None:
        """Has the application wait for the body that the fast path would wait for, if any: it knows until when."""
        if self._wanted is not None:
            self._wanted = None
            self._begin_answer()
            self.cycle.scope[SLOW] = True  # type: ignore[typeddict-unknown-key]

    def _go_on(self) -> None:
        if self.flow.write_paused:
            self._held = True
        elif self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        else:
            if self.flow.read_paused:
                self.flow.resume_reading()
            self._idle_since = self.loop.time()

    def _begin_answer(self) -> None:
        url, headers = self.url, self.headers
        if not has_path(url):
            self.refuse(400)
            return
        if len(self.pipeline) >= PIPELINE_MAX:
            self.refuse(503)  # which those before it are in the way of: they are answered, and the connection ends
            return
        super().on_message_begin()
        self.url = url
        self.headers.extend(headers)
        self.expect_100_continue = any(
            name == b"expect" and value.lower() == b"100-continue" for name, value in headers
        )
        keep_alive = self.parser.should_keep_alive()
        before = self.cycle
        if self._unanswered or self._held:
            self.cycle = _BUSY  # so that this one gets in line
        try:
            super().on_headers_complete()
        except (HttpParserInvalidURLError, UnicodeDecodeError):
            self.cycle = before
            self.refuse(400)
            return
        except Exception:  # told where it arrives, which asks whether there is a request to answer
            self.cycle = before
            raise
        self.cycle.transport = self._wire  # type: ignore[assignment]  # what of a transport the cycle uses
        self.cycle.keep_alive = self.cycle.keep_alive and keep_alive and not self._last
        if self._body:
            super().on_body(self._body)
            self._body = b""

    def _without_upgrade(self) -> bytes:
        """Returns the head just read as if its client had not asked for another protocol, to be read by a new parser.

        This one would not read the body, and some clients ask with each request that they send.
        """
        method, version = self.parser.get_method(), self.parser.get_http_version().encode()
        self.parser = HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self._in_body = False
        return head_without_upgrade(method, self.url, version, self.headers)

    def _break_off(self) -> None:
        """Deals with a request that does not go on, or makes no sense from here."""
        if self._deaf:
            return
        if not self._in_body:
            self.refuse(400)
            return
        self._deaf = True
        self.hand_over()
        if self._is_complete():  # it was answered before its end, or could not even begin to be
            self.finish()
            return
        self._make_last()
        self.cycle.scope[BROKEN] = True  # type: ignore[typeddict-unknown-key]
        self.cycle.more_body = False
        self.cycle.message_event.set()

    def _fail(self, error: BaseException | None) -> None:
        """Ends the connection after an error of ours: with a 500 if nobody else answers what it came of."""
        log.error("connection.failed", exc_info=error)
        self._wanted = None
        if self._deaf:
            self.transport.close()
        elif self._in_body and not self._is_complete() and self.cycle.more_body:
            self._break_off()  # the application has begun
        elif self._in_head or self._in_body:
            self.refuse(500)
        elif self._unanswered:
            self._deaf = True
            self.reply(internal_error(), last=True)
        else:
            self._deaf = True
            self.shutdown()

    def _make_last(self) -> None:
        self._last = True
        if self.pipeline:
            self.pipeline[0][0].keep_alive = False
        elif not self._is_complete():
            self.cycle.keep_alive = False

    def _header_bytes(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + len(": \r\n") for name, value in self.headers)

    def _is_begun(self) -> bool:
        return self._cycle() is not None and not self._deaf

    def _is_complete(self) -> bool:
        cycle = self._cycle()
        return cycle is None or cycle.response_complete

    def _cycle(self) -> RequestResponseCycle | None:
        return self.cycle  # which the base class declares to be there always
