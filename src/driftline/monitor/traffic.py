"""How the API fares, by its own metrics: requests, refusals, failures and latency, a sample every few seconds."""

import http.client
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Mapping
from typing import Final, NamedTuple, Protocol

import structlog
from prometheus_client.parser import text_string_to_metric_families

from driftline.monitor.store import MonitorStore

log = structlog.get_logger()

PREDICTING: Final = ("/predict", "/predict/batch", "/infer", "/invocations")
"""How the routes of predictions end, by whatever protocol and of whichever model."""
LARGEST_PAGE_BYTES: Final = 4 << 20
KEPT_US: Final = 35 * 86_400_000_000
KEY_ASKED_FOR: Final = frozenset({401, 403})
REFUSALS: Final = frozenset({"503"})
"""A refusal for want of room is counted as one, as are all that are the client's doing; other 5xx are failures."""


class Totals(NamedTuple):
    """What the API has counted since it was started.

    Attributes:
        requests: For predictions, by HTTP status.
        slower: Requests by the upper edge of their latency's bucket, seconds; not summed up.
    """

    requests: Mapping[str, float]
    slower: Mapping[float, float]


class Sample(NamedTuple):
    """What happened between two looks.

    Attributes:
        at_us: When the later one was.
        seconds: Between them.
        requests: Answered.
        refused: Of these, with 4xx or for want of room.
        failed: Of these, with any other 5xx.
        p50_s: Latency that half of them stayed below; None without requests.
        p99_s: The same for 99 in 100.
    """

    at_us: int
    seconds: float
    requests: int
    refused: int
    failed: int
    p50_s: float | None
    p99_s: float | None


class Source(Protocol):
    """Where the counts come from."""

    def __call__(self) -> str:
        """Returns a page of metrics; raises OSError if there is none."""


class TrafficLog:
    """Writes down samples.

    Args:
        store: Takes them.
        source: Gives the API's metrics.
        clock_us: Gives the time.
    """

    def __init__(
        self, store: MonitorStore, source: Source, clock_us: Callable[[], int] = lambda: time.time_ns() // 1000
    ) -> None:
        self._store = store
        self._source = source
        self._clock_us = clock_us
        self._before: tuple[int, Totals] | None = None
        self._trouble = ""

    def look(self) -> Sample | None:
        """Writes down and returns what has happened since the last look; None if that is not known.

        Raises:
            sqlite3.Error: The disk refuses.
        """
        try:
            now = (self._clock_us(), totals(self._source()))
        except (OSError, ValueError, http.client.HTTPException) as error:
            self._hindered(str(error))
            return None
        self._hindered("")
        before, self._before = self._before, now
        found = None if before is None else difference(before, now)
        if found is not None:
            with self._store.transaction():
                self._store.connection.execute("INSERT OR REPLACE INTO traffic VALUES (?, ?, ?, ?, ?, ?, ?)", found)
                self._store.connection.execute("DELETE FROM traffic WHERE at_us < ?", (found.at_us - KEPT_US,))
        return found

    def _hindered(self, reason: str) -> None:
        if reason != self._trouble:
            if reason:
                log.warning("traffic.unknown", error=reason)
            with self._store.transaction():
                self._store.put_meta({"traffic_trouble": reason})
        self._trouble = reason


def page_at(url: str, timeout_s: float, certificate: str | None = None) -> Source:
    """Returns a source that fetches a page.

    Args:
        url: The page.
        timeout_s: Longest wait.
        certificate: File with the certificates to trust, where the system's are not enough.
    """
    context = ssl.create_default_context(cafile=certificate) if url.startswith("https:") else None

    def fetch() -> str:
        try:
            with urllib.request.urlopen(url, timeout=timeout_s, context=context) as answer:  # noqa: S310 - the operator's
                return str(answer.read(LARGEST_PAGE_BYTES).decode())
        except urllib.error.HTTPError as error:
            with error:  # it holds the connection
                remedy = "; give them a port of their own: api_metrics_port" if error.code in KEY_ASKED_FOR else ""
                raise OSError(f"the API's metrics answer {error.code}{remedy}") from error

    return fetch


def totals(page: str) -> Totals:
    """Returns what a page of the API's metrics says of predictions.

    Raises:
        ValueError: It is no page of metrics.
    """
    requests: dict[str, float] = {}
    edges: dict[float, float] = {}
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            if sample.name == "driftline_requests_total" and sample.labels.get("route", "").endswith(PREDICTING):
                status = sample.labels["status"]
                requests[status] = requests.get(status, 0.0) + sample.value
            elif sample.name == "driftline_request_duration_seconds_bucket":
                edges[float(sample.labels["le"])] = sample.value
    ordered = sorted(edges)
    below = [0.0, *(edges[edge] for edge in ordered)]
    return Totals(requests, {edge: now - then for edge, then, now in zip(ordered, below[:-1], below[1:], strict=True)})


def difference(before: tuple[int, Totals], now: tuple[int, Totals]) -> Sample | None:
    """Returns what happened between two looks; None if the API was started anew meanwhile, or no time has passed."""
    (began_us, then), (at_us, totals_now) = before, now
    grown = {status: count - then.requests.get(status, 0) for status, count in totals_now.requests.items()}
    if at_us <= began_us or any(count < 0 for count in grown.values()) or len(totals_now.requests) < len(then.requests):
        return None
    slower = {edge: count - then.slower.get(edge, 0) for edge, count in totals_now.slower.items()}
    return Sample(
        at_us,
        (at_us - began_us) / 1e6,
        round(sum(grown.values())),
        round(sum(count for status, count in grown.items() if status.startswith("4") or status in REFUSALS)),
        round(sum(count for status, count in grown.items() if status.startswith("5") and status not in REFUSALS)),
        quantile(slower, 0.5),
        quantile(slower, 0.99),
    )


def quantile(counts: Mapping[float, float], share: float) -> float | None:
    """Returns the latency that a share of requests stayed below, evenly spread within a bucket; None without any.

    Args:
        counts: By the upper edge of the bucket, seconds.
        share: In 0..1.
    """
    total = sum(counts.values())
    if total <= 0:
        return None
    wanted, below, edge_before = share * total, 0.0, 0.0
    for edge in sorted(counts):
        if below + counts[edge] >= wanted and counts[edge] > 0:
            return edge_before if edge == float("inf") else _within(edge_before, edge, (wanted - below) / counts[edge])
        below += counts[edge]
        edge_before = edge
    return edge_before


def _within(low: float, high: float, part: float) -> float:
    return low + (high - low) * part


def merged(samples: Iterable[Sample]) -> Sample | None:
    """Returns several samples as one; its latencies are the worst of theirs."""
    held = list(samples)
    if not held:
        return None
    return Sample(
        held[-1].at_us,
        sum(each.seconds for each in held),
        sum(each.requests for each in held),
        sum(each.refused for each in held),
        sum(each.failed for each in held),
        max((each.p50_s for each in held if each.p50_s is not None), default=None),
        max((each.p99_s for each in held if each.p99_s is not None), default=None),
    )
