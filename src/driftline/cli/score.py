"""``driftline score``: a file of rows, scored without a server."""

import asyncio
import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from driftline import layout
from driftline.cli.exits import epilog
from driftline.cli.options import AllowPickle, Broker, Data, Model, pickle_setting, read_settings
from driftline.cli.package import closed, package_of

if TYPE_CHECKING:
    from driftline.api.served import ScoredRows, Served
    from driftline.offline.logged import Destination
    from driftline.offline.predictions_file import Write
    from driftline.settings import Settings
    from driftline.tables import Table

EPILOG = epilog(
    "driftline score customers.parquet --model ./churn --output scores.parquet",
    "driftline score customers.csv --model ./churn | jq .probability",
    "driftline score customers.csv --model ./churn --output scores.csv --log",
)

File = Annotated[
    Path, typer.Argument(metavar="FILE", help="CSV, Parquet or JSONL file with a column for each feature.")
]
Output = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="Where to write the predictions: .jsonl, .csv or .parquet. Default: stdout, JSONL"
    ),
]
Log = Annotated[bool, typer.Option("--log", help="Keep the predictions, on their way to the log of the data folder.")]


def score(
    *,
    file: File,
    data: Data = None,
    broker: Broker = None,
    model: Model = None,
    allow_pickle: AllowPickle = False,
    output: Output = None,
    log: Log = False,
) -> None:
    """Scores the rows of a file by the code that answers requests, a line for each, in their order.

    A row that the model does not take is named with its field, and nothing is written: neither predictions nor events.

    With --log each prediction is an event in the outbox, as if it had been asked for now, and has its request_id; the
    worker takes it to the log.
    """
    settings = read_settings(data=data, broker=broker, model=model, pickle=pickle_setting(allow_pickle))
    from driftline.api.hash_key import hash_key  # noqa: PLC0415 - see read_settings
    from driftline.api.served import Served  # noqa: PLC0415
    from driftline.offline.predictions_file import refuse_suffix  # noqa: PLC0415
    from driftline.offline.scored import refuse_missing  # noqa: PLC0415
    from driftline.scoring import load_model  # noqa: PLC0415
    from driftline.tables import Table  # noqa: PLC0415

    package = package_of(settings)
    table = Table(file)
    if output is not None:
        refuse_suffix(output)
    model_of_it = load_model(package, allow_pickle=settings.pickle == "allow")
    key = hash_key(layout.hash_key_file(settings.data), package.schema) if log else b""
    served = Served(package, model_of_it, key)
    refuse_missing(table, served)
    surplus = [name for name in table.names if name not in served.schema.names]
    if surplus:
        typer.echo(f"left out, for the model has no such feature: {', '.join(surplus)}", err=True)
    with closed(model_of_it), _written(output, served, log=log) as write:
        rows = asyncio.run(_log(settings, table, served, write)) if log else _score(table, served, write)
    if output is not None:
        typer.echo(f"{rows:,} rows scored, written to {output}")
    if log:
        typer.echo(f"{rows:,} predictions are kept in {settings.data}: the worker takes them to the log", err=True)


def _written(output: Path | None, served: "Served", *, log: bool) -> "AbstractContextManager[Write]":
    from driftline.offline.predictions_file import predictions_file, predictions_stream  # noqa: PLC0415

    if output is None:
        return predictions_stream(sys.stdout.buffer)
    return predictions_file(output, served.schema, with_ids=log)


def _score(table: "Table", served: "Served", write: "Write") -> int:
    names = _names(served)
    rows = 0
    for piece in _pieces(table, served, "scoring"):
        write([dict(zip(names, each.values, strict=True)) for each in piece])
        rows += len(piece)
    return rows


async def _log(settings: "Settings", table: "Table", served: "Served", write: "Write") -> int:
    from driftline.offline.logged import keeping  # noqa: PLC0415 - see read_settings
    from driftline.telemetry import configure_logging  # noqa: PLC0415

    configure_logging(settings.log_format)
    logging.getLogger().setLevel(logging.WARNING)
    names = _names(served)
    rows = 0
    for _ in _pieces(table, served, "checking"):  # what is refused must be so before anything is kept
        pass
    async with keeping(served, _destination(settings)) as keep:
        for piece in _pieces(table, served, "scoring"):
            write(_with_ids(names, await keep(piece), piece))
            rows += len(piece)
    return rows


def _with_ids(names: Sequence[str], request_ids: Sequence[str], piece: "ScoredRows") -> list[dict[str, Any]]:
    return [
        {"request_id": request_id, **dict(zip(names, each.values, strict=True))}
        for request_id, each in zip(request_ids, piece, strict=True)
    ]


def _pieces(table: "Table", served: "Served", what: str) -> "Iterator[ScoredRows]":
    from driftline.cli.progress import progress  # noqa: PLC0415 - slow to load
    from driftline.offline.scored import scored_pieces  # noqa: PLC0415 - see read_settings

    with progress(what) as advance:
        yield from scored_pieces(table, served, advance)


def _names(served: "Served") -> tuple[str, ...]:
    fields: tuple[str, ...] = served.outputs.response.__struct_fields__  # type: ignore[attr-defined]  # of a struct
    return fields[1:]


def _destination(settings: "Settings") -> "Destination":
    from driftline.offline.logged import Destination  # noqa: PLC0415 - see read_settings
    from driftline.transport.local import LocalSender  # noqa: PLC0415

    sender: Any = LocalSender(settings.log_dir)
    if settings.broker_url is not None:
        from driftline.transport.redis import RedisSender  # noqa: PLC0415 - slow to load

        sender = RedisSender(settings.broker_url, settings.broker_timeout_s)
    return Destination(
        settings.outbox_dir,
        sender,
        settings.outbox_sync,
        settings.outbox_max_bytes,
        settings.outbox_segment_max_bytes,
    )
