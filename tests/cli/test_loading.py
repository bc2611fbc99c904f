"""What is loaded in a block stays, and is nobody's garbage."""

import gc
import os
from collections.abc import Iterator

import pytest

from driftline.cli.loading import loading

PLUGINS = "PYDANTIC_DISABLE_PLUGINS"


@pytest.fixture(autouse=True)
def _thawed() -> Iterator[None]:
    yield
    gc.unfreeze()


def test_nothing_is_collected_inside_and_what_is_there_never_again() -> None:
    before = gc.get_freeze_count()
    with loading():
        assert not gc.isenabled()
        stays: list[list[object]] = [[] for _ in range(1000)]
    assert gc.isenabled()
    assert gc.get_freeze_count() >= before + len(stays)


@pytest.mark.parametrize("set_to", [None, "logfire-plugin"])
def test_pydantic_has_its_plugins_again_afterwards(monkeypatch: pytest.MonkeyPatch, set_to: str | None) -> None:
    monkeypatch.delenv(PLUGINS, raising=False)
    if set_to is not None:
        monkeypatch.setenv(PLUGINS, set_to)
    with loading():
        assert os.environ[PLUGINS] == "__all__"
    assert os.environ.get(PLUGINS) == set_to


def test_an_import_that_fails_leaves_things_as_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PLUGINS, raising=False)
    with pytest.raises(ModuleNotFoundError), loading():
        raise ModuleNotFoundError
    assert gc.isenabled()
    assert PLUGINS not in os.environ
