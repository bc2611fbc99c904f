"""Makes Evidently's reports in the background: one at a time, each in a process of its own, for one takes 300 MB."""

import asyncio
import os
import re
import secrets
import sys
import time
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, Literal, Self

import msgspec
import structlog

from driftline.console import words
from driftline.durable import make_directory

log = structlog.get_logger()

MOST_KEPT: Final = 20
LONGEST_S: Final = 1800.0
LONGEST_REASON: Final = 600
_ID: Final = re.compile(r"[0-9]{8}-[0-9]{6}-[0-9a-f]{6}")

State = Literal["running", "made", "failed"]


class Asked(msgspec.Struct, frozen=True):
    """What a report is of; times in microseconds since 1970, None for the log's first or last rows.

    Attributes:
        current_from_us: First moment of the current window.
        current_to_us: Its end.
        reference_from_us: First moment of the reference.
        reference_to_us: Its end.
        rows: Most rows of each; None for the command's own choice.
    """

    current_from_us: int | None = None
    current_to_us: int | None = None
    reference_from_us: int | None = None
    reference_to_us: int | None = None
    rows: int | None = None

    def arguments(self) -> list[str]:
        """Returns the options of ``driftline report`` that say the same."""
        found = []
        for name, us in (
            ("--current-from", self.current_from_us),
            ("--current-to", self.current_to_us),
            ("--reference-from", self.reference_from_us),
            ("--reference-to", self.reference_to_us),
        ):
            if us is not None:
                found += [name, words.rfc3339(us)]
        if self.rows is not None:
            found += ["--current-rows", str(self.rows), "--reference-rows", str(self.rows)]
        return found


class Made(msgspec.Struct, frozen=True):
    """A report, or what became of one.

    Attributes:
        report_id: Its id.
        asked: What it is of.
        state: What has become of it.
        began_us: When it was asked for.
        took_s: How long it took.
        reason: Why it failed.
        verdict: What it says, in one sentence.
        drift: Whether that is that there is drift.
    """

    report_id: str
    asked: Asked
    state: State
    began_us: int
    took_s: float = 0.0
    reason: str = ""
    verdict: str = ""
    drift: bool = False

    def ended(self, **changes: Any) -> Self:
        """Returns it as it is when it has ended."""
        return msgspec.structs.replace(self, took_s=(time.time_ns() // 1000 - self.began_us) / 1e6, **changes)


class Reports:
    """The reports of one data folder.

    Args:
        directory: Where they are kept; made when the first is.
        data: The data folder.
    """

    def __init__(self, directory: Path, data: Path) -> None:
        self._directory = directory
        self._data = data
        self._task: asyncio.Task[None] | None = None
        self.running: Made | None = None

    @property
    def can_make(self) -> bool:
        """Whether Evidently is there; it is not imported for that."""
        return find_spec("evidently") is not None

    def all(self) -> list[Made]:
        """Returns those that have ended, the newest first."""
        found = []
        with suppress(OSError):
            for path in sorted(self._directory.glob("*.made"), reverse=True):
                with suppress(OSError, msgspec.DecodeError):
                    found.append(msgspec.json.decode(path.read_bytes(), type=Made))
        return found

    def page(self, report_id: str) -> Path | None:
        """Returns the file of a report, if there is such a one."""
        path = self._directory / f"{report_id}.html"
        return path if _ID.fullmatch(report_id) and path.is_file() else None

    def usual_s(self) -> float | None:
        """Returns how long the last one took that was made."""
        return next((made.took_s for made in self.all() if made.state == "made"), None)

    def begin(self, asked: Asked) -> bool:
        """Begins one and returns True; False if one is being made. Call it in the loop.

        Raises:
            OSError: The directory cannot be made.
        """
        if self.running is not None:
            return False
        make_directory(self._directory)
        report_id = f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{secrets.token_hex(3)}"
        self.running = Made(report_id, asked, "running", time.time_ns() // 1000)
        self._task = asyncio.create_task(self._make(self.running), name="console.report")
        return True

    async def stop(self) -> None:
        """Ends the one that is being made, if any."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _make(self, made: Made) -> None:
        try:
            ended = await self._run(made)
            (self._directory / f"{made.report_id}.made").write_bytes(msgspec.json.encode(ended))
            self._forget_the_oldest()
        except OSError as error:
            log.error("report.not_kept", error=error.strerror)
        finally:
            self.running = None

    async def _run(self, made: Made) -> Made:
        page, facts = (self._directory / f"{made.report_id}{end}" for end in (".html", ".json"))
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "driftline", "report"),
            *("--output", str(page), "--json-output", str(facts), *made.asked.arguments()),
            env={**os.environ, "DRIFTLINE_DATA": str(self._data), "DO_NOT_TRACK": "1", "NO_COLOR": "1"},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            _, said = await asyncio.wait_for(process.communicate(), LONGEST_S)
        except TimeoutError:
            return made.ended(state="failed", reason=f"It took longer than {words.duration(LONGEST_S)}.")
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode:
            lines = said.decode(errors="replace").strip().splitlines() or [f"exit code {process.returncode}"]
            return made.ended(state="failed", reason="\n".join(lines)[-LONGEST_REASON:])
        found = msgspec.json.decode(facts.read_bytes())
        return made.ended(state="made", verdict=str(found.get("verdict", "")), drift=bool(found.get("drift")))

    def _forget_the_oldest(self) -> None:
        for path in sorted(self._directory.glob("*.made"), reverse=True)[MOST_KEPT:]:
            for end in (".html", ".json", ".made"):
                path.with_suffix(end).unlink(missing_ok=True)
