"""Real logs, and reports that are made once: Evidently takes seconds to load."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from driftline.eventlog.reader import LogReader
from driftline.report.reading import read_windows
from driftline.report.report import make_report
from driftline.report.result import DriftReport
from driftline.report.selection import Selection
from tests.report.events import SD, MakeLog, traffic, write_log


@pytest.fixture
def make_log(tmp_path: Path) -> Iterator[MakeLog]:
    """Commits lines to a new log and opens that."""
    opened: list[LogReader] = []

    def make(lines: Iterable[bytes]) -> LogReader:
        reader = LogReader(write_log(tmp_path / f"logs-{len(opened)}", lines))
        opened.append(reader)
        return reader

    yield make
    for reader in opened:
        reader.close()


def report_on(directory: Path, lines: Iterable[bytes]) -> DriftReport:
    with LogReader(write_log(directory, lines)) as log:
        return make_report(read_windows(log, Selection()))


@pytest.fixture(scope="session")
def steady(tmp_path_factory: pytest.TempPathFactory) -> DriftReport:
    """The report of a log in which nothing changes."""
    return report_on(tmp_path_factory.mktemp("steady"), traffic(1000))


@pytest.fixture(scope="session")
def shifted(tmp_path_factory: pytest.TempPathFactory) -> DriftReport:
    """The report of a log in which feature_1 has moved by one and a half standard deviations."""
    return report_on(tmp_path_factory.mktemp("shifted"), traffic(1000, shift_after=500, shift_by=1.5 * SD))
