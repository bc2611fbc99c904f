"""The results of a benchmark as Markdown, between two markers of a document."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

BEGIN = "<!-- first-light:begin -->"
END = "<!-- first-light:end -->"


def as_markdown(results: Mapping[str, Any]) -> str:
    """The measured runs as one table, with what they were measured on below it."""
    rows = [row_of(run) for run in results["runs"]]
    head = ["run", "answers", "failures", "log lines", "requests/s", "p50 / p95 / p99 ms", "CPU µs a request", "drift"]
    load, machine = results["load"], results["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    note = f"""
{load["users"]} users, {load["spawn_rate"]:g} more each second, {load["seconds"]:g} s, each waiting 0.1 to 0.5 s between
requests: so requests/s is what they asked for, not what Driftline can do. Log lines are counted in the log, each
answered id once. CPU is user and system time of the API, and of the worker, once they were ready.
Measured {results["date"]} on {machine["cpu"]}, {machine["cores"]} cores, which Locust shared; {versions}.
Made by `benchmarks/first_light.py`."""
    return table([head, ["---", *["---:"] * (len(head) - 2), "---"], *rows]) + "\n" + note


def row_of(run: Mapping[str, Any]) -> list[str]:
    """One run's cells."""
    return [
        run["name"],
        f"{run['answers']:,}",
        f"{run['failures']:,}",
        f"{run['log_lines']:,}",
        f"{run['requests_per_s']:,.0f}",
        " / ".join(f"{run['latency_ms'][p]:g}" for p in ("p50", "p95", "p99")),
        f"API {run['cpu_us']['api']:,.0f}, worker {run['cpu_us']['worker']:,.0f}",
        ", ".join(run["drifted"]) if run["drift"] else "none",
    ]


def table(rows: Sequence[Sequence[str]]) -> str:
    """The rows as the lines of a Markdown table."""
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def render(document: Path, markdown: str, begin_at: str = BEGIN, end_at: str = END) -> None:
    """Puts the Markdown between the markers of a document, in place of what is there.

    Raises:
        ValueError: The document has no such markers.
    """
    text = document.read_text()
    before, begin, rest = text.partition(begin_at)
    _, end, after = rest.partition(end_at)
    if not begin or not end:
        raise ValueError(f"{document} lacks the lines {begin_at} and {end_at}")
    document.write_text(f"{before}{begin}\n{markdown}\n{end}{after}")
