"""Follows the committed log: reads on from where it was, folds, and judges the windows that are over."""

import itertools
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, Literal, NamedTuple

import structlog

from driftline.contract.schema import ModelSchema
from driftline.drift.profile import Profile, decode_profile, encode_profile
from driftline.errors import LogNotFoundError, ProfileError
from driftline.eventlog.reader import LogReader
from driftline.monitor.fold import Folder, Segments, Slicing
from driftline.monitor.judge import ALL, Judge, Judged, Rules
from driftline.monitor.metrics import BEHIND, FOLDED, JUDGED, show
from driftline.monitor.sources import CHUNK_ROWS, profile_of_log
from driftline.monitor.store import MonitorStore

log = structlog.get_logger()

STEP_ROWS: Final = 4 * CHUNK_ROWS
LATENESS_US: Final = 2_000_000
"""What comes later than this after its window's end is counted, and not judged any more."""
NOTE_AGAIN_US: Final = 5_000_000
US: Final = 1_000_000
DAY_S: Final = 86_400

Phase = Literal["no_log", "no_reference", "unfit_reference", "catching_up", "following"]


class Plan(NamedTuple):
    """What to watch, and how closely.

    Attributes:
        slicing: What a cell is.
        min_rows: A window stays open until it has as many.
        days_a_false_alarm: At most one false alarm is expected in so many days, of all columns and segments together.
        min_moved: Share of the rows that must have changed for an alarm.
        segment_by: The column that divides the traffic, if any.
        reference_rows: Without a reference, the first rows of the log stand in for one as soon as there are so many;
            0 for never.
    """

    slicing: Slicing
    min_rows: int
    days_a_false_alarm: float
    min_moved: float
    segment_by: str | None
    reference_rows: int

    def rules(self, segments: list[str]) -> Rules:
        """Returns the budget of each stream: half of it is all traffic's, the segments share the other half."""
        windows_a_day = DAY_S * US / self.slicing.width_us if self.slicing.width_us else DAY_S / 3600
        risk = 1 / (self.days_a_false_alarm * windows_a_day)
        if not segments:
            return Rules(self.min_rows, {ALL: risk}, self.min_moved)
        shared = {segment: risk / 2 / len(segments) for segment in segments}
        return Rules(self.min_rows, {ALL: risk / 2, **shared}, self.min_moved)


class Follower:
    """One monitor's way through one log.

    Args:
        log_dir: The log.
        store: Where the counts are kept.
        schema: The model that is watched.
        reference: File with the profile; it need not be there.
        plan: See :class:`Plan`.
        tell: Called with each window that was judged, in the transaction that records it.
        clock_us: Gives the time.

    Attributes:
        phase: What it is doing.
        trouble: Why it cannot go on, for a person; empty if it can.
    """

    def __init__(
        self,
        log_dir: Path,
        store: MonitorStore,
        schema: ModelSchema,
        reference: Path,
        plan: Plan,
        *,
        tell: Callable[[Profile, Judged], None] = lambda _profile, _judged: None,
        clock_us: Callable[[], int] = lambda: time.time_ns() // 1000,
    ) -> None:
        self.phase: Phase = "no_log"
        self.trouble = ""
        self._log_dir = log_dir
        self._store = store
        self._schema = schema
        self._reference = reference
        self._plan = plan
        self._tell = tell
        self._clock_us = clock_us
        self._log: LogReader | None = None
        self._seen: tuple[int, ...] | None = None
        self._profile: Profile | None = None
        self._folder: Folder | None = None
        self._judge: Judge | None = None
        self._newest_us = 0
        self._noted: dict[str, str] = {}
        self._noted_us = 0

    def close(self) -> None:
        """Gives up the log."""
        if self._log is not None:
            self._log.close()
            self._log = None

    def step(self) -> bool:
        """Goes on by some thousand rows at most; returns whether there were any.

        Raises:
            LogDamagedError: The log cannot be read; :meth:`close` and try again later.
            sqlite3.Error: The disk refuses.
        """
        if (lines := self._opened()) is None:
            return False
        rows = lines.rows
        self._look_for_reference(lines, rows)
        if self._folder is None or self._judge is None:
            return False
        stop = min(self._folder.position_row + STEP_ROWS, rows)
        advanced = self._fold(lines, self._folder, stop)
        self.phase = "following" if stop == rows else "catching_up"
        BEHIND.set(rows - stop)
        JUDGED.inc(self._judge.judge(self._closed_before(self._folder)))
        self._note()
        return advanced

    def _opened(self) -> LogReader | None:
        if self._log is None:
            try:
                self._log = LogReader(self._log_dir)
            except LogNotFoundError as error:
                self.phase, self.trouble = "no_log", error.message
                self._note()
                return None
        return self._log

    def _fold(self, lines: LogReader, folder: Folder, stop: int) -> bool:
        if folder.position_row >= stop:
            return False
        numbered = lines.numbered(folder.position_row, stop)
        while chunk := list(itertools.islice(numbered, CHUNK_ROWS)):
            last = len(chunk) < CHUNK_ROWS
            read = folder.fold(chunk, stop if last else chunk[-1][0] + 1)
            FOLDED.inc(len(read.rows.times_us))
            if len(read.rows.times_us):
                self._newest_us = max(self._newest_us, int(read.rows.times_us.max()))
            if last:
                return True
        folder.fold([], stop)
        return True

    def _closed_before(self, folder: Folder) -> int:
        slicing = self._plan.slicing
        if slicing.rows:
            return folder.ordinal // slicing.rows
        # Behind the end of the log only the log's own time tells what is over.
        now_us = self._clock_us() if self.phase == "following" else self._newest_us
        return (now_us - LATENESS_US) // slicing.width_us

    # -- the reference

    def _look_for_reference(self, lines: LogReader, rows: int) -> None:
        seen = _identity(self._reference)
        if self._profile is not None and seen == self._seen:
            return
        try:
            if seen is not None:
                profile, provisional = decode_profile(self._reference.read_bytes()), False
            elif (kept := self._provisional(lines)) is not None:
                profile, provisional = kept, True
            elif self._plan.reference_rows and rows >= self._plan.reference_rows:
                profile = profile_of_log(lines, self._schema, 0, self._plan.reference_rows)
                provisional = True
            else:
                self.phase = "no_reference"
                self.trouble = f"there is no reference yet, and the log has {rows:,} rows"
                self._note(lines)
                return
            self._check_fit(profile)
        except (OSError, ProfileError) as error:
            reason = error.message if isinstance(error, ProfileError) else (error.strerror or str(error))
            if self.trouble != reason:
                log.error("reference.unfit", reference=str(self._reference), error=reason)
            self.phase, self.trouble = "unfit_reference", reason
            self._note(lines)
            return
        self._begin(lines, profile, provisional=provisional)
        self._seen, self.trouble = seen, ""

    def _provisional(self, lines: LogReader) -> Profile | None:
        """The reference that stood in for one before this process began, if it still may."""
        meta = self._store.meta()
        if meta.get("provisional") != "1" or meta.get("log_id") != lines.log_id:
            return None
        return decode_profile(self._store.profile(meta["profile"]))

    def _check_fit(self, profile: Profile) -> None:
        names = [column.name for column in profile.columns if column.role == "feature"]
        if profile.model != self._schema.name or not set(names) <= set(self._schema.names):
            raise ProfileError(
                f"the reference is of model {profile.model} with {', '.join(names)}, and what is served is "
                f"{self._schema.name} with {', '.join(self._schema.names)}"
            )

    def _begin(self, lines: LogReader, profile: Profile, *, provisional: bool) -> None:
        plan = self._plan
        segments = [] if plan.segment_by is None else Segments(profile, plan.segment_by).labels
        signature = f"{profile.profile_id} {lines.log_id} {plan.slicing} {plan.segment_by} {plan.min_rows}"
        if self._store.meta().get("signature") != signature:
            self._store.adopt(profile.profile_id, encode_profile(profile), provisional=provisional)
            self._store.put_meta({"signature": signature, "log_id": lines.log_id, "provisional": str(int(provisional))})
            log.info("reference.adopted", profile=profile.profile_id, rows=profile.rows, provisional=provisional)
        self._profile = profile
        self._folder = Folder(self._store, profile, plan.slicing, plan.segment_by)
        rules = plan.rules(segments)
        self._judge = Judge(self._store, profile, plan.slicing, rules, lambda judged: self._judged(profile, judged))
        self._newest_us = 0

    def _judged(self, profile: Profile, judged: Judged) -> None:
        show(judged)
        self._tell(profile, judged)

    def _note(self, lines: LogReader | None = None) -> None:
        """Leaves word of how things stand, for who reads the store."""
        reader = lines or self._log
        waiting = self._judge.waiting_rows(ALL) if self._judge is not None else 0
        note = {
            "phase": self.phase,
            "trouble": self.trouble,
            "log_rows": str(reader.rows if reader is not None else 0),
            "waiting_rows": str(waiting),
            "plan": ";".join(f"{name}={value}" for name, value in _shown(self._plan)),
        }
        now_us = self._clock_us()
        if note != self._noted or now_us - self._noted_us >= NOTE_AGAIN_US:
            self._store.put_meta({**note, "noted_us": str(now_us)})
            self._noted, self._noted_us = note, now_us


def _shown(plan: Plan) -> Iterator[tuple[str, object]]:
    yield "width_us", plan.slicing.width_us
    yield "window_rows", plan.slicing.rows
    yield "min_rows", plan.min_rows
    yield "days_a_false_alarm", plan.days_a_false_alarm
    yield "min_moved", plan.min_moved
    yield "segment_by", plan.segment_by or ""
    yield "reference_rows", plan.reference_rows


def _identity(path: Path) -> tuple[int, ...] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return (status.st_ino, status.st_size, status.st_mtime_ns)
