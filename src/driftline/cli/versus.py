"""What ``driftline compare`` and ``driftline replay`` print: two models, on the same rows or on rows of their own."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import typer

from driftline.errors import LogNotFoundError

if TYPE_CHECKING:
    from driftline.contract.schema import ModelSchema
    from driftline.monitor.pairs import Gave
    from driftline.quality.interval import Interval
    from driftline.quality.versus import Measure, Numbers, Side, Unpaired, Versus
    from driftline.settings import Settings


class Pairing:
    """Gathers rows that two models have scored, and compares them.

    Args:
        schema: What the models give.
    """

    def __init__(self, schema: "ModelSchema") -> None:
        self._schema = schema
        self._parts: list[tuple[Side, Side, Any]] = []

    def add(self, champion: "Side", challenger: "Side", outcomes: Iterable[object]) -> None:
        """Takes rows; an outcome that is not known is None."""
        from driftline.monitor.pairs import outcomes_of  # noqa: PLC0415

        told = outcomes_of(outcomes, self._schema)
        if not len(told):
            return
        whole = _said(champion.scores + challenger.scores)
        self._parts.append((champion.of(whole), challenger.of(whole), told[whole]))

    def versus(self) -> "Versus | None":
        """Returns the comparison; None of no rows at all."""
        import numpy as np  # noqa: PLC0415 (slow to load)

        from driftline.quality.versus import Side, versus  # noqa: PLC0415

        if not any(len(outcomes) for _, _, outcomes in self._parts):
            return None
        champions, challengers, outcomes = zip(*self._parts, strict=True)
        regression = self._schema.output == "regression"
        return versus(Side.joined(champions), Side.joined(challengers), np.concatenate(outcomes), regression=regression)


class Group:
    """Gathers rows that one model has answered, whoever answered the others.

    Args:
        schema: What the model gives.
    """

    def __init__(self, schema: "ModelSchema") -> None:
        self._schema = schema
        self._parts: list[tuple[Side, Numbers]] = []

    def add(self, chunk: "Sequence[tuple[Gave, object]]") -> None:
        """Takes answers, each with its outcome, which is None if it is not known."""
        from driftline.monitor.pairs import outcomes_of, side_of  # noqa: PLC0415 (loads numpy)

        side = side_of((gave for gave, _ in chunk), self._schema)
        whole = _said(side.scores)
        if whole.any():
            self._parts.append((side.of(whole), outcomes_of((outcome for _, outcome in chunk), self._schema)[whole]))

    def rows(self) -> "tuple[Side, Numbers] | None":
        """Returns what was given, and what came true; None of no rows at all."""
        import numpy as np  # noqa: PLC0415 (slow to load)

        from driftline.quality.versus import Side  # noqa: PLC0415

        if not self._parts:
            return None
        sides, outcomes = zip(*self._parts, strict=True)
        return Side.joined(sides), np.concatenate(outcomes)


def _said(scores: "Numbers") -> Any:
    """Which rows have a score: a line of a program of another age may have none, and says nothing of the model."""
    import numpy as np  # noqa: PLC0415 (slow to load)

    return np.isfinite(scores).reshape(len(scores), -1).all(axis=1)


def none_of(settings: "Settings", name: str) -> LogNotFoundError:
    """The error of a log that has no prediction of a model: it says of which it has some."""
    from driftline.monitor.pairs import models_of  # noqa: PLC0415 (loads numpy and DuckDB)

    there = models_of(settings.log_dir, settings.query_memory_bytes)
    if not there:
        return LogNotFoundError(f"there is no prediction of {name} in the log, nor of any other model")
    return LogNotFoundError(
        f"there is no prediction of {name} in the log, but of: {', '.join(there)}; --model DIR is the package of the "
        "one that is meant, and --name MODEL its name"
    )


def print_versus(found: "Versus", champion: str, challenger: str) -> None:
    """Prints a comparison for a person."""
    from driftline.quality.versus import QUANTILES  # noqa: PLC0415 (loads numpy)

    typer.echo(f"rows         {found.rows:,} scored by both, the outcome of {found.labelled:,} of them known")
    if found.agreement is not None:
        typer.echo(f"agreement    {_share(found.agreement)} of the predicted classes are the same")
    if found.shift is not None:
        typer.echo(f"shift        {_signed(found.shift)}: the challenger's score less the champion's, on average")
    sizes = ", ".join(f"{_quantile(at)} {size:.4g}" for at, size in zip(QUANTILES, found.apart, strict=False))
    typer.echo(f"apart        {sizes}")
    if not found.measures:
        typer.echo("\ntoo few outcomes are known to say which is better: tell them by POST /feedback")
        return
    _print_measures(found.measures, champion, challenger)


def print_unpaired(found: "Unpaired") -> None:
    """Prints a comparison of rows that are not the same for a person."""
    typer.echo(f"rows         {found.rows[0]:,} answered by the champion, {found.rows[1]:,} by the challenger")
    typer.echo("unpaired     these are not the same requests: if they differ, so may what is compared here")
    typer.echo(f"outcomes     {found.labelled[0]:,} and {found.labelled[1]:,} of them are known")
    told = {name if name == "mean" else f"share of {name}": measure for name, measure in found.given.items()}
    _print_measures({**told, **found.measures}, "champion", "challenger")
    if not found.measures:
        typer.echo("\ntoo few outcomes are known to say which is better: tell them by POST /feedback")


def _print_measures(measures: "Mapping[str, Measure]", champion: str, challenger: str) -> None:
    typer.echo(f"\n  {'':<22}{champion:>12}  {challenger:>12}  difference")
    for name, measure in measures.items():
        line = f"  {name:<22}{measure.champion.value:>12.4g}  {measure.challenger.value:>12.4g}"
        typer.echo(f"{line}  {_signed(measure.difference)}  {_verdict(measure)}".rstrip())


def versus_json(found: "Versus") -> dict[str, object]:
    """Returns a comparison for programs."""
    from driftline.quality.versus import QUANTILES  # noqa: PLC0415 (loads numpy)

    return {
        "rows": found.rows,
        "agreement": found.agreement and found.agreement._asdict(),
        "shift": found.shift and found.shift._asdict(),
        "apart": {_quantile(at): size for at, size in zip(QUANTILES, found.apart, strict=False)},
        "labelled": found.labelled,
        "measures": _measures_json(found.measures),
    }


def unpaired_json(found: "Unpaired") -> dict[str, object]:
    """Returns a comparison of rows that are not the same for programs."""
    sides = ("champion", "challenger")
    return {
        "rows": dict(zip(sides, found.rows, strict=True)),
        "given": _measures_json(found.given),
        "labelled": dict(zip(sides, found.labelled, strict=True)),
        "measures": _measures_json(found.measures),
    }


def _measures_json(measures: "Mapping[str, Measure]") -> dict[str, object]:
    return {
        name: {
            "champion": measure.champion._asdict(),
            "challenger": measure.challenger._asdict(),
            "difference": measure.difference._asdict(),
        }
        for name, measure in measures.items()
    }


def _verdict(measure: "Measure") -> str:
    low, high = measure.difference.low, measure.difference.high
    if measure.better is None:
        return ""
    if low <= 0 <= high:
        return "no difference is shown"
    return "the challenger is better" if (low > 0) == measure.better else "the champion is better"


def _share(interval: "Interval") -> str:
    return f"{interval.value:.2%} ({interval.low:.2%} to {interval.high:.2%})"


def _signed(interval: "Interval") -> str:
    return f"{interval.value:+.4g} ({interval.low:+.4g} to {interval.high:+.4g})"


def _quantile(share: float) -> str:
    return {0.5: "median", 1.0: "at most"}.get(share, f"{share:.0%} below")
