"""The Dockerfile and what it is given; that it builds and runs is seen by building and running it."""

import re
from fnmatch import fnmatch
from pathlib import Path

import pytest

from driftline import __version__

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "deploy/docker/Dockerfile").read_text(encoding="utf-8")
INSTRUCTIONS = re.sub(r"\\\n", " ", re.sub(r"^#.*\n", "", DOCKERFILE, flags=re.MULTILINE)).splitlines()
STAGES = re.findall(r"^FROM (\S+) AS (\S+)$", DOCKERFILE, re.MULTILINE)
IMAGES = ("load", "report", "runtime")


def let_in(path: str) -> bool:
    """Whether ``.dockerignore`` lets a file in: the last pattern that matches it, or a folder above it, decides."""
    allowed = True
    for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            pattern = line.removeprefix("!").removeprefix("**/")
            above = [path, *map(str, Path(path).parents)][:-1]
            names = [Path(each).name for each in above] if "**/" in line else above
            if any(fnmatch(name, pattern) and name.count("/") == pattern.count("/") for name in names):
                allowed = line.startswith("!")
    return allowed


def stage(name: str) -> str:
    return re.split(r"^FROM \S+ AS ", DOCKERFILE, flags=re.MULTILINE)[[each for _, each in STAGES].index(name) + 1]


def copied() -> list[Path]:
    """Every file of the project that the Dockerfile takes in."""
    sources = [
        source
        for line in INSTRUCTIONS
        if line.startswith("COPY ") and "--from" not in line
        for source in line.split()[1:-1]
    ]
    found = [path for source in sources for path in ROOT.glob(source)]
    assert len(found) >= len(sources)
    return [file for path in found for file in ([path] if path.is_file() else path.rglob("*.[pt][yo]*"))]


def test_the_build_is_given_what_it_copies() -> None:
    names = [str(path.relative_to(ROOT)) for path in copied() if "__pycache__" not in str(path)]
    assert {"src/driftline/__init__.py", "src/driftline/models/seed/model.toml", "loadtest/run.py"} <= set(names)
    assert [name for name in names if not let_in(name)] == []


@pytest.mark.parametrize(
    "name",
    [
        ".env",
        ".git/config",
        ".venv/bin/python",
        "compose.yaml",
        "data/logs/log.sqlite",
        "deploy/monitoring/prometheus/prometheus.yml",
        "loadtest/results/run.csv",
        "report.html",
        "src/driftline/__pycache__/settings.cpython-313.pyc",
        "tests/conftest.py",
    ],
)
def test_the_build_is_given_nothing_else(name: str) -> None:
    assert not let_in(name)


def test_it_asks_no_more_than_the_engine_of_debian_12_knows() -> None:
    assert "syntax=" not in DOCKERFILE.partition("FROM")[0].replace("`# syntax=`", "")
    assert "<<" not in "".join(INSTRUCTIONS)
    assert "--start-interval" not in DOCKERFILE


def test_a_plain_build_gives_the_image_of_the_api() -> None:
    assert STAGES[-1] == ("base", "runtime")
    assert [name for base, name in STAGES if base == "base"] == list(IMAGES)


def test_the_base_image_is_an_argument_with_a_pinned_default() -> None:
    assert re.search(r"^ARG BASE=python:3\.\d+-slim$", DOCKERFILE, re.MULTILINE)
    assert {base for base, _ in STAGES} <= {"${BASE}", *(name for _, name in STAGES)}


def test_the_version_is_the_packages() -> None:
    assert re.findall(r"^ARG VERSION=(.*)$", DOCKERFILE, re.MULTILINE) == [__version__]


@pytest.mark.parametrize("name", IMAGES)
def test_no_image_runs_as_root_or_installs_anything(name: str) -> None:
    assert re.findall(r"^USER (.*)$", stage(name), re.MULTILINE) == ["10001:10001"]
    assert "pip" not in stage(name)
    assert "HEALTHCHECK" in stage(name)


@pytest.mark.parametrize("lock", ["driftline", "report", "load", "build"])
def test_packages_come_from_the_locks(lock: str) -> None:
    assert f"--require-hashes -r /build/{lock}.txt" in DOCKERFILE
    assert len(re.findall(r"pip .*install", DOCKERFILE)) == 5  # these four, and the wheel that was built here
