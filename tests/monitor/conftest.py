"""A monitor's database, and a clock."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.monitor.examples import Clock, connect


@pytest.fixture
def database(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """A connection to a new database."""
    connection = connect(tmp_path / "monitor.sqlite")
    yield connection
    connection.close()


@pytest.fixture
def clock() -> Clock:
    """A clock that stands still."""
    return Clock()
