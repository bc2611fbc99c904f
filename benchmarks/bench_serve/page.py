"""The results as the Markdown between the markers of docs/benchmarks.md."""

from collections.abc import Callable, Mapping
from statistics import median
from typing import Any

from bench_serve.goals import goals
from bench_serve.ours import DRIFTLINES, EMBEDDED
from bench_serve.rounds import values
from table import table

BEGIN, END = "<!-- serve:begin -->", "<!-- serve:end -->"
Results = Mapping[str, Any]


def as_markdown(results: Results) -> str:
    """All tables of what was measured, with what it was measured on below them."""
    parts = [goal_table(results), *(show(results[part]) for part, show in TABLES.items() if part in results)]
    return "\n\n".join([*parts, note(results)])


def goal_table(results: Results) -> str:
    """Each goal, and whether it is met."""
    rows = [[goal.measure, goal.goal, goal.found, "yes" if goal.met else "**no**"] for goal in goals(results)]
    return section("Goals", ["measure", "goal", "measured", "met"], rows)


def stacks(found: dict[str, Any]) -> str:
    """All stacks, those that cost least first; and which of them cost less than Driftline."""
    cheapest = sorted(found, key=lambda name: median(values(found, name, "cpu_us")))
    rows = []
    for name in cheapest:
        per_s, cpu_us, beside_us, busy, p50, p99, failed, lost = (
            values(found, name, key)
            for key in ("per_s", "cpu_us", "beside_us", "busy", "p50_ms", "p99_ms", "failed", "lost")
        )
        figures = [spread(per_s, "{:,.0f}"), spread(cpu_us), of_worker(beside_us), f"{median(busy):.0%}"]
        latencies = [f"{median(p50):.2f}", spread(p99, "{:.2f}")]
        row = [name, str(found[name]["connections"]), *figures, *latencies, f"{sum(failed):.0f}", f"{sum(lost):.0f}"]
        rows.append(row)
    head = ["stack", "connections", "requests/s", "CPU µs a request", "worker, CPU µs an event", "core used"]
    head += ["p50 ms", "p99 ms", "failed", "events lost"]
    return section("Requests as fast as they are answered, one core", head, rows) + loses(found)


def loses(found: dict[str, Any]) -> str:
    """What costs less than Driftline does, as a sentence."""
    if EMBEDDED.name not in found:
        return ""
    ours = median(values(found, EMBEDDED.name, "cpu_us"))
    others = found.keys() - {stack.name for stack in DRIFTLINES}
    less = sorted(name for name in others if median(values(found, name, "cpu_us")) < ours)
    return f"\n\nLess CPU a request than {EMBEDDED.name}: {'; '.join(less)}." if less else ""


def latency(found: Results) -> str:
    """Latencies below saturation."""
    rows = []
    for name in found["stacks"]:
        latencies = ("p50_ms", "p90_ms", "p99_ms", "p99.9_ms")
        cells = [spread(values(found["stacks"], name, key), "{:.2f}") for key in latencies]
        keys = ("unsent_share", "lag_p50_ms", "lag_p99_ms")
        unsent, lag_p50, lag_p99 = (median(values(found["stacks"], name, key)) for key in keys)
        rows.append([name, *cells, f"{unsent:.1%}", f"{lag_p50:.2f} / {lag_p99:.2f}"])
    head = ["stack", "p50 ms", "p90 ms", "p99 ms", "p99.9 ms", "no connection free", "sent late, p50 / p99 ms"]
    return section(f"Latency at {found['per_s']:,.0f} requests/s, half of saturation", head, rows)


def models(found: Results) -> str:
    """Models of several sizes against themselves."""
    rows = []
    for name, each in found.items():
        direct, http = median(each["direct"]), median(each["http"])
        rows.append([name, f"{direct:.1f}", spread(each["http"]), f"{http - direct:.1f}", f"{http / direct:.1f} x"])
    head = ["model, numbers", "called directly, CPU µs", "`/predict`, CPU µs", "what serving adds", "ratio"]
    return section("Models of several sizes", head, rows)


def batches(found: Results) -> str:
    """Rows of batches."""
    rows = [[form, spread(each, "{:,.0f}")] for form, each in found.items()]
    return section("Rows of a batch, a second and core, each logged", ["form", "rows"], rows)


def worker(found: Results) -> str:
    """Events into the log."""
    rows = [[way, spread(each, "{:,.0f}")] for way, each in found.items()]
    return section("The log worker", ["events come", "events a second of CPU"], rows)


def memory(found: Results) -> str:
    """Memory after many predictions."""
    rows = [[f"{mark:,}", f"{mb:.1f}"] for mark, mb in zip(found["marks"], found["rss_mb"], strict=True)]
    return section("Memory of an API process", ["predictions answered", "resident MB"], rows)


def starts(found: Results) -> str:
    """Starts."""
    keys = ("wall_s", "cpu_s", "wall_ratio", "cpu_ratio")
    rows = [[name, *(f"{each[key]:.2f}" for key in keys)] for name, each in found.items()]
    return section("Start", ["", "seconds", "seconds of CPU", "x on the clock", "x of CPU"], rows)


def note(results: Results) -> str:
    """What the figures were measured on."""
    machine = results["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    peers = "; ".join(each["version"] for each in results.get("stacks", {}).values() if each["version"])
    dates = sorted({each["date"] for each in results["measured"].values()})
    minutes = sum(each["took_s"] for each in results["measured"].values()) / 60
    return f"""\
Medians, with the lowest and the highest of all rounds. Measured {" and ".join(dates)} on {machine["cpu"]},
{machine["cores"]} cores, {machine["system"]}, in {minutes:.0f} minutes. {versions}{f"; {peers}" if peers else ""}."""


def of_worker(beside_us: list[float]) -> str:
    """What the log worker took, if there was one."""
    return f"{median(beside_us):.1f}" if any(beside_us) else ""


def spread(found: list[float], form: str = "{:.1f}") -> str:
    """The median, with the lowest and the highest."""
    middle, least, most = (form.format(each) for each in (median(found), min(found), max(found)))
    return f"{middle} ({least} to {most})"


def section(title: str, head: list[str], rows: list[list[str]]) -> str:
    """A heading with its table; names to the left, figures to the right."""
    return f"### {title}\n\n{table([head, ['---', *['---:'] * (len(head) - 1)], *rows])}"


TABLES: Mapping[str, Callable[[Any], str]] = {
    "stacks": stacks,
    "latency": latency,
    "models": models,
    "batches": batches,
    "worker": worker,
    "memory": memory,
    "starts": starts,
}
