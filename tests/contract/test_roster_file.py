from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline.contract.roster_file import (
    ROSTER_FILE,
    Canary,
    Entry,
    RosterFile,
    natural,
    read_roster_file,
    to_toml,
    write_roster_file,
)
from driftline.errors import ModelError

NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
CANARIES = st.builds(Canary, NAMES, st.floats(min_value=0, max_value=1, exclude_min=True), st.none() | NAMES)
ENTRIES = st.builds(
    Entry, st.none() | NAMES, st.none() | NAMES, st.lists(NAMES, max_size=3).map(tuple), st.none() | CANARIES
)


def test_what_is_not_there_says_nothing(tmp_path: Path) -> None:
    assert read_roster_file(tmp_path) == RosterFile()
    assert RosterFile().entry("any") == Entry()


@given(roster=st.builds(RosterFile, st.none() | NAMES, st.dictionaries(NAMES, ENTRIES, max_size=3)))
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, roster: RosterFile) -> None:
    folder = tmp_path_factory.getbasetemp()
    (folder / ROSTER_FILE).write_text(to_toml(roster), encoding="utf-8")
    assert read_roster_file(folder) == roster


def test_a_file_is_replaced_in_one_step(tmp_path: Path) -> None:
    write_roster_file(tmp_path, RosterFile("a"))
    write_roster_file(tmp_path, RosterFile("b"))
    assert read_roster_file(tmp_path).default == "b"
    assert [file.name for file in tmp_path.iterdir()] == [ROSTER_FILE]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("defualt = 'a'", "unknown key defualt in .*; did you mean default"),
        ("[models.a]\nshadows = []", "unknown key models.a.shadows in .*; did you mean shadow"),
        ("[models.a]\ncanary = {version = '1', share = 1, bye = 'x'}", "did you mean by"),
        ("[models.a]\ncanary = {version = '1'}", "missing required field `share`"),
        ("[models.a]\ncanary = {version = '1', share = 0}", "share"),
        ("[models.a]\nversion = 2", "str"),
        ("models = 3", "models"),
        ("\xff", "is not TOML"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / ROSTER_FILE).write_bytes(text.encode("latin-1"))
    with pytest.raises(ModelError, match=reason):
        read_roster_file(tmp_path)


def test_versions_are_sorted_as_people_count() -> None:
    counted = ["1", "1.2", "1.9", "1.10", "2", "10", "2026-09", "2026-11"]
    assert sorted(sorted(counted), key=natural) == counted
    assert sorted(["b2", "a10", "a9", "1a", ""], key=natural) == ["", "a9", "a10", "b2", "1a"]
