"""The results as the Markdown between the markers of docs/benchmarks-models.md."""

from collections.abc import Mapping
from statistics import median
from typing import Any

from bench_models.inside import FORMS, TOGETHER
from table import table

BEGIN, END = "<!-- models:begin -->", "<!-- models:end -->"
NARROWEST = "logistic, 2"
GOALS = {"JSON": 300_000, "Arrow": 700_000}


def as_markdown(results: Mapping[str, Any]) -> str:
    """All tables, with what they were measured on below them."""
    return "\n\n".join([singles(results), gains(results), batches(results), note(results)])


def singles(results: Mapping[str, Any]) -> str:
    """One prediction, against the model called directly."""
    rows = []
    for name, found in results["singles"].items():
        call, inside, http = (median(found[key]) for key in ("direct", "inside", "http"))
        rows.append([name, us(call), us(inside), us(http), us(http - call), f"{http / call:.1f} x"])
    head = ["model, numbers", "called directly", "decided and kept", "over HTTP", "what serving adds", "HTTP / direct"]
    return f"### CPU microseconds for one prediction\n\n{table([head, rule(head), *rows])}"


def gains(results: Mapping[str, Any]) -> str:
    """Requests that come at once, scored alone and together."""
    rows = []
    for name, found in results["gains"].items():
        alone, together = median(found["alone"]), median(found["together"])
        rows.append([name, us(alone), us(together), f"{together / alone:.2f} x", "on" if found["on"] else "off"])
    head = ["model, numbers", "each alone", "together", "together / alone", "by default"]
    title = f"### CPU microseconds for one of {TOGETHER} predictions that come at once"
    return f"{title}\n\n{table([head, rule(head), *rows])}"


def batches(results: Mapping[str, Any]) -> str:
    """Rows a second of one core, each logged."""
    rows = []
    for name, found in results["batches"].items():
        for form in FORMS:
            inside, http = (1e6 / median(found[form][key]) for key in ("inside", "http"))
            rows.append([name, form, f"{inside:,.0f}", f"{http:,.0f}", goal(name, form, http)])
    head = ["model, numbers", "form", "decided and kept", "over HTTP", "goal"]
    return f"### Rows of a batch, a second and core, each logged\n\n{table([head, rule(head, 2), *rows])}"


def goal(name: str, form: str, reached: float) -> str:
    """What was wanted of the narrowest model, and how far it is."""
    wanted = GOALS.get(form) if name == NARROWEST else None
    return "" if wanted is None else f"{wanted:,}: {reached / wanted:.0%}"


def note(results: Mapping[str, Any]) -> str:
    """What the figures were measured on."""
    machine = results["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    return f"""\
Medians of {results["rounds"]} rounds, in which all take turns; CPU time is user and system, of the process that
decides, or of all processes of the server. Measured {results["date"]} on {machine["cpu"]}, {machine["cores"]} cores, in
{results["took_s"]} s; the load on the machine was {machine["load"]:.1f} when it began. {versions}."""


def us(value: float) -> str:
    """Microseconds, with as many digits as are worth reading."""
    return f"{value:.1f}" if value < 100 else f"{value:.0f}"  # noqa: PLR2004


def rule(head: list[str], texts: int = 1) -> list[str]:
    """The line below a head: texts to the left, numbers to the right."""
    return ["---"] * texts + ["---:"] * (len(head) - texts)
