"""What ``driftline compare`` and ``driftline replay`` print: two models on the same rows."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from driftline.contract.schema import ModelSchema
    from driftline.quality.interval import Interval
    from driftline.quality.versus import Measure, Side, Versus


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
        import numpy as np  # noqa: PLC0415 (slow to load)

        from driftline.monitor.pairs import outcomes_of  # noqa: PLC0415

        told = outcomes_of(outcomes, self._schema)
        if not len(told):
            return
        # A line that does not say what was given, by a program of another age, says nothing of the model.
        said = np.isfinite(champion.scores + challenger.scores).reshape(len(told), -1)
        whole = np.asarray(said.all(axis=1), dtype=np.bool_)
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
    typer.echo(f"\n  {'':<22}{champion:>12}  {challenger:>12}  difference")
    for name, measure in found.measures.items():
        line = f"  {name:<22}{measure.champion.value:>12.4g}  {measure.challenger.value:>12.4g}"
        typer.echo(f"{line}  {_signed(measure.difference)}  {_verdict(name, measure)}".rstrip())


def versus_json(found: "Versus") -> dict[str, object]:
    """Returns a comparison for programs."""
    from driftline.quality.versus import QUANTILES  # noqa: PLC0415 (loads numpy)

    return {
        "rows": found.rows,
        "agreement": found.agreement and found.agreement._asdict(),
        "shift": found.shift and found.shift._asdict(),
        "apart": {_quantile(at): size for at, size in zip(QUANTILES, found.apart, strict=False)},
        "labelled": found.labelled,
        "measures": {
            name: {
                "champion": measure.champion._asdict(),
                "challenger": measure.challenger._asdict(),
                "difference": measure.difference._asdict(),
            }
            for name, measure in found.measures.items()
        },
    }


def _verdict(name: str, measure: "Measure") -> str:
    low, high = measure.difference.low, measure.difference.high
    if name == "bias" or low <= 0 <= high:
        return "" if name == "bias" else "no difference is shown"
    return "the challenger is better" if (low > 0) == measure.better else "the champion is better"


def _share(interval: "Interval") -> str:
    return f"{interval.value:.2%} ({interval.low:.2%} to {interval.high:.2%})"


def _signed(interval: "Interval") -> str:
    return f"{interval.value:+.4g} ({interval.low:+.4g} to {interval.high:+.4g})"


def _quantile(share: float) -> str:
    return {0.5: "median", 1.0: "at most"}.get(share, f"{share:.0%} below")
