"""Says in words and numbers what was found in a window, and hands it to the alarms."""

import math
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import structlog

from driftline.drift.effect import effect_intervals
from driftline.drift.histogram import histogram
from driftline.drift.layout import Layout
from driftline.drift.profile import Profile
from driftline.errors import LogError
from driftline.eventlog.reader import LogReader
from driftline.monitor.alarms import Alarms, Judgement
from driftline.monitor.alert import Alert, Bins, Evidence, Finding, Window, alert_key
from driftline.monitor.examples import request_ids
from driftline.monitor.fold import segment_names
from driftline.monitor.history import AlertHistory
from driftline.monitor.judge import ALL, Judged, Kind, Verdict
from driftline.monitor.store import MonitorStore

log = structlog.get_logger()

OLD_NEWS_US: Final = 3_600_000_000
"""Alerts are for what is going on; what a monitor finds of earlier times, when it catches up, is in its pages."""
TOGETHER_WINDOWS: Final = 6
"""Columns that begin to alarm within so many windows are one event, of which people are told once."""

MOST_NAMED: Final = 5


class Teller:
    """Hands the verdicts of each window to the alarms.

    Args:
        store: Holds the alerts.
        make_alarms: Makes what opens and closes them, of the id of the log.
        log_dir: The log, for examples.
        days_a_false_alarm: The budget, for the evidence.
        page: Returns the address of the page of a column, if it is known how people reach it.
        segment_by: The column that divides the traffic, if any.
        clock_us: Gives the time.
    """

    def __init__(
        self,
        store: MonitorStore,
        make_alarms: Callable[[str], Alarms],
        *,
        log_dir: Path,
        days_a_false_alarm: float,
        page: Callable[[str, str], str | None],
        segment_by: str | None = None,
        clock_us: Callable[[], int] = lambda: time.time_ns() // 1000,
    ) -> None:
        self._store = store
        self._history = AlertHistory(store.connection)
        self._make_alarms = make_alarms
        self._alarms: Alarms | None = None
        self._log_dir = log_dir
        self._budget = f"at most one false alarm expected in {days_a_false_alarm:g} days"
        self._page = page
        self._segment_by = segment_by
        self._clock_us = clock_us
        self._alone: set[tuple[str, str]] = set()
        self._profile_id = ""

    def tell(self, profile: Profile, judged: Judged) -> None:
        """Has alerts opened and closed by one window."""
        long_us = TOGETHER_WINDOWS * 2 * (judged.stop_us - judged.start_us)
        if not judged.verdicts or self._clock_us() - judged.stop_us > max(OLD_NEWS_US, long_us):
            return
        if self._alarms is None:
            self._alarms = self._make_alarms(self._store.meta()["log_id"])
        if profile.profile_id != self._profile_id:
            self._begin(self._alarms, profile)
        window = Window(judged.start_us, judged.stop_us, judged.cell.rows)
        ordered = sorted(judged.verdicts, key=lambda it: (it.column.role != "feature", -it.evidence.answer.strength))
        firing = self._history.firing()
        inputs_alarm = any(it.state == "alarm" and it.column.role == "feature" for it in ordered)
        for verdict in ordered:
            name = verdict.column.name
            mine = [it for it in firing if it.scope == judged.stream and it.column == name]
            kind: Kind = mine[0].kind if mine else verdict.kind  # type: ignore[assignment]  # those that we gave it
            alarming: bool | None = verdict.state == "alarm"
            if alarming and not mine and verdict.column.role != "feature" and not inputs_alarm:
                alarming = self._second_time(judged.stream, name)
            elif not alarming:
                self._alone.discard((judged.stream, name))
            finding = partial(self._finding, profile, judged, verdict, [it for it in ordered if it.state == "alarm"])
            explained_by = self._explanations(judged, name, mine, firing) if alarming else ()
            opened = self._alarms.observe(Judgement(kind, name, judged.stream, window, alarming, finding, explained_by))
            if opened is not None and opened.state == "firing":
                firing = [opened, *firing]

    def _begin(self, alarms: Alarms, profile: Profile) -> None:
        """Closes the alerts of columns and segments that are watched no more: nothing will ever judge them again."""
        names = {None, *(column.name for column in profile.columns)}
        scopes = {ALL, *segment_names(profile, self._segment_by)}
        firing = self._history.firing()
        alarms.close_unwatched([it.key for it in firing if it.column in names and it.scope in scopes])
        self._profile_id = profile.profile_id

    def _second_time(self, stream: str, name: str) -> bool | None:
        """Outputs that alarm alone are given one window more, in which an input may turn out to be the cause."""
        if (stream, name) in self._alone:
            return True
        self._alone.add((stream, name))
        return None

    def _explanations(self, judged: Judged, name: str, mine: Sequence[Alert], firing: Sequence[Alert]) -> list[str]:
        """Returns the keys of alerts that opened before this one, by so little that they are one event with it."""
        opened_us = mine[0].opened_us if mine else judged.stop_us
        together_us = TOGETHER_WINDOWS * max(judged.stop_us - judged.start_us, 1)
        before = firing[firing.index(mine[0]) + 1 :] if mine else firing  # the newest comes first
        return [
            alert.key
            for alert in before
            if (alert.scope == judged.stream and opened_us - alert.opened_us <= together_us)
            or (judged.stream != ALL and alert.key == alert_key(ALL, name, alert.kind))
        ]

    def _finding(self, profile: Profile, judged: Judged, verdict: Verdict, alarms: Sequence[Verdict]) -> Finding:
        at = [column.name for column in profile.columns].index(verdict.column.name)
        counts = Layout(profile.columns).split(judged.cell.counts)[at]
        sizes = effect_intervals(verdict.column, counts, verdict.column.factor(float(counts.sum())))
        effect: dict[str, float | None] = {"moved": verdict.moved}
        for name, value in zip(("psi", "js", "ks", "wasserstein"), verdict.effects, strict=True):
            effect[name] = _finite(value)
        for name, interval in zip(("psi", "js", "ks", "wasserstein", "moved"), sizes, strict=True):
            effect[f"{name}_low"], effect[f"{name}_high"] = _finite(interval.low), _finite(interval.high)
        answer = verdict.evidence.answer
        return Finding(
            sentence=sentence(verdict, alarms),
            since_us=verdict.since_us,
            effect=effect,
            evidence=Evidence(
                f"{verdict.evidence.detector}, {answer.question}",
                math.exp(answer.log_p),
                math.exp(answer.log_risk),
                self._budget,
            ),
            bins=Bins(*histogram(verdict.column, counts)),
            request_ids=self._examples(profile, judged, verdict),
            profile=profile.profile_id,
            page=self._page(judged.stream, verdict.column.name),
        )

    def _examples(self, profile: Profile, judged: Judged, verdict: Verdict) -> tuple[str, ...]:
        at = [column.name for column in profile.columns].index(verdict.column.name)
        counts = Layout(profile.columns).split(judged.cell.counts)[at]
        try:
            with LogReader(self._log_dir) as lines:
                return request_ids(lines, profile.model, verdict.column, judged.cell, counts)
        except LogError as error:
            log.warning("alert.without_examples", error=error.message)
            return ()


def sentence(verdict: Verdict, alarms: Sequence[Verdict]) -> str:
    """Returns what has changed, in one sentence for a person."""
    name, (question, label, *_) = verdict.column.name, verdict.evidence.answer
    moved = f"{verdict.moved:.1%} of its rows are not where they were in the reference"
    what = {
        "location": f"{name} has moved {label}: {moved}",
        "spread": f"{name} has become {label}: {moved}",
        "missing": f"{name} is missing in {verdict.missing:.1%} of the rows",
        "below": f"{name} is {label} in {verdict.outside:.1%} of the rows, which it never was in the reference",
        "above": f"{name} is {label} in {verdict.outside:.1%} of the rows, which it never was in the reference",
        "unseen": f"{name} has values that the reference has not, in {verdict.outside:.1%} of the rows",
        "bin": f"{name} has {'lost' if label.startswith('less ') else 'gained'} rows in "
        f"{label.removeprefix('less ')}: {moved}",
    }[question]
    if verdict.kind == "constant":
        what = f"{name} has one value only"
    elif verdict.kind == "missing" and question != "missing":
        what = f"{name} is missing altogether"
    others = [it.column.name for it in alarms if it.column.name != name]
    if verdict.column.role != "feature" and not any(it.column.role == "feature" for it in alarms):
        return f"{what}; no feature has changed."
    named = [*others[:MOST_NAMED], *(["others"] if len(others) > MOST_NAMED else [])]
    return f"{what}; with it {', '.join(named)}." if named else f"{what}."


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
