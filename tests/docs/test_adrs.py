"""The decisions in docs/adr keep their form, and what is said to keep them true exists."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ADRS = sorted((ROOT / "docs" / "adr").glob("*.md"))
SECTIONS = ("## Context and Problem Statement", "## Considered Options", "## Decision Outcome", "### Confirmation")


@pytest.fixture(scope="module")
def tests() -> str:
    """All test files in one string."""
    return "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))


def test_they_are_numbered_without_a_gap() -> None:
    assert [int(path.name[:4]) for path in ADRS] == list(range(1, len(ADRS) + 1))


@pytest.mark.parametrize("path", ADRS, ids=lambda path: path.name[:4])
def test_each_has_a_status_a_date_and_the_sections_of_madr(path: Path) -> None:
    text = path.read_text()

    assert re.match(r"---\nstatus: (accepted|superseded by .+)\ndate: \d{4}-\d\d-\d\d\n---\n\n# [A-Z]", text)
    assert [text.find(section) for section in SECTIONS] == sorted(text.find(section) for section in SECTIONS)
    assert all(section in text for section in SECTIONS)


@pytest.mark.parametrize("path", ADRS, ids=lambda path: path.name[:4])
def test_what_keeps_it_true_exists(path: Path, tests: str) -> None:
    confirmation = path.read_text().partition("### Confirmation")[2]
    named = re.findall(r"`([^`]+)`", confirmation)

    assert named
    for name in named:
        if name.startswith("test_"):
            assert f"def {name}(" in tests, name
        elif name.startswith(("tests/", "benchmarks/", "scripts/")):
            assert (ROOT / name).exists(), name


@pytest.mark.parametrize("path", ADRS, ids=lambda path: path.name[:4])
def test_links_between_them_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+\.md)\)", path.read_text()):
        assert (path.parent / target).exists(), target
