"""Keeping predictions: the event of each is in the outbox before anybody is told; all that predicts comes here."""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Final, Literal, NamedTuple, Protocol
from weakref import WeakKeyDictionary

import structlog
from uuid_utils import uuid7

from driftline.api.metrics import ACCEPTED, REFUSED, UNLOGGED
from driftline.api.served import SLICE_VALUES, Scored, ScoredRows, Served
from driftline.contract.checksum import all_with_checksum, with_checksum
from driftline.contract.columns import encoded, pieces
from driftline.contract.event import SCHEMA_VERSION, encode, timestamp
from driftline.contract.headers import parse_request_id, parse_traceparent
from driftline.contract.line import after_seq, before_seq, bodies, lines_of
from driftline.contract.logged import as_they_came
from driftline.contract.request import Features
from driftline.contract.request_ids import RequestIds, new_request_ids
from driftline.errors import OutboxError, OutboxFullError
from driftline.outbox.outbox import Outbox

log = structlog.get_logger()

Kind = Literal["prediction", "shadow"]

BESIDE_RATIO: Final = 0.5


class Headers(Protocol):
    """A request's headers; a dict will do."""

    def get(self, name: str, /) -> str | None:
        """Returns the value of a header by its name in lower case."""


class Origin(NamedTuple):
    """What the events of a request say of it.

    Attributes:
        trace_id: Of the W3C trace that it belongs to.
        traceparent: That trace's header.
        client_request_id: Its ``X-Request-Id``.
    """

    trace_id: str | None = None
    traceparent: str | None = None
    client_request_id: str | None = None

    @classmethod
    def of(cls, headers: Headers) -> "Origin":
        """Returns what a request's headers say; those that are wrong are ignored."""
        traceparent, request_id = headers.get("traceparent"), headers.get("x-request-id")
        if traceparent is None and request_id is None:
            return _NOWHERE
        trace_id, parent = parse_traceparent(traceparent) or (None, None)
        return cls(trace_id, parent, parse_request_id(request_id))


_NOWHERE: Final = Origin()


class Asked(NamedTuple):
    """A prediction that is to be kept and told.

    Attributes:
        served: Who made it.
        scored: What it is.
        origin: What its event says of the request.
    """

    served: Served
    scored: Scored
    origin: Origin


class Told(NamedTuple):
    """What a client is told of a prediction.

    Attributes:
        request_id: By which it will be found.
        body: JSON.
    """

    request_id: str
    body: bytes


Beside = Callable[[Served, Sequence[Scored], Sequence[str], Origin], None]


class KeptRows(NamedTuple):
    """The predictions of a batch that may be told.

    Attributes:
        request_ids: One for each row, in their order.
        logged: False where they could not be kept, and are to be answered all the same.
    """

    request_ids: RequestIds
    logged: bool


async def _encoded_features(served: Served, features: Sequence[Features]) -> list[bytes]:
    """Returns what of the features is logged; of wide rows others get their turn meanwhile."""
    logged = served.logged
    rows = max(1, SLICE_VALUES // len(served.schema.features))
    texts: list[bytes] = []
    for start in range(0, len(features), rows):
        if start:
            await asyncio.sleep(0)
        part = features[start : start + rows]
        texts += encoded(part if logged is as_they_came else map(logged, part))
    return texts


def new_request_id() -> str:
    """Returns a UUIDv7."""
    return str(uuid7())


class Keeper:
    """Makes events of predictions, and keeps them.

    Args:
        outbox: Keeps the events. Must be used by nobody else, and from the loop that calls this.
        durable: Whether the outbox has to sync an event before its request is answered.
        serve_unlogged: Answer what the outbox cannot keep, instead of refusing it.
        beside: Called with what was kept, for whoever has something to do with it once it is answered.
        clock: Nanoseconds since 1970.
        make_id: Gives a new request id at each call.
        make_ids: Gives so many new request ids, at a time in nanoseconds since 1970.
    """

    def __init__(
        self,
        outbox: Outbox,
        *,
        durable: bool,
        serve_unlogged: bool = False,
        beside: Beside | None = None,
        clock: Callable[[], int] = time.time_ns,
        make_id: Callable[[], str] = new_request_id,
        make_ids: Callable[[int, int], RequestIds] = new_request_ids,
    ) -> None:
        self._outbox: Final = outbox
        self._durable: Final = durable
        self._serve_unlogged: Final = serve_unlogged
        self._beside: Final = beside
        self._clock: Final = clock
        self._make_id: Final = make_id
        self._make_ids: Final = make_ids
        self._keeping = True
        self._afters: Final[WeakKeyDictionary[Served, bytes]] = WeakKeyDictionary()

    async def keep(self, asked: Asked) -> tuple[Told, bool]:
        """Returns when the event of a prediction is kept: what may be told, and whether it is kept.

        Raises:
            OutboxFullError: It is not, for the outbox is full; nothing may be told.
            OutboxUnavailableError: It is not, for the outbox cannot be written; nothing may be told.
        """
        told = self.tell([asked])
        try:
            self.append([asked], told)
            if self._durable:
                await self._outbox.synced()
        except OutboxError as error:
            self.note_unkept(error)
            return told[0], False
        self.note_kept([asked], told)
        return told[0], True

    def tell(self, asked: Iterable[Asked]) -> list[Told]:
        """Returns what may be told of predictions as soon as they are kept."""
        make_id = self._make_id
        return [
            Told(request_id := make_id(), encode(each.served.outputs.response(request_id, *each.scored.values)))
            for each in asked
        ]

    def append(self, asked: Sequence[Asked], told: Sequence[Told]) -> None:
        """Puts the events of predictions into the outbox, by one append: all of them may be told, or none.

        Raises:
            OutboxFullError: None, for the outbox is full.
            OutboxUnavailableError: None, for the outbox cannot be written.
        """
        outbox = self._outbox
        before = before_seq(timestamp(self._clock()), "prediction", outbox.producer)
        features = [encode(each.served.logged(each.scored.features)) for each in asked]
        after = [self._after(each.served, each.origin) for each in asked]
        outbox.append_all(all_with_checksum(bodies(told, features, outbox.next_seq, before, after)))

    def sync_soon(self) -> asyncio.Future[None] | None:
        """Returns what is done when all that was appended in this turn of the loop is synced; None if it need not be.

        Its exception, if any, is an OutboxError.
        """
        return self._outbox.sync_soon() if self._durable else None

    def note_kept(self, asked: Sequence[Asked], told: Sequence[Told]) -> None:
        """Takes note that predictions are kept, and may be told."""
        self._is_keeping(len(asked))
        if self._beside is not None:
            for each, (request_id, _) in zip(asked, told, strict=True):
                self._beside(each.served, [each.scored], [request_id], each.origin)

    def note_unkept(self, error: OutboxError, predictions: int = 1) -> None:
        """Takes note that predictions are not kept, and returns if they are to be told all the same.

        Raises:
            OutboxError: What is given; they are not.
        """
        if self._keeping:  # once, not for each request: the counter has the rest
            self._keeping = False
            event = "predictions.unlogged" if self._serve_unlogged else "predictions.refused"
            log.error(event, reason=error.code, error=error.message)
        if not self._serve_unlogged:
            REFUSED[error.code].inc()
            raise error
        UNLOGGED[error.code].inc(predictions)

    def _after(self, served: Served, origin: Origin) -> bytes:
        schema = served.schema
        if origin is not _NOWHERE:
            return after_seq(schema.name, schema.version, origin)
        after = self._afters.get(served)
        if after is None:
            after = self._afters[served] = after_seq(schema.name, schema.version, origin)
        return after

    async def keep_all(self, served: Served, scored: ScoredRows, origin: Origin) -> KeptRows:
        """Returns when the events of predictions are kept, by one append: all of them may be told, or none.

        Raises:
            OutboxFullError: They are not, for the outbox is full; nothing may be told.
            OutboxUnavailableError: They are not, for the outbox cannot be written; nothing may be told.
        """
        outbox, schema, count = self._outbox, served.schema, len(scored)
        request_ids = self._make_ids(count, self._clock())
        features = ("features", await _encoded_features(served, scored.features))
        told = zip(served.outputs.names, scored.texts, strict=True)
        heads = pieces([("request_id", request_ids.encoded), features, *told])
        # From here to the append nobody else may have a seq.
        before = before_seq(timestamp(self._clock()), "prediction", outbox.producer)
        try:
            after = after_seq(schema.name, schema.version, origin)
            outbox.append_all(lines_of(heads, outbox.next_seq, count, before, after))
            if self._durable:
                await outbox.synced()
        except OutboxError as error:
            self.note_unkept(error, count)
            return KeptRows(request_ids, logged=False)
        self._is_keeping(count)
        if self._beside is not None:
            self._beside(served, scored, request_ids, origin)
        return KeptRows(request_ids, logged=True)

    def keep_beside(self, served: Served, scored: Sequence[tuple[str, Scored, Origin]]) -> None:
        """Returns when what a challenger gives for rows that are answered is in the outbox, under their request ids.

        It may take half of the outbox, and leaves the rest to answers.

        Raises:
            OutboxFullError: It is not, for the outbox is half full.
            OutboxUnavailableError: It is not, for the outbox cannot be written.
        """
        outbox, at = self._outbox, timestamp(self._clock())
        if outbox.fill_ratio >= BESIDE_RATIO:
            raise OutboxFullError("the outbox is half full, and what is left is for answers")
        if scored:
            outbox.append_all(
                [
                    self._line(served, request_id, each, origin, seq, at, "shadow")
                    for seq, (request_id, each, origin) in enumerate(scored, outbox.next_seq)
                ]
            )

    def _line(  # noqa: PLR0917
        self, served: Served, request_id: str, scored: Scored, origin: Origin, seq: int, at: str, kind: Kind
    ) -> bytes:
        schema = served.schema
        event = served.outputs.event(
            request_id,
            served.logged(scored.features),
            *scored.values,
            at,
            SCHEMA_VERSION,
            kind,
            self._outbox.producer,
            seq,
            schema.name,
            schema.version,
            *origin,
        )
        return with_checksum(encode(event))

    def _is_keeping(self, predictions: int) -> None:
        if not self._keeping:
            self._keeping = True
            log.info("predictions.resumed")
        ACCEPTED.inc(predictions)
