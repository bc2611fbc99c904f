"""docs/report.md describes the JSON that there is."""

import re
from pathlib import Path
from typing import Any

from driftline.report.result import DriftReport

PAGE = (Path(__file__).parents[2] / "docs" / "report.md").read_text(encoding="utf-8")


def keys(found: Any) -> set[str]:
    """All names of all objects in a JSON value."""
    if isinstance(found, list):
        return set().union(*map(keys, found))
    if isinstance(found, dict):
        return set(found).union(*map(keys, found.values()))
    return set()


def test_each_key_of_the_json_is_documented(shifted: DriftReport) -> None:
    section = PAGE.partition("## The JSON")[2].partition("\n## ")[0]
    named = set(re.findall(r"`(\w+)`", section))
    assert keys(shifted.as_dict()) | {"reason"} <= named
    top = {name for cell in re.findall(r"^\| (`.+?`) \|", section, re.MULTILINE) for name in re.findall(r"\w+", cell)}
    assert top == set(shifted.as_dict())
