"""compose.yaml says what the documentation promises; that it does so is seen by running it."""

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.docker.draw_password import RECEIVERS
from driftline import __version__
from driftline.settings import Settings, file_variable, variable

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "compose.yaml").read_text(encoding="utf-8")
STACK = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = STACK["services"]
ENDING = {"init", "report", "load", "keys"}
LONG_RUNNING = sorted(SERVICES.keys() - ENDING)
PUBLISHED = {"api", "monitor", "prometheus", "grafana"}
UNITS = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30}


@cache
def defaults() -> dict[str, str]:
    """Each variable of compose.yaml with its default, which is the same wherever it occurs."""
    found = set(re.findall(r"\$\{([A-Z_]+):-([^}]*)\}", TEXT))
    assert len(dict(found)) == len(found)
    return dict(found)


def filled_in(value: object) -> str:
    """A value as it is when no variable is set."""
    return re.sub(r"\$\{[A-Z_]+:-([^}]*)\}", r"\1", str(value))


def byte_count(size: str) -> int:
    number, unit = re.fullmatch(r"(\d+)([kmg]?)b?", size.lower()).groups()  # type: ignore[union-attr]  # or the test fails
    return int(number) * UNITS[unit]


def test_there_are_these_services_and_volumes() -> None:
    assert {name: service.get("profiles", []) for name, service in SERVICES.items()} == {
        "init": [],
        "redis": [],
        "api": [],
        "worker": [],
        "monitor": [],
        "keys": ["tools"],
        "report": ["tools"],
        "load": ["load"],
        "prometheus": ["monitoring"],
        "grafana": ["monitoring"],
    }
    assert set(STACK["volumes"]) == {"outbox", "log", "monitor", "redis", "secrets", "prometheus", "grafana"}


def test_every_variable_has_a_default() -> None:
    assert set(re.findall(r"(?<!\$)\$\{?([A-Za-z_]+)", TEXT)) == set(defaults())


def test_the_version_is_the_packages() -> None:
    assert defaults()["DRIFTLINE_VERSION"] == __version__


def test_the_example_documents_every_variable_with_its_default() -> None:
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    assert dict(re.findall(r"^#([A-Z_]+)=(.*)$", example, re.MULTILINE)) == defaults()


def test_the_example_sets_nothing() -> None:
    lines = (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line and not line.startswith("#")] == []


@pytest.mark.parametrize("name", SERVICES)
def test_each_image_is_named_with_a_tag(name: str) -> None:
    image = filled_in(SERVICES[name]["image"])
    assert re.fullmatch(r"[a-z/-]+:v?\d[\w.-]*", image)
    if "build" in SERVICES[name]:
        assert image.endswith(f":{__version__}")
        assert SERVICES[name]["pull_policy"] == "never"


@pytest.mark.parametrize("name", SERVICES)
def test_each_container_is_hardened_and_bounded(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["pids_limit"] > 0
    assert set(service["logging"]["options"]) == {"max-size", "max-file"}
    assert byte_count(filled_in(service["mem_limit"])) >= 64 * UNITS["m"]
    assert 0 < float(filled_in(service["cpus"])) <= 1.0, "a machine with one core refuses more"


@pytest.mark.parametrize("name", LONG_RUNNING)
def test_what_goes_on_running_is_started_again_and_looked_after(name: str) -> None:
    assert SERVICES[name]["restart"] == "unless-stopped"
    assert SERVICES[name]["healthcheck"]["test"][0].startswith("CMD")


@pytest.mark.parametrize("name", SERVICES)
def test_what_is_published_is_so_on_this_machine_alone(name: str) -> None:
    ports = SERVICES[name].get("ports", [])
    assert bool(ports) == (name in PUBLISHED)
    assert [port for port in ports if not filled_in(port).startswith("127.0.0.1:")] == []


def test_redis_is_reached_by_nobody_else() -> None:
    assert STACK["networks"]["broker"] == {"internal": True}
    assert SERVICES["redis"]["networks"] == ["broker"]
    assert {name for name, service in SERVICES.items() if "broker" in service.get("networks", [])} == {
        "init",
        "redis",
        "api",
        "worker",
    }


def test_redis_keeps_and_refuses_rather_than_forgets() -> None:
    command = filled_in(SERVICES["redis"]["command"])
    assert "--appendonly yes" in command
    assert "--maxmemory-policy noeviction" in command
    most = re.search(r"--maxmemory (\w+)", command)
    assert most
    assert 2 * byte_count(most[1]) < byte_count(filled_in(SERVICES["redis"]["mem_limit"]))


def test_what_is_secret_stands_in_the_environment_of_init_alone() -> None:
    secret = r"\$\{(\w*PASSWORD|DRIFTLINE_ALERT_(WEBHOOK|SLACK|SMTP))\b"
    assert {name for name, service in SERVICES.items() if re.search(secret, str(service))} == {"init"}
    environment = SERVICES["init"]["environment"]
    assert len([value for value in environment.values() if re.search(secret, value)]) == 2 + len(RECEIVERS)
    assert {
        name
        for name, service in SERVICES.items()
        if any(str(each).startswith("secrets:") for each in service["volumes"])
    } == {"init", "keys", "redis", "api", "worker", "monitor", "grafana"}


@pytest.mark.parametrize(("volume", "writer"), [("outbox", "api"), ("log", "worker"), ("monitor", "monitor")])
def test_each_volume_has_one_writer(volume: str, writer: str) -> None:
    assert writing_to(volume) == {writer}


def test_secrets_are_written_by_those_who_draw_them() -> None:
    assert writing_to("secrets") == {"init", "keys"}


def writing_to(volume: str) -> set[str]:
    mounts = [(name, str(mount)) for name, service in SERVICES.items() for mount in service["volumes"]]
    return {name for name, mount in mounts if mount.startswith(f"{volume}:") and not mount.endswith(":ro")}


def test_keys_are_drawn_where_the_api_looks_for_them() -> None:
    path = SERVICES["api"]["environment"]["DRIFTLINE_KEYS"]
    assert SERVICES["monitor"]["environment"]["DRIFTLINE_KEYS"] == path
    assert SERVICES["keys"]["environment"] == {"DRIFTLINE_KEYS": path}
    assert SERVICES["keys"]["network_mode"] == "none"
    assert path.startswith("/secrets/")


def test_init_is_told_whether_others_come_in_and_whether_that_was_said() -> None:
    told = SERVICES["init"]["environment"]
    assert told["DRIFTLINE_AUTH"] == "${DRIFTLINE_AUTH-}", "no default here: unsaid is empty"
    assert filled_in(told["DRIFTLINE_BIND"]) == "127.0.0.1"
    for name in ("api", "monitor"):
        assert filled_in(SERVICES[name]["environment"]["DRIFTLINE_AUTH"]) == "none"


def test_the_monitor_keeps_all_it_writes_on_its_volume_and_finds_what_init_writes() -> None:
    environment = SERVICES["monitor"]["environment"]
    settings = Settings(data=Path("/data"), reference=Path(environment["DRIFTLINE_REFERENCE"]))
    [volume] = [str(mount).split(":")[1] for mount in SERVICES["monitor"]["volumes"] if "monitor:" in str(mount)]
    assert str(settings.monitor_dir) == volume
    assert str(settings.reference_file.parent) == volume
    files = {file_variable(name.replace("-", "_")): f"/secrets/{name}" for name in RECEIVERS}
    assert {name: value for name, value in environment.items() if name.endswith("_FILE")} == files


def test_the_monitor_asks_for_the_apis_metrics_where_they_are() -> None:
    port = SERVICES["api"]["environment"]["DRIFTLINE_API_METRICS_PORT"]
    assert SERVICES["monitor"]["environment"]["DRIFTLINE_API_METRICS_URL"] == f"http://api:{port}/metrics"


def test_ports_of_the_monitor_are_those_of_its_settings() -> None:
    [published] = SERVICES["monitor"]["ports"]
    assert filled_in(published).endswith(f":{Settings().console_port}")
    assert SERVICES["monitor"]["healthcheck"]["test"][-1] == str(Settings().monitor_metrics_port)


@pytest.mark.parametrize("name", ["DRIFTLINE_WINDOW_S", "DRIFTLINE_DRIFT_DAYS"])
def test_what_the_monitor_is_told_by_default_is_its_settings_default(name: str) -> None:
    default = getattr(Settings(), name.removeprefix("DRIFTLINE_").lower())
    assert float(defaults()[name]) == default


@pytest.mark.parametrize("name", ["api", "worker", "monitor"])
def test_a_container_is_given_settings_that_exist(name: str) -> None:
    known = {variable(setting) for setting in Settings.model_fields} | {file_variable("broker")}
    known |= {file_variable(receiver.replace("-", "_")) for receiver in RECEIVERS}
    assert set(SERVICES[name]["environment"]) <= known


def test_the_monitor_waits_for_nobody_but_init() -> None:
    assert set(SERVICES["monitor"]["depends_on"]) == {"init"}


def test_a_changed_secret_reaches_those_who_read_it_at_the_start() -> None:
    for name in ("api", "worker", "monitor"):
        assert SERVICES[name]["depends_on"]["init"] == {"condition": "service_completed_successfully", "restart": True}


def test_a_sick_redis_keeps_neither_the_api_nor_the_worker_from_starting() -> None:
    assert set(SERVICES["api"]["depends_on"]) == {"init"}
    assert SERVICES["worker"]["depends_on"]["redis"] == {"condition": "service_healthy", "required": False}
