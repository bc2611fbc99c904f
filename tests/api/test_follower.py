"""Following a folder, look by look: what is loaded when, and what becomes of what is not needed any more."""

import asyncio
import gc
import weakref
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from driftline.api.config import ApiConfig
from driftline.api.reload import RELOADS, Follower, loader
from driftline.api.served import Served
from driftline.contract.package import Package
from driftline.contract.roster_file import Entry, RosterFile, write_roster_file
from driftline.errors import ModelError
from driftline.scoring import load_model
from tests.api.models import write_package
from tests.waiting import eventually


class Folder:
    """Two versions, of which the first serves."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.loaded: list[str] = []
        for version in ("1", "2"):
            self.add(version)
        self.serve("1")
        self.follower = Follower(path, self.load)

    def add(self, version: str, bias: float = 0.0) -> None:
        write_package(self.path / "credit" / version, version, bias=bias)

    def serve(self, version: str) -> None:
        write_roster_file(self.path, RosterFile(models={"credit": Entry(version)}))

    def load(self, package: Package) -> Served:
        self.loaded.append(package.schema.version)
        return Served(package, load_model(package))

    @property
    def serving(self) -> str:
        return self.follower.roster.default().schema.version


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def play(script: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(script(), 60))


def count(result: str) -> float:
    return float(RELOADS[result]._value.get())


def test_a_change_counts_once_it_has_been_still_for_one_look(folder: Folder) -> None:
    async def script() -> None:
        folder.serve("2")
        await folder.follower.look()
        assert folder.serving == "1"
        folder.add("3")
        await folder.follower.look()
        assert folder.serving == "1"
        await folder.follower.look()
        assert folder.serving == "2"
        assert folder.loaded == ["1", "2", "3"]

    play(script)


def test_without_a_change_nothing_is_loaded_or_switched(folder: Folder) -> None:
    lineup, switched = folder.follower.roster.lineup, count("switched")

    async def script() -> None:
        for _ in range(3):
            await folder.follower.look()

    play(script)
    assert folder.follower.roster.lineup is lineup
    assert (folder.loaded, count("switched")) == (["1", "2"], switched)


def test_what_is_refused_is_counted_and_said_once(folder: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    before = count("refused")

    async def script() -> None:
        folder.add("2", bias=7.0)
        for _ in range(4):
            await folder.follower.look()
        folder.serve("2")
        for _ in range(3):
            await folder.follower.look()

    play(script)
    assert count("refused") == before + 1
    assert capsys.readouterr().out.count("model.refused") == 1
    assert folder.serving == "2"


def test_a_request_keeps_the_model_that_it_began_with(folder: Folder) -> None:
    async def script() -> None:
        asked = folder.follower.roster.default()
        (folder.path / "credit" / "1" / "model.toml").unlink()
        folder.serve("2")
        for _ in range(2):
            await folder.follower.look()
        assert folder.serving == "2"
        assert asked.score(asked.decoder.make(0.0, "c")).values == (0.5, 1)

    play(script)


def test_a_model_with_processes_is_closed_once_nobody_uses_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[str] = []

    class Pooled:
        def __init__(self, package: Package) -> None:
            self._model = load_model(package)
            self._version = package.schema.version
            self.processes = 1
            self.score, self.score_row = self._model.score, self._model.score_row

        async def score_async(self, rows: object) -> None:
            raise NotImplementedError

        def close(self) -> None:
            closed.append(self._version)

    monkeypatch.setattr("driftline.api.reload.load_model", lambda package, **_: Pooled(package))
    for version in ("1", "2"):
        write_package(tmp_path / "credit" / version, version)
    follower = Follower(tmp_path, loader(ApiConfig("t", tmp_path, tmp_path, None, "os", 1, 1, 1, None, 1.0)))

    async def script() -> None:
        asked = follower.roster.default()
        (tmp_path / "credit" / "2" / "model.toml").unlink()
        for _ in range(2):
            await follower.look()
        assert follower.roster.default().schema.version == "1"
        assert closed == []
        del asked
        await eventually(lambda: closed == ["2"])  # the thread that drew up the lineup may still let go of the old one

    gc.collect()
    gc.disable()
    try:
        play(script)
    finally:
        gc.enable()


def test_what_an_old_model_holds_in_a_circle_is_given_back_a_look_later(folder: Folder) -> None:
    class Circle:
        def __init__(self) -> None:
            self.itself = self

    async def script() -> None:
        circle = Circle()
        alive = weakref.ref(circle)
        folder.follower.roster.default().held = circle  # type: ignore[attr-defined]  # as a library's object might
        del circle
        (folder.path / "credit" / "1" / "model.toml").unlink()
        folder.serve("2")
        for _ in range(2):
            await folder.follower.look()
        assert folder.serving == "2"
        assert alive() is not None
        await folder.follower.look()
        assert alive() is None, "garbage was collected"

    gc.disable()
    try:
        play(script)
    finally:
        gc.enable()


def test_a_package_that_does_not_do_what_it_says_is_not_served(tmp_path: Path) -> None:
    write_package(tmp_path / "credit" / "1", "1", extra='sample = "sample.csv"\nexpected = "expected.csv"')
    (tmp_path / "credit" / "1" / "sample.csv").write_text("income,customer\n0,c\n")
    (tmp_path / "credit" / "1" / "expected.csv").write_text("probability\n0.75\n")
    with pytest.raises(ModelError, match="expects"):
        Follower(tmp_path, loader(ApiConfig("t", tmp_path, tmp_path, None, "os", 1, 1, 1, None, 1.0)))
