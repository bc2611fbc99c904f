"""Watches how the API fares: the rate of requests, their latency, and failures, each against the day before.

These are limits and no tests: traffic has its hours and holidays, and no budget of false alarms could be kept on it.
"""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from driftline.monitor.alarms import Alarms, Judgement
from driftline.monitor.alert import Evidence, Finding, Kind, Window
from driftline.monitor.store import MonitorStore
from driftline.monitor.traffic import Sample, merged

DAY_US: Final = 86_400_000_000
SHORTEST_US: Final = 10_000_000
FEWEST_WINDOWS: Final = 12
LEAST_KNOWN_US: Final = 20 * 3_600_000_000
"""Nothing is judged before so much of a day is known: where there is no habit, a load that begins is no event."""
APART: Final = 2.0
"""What is so many times beyond the extremes of the day before is an alarm."""
SLOW_S: Final = 0.05
"""Nobody is told of a p99 below this."""
FAILED: Final = 0.01
"""Nor of a smaller share of failures."""


class _Limit(NamedTuple):
    kind: Kind
    alarming: bool
    sentence: str
    value: float
    limit: float


class Operations:
    """Judges windows of the samples that the store has.

    Args:
        store: Has them.
        alarms: What opens and closes alerts.
        width_us: Length of a window; of a shorter one than ten seconds, ten seconds.
        page: Address of the page that shows it, if it is known how people reach it.
    """

    def __init__(self, store: MonitorStore, alarms: Alarms, width_us: int, page: str | None) -> None:
        self._store = store
        self._alarms = alarms
        self._width_us = max(width_us, SHORTEST_US)
        self._page = page
        self._judged_to_us = 0

    def judge(self, now_us: int) -> None:
        """Judges the window that is over, if it has not been judged.

        Raises:
            sqlite3.Error: The disk refuses.
        """
        stop_us = now_us // self._width_us * self._width_us
        if stop_us <= self._judged_to_us:
            return
        self._judged_to_us = stop_us
        start_us = stop_us - self._width_us
        current = merged(self._samples(start_us, stop_us))
        earlier = self._windows(max(start_us - DAY_US, 0), start_us)
        if current is None or len(earlier) < FEWEST_WINDOWS or earlier[0].at_us > start_us - LEAST_KNOWN_US:
            return
        window = Window(start_us, stop_us, current.requests)
        with self._store.transaction():
            for limit in limits(current, earlier):
                self._alarms.observe(
                    Judgement(limit.kind, None, "all", window, limit.alarming, self._finding(limit, window))
                )

    def _windows(self, start_us: int, stop_us: int) -> list[Sample]:
        windows: dict[int, list[Sample]] = {}
        for sample in self._samples(start_us, stop_us):
            windows.setdefault((sample.at_us - 1) // self._width_us, []).append(sample)
        return [found for samples in windows.values() if (found := merged(samples)) is not None]

    def _samples(self, start_us: int, stop_us: int) -> list[Sample]:
        rows = self._store.connection.execute(
            "SELECT at_us, seconds, requests, refused, failed, p50_s, p99_s FROM traffic "
            "WHERE at_us > ? AND at_us <= ? ORDER BY at_us",
            (start_us, stop_us),
        )
        return [Sample(*row) for row in rows]

    def _finding(self, limit: _Limit, window: Window) -> Callable[[], Finding]:
        return lambda: Finding(
            sentence=limit.sentence,
            since_us=window.start_us,
            effect={"value": limit.value, "limit": limit.limit},
            evidence=Evidence("limit", None, limit.limit, "a limit by the day before, no test: it has no budget"),
            page=self._page,
        )


def limits(current: Sample, earlier: Sequence[Sample]) -> list[_Limit]:
    """Returns what one window is by the windows before it: of traffic, latency and failures.

    Args:
        current: The window.
        earlier: Those of the day before, at least one.
    """
    rates = [each.requests / each.seconds for each in earlier]
    rate, least, most = current.requests / current.seconds, min(rates) / APART, max(rates) * APART
    slowest = max((each.p99_s for each in earlier if each.p99_s is not None), default=0.0)
    slow = max(slowest * APART, SLOW_S)
    worst = max(each.failed / max(each.requests, 1) for each in earlier)
    failing = max(worst * APART, FAILED)
    failed = current.failed / max(current.requests, 1)
    return [
        _Limit(
            "traffic",
            rate < least or rate > most,
            f"{rate:.3g} predictions a second, where the day before had {min(rates):.3g} to {max(rates):.3g}.",
            rate,
            least if rate < least else most,
        ),
        _Limit(
            "latency",
            current.p99_s is not None and slowest > 0 and current.p99_s > slow,
            f"99 in 100 predictions take up to {1e3 * (current.p99_s or 0):.3g} ms; the day before it was "
            f"{1e3 * slowest:.3g} ms at most.",
            current.p99_s or 0.0,
            slow,
        ),
        _Limit(
            "errors",
            failed > failing,
            f"{failed:.1%} of the requests for predictions fail; the day before it was {worst:.1%} at most.",
            failed,
            failing,
        ),
    ]
