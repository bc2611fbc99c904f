"""A pytest plugin that keeps which tests failed: ``pytest -p scripts.failed_tests --failed-to FILE``."""

from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds ``--failed-to``."""
    parser.addoption("--failed-to", type=Path, help="where the ids of failed tests are written, a line each")


def pytest_configure(config: pytest.Config) -> None:
    """Begins to note, in the process that hears of all tests."""
    path = config.getoption("failed_to")
    if path is not None and not hasattr(config, "workerinput"):
        config.pluginmanager.register(FailedTests(path))


class FailedTests:
    """Notes what failed, and writes it when all tests have run.

    Of a run that ended early (``-x``) nothing is written: what it did not come to is not known.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._ids: dict[str, None] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Notes a test."""
        self._note(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Notes a file that cannot be read."""
        self._note(report)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Writes."""
        if not (session.shouldfail or session.shouldstop):
            self._path.write_text("".join(f"{each}\n" for each in self._ids), encoding="utf-8")

    def _note(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        if report.failed:
            self._ids[report.nodeid] = None
