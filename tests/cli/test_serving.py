"""``driftline model list|promote|rollback|shadow|canary``: what they write, and what they refuse."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from driftline.cli.serving import read_share
from driftline.contract.roster_file import Canary, Entry, RosterFile, read_roster_file
from driftline.durable import lock_directory
from driftline.errors import SettingsError
from tests.api.models import write_package
from tests.cli.conftest import Run


@pytest.fixture
def models(tmp_path: Path) -> Path:
    for version in ("1", "2", "10"):
        write_package(tmp_path / "models" / "credit" / version, version)
    return tmp_path / "models"


def entry(models: Path) -> Entry:
    return read_roster_file(models).entry("credit")


def listed(ask: Run) -> Any:
    return json.loads(ask("model", "list", "--model", "models", "--json").stdout)


def test_without_a_file_the_highest_version_serves(ask: Run, models: Path) -> None:
    finished = ask("model", "list", "--model", "models")
    assert [line.split() for line in finished.stdout.splitlines()] == [
        ["credit", "(default)"],
        ["1"],
        ["2"],
        ["10", "serves"],
    ]
    [model] = listed(ask)["models"]
    assert (model["serving"], model["previous"], model["versions"]) == ("10", None, ["1", "2", "10"])


def test_a_promotion_can_be_taken_back_and_forth(ask: Run, models: Path) -> None:
    promoted = ask("model", "promote", "credit", "2", "--model", "models")
    assert promoted.returncode == 0
    assert "switch within seconds" in promoted.stderr
    assert entry(models) == Entry("2", previous="10")
    assert ask("model", "rollback", "credit", "--model", "models").returncode == 0
    assert entry(models) == Entry("10", previous="2")
    assert ask("model", "rollback", "credit", "--model", "models").returncode == 0
    assert entry(models) == Entry("2", previous="10")


def test_what_serves_already_is_not_promoted_and_what_served_stays_known(ask: Run, models: Path) -> None:
    ask("model", "promote", "credit", "2", "--model", "models")
    again = ask("model", "promote", "credit", "2", "--model", "models")
    assert (again.returncode, again.stderr) == (3, "driftline: credit 2 serves already (model_invalid)\n")
    assert entry(models).previous == "10"


def test_without_a_promotion_there_is_nothing_to_go_back_to(ask: Run, models: Path) -> None:
    refused = ask("model", "rollback", "credit", "--model", "models")
    assert refused.returncode == 3
    assert "nothing is known of what served before credit 10" in refused.stderr


def test_a_shadow_comes_and_goes(ask: Run, models: Path) -> None:
    for version in ("1", "2"):
        assert ask("model", "shadow", "credit", version, "--model", "models").returncode == 0
    assert entry(models).shadow == ("1", "2")
    assert ask("model", "shadow", "credit", "1", "--off", "--model", "models").returncode == 0
    assert entry(models).shadow == ("2",)
    assert "is no shadow" in ask("model", "shadow", "credit", "1", "--off", "--model", "models").stderr


def test_a_canary_comes_grows_and_goes(ask: Run, models: Path) -> None:
    ask("model", "canary", "credit", "2", "5 %", "--by", "customer", "--model", "models")
    assert entry(models).canary == Canary("2", 0.05, "customer")
    assert "canary of 0.05 by customer" in ask("model", "list", "--model", "models").stdout
    ask("model", "canary", "credit", "2", "0.5", "--model", "models")
    assert entry(models).canary == Canary("2", 0.5)
    assert "is no canary" in ask("model", "canary", "credit", "1", "--off", "--model", "models").stderr
    ask("model", "canary", "credit", "2", "--off", "--model", "models")
    assert entry(models).canary is None


def test_a_challenger_that_is_promoted_is_none_any_more(ask: Run, models: Path) -> None:
    ask("model", "shadow", "credit", "2", "--model", "models")
    ask("model", "shadow", "credit", "1", "--model", "models")
    ask("model", "canary", "credit", "2", "5 %", "--model", "models")
    ask("model", "promote", "credit", "2", "--model", "models")
    assert entry(models) == Entry("2", previous="10", shadow=("1",))


@pytest.mark.parametrize(
    ("arguments", "code", "reason"),
    [
        (("promote", "credit", "11"), 3, "there is no version 11 of credit here; did you mean 1"),
        (("promote", "credti", "1"), 3, "there is no model credti in models; did you mean credit"),
        (("rollback", "credti"), 3, "did you mean credit"),
        (("shadow", "credit", "10"), 3, "cannot be its own shadow"),
        (("canary", "credit", "2", "5 %", "--by", "custoner"), 3, "did you mean customer"),
        (("canary", "credit", "2"), 2, "a canary needs SHARE"),
        (("canary", "credit", "2", "5"), 2, "SHARE is '5'"),
    ],
)
def test_what_cannot_be_done_is_refused_and_nothing_is_written(
    ask: Run, models: Path, arguments: tuple[str, ...], code: int, reason: str
) -> None:
    finished = ask("model", *arguments, "--model", "models")
    assert finished.returncode == code
    assert reason in finished.stderr
    assert read_roster_file(models) == RosterFile()


def test_a_package_that_does_not_check_is_not_promoted(ask: Run, models: Path) -> None:
    package = models / "credit" / "2" / "model.toml"
    package.write_text(package.read_text().replace("income = 1.0", "incone = 1.0"))
    finished = ask("model", "promote", "credit", "2", "--model", "models")
    assert finished.returncode == 3
    assert "did you mean income" in finished.stderr
    assert read_roster_file(models) == RosterFile()


def test_a_package_that_cannot_be_read_is_shown(ask: Run, models: Path) -> None:
    (models / "credit" / "1" / "model.toml").write_text("x")
    finished = ask("model", "list", "--model", "models")
    assert finished.stderr.startswith("refused: models/credit/1: ")
    assert list(listed(ask)["refused"]) == ["models/credit/1"]


def test_one_package_has_no_roster(ask: Run) -> None:
    assert "seed" in ask("model", "list").stdout
    assert "is one package" in ask("model", "promote", "seed", "1").stderr


def test_two_commands_do_not_write_over_each_other(ask: Run, models: Path) -> None:
    lock = lock_directory(models)
    assert lock is not None
    try:
        assert "try again" in ask("model", "promote", "credit", "2", "--model", "models").stderr
    finally:
        os.close(lock)


@pytest.mark.parametrize(("text", "share"), [("5 %", 0.05), ("5%", 0.05), ("100 %", 1.0), ("0.05", 0.05), ("1", 1.0)])
def test_a_share_is_percent_or_a_fraction(text: str, share: float) -> None:
    assert read_share(text) == pytest.approx(share)


@pytest.mark.parametrize("text", ["5", "0", "0 %", "-1 %", "101 %", "nan", "five", "", "%"])
def test_any_other_share_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="SHARE"):
        read_share(text)
