"""Folds feedback: finds the prediction that each outcome belongs to, and counts both together."""

import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Final, NamedTuple
from uuid import UUID

import msgspec
import numpy as np
from numpy.typing import NDArray

from driftline.contract.schema import Label, Output
from driftline.drift.profile import Profile
from driftline.monitor.finder import SLACK_US, Finder, Index, Lines
from driftline.monitor.fold import Placed, Segments, Slicing, segments_of
from driftline.monitor.lines import Answers, LineReader, Other, Rows
from driftline.monitor.outcomes import MOST_TOLD, Outcome, Outcomes, Prediction, QualityKey, ScoredKey
from driftline.monitor.store import MonitorStore
from driftline.quality.counting import counting_of
from driftline.quality.delay import delay_bins

UNREADABLE: Final = "unreadable_feedback"
"""How many lines of feedback were none."""
UNKNOWN: Final = "unknown_outcomes"
"""How many outcomes are nothing that the model could have predicted, such as a label that it has not."""


class _Line(msgspec.Struct):
    request_id: UUID
    outcome: bool | int | float | str
    at: str


class _Told(NamedTuple):
    request_id: str
    outcome: float
    at_us: int
    row: int


class OutcomeFold:
    """Takes in predictions and feedback as they come; :class:`~driftline.monitor.fold.Folder` calls it.

    An outcome that comes before its prediction is kept, and finds its prediction when that comes. What it leaves behind
    depends on the lines alone, not on how they were cut into pieces.

    Args:
        store: Where it is kept.
        lines: The log, to look predictions up in.
        profile: Of the model whose predictions they are.
        slicing: What a cell is.
        segment_by: The column whose values divide the traffic, if any.

    Raises:
        ProfileError: The profile has no such column.
    """

    def __init__(
        self, store: MonitorStore, lines: Lines, profile: Profile, slicing: Slicing, segment_by: str | None = None
    ) -> None:
        self._store = store
        self._counting = counting_of(profile.output, profile.classes)
        self._outcomes = Outcomes(store, self._counting)
        self._finder = Finder(store, lines)
        self._reader = LineReader(profile.model, profile.columns, Answers(profile.output, profile.classes))
        self._output, self._classes = profile.output, profile.classes
        self._slicing = slicing
        self._segments = None if segment_by is None else Segments(profile, segment_by)
        self._decode = msgspec.json.Decoder(_Line).decode

    def take(self, placed: Placed, feedback: Sequence[Other]) -> None:
        """Takes in predictions, which are counted by now and in the spans, and the feedback among them.

        Raises:
            sqlite3.Error: The disk refuses.
        """
        self._outcomes.add_scored(self._scored(placed))
        told = self._told(feedback)
        before = self._outcomes.get({each.request_id for each in told})
        after = dict(before)
        for each in told:
            after[each.request_id] = merged(
                after.get(each.request_id), each.outcome, each.at_us, each.row, each.request_id
            )
        lone = [request_id for request_id, outcome in after.items() if outcome.prediction is None]
        self._settle(before, after, self._finder.find(lone))
        self._try_again(placed.rows, after)

    def _try_again(self, rows: Rows, just_tried: Mapping[str, Outcome]) -> None:
        """Looks whether the predictions that have come are those that earlier outcomes wait for."""
        if not len(rows.times_us):
            return
        first_us, last_us = int(rows.times_us.min()) - SLACK_US, int(rows.times_us.max()) + SLACK_US
        after = ""
        while waiting := self._outcomes.without_prediction(first_us, last_us, after):
            after = waiting[-1].request_id
            before = {each.request_id: each for each in waiting if each.request_id not in just_tried}
            self._settle(before, dict(before), self._finder.find(before, int(rows.numbers[0])))

    def _settle(self, before: Mapping[str, Outcome], after: dict[str, Outcome], found: Index) -> None:
        """Writes down what is known now, and counts it instead of what was known."""
        after |= {
            request_id: after[request_id]._replace(prediction=prediction)
            for request_id, prediction in self._predictions(found).items()
        }
        changed = [outcome for request_id, outcome in after.items() if before.get(request_id) != outcome]
        self._outcomes.put(changed)
        undone = [old for outcome in changed if (old := before.get(outcome.request_id)) is not None]
        counts = self._labelled(changed)
        for key, taken_away in self._labelled(undone).items():
            counts[key] = counts[key] - taken_away if key in counts else -taken_away
        self._outcomes.add_quality({key: change for key, change in counts.items() if change.any()})

    def _predictions(self, found: Index) -> dict[str, Prediction]:
        by_row = {row: (request_id, line) for request_id, (row, line) in found.items()}
        rows = self._reader.read((row, by_row[row][1]) for row in sorted(by_row)).rows
        cells = [
            self._cell(row, at_us) for row, at_us in zip(rows.numbers.tolist(), rows.times_us.tolist(), strict=True)
        ]
        columns = zip(
            rows.numbers.tolist(),
            cells,
            rows.versions,
            segments_of(rows, self._segments),
            rows.times_us.tolist(),
            [each.astype("<f8").tobytes() for each in rows.scores] if rows.scores.ndim > 1 else rows.scores.tolist(),
            rows.classes.tolist(),
            strict=True,
        )
        good = self._counting.usable(rows.scores, rows.classes)
        return {
            by_row[row][0]: Prediction(cell, *rest)
            for (row, cell, *rest), usable in zip(columns, good, strict=True)
            if usable and cell is not None
        }

    def _cell(self, row: int, at_us: int) -> int | None:
        if self._slicing.rows:
            return self._store.cell_of(row)
        return at_us // self._slicing.width_us

    def _told(self, feedback: Sequence[Other]) -> list[_Told]:
        told, unknown = [], 0
        for row, line in feedback:
            with suppress(msgspec.DecodeError, UnicodeDecodeError, ValueError):
                event = self._decode(line)
                at_us = int(np.datetime64(event.at.removesuffix("Z"), "us").astype(np.int64))
                if event.request_id.version != 7:  # noqa: PLR2004 - others have no time
                    continue
                outcome = outcome_of(event.outcome, self._output, self._classes)
                if outcome is None:
                    unknown += 1
                else:
                    told.append(_Told(str(event.request_id), outcome, at_us, row))
        self._count(UNKNOWN, unknown)
        self._count(UNREADABLE, len(feedback) - len(told) - unknown)
        return told

    def _count(self, what: str, more: int) -> None:
        if more:
            self._store.put_meta({what: str(int(self._store.meta().get(what, "0")) + more)})

    def _scored(self, placed: Placed) -> dict[ScoredKey, NDArray[np.int64]]:
        rows = placed.rows
        good = self._counting.usable(rows.scores, rows.classes)
        members: dict[ScoredKey, list[int]] = {}
        for at, key in enumerate(zip(placed.cells, rows.versions, placed.segments, strict=True)):
            if good[at]:
                members.setdefault(ScoredKey(*key), []).append(at)
        return {key: self._counting.scored(rows.scores[own], rows.classes[own]) for key, own in members.items()}

    def _labelled(self, outcomes: Iterable[Outcome]) -> dict[QualityKey, NDArray[np.int64]]:
        joined = [(outcome, made) for outcome in outcomes if (made := outcome.prediction) is not None]
        delays = delay_bins(np.array([outcome.known_us - made.made_us for outcome, made in joined], np.int64)).tolist()
        members: dict[QualityKey, list[tuple[Prediction, float]]] = {}
        for (outcome, made), delay in zip(joined, delays, strict=True):
            key = QualityKey(made.cell, made.version, made.segment, delay)
            members.setdefault(key, []).append((made, outcome.outcome))
        return {key: self._tallied(own) for key, own in members.items()}

    def _tallied(self, rows: Sequence[tuple[Prediction, float]]) -> NDArray[np.int64]:
        made, outcomes = zip(*rows, strict=True)
        scores = [np.frombuffer(it.score, "<f8") if isinstance(it.score, bytes) else it.score for it in made]
        return self._counting.labelled(
            np.array(scores, np.float64), np.array([it.predicted_class for it in made]), np.array(outcomes)
        )


def outcome_of(told: str | float, output: Output, classes: Sequence[Label]) -> float | None:
    """Returns which of a model's classes an outcome is, or the number; None for what the model could never predict.

    Where two classes have names, true is the second of them, too, and so is 1.

    Args:
        told: As it stands in the log.
        output: What the model gives.
        classes: What it can predict, in its order.
    """
    if output == "regression":
        try:
            number = math.nan if isinstance(told, bool | str) else float(told)
        except OverflowError:
            return None
        return number if math.isfinite(number) else None
    if told in classes and not (isinstance(told, bool) and output == "multiclass"):
        return float(classes.index(told))  # 1.0 is equal to 1
    named = isinstance(told, bool) or (bool(classes) and isinstance(classes[0], str))
    return float(told) if output == "binary" and named and told in (0, 1) else None


def merged(known: Outcome | None, outcome: float, at_us: int, row: int, request_id: str) -> Outcome:
    """Returns what is known of a request id when it was told one thing more, in whatever order."""
    told = {} if known is None else dict(known.told)
    told[outcome] = min(at_us, told.get(outcome, at_us))
    prediction = None if known is None else known.prediction
    if known is not None and (known.at_us, known.row) > (at_us, row):
        outcome, at_us, row = known.outcome, known.at_us, known.row
    latest = sorted(told.items(), key=lambda each: (each[0] == outcome, each[1], each[0]))[-MOST_TOLD:]
    return Outcome(
        request_id, outcome, at_us, row, tuple(sorted(latest, key=lambda each: (each[1], each[0]))), prediction
    )
