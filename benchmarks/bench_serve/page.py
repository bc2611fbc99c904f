"""The results as the Markdown between the markers of docs/benchmarks.md."""

from collections.abc import Callable, Mapping
from statistics import median
from typing import Any

from bench_serve.goals import COMPACTION, NOT_MEASURED, Goal, goals
from bench_serve.ours import DRIFTLINES, EMBEDDED, EMBEDDED_1
from bench_serve.rounds import values
from table import table

BEGIN, END = "<!-- serve:begin -->", "<!-- serve:end -->"
Results = Mapping[str, Any]


def as_markdown(results: Results) -> str:
    """All tables of what was measured, with what it was measured on below them."""
    parts = [goal_table(goals(results)), *(show(results[part]) for part, show in TABLES.items() if part in results)]
    return "\n\n".join([*parts, note(results)])


def goal_table(judged: list[Goal]) -> str:
    """Each goal, and whether it is met."""
    rows = [[goal.measure, goal.goal, goal.found, verdict(goal)] for goal in judged]
    return section("Goals", ["measure", "goal", "measured", "met"], rows)


def verdict(goal: Goal) -> str:
    """Whether it is met, with what speaks against it."""
    word = {True: "yes", False: "**no**", None: NOT_MEASURED}[goal.met]
    return f"{word}: {cell(goal.remark)}" if goal.remark else word


def cell(text: str) -> str:
    """Text as a table can hold it."""
    return " ".join(text.replace("|", "/").split())


def stacks(found: dict[str, Any]) -> str:
    """All stacks, those that cost least first; and which of them cost less than Driftline."""
    there = [name for name in found if values(found, name, "cpu_us")]
    cheapest = sorted(there, key=lambda name: median(values(found, name, "cpu_us")))
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
    rows += [[name, str(found[name]["connections"]), "failed", *[""] * 7] for name in found if name not in there]
    head = ["stack", "connections", "requests/s", "CPU µs a request", "worker, CPU µs an event", "core used"]
    head += ["p50 ms", "p99 ms", "failed", "events lost"]
    return section("Requests as fast as they are answered, one core", head, rows) + loses(found) + failures(found)


def loses(found: dict[str, Any]) -> str:
    """What costs less than Driftline does with as many connections, as a sentence for each number of them."""
    cpu_us = {name: median(each) for name in found if (each := values(found, name, "cpu_us"))}
    others = cpu_us.keys() - {stack.name for stack in DRIFTLINES}
    said = ""
    for ours in (EMBEDDED.name, EMBEDDED_1.name):
        if ours in cpu_us:
            alike = (name for name in others if found[name]["connections"] == found[ours]["connections"])
            less = sorted(name for name in alike if cpu_us[name] < cpu_us[ours])
            said += f"\n\nLess CPU a request than {ours}: {'; '.join(less)}." if less else ""
    return said


def failures(found: dict[str, Any]) -> str:
    """Which turns failed and why, as a list."""
    lines = [f"- {name}, {cell(each)}" for name in found for each in found[name].get("failures", [])]
    return "\n".join(["\n\nTurns that failed, and are in no figure:\n", *lines]) if lines else ""


def latency(found: Results) -> str:
    """Latencies below saturation."""
    rows = []
    for name in (name for name in found["stacks"] if values(found["stacks"], name, "p99_ms")):
        latencies = ("p50_ms", "p90_ms", "p99_ms", "p99.9_ms")
        cells = [spread(values(found["stacks"], name, key), "{:.2f}") for key in latencies]
        keys = ("unsent_share", "lag_p50_ms", "lag_p99_ms")
        unsent, lag_p50, lag_p99 = (median(values(found["stacks"], name, key)) for key in keys)
        rows.append([name, *cells, f"{unsent:.1%}", f"{lag_p50:.2f} / {lag_p99:.2f}"])
    head = ["stack", "p50 ms", "p90 ms", "p99 ms", "p99.9 ms", "no connection free", "sent late, p50 / p99 ms"]
    title = f"Latency at {found['per_s']:,.0f} requests/s, half of saturation"
    return section(title, head, rows) + failures(found["stacks"])


def models(found: Results) -> str:
    """Models of several sizes against themselves, round by round."""
    rows = []
    for name, each in found.items():
        rounds = list(zip(each["http"], each["direct"], strict=True))
        adds, ratio = median(http - direct for http, direct in rounds), median(http / direct for http, direct in rounds)
        rows.append([name, f"{median(each['direct']):.1f}", spread(each["http"]), f"{adds:.1f}", f"{ratio:.1f} x"])
    head = ["model, numbers", "called directly, CPU µs", "`/predict`, CPU µs", "what serving adds", "ratio"]
    return section("Models of several sizes", head, rows)


def batches(found: Results) -> str:
    """Rows of batches."""
    rows = [[form, spread(each, "{:,.0f}")] for form, each in found.items()]
    text = "\n\nServer and client share one core; what the client takes is not counted."
    return section("Rows of a batch, a second and core, each logged", ["form", "rows"], rows) + text


def worker(found: Results) -> str:
    """Events into the log."""
    rows = [[way, spread(each, "{:,.0f}")] for way, each in found.items()]
    title, head = "The log worker", ["events come", "events a second of CPU"]
    return f"{section(title, head, rows)}\n\nThis is {COMPACTION}."


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
    of_peers = (each["version"] for each in results.get("stacks", {}).values())
    said = "; ".join(dict.fromkeys([versions, *filter(None, of_peers)]))
    parts: dict[str, list[str]] = {}
    failed = ""
    for part, each in results["measured"].items():
        if "failed" in each:
            failed += f"\n\nNot measured: {part}, {cell(each['failed'])}."
        else:
            parts.setdefault(each["date"], []).append(part)
    dates = " and ".join(f"{date} ({', '.join(sorted(parts[date]))})" for date in sorted(parts))
    minutes = sum(each["took_s"] for each in results["measured"].values()) / 60
    return f"""\
Medians, with the lowest and the highest of all rounds. Measured {dates} on {machine["cpu"]},
{machine["cores"]} cores, {machine["system"]}, in {minutes:.0f} minutes. {said}.{failed}"""


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
