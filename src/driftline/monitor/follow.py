"""Follows the committed log: reads on from where it was, folds, and judges the windows that are over."""

import itertools
import time
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Final, Literal, NamedTuple

import numpy as np
import structlog
from numpy.typing import NDArray

from driftline.contract.schema import ModelSchema
from driftline.drift.bins import NumberBins
from driftline.drift.profile import Profile, decode_profile, encode_profile
from driftline.errors import LogNotFoundError, ProfileError
from driftline.eventlog.reader import LogReader
from driftline.monitor.fold import Folder, Slicing
from driftline.monitor.judge import ALL, HOUR_US, Judge, Judged, Rules
from driftline.monitor.metrics import BEHIND, FOLDED, JUDGED, forget, show, show_last
from driftline.monitor.outcome_fold import OutcomeFold
from driftline.monitor.outcomes import Outcomes
from driftline.monitor.provisional import FirstRows
from driftline.monitor.rollup import CELLS_KEPT_US, QUIET_KEPT_US, prune, roll_up
from driftline.monitor.segments import counts_by_segment, judged_segments, rows_a_day
from driftline.monitor.sources import CHUNK_ROWS, columns_of, profile_of_log
from driftline.monitor.store import JUDGED_FROM, WATCHED, MonitorStore
from driftline.quality.counting import counting_of

log = structlog.get_logger()

STEP_ROWS: Final = 4 * CHUNK_ROWS
CHUNK_VALUES: Final = 50_000
"""Values that are in memory at once, as Python's own numbers: of a wide model fewer rows."""
LATENESS_US: Final = 2_000_000
"""What comes later than this after its window's end is counted, and not judged any more."""
NOTE_AGAIN_US: Final = 5_000_000
US: Final = 1_000_000
MUCH_TRAFFIC: Final = 10_000_000
"""Rows a day, where a reference does not say how much traffic there is: so that the budget is kept in any case."""
MOST_RISK: Final = 0.1
"""No window has more than this of a false alarm, however long it is."""
SETTLED_US: Final = 30_000_000
"""After another version took over some of its rows are still those of the one before: it is loaded first."""
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
        reference_rows: Without a reference, the first predictions of the model in the log stand in for one as soon as
            there are so many; 0 for never.
    """

    slicing: Slicing
    min_rows: int
    days_a_false_alarm: float
    min_moved: float
    segment_by: str | None
    reference_rows: int

    def rules(self, segments: Collection[str], rows_a_day: float | None = None) -> Rules:
        """Returns the budget of each stream: half of it is all traffic's, the segments share the other half.

        Args:
            segments: Those that are judged.
            rows_a_day: The traffic, which says how often a window of rows is over; unknown, it is taken to be much.
        """
        slicing = self.slicing
        min_rows = min(self.min_rows, slicing.rows) if slicing.rows else self.min_rows
        of_rows, of_time = (rows_a_day or MUCH_TRAFFIC) / max(slicing.rows, 1), DAY_S * US / max(slicing.width_us, 1)
        windows_a_day = of_rows if slicing.rows else of_time
        risk = min(1 / (self.days_a_false_alarm * max(windows_a_day, 1e-9)), MOST_RISK)
        if not segments:
            return Rules(min_rows, {ALL: risk}, self.min_moved)
        shared = {segment: risk / 2 / len(segments) for segment in segments}
        return Rules(min_rows, {ALL: risk / 2, **shared}, self.min_moved)


class Follower:
    """One monitor's way through one log.

    Args:
        log_dir: The log.
        store: Where the counts are kept.
        schema: The model that is watched.
        reference: File with the profile; it need not be there.
        plan: See :class:`Plan`.
        otherwise: The profile that stands in its place where it is not there, if this is: the model package's own.
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
        otherwise: Path | None = None,
        tell: Callable[[Profile, Judged], None] = lambda _profile, _judged: None,
        clock_us: Callable[[], int] = lambda: time.time_ns() // 1000,
    ) -> None:
        self.phase: Phase = "no_log"
        self.trouble = ""
        self._log_dir = log_dir
        self._store = store
        self._schema = schema
        self._references = (reference,) if otherwise is None else (reference, otherwise)
        self._plan = plan
        self._tell = tell
        self._clock_us = clock_us
        self._log: LogReader | None = None
        self._first_rows: FirstRows | None = None
        self._seen: tuple[int, ...] | None = None
        self._watched = sha256(repr((schema, str(otherwise))).encode()).hexdigest()
        self._judged_from_us: int | None = None
        self._profile: Profile | None = None
        self._folder: Folder | None = None
        self._judge: Judge | None = None
        self._log_us = 0
        self._came_us = 0
        self._rolled_hour = 0
        self._noted: dict[str, str] = {}
        self._noted_us = 0

    def close(self) -> None:
        """Gives up the log."""
        if self._log is not None:
            self._log.close()
            self._log = None
        self._first_rows = None
        self._drop_profile()

    def _drop_profile(self) -> None:
        self._profile = self._folder = self._judge = None

    def step(self) -> bool:
        """Goes on by some thousand rows at most; returns whether there were any.

        Raises:
            LogDamagedError: The log cannot be read; :meth:`close` and try again later.
            sqlite3.Error: The disk refuses.
        """
        if (lines := self._opened()) is None:
            return False
        rows = lines.rows
        looked = self._look_for_reference(lines)
        if self._folder is None or self._judge is None:
            return looked
        stop = min(self._folder.position_row + STEP_ROWS, rows)
        advanced = self._fold(lines, self._folder, stop)
        self.phase = "following" if stop == rows else "catching_up"
        BEHIND.set(rows - stop)
        closed_before = self._closed_before(self._folder)
        JUDGED.inc(self._judge.judge(closed_before))
        self._roll_up(self._judge, closed_before)
        self._note()
        return advanced

    def _opened(self) -> LogReader | None:
        if self._log is not None and not self._log.in_place():
            self.close()  # another log is in its place, or none; or its worker has come
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
        rows = max(1, min(CHUNK_ROWS, CHUNK_VALUES // len(folder.layout.names)))
        while chunk := list(itertools.islice(numbered, rows)):
            last = len(chunk) < rows
            read = folder.fold(chunk, stop if last else chunk[-1][0] + 1)
            self._store.put_meta(_anchor(*chunk[-1]))
            FOLDED.inc(len(read.rows.times_us))
            if len(read.rows.times_us):
                self._log_us = int(np.median(read.rows.times_us))
                self._came_us = self._clock_us()
            if last:
                return True
        folder.fold([], stop)
        return True

    def _closed_before(self, folder: Folder) -> int:
        slicing = self._plan.slicing
        if slicing.rows:
            return folder.ordinal // slicing.rows
        now_us = self._clock_us()
        # While rows come, the log's own time tells what is over: that of most of them, for one clock may be wrong.
        if abs(now_us - self._came_us) <= LATENESS_US:
            now_us = min(now_us, self._log_us)
        return (now_us - LATENESS_US) // slicing.width_us

    def _roll_up(self, judge: Judge, closed_before: int) -> None:
        width_us = self._plan.slicing.width_us
        now_us = closed_before * width_us if width_us else self._clock_us()
        hour = (now_us - CELLS_KEPT_US) // HOUR_US
        if hour <= self._rolled_hour:
            return
        if 0 < width_us < HOUR_US:
            roll_up(self._store, width_us, hour * HOUR_US, judge.next_cells)
            Outcomes(self._store, counting_of(self._schema.output, self._schema.classes)).roll_up(
                width_us, hour * HOUR_US
            )
        prune(self._store, now_us - QUIET_KEPT_US)
        self._rolled_hour = hour

    # -- the reference

    def _look_for_reference(self, lines: LogReader) -> bool:
        """Sees to it that what is folded under is the reference; returns whether it looked for one in the log."""
        if self._judged_from_us is None:
            self._judged_from_us = self._taken_over()
        reference, seen = self._found_reference()
        if self._profile is not None and seen == self._seen:
            return False
        looked_to = self._first_rows.next_row if self._first_rows is not None else 0
        try:
            if seen is not None:
                self._begin(lines, decode_profile(reference.read_bytes()), provisional=False)
            elif (profile := self._provisional(lines)) is not None:
                self._begin(lines, profile, provisional=True)
            else:
                found = self._first_rows.found if self._first_rows is not None else 0
                self._drop_profile()
                self.phase, self.trouble = "no_reference", _waiting_for(found, self._plan.reference_rows)
                self._note(lines)
                return self._first_rows is not None and self._first_rows.next_row > looked_to
        except (OSError, ProfileError) as error:
            reason = error.message if isinstance(error, ProfileError) else (error.strerror or str(error))
            if self.trouble != reason:
                log.error("reference.unfit", reference=str(reference), error=reason)
            self._drop_profile()
            self.phase, self.trouble = "unfit_reference", reason
            self._note(lines)
            return False
        self._seen, self.trouble = seen, ""
        return False

    def _taken_over(self) -> int:
        """Returns since when what is watched answers; 0 if nothing else was watched before. Kept in the store."""
        meta = self._store.meta()
        from_us = int(meta.get(JUDGED_FROM, "0"))
        if meta.get(WATCHED) == self._watched:
            return from_us
        if WATCHED in meta:
            from_us = self._clock_us() + SETTLED_US
        self._store.put_meta({WATCHED: self._watched, JUDGED_FROM: str(from_us)})
        return from_us

    def _found_reference(self) -> tuple[Path, tuple[int, ...] | None]:
        """Returns the file to read, and what tells whether it is still the same one; None if there is none."""
        for path in self._references:
            if (seen := _identity(path)) is not None:
                return path, seen
        return self._references[0], None

    def _provisional(self, lines: LogReader) -> Profile | None:
        """Returns what stands in for a reference, if there are enough rows for it: the same one at every start."""
        meta = self._store.meta()
        if meta.get("provisional") == "1" and meta.get("log_id") == lines.log_id:
            profile = decode_profile(self._store.profile(meta["profile"]))
            if self._has_all(profile) and not self._went_back(lines):
                return profile
        if not self._plan.reference_rows:
            return None
        if self._first_rows is None:
            self._first_rows = FirstRows(self._schema, self._plan.reference_rows, self._judged_from_us or 0)
        rows = self._first_rows.look(lines)
        return None if rows is None else profile_of_log(lines, self._schema, *rows)

    def _went_back(self, lines: LogReader) -> bool:
        """Whether the log is not the one that was folded any more, though it has its id: an older one was restored."""
        meta = self._store.meta()
        if int(meta.get("position_row", "0")) > lines.rows:
            return True
        row = int(meta.get("anchor_row", "-1"))
        return row >= 0 and any(_anchor(*found) != _anchored(meta) for found in lines.numbered(row, row + 1))

    def _has_all(self, profile: Profile) -> bool:
        """Whether a profile is of this model with all that is watched of it, also what a later version added."""
        watched = [it.name for it in columns_of(self._schema)]
        return not misfit(profile, self._schema) and len(profile.columns) == len(watched)

    def _begin(self, lines: LogReader, profile: Profile, *, provisional: bool) -> None:
        if wrong := misfit(profile, self._schema):
            raise ProfileError(wrong)
        plan = self._plan
        signature = f"{profile.profile_id} {lines.log_id} {plan.slicing} {plan.segment_by} {plan.min_rows}"
        if self._store.meta().get("signature") != signature or self._went_back(lines):
            self._store.adopt(profile.profile_id, encode_profile(profile), provisional=provisional)
            self._store.put_meta({"signature": signature, "log_id": lines.log_id, "provisional": str(int(provisional))})
            self._store.put_segment_references(self._segment_references(lines, profile))
            log.info("reference.adopted", profile=profile.profile_id, rows=profile.rows, provisional=provisional)
            forget()
        else:
            show_last(self._store)
        self._profile = profile
        outcomes = OutcomeFold(self._store, lines, profile, plan.slicing, plan.segment_by)
        self._folder = Folder(self._store, profile, plan.slicing, plan.segment_by, outcomes)
        segments = judged_segments(profile, self._store.segment_references())
        rules = plan.rules(segments, rows_a_day(profile))
        self._judge = Judge(
            self._store,
            profile,
            plan.slicing,
            rules,
            lambda judged: self._judged(profile, judged),
            segments=segments,
            judged_from_us=self._judged_from_us or 0,
        )
        self._log_us = self._came_us = self._rolled_hour = 0
        self._noted = {}

    def _segment_references(self, lines: LogReader, profile: Profile) -> dict[str, NDArray[np.int64]]:
        """What the reference's rows are in each segment; nothing where they are not in this log."""
        origin = profile.origin
        if self._plan.segment_by is None:
            return {}
        if origin.log_id != lines.log_id or origin.first_row is None or origin.stop_row is None:
            log.warning("segments.not_judged", reason="the reference is not of rows of this log", counted=True)
            return {}
        return counts_by_segment(lines, profile, self._plan.segment_by, origin.first_row, origin.stop_row)

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


def misfit(profile: Profile, schema: ModelSchema) -> str:
    """Returns why a profile is no reference for a model; empty if it is one."""
    numbers = {column.name: isinstance(column.bins, NumberBins) for column in profile.columns}
    watched = {it.name: it.kind == "number" for it in columns_of(schema)}
    if profile.model != schema.name or not numbers.keys() <= watched.keys():
        return (
            f"the reference is of model {profile.model} with {', '.join(numbers)}, and what is watched of "
            f"{schema.name} is {', '.join(watched)}"
        )
    for name, number in numbers.items():
        if number != watched[name]:
            kinds = ("a number", "a category") if number else ("a category", "a number")
            return f"{name} is {kinds[0]} in the reference, and {kinds[1]} in the model"
    hashed = [feature.name for feature in schema.features if feature.log == "hash" and feature.name in numbers]
    if hashed and profile.origin.source != "log":
        return f"the reference has values of {', '.join(hashed)}, of which the log has hashes"
    if (profile.output, profile.classes) != (schema.output, schema.classes):
        return f"the reference is of a model that gives {_given(profile)}, and what is served gives {_given(schema)}"
    return ""


def _given(of: Profile | ModelSchema) -> str:
    return f"{of.output} ({', '.join(map(str, of.classes))})" if of.classes else of.output


def _shown(plan: Plan) -> Iterator[tuple[str, object]]:
    yield "width_us", plan.slicing.width_us
    yield "window_rows", plan.slicing.rows
    yield "min_rows", plan.min_rows
    yield "days_a_false_alarm", plan.days_a_false_alarm
    yield "min_moved", plan.min_moved
    yield "segment_by", plan.segment_by or ""
    yield "reference_rows", plan.reference_rows


def _waiting_for(found: int, wanted: int) -> str:
    if not wanted:
        return "there is no reference yet: driftline reference build makes one"
    return f"there is no reference yet; the log has {found:,} of the {wanted:,} predictions that would stand in for one"


def _anchor(row: int, line: bytes) -> dict[str, str]:
    """What tells afterwards whether a log is still the one that was read."""
    return {"anchor_row": str(row), "anchor_crc": str(zlib.crc32(line))}


def _anchored(meta: Mapping[str, str]) -> dict[str, str]:
    return {name: meta[name] for name in ("anchor_row", "anchor_crc")}


def _identity(path: Path) -> tuple[int, ...] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return (status.st_ino, status.st_size, status.st_mtime_ns)
