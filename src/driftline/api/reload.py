"""Following a folder of models: what has changed is loaded beside, and takes over between two requests."""

import asyncio
import contextlib
import gc
import weakref
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Final

import structlog
from prometheus_client import Counter

from driftline.api.config import ApiConfig
from driftline.api.hash_key import hash_key
from driftline.api.lineup import Lineup, Load, draw_up
from driftline.api.roster import Roster
from driftline.api.served import Served
from driftline.contract.folder import Stamp, file_stamp, find_packages, stamp_of
from driftline.contract.package import Package
from driftline.contract.roster_file import ROSTER_FILE
from driftline.errors import ModelError
from driftline.scoring import AsyncModel, load_model
from driftline.scoring.check import check_package

log = structlog.get_logger()

LOOK_S: Final = 0.5

_RELOADS: Final = Counter("driftline_model_reloads_total", "Changes of the folder of models.", ["result"])
RELOADS: Final = {result: _RELOADS.labels(result) for result in ("switched", "refused", "failed")}


class Follower:
    """Keeps a roster as its folder says.

    A change counts once nothing has moved for one look, so that a package that is being copied is not read half. What
    cannot be used is refused, and those who answered go on.

    Args:
        folder: A package, or a folder of packages.
        load: Loads one.

    Attributes:
        roster: Who answers.

    Raises:
        ModelError: As it is, the folder cannot be served.
    """

    def __init__(self, folder: Path, load: Load) -> None:
        self._folder: Final = folder
        self._load: Final = load
        self._seen = self._last = _folder_stamp(folder)
        self._holds_old = False
        self.roster: Final = Roster.of(draw_up(folder, load))
        _say_refused({}, self.roster.lineup)

    @contextlib.asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        """Follows the folder while inside."""
        task = asyncio.create_task(self._follow(), name="follow models")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                await self.look()
            except Exception:  # whatever a package may raise as it is loaded, those who answer go on
                RELOADS["failed"].inc()
                log.exception("models.failed")

    async def look(self) -> None:
        """Looks once, and switches if something has changed and has settled."""
        stamp = await asyncio.to_thread(_folder_stamp, self._folder)
        settled, self._last = stamp == self._last, stamp
        if stamp == self._seen or not settled:
            self._let_go()
            return
        self._seen = stamp
        before = self.roster.lineup
        try:
            lineup = await asyncio.to_thread(draw_up, self._folder, self._load, before)
        except ModelError as error:
            RELOADS["refused"].inc()
            log.error("models.refused", error=error.message)
            self.roster.lineup = replace(before, refused={**before.refused, ROSTER_FILE: error.message})
            return
        self.roster.lineup = lineup
        _say_refused(before.refused, lineup)
        if lineup.loaded.keys() != before.loaded.keys() or _who(lineup) != _who(before):
            RELOADS["switched"].inc()
            self._holds_old = True
            log.info("models.switched", **_who(lineup))

    def _let_go(self) -> None:
        """Gives back, one look after a switch, what old models hold in cycles: left to itself that would take hours."""
        if self._holds_old:
            self._holds_old = False
            gc.collect()


def loader(config: ApiConfig) -> Load:
    """Returns what loads a model and sees that it does what its package says; what it holds is given back with it."""

    def load(package: Package) -> Served:
        model = load_model(package, allow_pickle=config.allow_pickle)
        key, most_callers = hash_key(config.hash_key, package.schema), max(1, config.max_in_flight * 3 // 4)
        served = Served(package, model, key, most_callers=most_callers)
        if isinstance(model, AsyncModel):
            weakref.finalize(served, model.close)
        check_package(package, model)
        return served

    return load


def _folder_stamp(folder: Path) -> Stamp:
    try:
        packages = find_packages(folder)
    except ModelError:
        packages = []
    return (*file_stamp(folder / ROSTER_FILE), *(stamp for path in packages for stamp in stamp_of(path)))


def _say_refused(before: object, lineup: Lineup) -> None:
    if lineup.refused and lineup.refused != before:
        RELOADS["refused"].inc()
        for place, reason in lineup.refused.items():
            log.error("model.refused", package=place, error=reason)


def _who(lineup: Lineup) -> dict[str, object]:
    """Who answers, and who is tried, in words."""
    told: dict[str, object] = {}
    for name, model in lineup.models.items():
        told[name] = {
            "serving": model.serving.schema.version,
            "versions": list(model.versions),
            "shadow": [each.served.schema.version for each in model.shadows],
            "canary": model.split and {"version": model.split.plan.version, "share": model.split.plan.share},
        }
    return {"default": next(iter(lineup.models)), "models": told}
