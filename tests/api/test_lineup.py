"""Who answers, drawn up of a folder of packages and a roster file."""

from pathlib import Path

import pytest

from driftline.api.lineup import Lineup, draw_up
from driftline.contract.package import seed_package
from driftline.contract.roster_file import ROSTER_FILE
from driftline.errors import ModelError, ModelNotFoundError
from tests.api.models import load_served, write_package


def drawn(folder: Path, roster: str = "", before: Lineup | None = None) -> Lineup:
    if roster:
        (folder / ROSTER_FILE).write_text(roster)
    return draw_up(folder, load_served, before)


def versions(lineup: Lineup) -> dict[str, tuple[str, list[str]]]:
    return {name: (model.serving.schema.version, list(model.versions)) for name, model in lineup.models.items()}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for version in ("1.9", "1.10", "1.2"):
        write_package(tmp_path / "credit" / version, version)
    return tmp_path


def test_of_several_versions_the_highest_serves_as_people_count(folder: Path) -> None:
    assert versions(drawn(folder)) == {"credit": ("1.10", ["1.2", "1.9", "1.10"])}


def test_the_roster_file_says_which_version_serves(folder: Path) -> None:
    lineup = drawn(
        folder, '[models.credit]\nversion = "1.2"\nshadow = ["1.9"]\ncanary = {version = "1.10", share = 0.5}'
    )
    model = lineup.find("credit")
    assert model.serving.schema.version == "1.2"
    assert [each.served.schema.version for each in model.shadows] == ["1.9"]
    assert model.split is not None
    assert model.split.plan.share == 0.5


def test_a_package_alone_is_a_folder_too() -> None:
    assert [len(model.versions) for model in drawn(seed_package()).models.values()] == [1]


def test_a_package_may_lie_at_name_without_a_version(folder: Path) -> None:
    write_package(folder / "churn", "1", name="churn")
    lineup = drawn(folder, 'default = "churn"')
    assert list(lineup.models) == ["churn", "credit"]


def test_of_several_models_one_must_be_the_default(folder: Path) -> None:
    write_package(folder / "churn", "1", name="churn")
    with pytest.raises(ModelError, match='of churn, credit none is the default: write default = "churn"'):
        drawn(folder)


@pytest.mark.parametrize(
    ("roster", "reason"),
    [
        ('default = "credti"', "did you mean credit"),
        ("[models.credti]", "there is no model credti here; did you mean credit"),
        ('[models.credit]\nversion = "1.11"', "there is no version 1.11 of credit here; did you mean 1.1"),
        ('[models.credit]\nshadow = ["2"]', "no version 2 of credit"),
        ('[models.credit]\nshadow = ["1.10"]', "cannot be its own shadow"),
        ('[models.credit]\ncanary = {version = "1.10", share = 0.1}', "cannot be its own canary"),
        ('[models.credit]\ncanary = {version = "1.9", share = 0.1, by = "custoner"}', "did you mean customer"),
        ('[models.credit]\ncanary = {version = "1.9", share = 1.5}', "share"),
        ('[models.credit]\nversoin = "1.9"', "did you mean version"),
        ("[models.credit", "is not TOML"),
    ],
)
def test_a_wrong_roster_file_is_refused_with_what_is_wrong(folder: Path, roster: str, reason: str) -> None:
    with pytest.raises(ModelError, match=reason) as raised:
        drawn(folder, roster)
    assert ROSTER_FILE in raised.value.message


def test_a_challenger_must_take_what_is_asked(folder: Path) -> None:
    package = write_package(folder / "credit" / "2", "2") / "model.toml"
    package.write_text(package.read_text().replace('"customer"', '"client"'))
    with pytest.raises(ModelError, match=r"2 cannot be tried on what 1\.9 is asked: it does not"):
        drawn(folder, '[models.credit]\nversion = "1.9"\nshadow = ["2"]')
    assert versions(drawn(folder, "default = 'credit'"))["credit"][0] == "2", "but it may serve"


def test_a_package_that_cannot_be_used_is_as_if_it_were_not_there_and_said(folder: Path) -> None:
    (folder / "credit" / "1.10" / "model.toml").write_text("name = 1")
    lineup = drawn(folder)
    assert versions(lineup) == {"credit": ("1.9", ["1.2", "1.9"])}
    assert list(lineup.refused) == ["credit/1.10"]


def test_two_packages_of_one_version_are_not_both_served(folder: Path) -> None:
    write_package(folder / "credit" / "copy", "1.9", bias=1.0)
    lineup = drawn(folder)
    assert lineup.refused == {"credit/copy": "credit 1.9 is in credit/1.9, too"}


def test_a_folder_without_a_package_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="holds no model"):
        drawn(tmp_path)


def test_what_has_not_changed_is_not_loaded_again(folder: Path) -> None:
    before = drawn(folder)
    write_package(folder / "credit" / "2", "2")
    after = drawn(folder, before=before)
    assert versions(after)["credit"][0] == "2"
    for version in ("1.2", "1.9", "1.10"):
        assert after.models["credit"].versions[version] is before.models["credit"].versions[version]


def test_a_changed_package_that_keeps_its_version_is_refused_and_the_old_goes_on(folder: Path) -> None:
    before = drawn(folder)
    write_package(folder / "credit" / "1.10", "1.10", bias=3.0)
    after = drawn(folder, before=before)
    assert after.models["credit"].serving is before.models["credit"].serving
    assert "needs a new version" in after.refused["credit/1.10"]


def test_a_package_that_was_written_again_with_the_same_bytes_is_the_same(folder: Path) -> None:
    before = drawn(folder)
    write_package(folder / "credit" / "1.10", "1.10")
    after = drawn(folder, before=before)
    assert after.models["credit"].serving is before.models["credit"].serving
    assert not after.refused


def test_a_package_that_was_moved_is_the_same(folder: Path) -> None:
    before = drawn(folder)
    (folder / "credit" / "1.10").rename(folder / "credit" / "ten")
    after = drawn(folder, before=before)
    assert after.models["credit"].serving is before.models["credit"].serving


def test_a_package_that_broke_goes_on_as_it_was_loaded(folder: Path) -> None:
    before = drawn(folder)
    (folder / "credit" / "1.10" / "model.toml").write_text("version = ")
    after = drawn(folder, before=before)
    assert after.models["credit"].serving is before.models["credit"].serving
    assert list(after.refused) == ["credit/1.10"]


def test_a_package_that_is_gone_serves_no_more(folder: Path) -> None:
    before = drawn(folder)
    (folder / "credit" / "1.10" / "model.toml").unlink()
    assert versions(drawn(folder, before=before)) == {"credit": ("1.9", ["1.2", "1.9"])}


def test_what_is_not_there_is_said_with_the_nearest_name(folder: Path) -> None:
    with pytest.raises(ModelNotFoundError, match="did you mean credit"):
        drawn(folder).find("credits")
