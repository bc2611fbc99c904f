"""The reference pages name what there is, all of it and nothing else."""

import re
import subprocess
import sys
from pathlib import Path

from driftline.contract.problems import PROBLEMS

ROOT = Path(__file__).parents[2]
HTTP = (ROOT / "docs" / "http.md").read_text(encoding="utf-8")
METRICS = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")

# In a process of its own, so that nothing else is declared.
LIST_METRICS = """
import importlib, sys
from prometheus_client import REGISTRY
for module in sys.argv[1:]:
    importlib.import_module(module)
for family in REGISTRY.collect():
    if family.name.startswith("driftline_"):
        print(family.name + ("_total" if family.type == "counter" else ""))
"""


def declared(*modules: str) -> set[str]:
    command = [sys.executable, "-c", LIST_METRICS, *modules]
    return set(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split())


def documented(source: str) -> set[str]:
    return set(re.findall(rf"^\| `(driftline_\w+).*?` \| {source} \|", METRICS, re.MULTILINE))


def test_each_code_is_documented_with_its_status() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\d{3}) \| (.*) \|$", HTTP, re.MULTILINE)
    assert {code: (int(status), title) for code, status, title in rows} == {
        code: (problem.status, problem.title) for code, problem in PROBLEMS.items()
    }


def test_each_metric_of_the_api_is_documented() -> None:
    assert documented("API") == declared("driftline.api.app")


def test_each_metric_of_the_worker_is_documented() -> None:
    assert documented("worker") == declared("driftline.worker.main", "driftline.worker.stream")


def test_each_metric_of_the_monitor_is_documented() -> None:
    assert documented("monitor") == declared("driftline.monitor.beside", "driftline.monitor.main")


def test_links_between_pages_lead_somewhere() -> None:
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
        for target in re.findall(r"\]\((?!https?:|#|mailto:)([^)#]+)", page.read_text(encoding="utf-8"))
        if not (page.parent / target).exists()
    ]
    assert broken == []
