"""What is measured within this process: CPU time, from the kernel's clock of this process."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pyarrow as pa

from bench_models.packages import Case
from driftline.api.batch import Limits, predict_batch
from driftline.api.keeper import Keeper
from driftline.api.predict import Predictor
from driftline.api.served import Served
from driftline.api.service import Service
from driftline.contract.package import read_package
from driftline.outbox.outbox import Outbox
from driftline.outbox.root import OutboxRoot
from driftline.scoring import load_model

ARROW = "application/vnd.apache.arrow.stream"
FORMS = {"JSON": "application/json", "NDJSON": "application/x-ndjson", "Arrow": ARROW}
TOGETHER = 32
_LIMITS = Limits(rows=10_000, body_bytes=32 << 20)


class Inside:
    """One model served by the functions that decide, without a server in front.

    Args:
        case: The model.
        outbox: Keeps its events.
        max_batch_size: Most requests that are scored together; None for what the model says.
    """

    def __init__(self, case: Case, outbox: Outbox, max_batch_size: int | None = None) -> None:
        package = read_package(case.package)
        if max_batch_size is not None:
            package = package._replace(max_batch_size=max_batch_size)
        served = Served(package, load_model(package))
        keeper = Keeper(outbox, durable=False)
        self._outbox = outbox
        self._served = served
        self._service = cast("Service", SimpleNamespace(keeper=keeper))
        self._predict = Predictor(lambda: served, keeper, max_body_bytes=1 << 20)
        self._bodies = [msgspec.json.encode(row) for row in case.rows]

    @property
    def gathers(self) -> bool:
        """Whether requests that come at once are scored together."""
        return self._served.together is not None

    def one_by_one(self) -> float:
        """CPU microseconds for one prediction, decided and kept."""

        async def ask() -> None:
            for body in self._bodies:
                assert (await self._predict({}, body)).status == 200  # noqa: PLR2004

        return self._cpu_us(ask, len(self._bodies))

    def at_once(self) -> float:
        """The same, of requests of which :data:`TOGETHER` are under way at once."""

        async def ask() -> None:
            for at in range(0, len(self._bodies), TOGETHER):
                await asyncio.gather(*(self._predict({}, body) for body in self._bodies[at : at + TOGETHER]))

        return self._cpu_us(ask, len(self._bodies))

    def batch(self, content_type: str, body: bytes, rows: int) -> float:
        """CPU microseconds for one row of a batch."""

        async def ask() -> None:
            headers = {"content-type": content_type}
            answer = await predict_batch(self._service, self._served, _LIMITS, headers, body)
            assert answer.status == 200, answer.body  # noqa: PLR2004

        return self._cpu_us(ask, rows)

    def _cpu_us(self, ask: Callable[[], Awaitable[None]], count: int) -> float:
        async def timed() -> float:
            began = time.process_time()
            await ask()
            return time.process_time() - began

        took_s = asyncio.run(timed())
        self._outbox.release(self._outbox.next_seq)
        return took_s / count * 1e6


def direct(case: Case) -> float:
    """CPU microseconds for one call of the model."""
    rows = [tuple(row.values()) for row in case.rows]
    began = time.process_time()
    for row in rows:
        case.call(row)
    return (time.process_time() - began) / len(rows) * 1e6


def bodies(rows: list[dict[str, float]]) -> dict[str, bytes]:
    """A batch of these rows in each form."""
    table = pa.table({name: [row[name] for row in rows] for name in rows[0]})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    arrow: Any = sink.getvalue()
    return {
        "JSON": msgspec.json.encode(rows),
        "NDJSON": msgspec.json.Encoder().encode_lines(rows),
        "Arrow": arrow.to_pybytes(),
    }


@contextmanager
def outbox() -> Iterator[Outbox]:
    """An outbox of which nothing is left."""
    with TemporaryDirectory() as directory:
        root = OutboxRoot(Path(directory) / "outbox")
        root.create()
        kept = Outbox(root)
        yield kept
        asyncio.run(kept.close())
