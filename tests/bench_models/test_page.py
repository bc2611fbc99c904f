"""What the page shows of what was measured."""

from pathlib import Path
from typing import Any

from bench_models import page
from bench_models.inside import FORMS, Inside, bodies, direct, outbox
from bench_models.packages import cases

PAGE = Path(__file__).parents[2] / "docs" / "benchmarks-models.md"


def results() -> dict[str, Any]:
    """Three rounds of a model that takes a microsecond."""
    return {
        "date": "2026-11-26",
        "short": False,
        "rounds": 3,
        "took_s": 100,
        "machine": {"cpu": "A processor", "cores": 2, "load": 0.5},
        "versions": {"Python": "3.11.2"},
        "singles": {"logistic, 2": {"direct": [1.0, 1.0, 9.0], "inside": [8.0, 8.0, 8.0], "http": [60.0, 61.0, 10.0]}},
        "gains": {"logistic, 2": {"alone": [10.0] * 3, "together": [12.0] * 3, "on": False}},
        "batches": {"logistic, 2": {form: {"inside": [2.5] * 3, "http": [4.0] * 3} for form in FORMS}},
    }


def test_each_figure_is_a_median_and_each_ratio_one_of_medians() -> None:
    markdown = page.as_markdown(results())
    assert "| logistic, 2 | 1.0 | 8.0 | 60.0 | 59.0 | 60.0 x |" in markdown
    assert "| logistic, 2 | 10.0 | 12.0 | 1.20 x | off |" in markdown
    assert "| logistic, 2 | JSON | 400,000 | 250,000 | 300,000: 83% |" in markdown
    assert "| logistic, 2 | NDJSON | 400,000 | 250,000 |  |" in markdown


def test_the_page_has_been_rendered() -> None:
    _, _, shown = PAGE.read_text().partition(page.BEGIN)
    for heading in ("for one prediction", "that come at once", "Rows of a batch"):
        assert heading in shown


def test_what_is_measured_inside_answers_as_it_should(tmp_path: Path) -> None:
    narrow = cases(tmp_path, rows=40)[0]
    with outbox() as kept:
        inside = Inside(narrow, kept, max_batch_size=32)
        assert inside.gathers
        assert not Inside(narrow, kept).gathers
        found = [direct(narrow), inside.one_by_one(), inside.at_once()]
        found += [inside.batch(FORMS[form], body, 40) for form, body in bodies(narrow.rows).items()]
    assert all(each >= 0 for each in found)
