"""The results as the Markdown between the markers of docs/benchmarks-drift.md."""

import math
from collections.abc import Mapping
from typing import Any

from bench_drift.goals import goals, per_1000
from bench_drift.measure import Delays
from bench_drift.names import ALL, CHANGES, MATCHED, NULLS, OURS
from bench_drift.streams import SIZES, Size
from table import table

BEGIN, END = "<!-- drift:begin -->", "<!-- drift:end -->"


def as_markdown(results: Mapping[str, Any]) -> str:
    """All tables, with what they were measured on below them."""
    parts = [false_alarms(results), *(delays(results, size) for size in SIZES)]
    return "\n\n".join([*parts, goal_table(results), costs(results), series(results), note(results)])


def false_alarms(results: Mapping[str, Any]) -> str:
    """Windows with an alarm in 1,000, where nothing changed."""
    lines = []
    for size in SIZES:
        for name in NULLS:
            found = results["nulls"][str(size)][name]
            cells = (per_1000(found[it]["alarms"] / found[it]["windows"]) if it in found else "-" for it in ALL)
            lines.append([str(size), name, *cells, f"{found[OURS]['windows']:,}"])
        budgets = [per_1000(results["budgets"][it][str(size)]) if it in (OURS, MATCHED) else "" for it in ALL]
        lines.append(["", "*budget*", *budgets, ""])
    return section("False alarms in 1,000 windows", ["reference / window", "no change", *ALL, "windows"], 2, lines)


def delays(results: Mapping[str, Any], size: Size) -> str:
    """The median delay after each change at one size."""
    lines = []
    for name in CHANGES:
        found = results["changes"][str(size)][name]
        lines.append([name, *(delay(Delays(**found[it]), size) if it in found else "-" for it in ALL)])
    return section(f"Rows until an alarm, reference / window {size}", ["change", *ALL], 1, lines)


def delay(found: Delays, size: Size) -> str:
    """Median rows, windows in brackets, and the share that was missed, if any."""
    median = found.median_rows()
    missed = f", {found.missed / found.repetitions:.0%} missed" if found.missed else ""
    if math.isinf(median):
        return f"never{missed}"
    windows = Delays([math.ceil(each / size.window_rows) for each in found.rows], found.missed).median_rows()
    return f"{median:,.0f} ({windows:g}){missed}"


def goal_table(results: Mapping[str, Any]) -> str:
    """The goals with yes or no, and the cases in which they were missed."""
    found = goals(results)
    lines = [
        [goal.text, "no" if goal.misses else "yes", f"{goal.cases - len(goal.misses)} of {goal.cases}"]
        for goal in found
    ]
    missed = [f"- {goal.text}: missed at\n{listed(goal.misses)}" for goal in found if goal.misses]
    return "\n\n".join([section("Goals", ["goal", "reached", "cases"], 2, lines), "\n".join(missed)]).rstrip()


def listed(misses: tuple[str, ...]) -> str:
    """The cases as a list within a list."""
    return "\n".join(f"    - {each}" for each in misses)


def costs(results: Mapping[str, Any]) -> str:
    """CPU time and state of each detector."""
    lines = []
    for size in SIZES:
        found = results["costs"][str(size)]
        lines.append([str(size), "ns a row", *(f"{found[it]['ns_a_row']:,.0f}" for it in ALL)])
        lines.append(["", "bytes of state", *(f"{found[it]['state_bytes']:,.0f}" for it in ALL)])
    return section("Cost of one column", ["reference / window", "", *ALL], 2, lines)


def series(results: Mapping[str, Any]) -> str:
    """The first alarm of each detector in each real series."""
    lines = []
    for found in results["series"]:
        firsts = (found["first_alarm"][it] for it in ALL)
        cells = ("none" if first is None else f"{first:,}" for first in firsts)
        lines.append([found["series"], found["size"], f"{found['rows']:,}", *cells])
    head = ["series", "reference / window", "rows", *ALL]
    return section("Real series in their own order: rows until the first alarm", head, 2, lines)


def note(results: Mapping[str, Any]) -> str:
    """What it was measured on."""
    machine = results["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    short = " With `--short`: a look, no figures to rely on." if results["short"] else ""
    minutes = f"{results['took_s'] / 60:.0f} minutes"
    return (
        f"Measured {results['date']} on {machine['cpu']}, {machine['cores']} cores, in {minutes};"
        f" seed {results['seed']}; {versions}. Made by `make bench-drift`.{short}"
    )


def section(title: str, head: list[str], named: int, lines: list[list[str]]) -> str:
    """A heading with its table; the first columns are names, the others figures."""
    align = ["---" if at < named else "---:" for at in range(len(head))]
    return f"### {title}\n\n{table([head, align, *lines])}"
