"""``--help`` teaches, quickly, and errors are one line and an exit code."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from driftline import __version__
from tests.cli.commands import Command, commands
from tests.cli.conftest import Run

ALL = commands()
WITH_SETTINGS = [command for command in ALL if "--data" in command.options]


@pytest.mark.parametrize("command", ALL, ids=str)
def test_help_names_all_options_examples_and_exit_codes(ask: Run, command: Command) -> None:
    finished = ask(*command.path, "--help")
    assert finished.returncode == 0
    assert {option for option in command.options if option not in finished.stdout} == set()
    assert f"driftline {command}" in finished.stdout.partition("Examples")[2]
    assert set(re.findall(r"^ +(\d)  ", finished.stdout.partition("Exit codes")[2], re.MULTILINE)) >= {"0", "2", "3"}


def test_all_commands_on_data_take_a_folder_and_a_broker() -> None:
    without = {
        "alerts",
        "backtest",
        "chaos",
        "compact",
        "compare",
        "keys",
        "log",
        "model",
        "monitor",
        "query",
        "reference",
        "replay",
    }  # which make their own, or meet no broker
    assert {command.path[0] for command in ALL if "--broker" not in command.options} == without
    assert {command.path[0] for command in ALL if command not in WITH_SETTINGS} == {"chaos", "model"}


def test_help_is_listed_without_arguments_and_names_every_command(ask: Run) -> None:
    finished = ask()
    assert {command.path[0] for command in ALL if command.path[0] not in finished.stdout} == set()


def test_the_version_is_the_packages(run: Run) -> None:
    assert run("--version").stdout == f"driftline {__version__}\n"
    module = subprocess.run(
        [sys.executable, "-m", "driftline", "--version"], capture_output=True, text=True, check=True
    )
    assert module.stdout == f"driftline {__version__}\n"


def test_help_loads_nothing_heavy() -> None:
    code = """
import sys
from driftline.cli.app import app
app(["up", "--help"], standalone_mode=False)
print(sorted({name.partition(".")[0] for name in sys.modules} & set(sys.argv[1].split(","))))
"""
    heavy = "pydantic_settings,structlog,starlette,uvicorn,uvloop,faststream,redis,evidently,pandas,prometheus_client"
    finished = subprocess.run([sys.executable, "-c", code, heavy], capture_output=True, text=True, check=True)
    assert finished.stdout.splitlines()[-1] == "[]"


def test_each_part_loads_only_what_it_needs() -> None:
    code = "import sys, driftline.cli.app, {}; print(*(name for name in sys.argv[1].split(',') if name in sys.modules))"

    def loaded(module: str, names: str) -> str:
        command = [sys.executable, "-c", code.format(module), names]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    assert (
        loaded("driftline.api.server", "evidently,pandas,faststream,fastapi,numpy,duckdb,redis,yaml,jinja2,locust")
        == ""
    )
    worker = "driftline.worker.main, driftline.worker.stream"
    # FastStream itself loads uvicorn where it is installed.
    assert loaded(worker, "evidently,pandas,fastapi,starlette,driftline.api,uvloop,locust,numpy,duckdb") == ""
    assert loaded("driftline.monitor.main", "evidently,pandas,fastapi,faststream,uvicorn,locust,duckdb,scipy") == ""


@pytest.mark.parametrize("command", WITH_SETTINGS, ids=str)
def test_a_wrong_setting_is_one_line_and_exit_code_2_for_every_command(ask: Run, command: Command) -> None:
    named = {
        ("alerts", "silence"),
        ("log", "replace"),
        ("keys", "add"),
        ("keys", "revoke"),
        ("query",),
        ("score",),
        ("reference", "diff"),
    }
    arguments = ("x",) if command.path in named else ()
    finished = ask(*command.path, *arguments, DRIFTLINE_PROT="1")
    assert finished.returncode == 2
    assert (
        finished.stderr
        == "driftline: there is no setting DRIFTLINE_PROT; the nearest is DRIFTLINE_PORT (settings_unknown)\n"
    )
    assert finished.stdout == ""


def test_several_wrong_values_are_a_line_each(ask: Run) -> None:
    finished = ask("config", DRIFTLINE_PORT="x", DRIFTLINE_PROCESSES="0")
    assert finished.stderr.splitlines() == [
        "driftline: DRIFTLINE_PORT is 'x': it must be a valid integer (settings_invalid)",
        "driftline: DRIFTLINE_PROCESSES is '0': it must be greater than or equal to 1 (settings_invalid)",
    ]


def test_an_unknown_option_is_exit_code_2_and_names_one_that_exists(ask: Run) -> None:
    finished = ask("up", "--prot", "1")
    assert finished.returncode == 2
    assert "--port" in finished.stderr


@pytest.mark.parametrize("arguments", [("ledger",), ("log", "show"), ("report",)], ids=" ".join)
def test_without_a_log_what_needs_one_is_exit_code_3(ask: Run, arguments: tuple[str, ...]) -> None:
    finished = ask(*arguments)
    assert finished.returncode == 3
    assert re.fullmatch(r"driftline: .+ \(log_not_found\)\n", finished.stderr)


def test_config_shows_each_value_with_its_source(ask: Run) -> None:
    flags = ("--data", "elsewhere")
    finished = ask("config", *flags, "--json", DRIFTLINE_PORT="1234", REDIS_URL="redis://h:1")
    rows = json.loads(finished.stdout)
    assert rows["data"] == {"value": "elsewhere", "source": "--data"}
    assert rows["port"] == {"value": 1234, "source": "DRIFTLINE_PORT"}
    assert rows["broker"] == {"value": "redis://h:1", "source": "REDIS_URL"}
    assert rows["host"] == {"value": "127.0.0.1", "source": "default"}
    table = ask("config", *flags, DRIFTLINE_PORT="1234").stdout
    assert re.search(r"^port +1234 +DRIFTLINE_PORT *$", table, re.MULTILINE)


@pytest.mark.parametrize(
    "arguments",
    [("config",), ("config", "--json"), ("ledger",), ("log", "show"), ("report",), ("up", "--port", "70000")],
    ids=" ".join,
)
def test_the_brokers_password_is_in_no_output(ask: Run, arguments: tuple[str, ...]) -> None:
    finished = ask(*arguments, DRIFTLINE_BROKER="redis://:s3cr3t@127.0.0.1:1/0?password=s3cr3t")
    assert finished.stdout + finished.stderr
    assert "s3cr3t" not in finished.stdout + finished.stderr


@pytest.mark.parametrize("command", ["serve", "worker", "monitor"])
def test_a_data_folder_that_cannot_be_is_exit_code_3(run: Run, tmp_path: Path, command: str) -> None:
    (tmp_path / "file").touch()
    finished = run(command, "--data", "file")
    assert finished.returncode == 3
    assert re.fullmatch(
        r"driftline: cannot (?:use|make) .*file.*: Not a directory \(\w+\)", finished.stderr.splitlines()[-1]
    )
    assert "Traceback" not in finished.stderr
