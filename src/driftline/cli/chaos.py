"""``driftline chaos``: does the promise hold, whatever dies?"""

import asyncio
import json
import random
import signal
from collections.abc import Awaitable, Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from driftline import layout
from driftline.cli.exits import Exit, epilog
from driftline.cli.options import Json

if TYPE_CHECKING:
    from driftline.chaos.plan import Plan
    from driftline.chaos.run import Result

EPILOG = epilog(
    "driftline chaos",
    "driftline chaos --transport embedded --minutes 10",
    "driftline chaos --seed 42 --json | jq '.runs[].verdict'",
    no="the promise was broken, or something else is not as it should be",
)

SEED_BITS = 32


class Transports(StrEnum):
    """What is tried."""

    BOTH = "both"
    EMBEDDED = "embedded"
    REDIS = "redis"


Seed = Annotated[
    int | None, typer.Option(min=0, help="Draws the faults; the same seed draws the same ones. Default: any")
]
Minutes = Annotated[float, typer.Option(min=0.1, help="How long there are faults, with each transport.")]
Transport = Annotated[
    Transports, typer.Option(help="What is tried: without a broker, with a Redis, or one after the other.")
]
ApiProcesses = Annotated[int, typer.Option("--processes", min=1, help="Processes that answer requests.")]
Rate = Annotated[float, typer.Option(min=1, help="Requests a second, while the API keeps up.")]
Keep = Annotated[bool, typer.Option("--keep", help="Keep the folder of the run, as is done when the verdict is bad.")]
PlanOnly = Annotated[bool, typer.Option("--plan", help="Only print the schedule.")]
Again = Annotated[
    Path | None, typer.Option("--judge", metavar="DIR", help="Run nothing; judge the folder of a run that was kept.")
]


def chaos(
    *,
    seed: Seed = None,
    minutes: Minutes = 2.0,
    transport: Transport = Transports.BOTH,
    processes: ApiProcesses = 2,
    rate: Rate = 300.0,
    keep: Keep = False,
    plan: PlanOnly = False,
    judge: Again = None,
    as_json: Json = False,
) -> None:
    """Torments an installation of its own, and judges whether each prediction that was answered is in the log, once.

    It starts API, worker and Redis on free ports in a temporary folder; yours are not touched, nor are your settings
    used. Under load it kills, freezes, cuts, fills and wipes; then it stops that, waits until all is drained, and reads
    the log. What it does, and what that has shown: docs/reliability.md.

    Ctrl-C ends the faults and judges what there was; a second one ends everything at once.
    """
    if judge is not None:
        _judge_again(judge, as_json=as_json)
        return
    from driftline.chaos.plan import Plan  # noqa: PLC0415 - slow to load, as all of it

    # One seed for both: what only one of them can meet differs anyway.
    seed = random.SystemRandom().getrandbits(SEED_BITS) if seed is None else seed
    kinds = ("embedded", "redis") if transport is Transports.BOTH else (transport.value,)
    plans = [Plan(seed, kind, minutes, api_processes=processes, rate=rate) for kind in kinds]  # type: ignore[arg-type]  # a StrEnum's value is a str
    if plan:
        _print_plans(plans)
        return
    results = asyncio.run(_interruptible(lambda enough: _run(plans, enough, keep=keep, as_json=as_json)))
    if results is None:
        _say("stopped; there is no verdict", as_json=as_json)
        raise typer.Exit(Exit.CANNOT)
    if as_json:
        from driftline.chaos.words import as_dict  # noqa: PLC0415

        typer.echo(json.dumps({"runs": [as_dict(result) for result in results]}, indent=2))
    if not all(result.verdict.kept for result in results):
        raise typer.Exit(Exit.NO)


async def _run(plans: "list[Plan]", enough: asyncio.Event, *, keep: bool, as_json: bool) -> "list[Result]":
    from driftline.chaos.run import Run  # noqa: PLC0415
    from driftline.chaos.words import announced, concluded  # noqa: PLC0415

    def say(text: str) -> None:
        _say(text, as_json=as_json)

    def announce(result: "Result") -> None:
        for line in announced(result):
            say(line)

    results: list[Result] = []
    for plan in plans:
        if enough.is_set():
            break
        result = await Run(plan, say, enough, keep=keep).run(announce)
        for line in concluded(result):
            say(line)
        results.append(result)
    return results


async def _interruptible(work: "Callable[[asyncio.Event], Awaitable[Any]]") -> Any:
    """What comes of the work; None if it was ended: by SIGTERM, or by a second Ctrl-C."""
    enough = asyncio.Event()
    task = asyncio.ensure_future(work(enough))
    loop = asyncio.get_running_loop()

    def interrupted() -> None:
        if enough.is_set():
            task.cancel()
        enough.set()

    loop.add_signal_handler(signal.SIGINT, interrupted)
    loop.add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        return await task
    except asyncio.CancelledError:
        return None


def _say(text: str, *, as_json: bool) -> None:
    typer.echo(text, err=as_json)


def _print_plans(plans: "list[Plan]") -> None:
    import tempfile  # noqa: PLC0415

    from driftline.chaos.machine import survey  # noqa: PLC0415
    from driftline.chaos.run import Result, described  # noqa: PLC0415
    from driftline.chaos.schedule import draw  # noqa: PLC0415
    from driftline.chaos.words import announced  # noqa: PLC0415

    for plan in plans:
        with tempfile.TemporaryDirectory() as folder:
            machine = survey(Path(folder), with_redis=plan.transport == "redis")
        result = Result(plan, machine, draw(plan.seed, plan.minutes * 60, machine.abilities))
        for line in [*announced(result), *map(described, result.schedule)]:
            typer.echo(line)


def _judge_again(folder: Path, *, as_json: bool) -> None:
    import msgspec  # noqa: PLC0415

    from driftline.chaos.history import History  # noqa: PLC0415
    from driftline.chaos.installation import data_folder  # noqa: PLC0415
    from driftline.chaos.judge import Judge  # noqa: PLC0415
    from driftline.chaos.plan import HISTORY, PLAN, Plan  # noqa: PLC0415
    from driftline.chaos.words import judged, verdict_as_dict  # noqa: PLC0415
    from driftline.scoring import load_package, seed_package  # noqa: PLC0415

    try:
        plan = msgspec.json.decode((folder / PLAN).read_bytes(), type=Plan)
    except FileNotFoundError:
        raise typer.BadParameter(f"{folder} is not the folder of a run: it has no {PLAN}") from None
    schema, model = load_package(seed_package())
    with History(folder / HISTORY) as history:
        data = data_folder(folder)
        verdict = Judge(schema, model, plan.seed).judge(history, layout.outbox_dir(data), layout.log_dir(data))
    for line in judged(verdict):
        _say(line, as_json=as_json)
    if as_json:
        typer.echo(json.dumps(verdict_as_dict(verdict), indent=2))
    if not verdict.kept:
        raise typer.Exit(Exit.NO)
