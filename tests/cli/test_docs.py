"""What the documentation says of settings and commands is what there is."""

import re
from pathlib import Path

import pytest

from driftline.cli.exits import MEANING, Exit
from driftline.settings import ENV_PREFIX, Settings, file_variable
from tests.cli.commands import Command, commands

DOCS = Path(__file__).parents[2] / "docs"
SETTINGS = (DOCS / "settings.md").read_text(encoding="utf-8")
CLI = (DOCS / "cli.md").read_text(encoding="utf-8")
UNITS = {"GiB": 2**30, "MiB": 2**20}


def written(value: object) -> str:
    """A default as the documentation writes it."""
    if isinstance(value, int) and value % UNITS["MiB"] == 0 and value:
        unit = "GiB" if value % UNITS["GiB"] == 0 else "MiB"
        return f"{value // UNITS[unit]} {unit}"
    return "none" if value is None else f"`{value}`"


@pytest.mark.parametrize("name", Settings.model_fields)
def test_each_setting_is_documented_with_its_default_and_meaning(name: str) -> None:
    field = Settings.model_fields[name]
    assert f"| `{name}` | {written(field.default)} | {field.description} |" in SETTINGS.splitlines()


def test_no_setting_is_documented_that_does_not_exist() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", SETTINGS, re.MULTILINE)
    assert sorted(rows) == sorted(Settings.model_fields)


def test_variables_named_in_the_documentation_exist() -> None:
    known = {ENV_PREFIX + name.upper() for name in Settings.model_fields} | {
        "DRIFTLINE_CONFIG",
        *map(file_variable, ("broker", "alert_webhook", "alert_slack", "alert_smtp")),
    }
    known |= set(re.findall(r"^#(DRIFTLINE_[A-Z_]+)=", (DOCS.parent / ".env.example").read_text("utf-8"), re.MULTILINE))
    harness = "".join(path.read_text("utf-8") for path in (DOCS.parent / "deploy" / "e2e").glob("*.py"))
    known |= set(re.findall(r"DRIFTLINE_E2E_[A-Z]+", harness))
    named = {
        name
        for page in [*DOCS.rglob("*.md"), DOCS.parent / "README.md"]
        for name in re.findall(r"DRIFTLINE_[A-Z0-9_]*[A-Z]", page.read_text(encoding="utf-8"))
    }
    assert named - known == set()
    assert "DRIFTLINE_BROKER" in named


@pytest.mark.parametrize("command", commands(), ids=str)
def test_each_command_is_documented_with_its_options(command: Command) -> None:
    section = CLI.partition(f"## `driftline {command}`\n")[2].partition("\n## ")[0]
    assert section, f"docs/cli.md has no section on {command}"
    assert {option for option in command.options if f"`{option}" not in section} == set()


def test_the_exit_codes_are_documented() -> None:
    for code in Exit:
        assert f"| {code.value} | {MEANING[code]} |" in CLI


def test_no_command_is_documented_that_does_not_exist() -> None:
    assert re.findall(r"^## `driftline (.+)`$", CLI, re.MULTILINE) == [str(command) for command in commands()]
