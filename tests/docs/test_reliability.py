"""The table of runs is made of the results, and the page names every fault there is."""

import json
import re
from pathlib import Path

import pytest

from driftline.chaos.schedule import RECIPES
from scripts.reliability import PAGE, RESULTS, add, as_markdown, rendered

ROOT = Path(__file__).parents[2]


def test_the_table_is_what_the_results_render_to() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page == rendered(page, json.loads(RESULTS.read_text(encoding="utf-8")))


def test_each_fault_is_described_with_what_it_hits() -> None:
    rows = re.findall(r"^\| `([\w-]+)` \| (.+?) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    described = {(kind, target) for kind, targets in rows for target in re.findall(r"`([\w-]+)`", targets)}
    assert described == {(recipe.kind, recipe.target) for recipe in RECIPES}


def test_a_bad_run_is_kept_and_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scripts.reliability.RESULTS", tmp_path / "results.json")
    verdict = {"answered": 10, "unknown": 1, "refused": {"503": 2}, "doubled": 0, "altered": 0, "foreign": 0}
    run = {
        "began_at": "2026-11-24T23:00:00+00:00",
        "machine": {"cpus": 2, "system": "Linux"},
        "seed": 7,
        "transport": "redis",
        "faults_s": 3600.0,
        "faults": [
            {"kind": "kill", "target": "worker", "hit": True},
            {"kind": "x", "target": "y", "hit": False},
        ],
        "memory_bytes": {"worker": 2**20},
        "verdict": {**verdict, "kept": False, "lost": 3, "examples": {}, "ledger": {}},
    }
    text = as_markdown(add([json.dumps({"runs": [run]})], "0123abcd"))
    assert "1.0 hours redis under 1 faults; of 10 predictions that were answered: **lost 3, doubled 0" in text
    assert "1 of 1 runs had a bad verdict." in text
    assert "| 2026-11-24 23:00 | `0123abcd` | redis | 7 | 60 | 1 | 10 | 2 | 1 | 3 | 0 | 0 | 0 |" in text
    assert add([], "-")[0]["faults"] == {"kill worker": 1}
