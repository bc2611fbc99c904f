"""What the benchmark calls a broken claim, and how it renders."""

from pathlib import Path
from typing import Any

import pytest

from first_light import RUNS, Run, broken_claims
from table import BEGIN, END, as_markdown, render

STEADY = Run("embedded")
DRIFTING = Run("embedded, drifting", users="DriftingUser")


def found(**differently: Any) -> dict[str, Any]:
    """A run in which everything is right, but for what is given."""
    return {
        "name": "embedded",
        "locust_exit_code": 0,
        "stop_exit_code": 0,
        "killed": None,
        "answers": 1000,
        "failures": 0,
        "log_lines": 1000,
        "unique_ids": 1000,
        "ledger": {"accepted": 1000, "logged": 1000, "balanced": True},
        "cpu_us": {"api": 301.4, "worker": 52.6},
        "requests_per_s": 654.3,
        "latency_ms": {"p50": 2.0, "p95": 5.0, "p99": 11.0},
        "drift": False,
        "drifted": [],
        "report_rows": 2000,
        **differently,
    }


def test_a_run_in_which_all_is_right_breaks_no_claim() -> None:
    assert list(broken_claims(STEADY, found())) == []
    assert list(broken_claims(DRIFTING, found(drift=True, drifted=["feature_1", "probability"]))) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"failures": 1},
        {"locust_exit_code": 1},
        {"locust_exit_code": 3},
        {"stop_exit_code": 1},
        {"answers": 1001},
        {"log_lines": 1001},
        {"unique_ids": 999},
        {"ledger": {"accepted": 1001, "logged": 1000, "balanced": True}},
        {"ledger": {"accepted": 1000, "logged": 1000, "balanced": False}},
        {"drift": True, "drifted": ["feature_1", "probability"]},
    ],
    ids=str,
)
def test_one_thing_wrong_breaks_a_claim(wrong: dict[str, Any]) -> None:
    assert list(broken_claims(STEADY, found(**wrong)))


def test_drift_that_may_be_chance_breaks_no_claim() -> None:
    assert list(broken_claims(STEADY, found(drift=True, drifted=["feature_2", "probability"], report_rows=500))) == []


def test_a_run_that_nothing_was_killed_in_proves_nothing_about_killing() -> None:
    run = Run("worker killed", kill="worker")

    assert list(broken_claims(run, found(killed="worker"))) == []
    assert list(broken_claims(run, found(killed=None)))


@pytest.mark.parametrize("wrong", [{"drift": False}, {"drift": True, "drifted": ["feature_2"]}], ids=str)
def test_drifting_users_have_to_show_in_feature_1(wrong: dict[str, Any]) -> None:
    assert list(broken_claims(DRIFTING, found(**wrong)))


def test_both_transports_are_measured_undisturbed_and_with_the_worker_killed() -> None:
    assert {(run.broker, run.kill) for run in RUNS} >= {
        (False, None),
        (False, "worker"),
        (True, None),
        (True, "worker"),
        (True, "redis"),
    }
    assert any(run.drifts for run in RUNS)


def results() -> dict[str, Any]:
    return {
        "date": "2026-11-23",
        "load": {"users": 200, "spawn_rate": 20.0, "seconds": 60.0},
        "machine": {"cpu": "A processor", "cores": 2},
        "versions": {"Python": "3.11.2"},
        "runs": [found(), found(name="drifting", drift=True, drifted=["feature_1"])],
    }


def test_the_table_has_a_row_for_each_run_and_names_the_machine() -> None:
    lines = as_markdown(results()).splitlines()

    assert lines[2] == "| embedded | 1,000 | 0 | 1,000 | 654 | 2 / 5 / 11 | API 301, worker 53 | none |"
    assert lines[3].endswith("| feature_1 |")
    assert "A processor, 2 cores" in as_markdown(results())


def test_rendering_replaces_only_what_is_between_the_markers(tmp_path: Path) -> None:
    document = tmp_path / "README.md"
    document.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")

    render(document, "new")
    render(document, "newer")

    assert document.read_text() == f"before\n{BEGIN}\nnewer\n{END}\nafter\n"


def test_a_document_without_markers_is_left_alone(tmp_path: Path) -> None:
    document = tmp_path / "README.md"
    document.write_text("nothing to replace")

    with pytest.raises(ValueError, match="first-light:begin"):
        render(document, "new")
    assert document.read_text() == "nothing to replace"
