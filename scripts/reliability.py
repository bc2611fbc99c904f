"""``make reliability``: runs ``driftline chaos``, keeps what came of it, and renders the table of docs/reliability.md.

python scripts/reliability.py --minutes 60        # the arguments go to driftline chaos
python scripts/reliability.py --add FILE ...      # keep what driftline chaos --json has written to these files
python scripts/reliability.py --render            # only the table

Bad results are kept as well: the table is of no use if somebody chooses what is in it.
"""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "docs" / "reliability.json"
PAGE = ROOT / "docs" / "reliability.md"
DRIFTLINE = Path(sys.executable).parent / "driftline"
BEGIN = "<!-- runs:begin -->"
END = "<!-- runs:end -->"
WRONG = ("lost", "doubled", "altered", "foreign")


def summary(run: Mapping[str, Any], commit: str) -> dict[str, Any]:
    """What is kept of a run: all but its schedule, which the seed has."""
    kinds = Counter(f"{fault['kind']} {fault['target']}" for fault in run["faults"] if fault["hit"])
    left_out = ("faults", "folder", "left_out", "memory_bound_bytes", "verdict")
    kept = {name: value for name, value in run.items() if name not in left_out}
    verdict = {name: value for name, value in run["verdict"].items() if name not in {"examples", "ledger"}}
    return {"commit": commit, **kept, "faults": dict(sorted(kinds.items())), "verdict": verdict}


def add(documents: Iterable[str], commit: str) -> list[dict[str, Any]]:
    """Adds the runs of these JSON documents to the results, and returns all results in the order of their time."""
    results = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else []
    results += [summary(run, commit) for document in documents for run in json.loads(document)["runs"]]
    results.sort(key=lambda run: str(run["began_at"]))
    RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    return results


def as_markdown(results: Sequence[Mapping[str, Any]]) -> str:
    """The runs as a table, the sums above it, and how often each fault was met below it."""
    head = ["began (UTC)", "commit", "transport", "seed", "minutes", "faults", "answered", "refused", "unknown", *WRONG]
    align = ["---", "---", "---", *["---:"] * (len(head) - 3)]
    return "\n".join([sums(results), "", table([head, align, *map(row_of, results)]), "", *faults(results)])


def sums(results: Sequence[Mapping[str, Any]]) -> str:
    """What all runs come to, in a sentence."""
    hours = Counter[str]()
    for run in results:
        hours[run["transport"]] += run["faults_s"] / 3600
    spent = " and ".join(f"{hours[transport]:.1f} hours {transport}" for transport in sorted(hours))
    met = sum(sum(run["faults"].values()) for run in results)
    answered = sum(run["verdict"]["answered"] for run in results)
    wrong = ", ".join(f"{name} {sum(run['verdict'][name] for run in results):,}" for name in WRONG)
    broken = sum(not run["verdict"]["kept"] for run in results)
    bad = f" {broken} of {len(results)} runs had a bad verdict." if broken else ""
    return f"{spent} under {met:,} faults; of {answered:,} predictions that were answered: **{wrong}**.{bad}"


def row_of(run: Mapping[str, Any]) -> list[str]:
    """A run's cells."""
    verdict = run["verdict"]
    return [
        run["began_at"][:16].replace("T", " "),
        f"`{run['commit']}`",
        run["transport"],
        str(run["seed"]),
        f"{run['faults_s'] / 60:.0f}",
        f"{sum(run['faults'].values()):,}",
        f"{verdict['answered']:,}",
        f"{sum(verdict['refused'].values()):,}",
        f"{verdict['unknown']:,}",
        *(f"{verdict[name]:,}" for name in WRONG),
    ]


def faults(results: Sequence[Mapping[str, Any]]) -> list[str]:
    """How often each fault was met, and the most memory that was ever taken."""
    met, most = Counter[str](), Counter[str]()
    for run in results:
        met.update(run["faults"])
        most |= Counter(run["memory_bytes"])
    kinds = ", ".join(f"{name} {count:,}" for name, count in sorted(met.items()))
    memory = ", ".join(f"{name} {size / 2**20:.0f} MiB" for name, size in sorted(most.items()))
    machines = sorted({f"{run['machine']['cpus']} CPUs, {run['machine']['system']}" for run in results})
    return [f"Faults: {kinds}.", "", f"Memory at most: {memory}.", "", f"On: {'; '.join(machines)}."]


def table(rows: Sequence[Sequence[str]]) -> str:
    """The rows as the lines of a Markdown table."""
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def rendered(page: str, results: Sequence[Mapping[str, Any]]) -> str:
    """The page with these results between its markers."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page lacks the lines {BEGIN} and {END}")
    return f"{before}{BEGIN}\n{as_markdown(results)}\n{END}{after}"


def main(arguments: list[str]) -> int:
    """The exit code: that of driftline chaos."""
    status, documents = 0, []
    # Before the run: what is committed meanwhile is not what ran.
    described = subprocess.run(
        ["git", "rev-parse", "--short=8", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    if arguments[:1] == ["--add"]:
        documents = [Path(name).read_text(encoding="utf-8") for name in arguments[1:]]
    elif arguments != ["--render"]:
        command = [str(DRIFTLINE), "chaos", "--json", *arguments]
        finished = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        status, documents = finished.returncode, [finished.stdout] if finished.stdout else []
    results = add(documents, described.stdout.strip())
    PAGE.write_text(rendered(PAGE.read_text(encoding="utf-8"), results), encoding="utf-8")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
