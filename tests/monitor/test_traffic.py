"""How the API fares, told from its own metrics."""

from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from driftline.monitor.store import MonitorStore
from driftline.monitor.traffic import Sample, TrafficLog, difference, merged, page_at, quantile, totals
from tests.monitor.examples import Clock

PAGE = """\
# TYPE driftline_requests_total counter
driftline_requests_total{{route="/predict",status="200"}} {answered}
driftline_requests_total{{route="/predict",status="422"}} {invalid}
driftline_requests_total{{route="/predict",status="503"}} {overloaded}
driftline_requests_total{{route="/predict",status="500"}} {failed}
driftline_requests_total{{route="/health",status="200"}} 900
# TYPE driftline_request_duration_seconds histogram
driftline_request_duration_seconds_bucket{{le="0.001"}} {quick}
driftline_request_duration_seconds_bucket{{le="0.1"}} {all}
driftline_request_duration_seconds_bucket{{le="+Inf"}} {all}
driftline_request_duration_seconds_count {all}
driftline_request_duration_seconds_sum 1
"""


def page(answered: int, *, invalid: int = 0, overloaded: int = 0, failed: int = 0, slow: int = 0) -> str:
    whole = answered + invalid + overloaded + failed
    return PAGE.format(
        answered=answered, invalid=invalid, overloaded=overloaded, failed=failed, quick=whole - slow, all=whole
    )


class Pages:
    """A source that gives one page after the other; an error is raised."""

    def __init__(self, *given: str | OSError) -> None:
        self._given = list(given)

    def __call__(self) -> str:
        found = self._given.pop(0)
        if isinstance(found, OSError):
            raise found
        return found


@pytest.fixture
def store(tmp_path: Path) -> MonitorStore:
    return MonitorStore(tmp_path / "monitor.sqlite", create=True)


def looks(store: MonitorStore, clock: Clock, *pages: str | OSError) -> list[Sample | None]:
    """One look every five seconds."""
    traffic = TrafficLog(store, Pages(*pages), clock)
    found = []
    for _ in pages:
        clock.now_us += 5_000_000
        found.append(traffic.look())
    return found


def test_a_sample_is_what_happened_between_two_looks(store: MonitorStore, clock: Clock) -> None:
    first, second = looks(store, clock, page(100), page(190, invalid=4, overloaded=3, failed=3, slow=50))
    assert first is None
    assert second is not None
    assert (second.seconds, second.requests, second.refused, second.failed) == (5.0, 100, 7, 3)
    assert second.p50_s == pytest.approx(0.001)
    assert 0.09 < (second.p99_s or 0) < 0.1
    rows = store.connection.execute("SELECT * FROM traffic").fetchall()
    assert rows == [tuple(second)]


def test_an_api_that_was_started_anew_is_no_negative_traffic(store: MonitorStore, clock: Clock) -> None:
    found = looks(store, clock, page(100), page(5), page(25))
    assert found[1] is None
    assert found[2] is not None
    assert found[2].requests == 20


def test_an_api_that_is_away_is_said_until_it_is_back(store: MonitorStore, clock: Clock) -> None:
    looks(store, clock, page(1), OSError("refused"))
    assert store.meta()["traffic_trouble"] == "refused"
    looks(store, clock, page(1), page(2))
    assert store.meta().get("traffic_trouble", "") in {"", "refused"}
    traffic = TrafficLog(store, Pages(OSError("away"), page(3)), clock)
    traffic.look()
    traffic.look()
    assert store.meta()["traffic_trouble"] == ""


def test_what_is_no_page_of_metrics_is_said_too(store: MonitorStore, clock: Clock) -> None:
    assert looks(store, clock, "<html>not found</html>") == [None]
    assert store.meta()["traffic_trouble"]


def test_without_requests_there_is_no_latency() -> None:
    assert quantile({0.1: 0.0}, 0.5) is None
    assert quantile({0.1: 10.0, float("inf"): 10.0}, 0.99) == 0.1  # all that is known is that it is over


def test_samples_join_to_one_with_the_worst_latency() -> None:
    found = merged([Sample(5, 5.0, 10, 1, 0, 0.1, 0.2), Sample(10, 5.0, 20, 0, 2, 0.3, None)])
    assert found == Sample(10, 10.0, 30, 1, 2, 0.3, 0.2)
    assert merged([]) is None


def test_no_time_between_looks_is_no_sample() -> None:
    now = (5, totals(page(3)))
    assert difference(now, now) is None


def test_an_api_that_asks_for_a_key_is_said_with_the_remedy() -> None:
    class Guarded(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(401)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Guarded) as server:
        thread = Thread(target=server.handle_request)
        thread.start()
        with pytest.raises(OSError, match=r"answer 401; .*api_metrics_port"):
            page_at(f"http://127.0.0.1:{server.server_port}/metrics", 5.0)()
        thread.join()
