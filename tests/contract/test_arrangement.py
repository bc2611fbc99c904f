"""Who answers, as far as it can be told without loading a model."""

from pathlib import Path

import pytest

from driftline.contract.arrangement import default_package
from driftline.contract.package import seed_package
from driftline.contract.roster_file import Entry, RosterFile, write_roster_file
from driftline.errors import ModelError
from tests.api.models import write_package


def default(folder: Path) -> tuple[str, str]:
    schema = default_package(folder).schema
    return schema.name, schema.version


def test_a_package_answers_itself() -> None:
    assert default(seed_package()) == ("seed", "1")


def test_of_a_folder_the_version_that_serves_of_the_default_answers(tmp_path: Path) -> None:
    for name, version in (("credit", "1"), ("credit", "2"), ("churn", "7")):
        write_package(tmp_path / name / version, version, name=name)
    with pytest.raises(ModelError, match="none is the default"):
        default(tmp_path)
    write_roster_file(tmp_path, RosterFile("credit"))
    assert default(tmp_path) == ("credit", "2")
    write_roster_file(tmp_path, RosterFile("credit", {"credit": Entry("1")}))
    assert default(tmp_path) == ("credit", "1")


def test_what_cannot_be_read_is_told_where_it_is_missed(tmp_path: Path) -> None:
    write_package(tmp_path / "credit" / "1", "1")
    write_package(tmp_path / "credit" / "2", "2").joinpath("model.toml").write_text("output = 3")
    assert default(tmp_path) == ("credit", "1")
    write_roster_file(tmp_path, RosterFile(None, {"credit": Entry("2")}))
    with pytest.raises(ModelError, match=r"there is no version 2 of credit here.*output"):
        default(tmp_path)


def test_hidden_folders_are_not_looked_into(tmp_path: Path) -> None:
    write_package(tmp_path / "credit" / "1", "1")
    write_package(tmp_path / "credit" / ".2", "2")
    write_package(tmp_path / ".new" / "3", "3")
    assert default(tmp_path) == ("credit", "1")
