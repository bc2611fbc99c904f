"""Load that does not wait for answers."""

from pathlib import Path

from bench_serve.replies import UVLOOP
from bench_serve.running import Running
from cores import Cores
from open_loop import OpenLoop


def test_latency_counts_from_when_a_request_was_due_and_so_a_server_that_stood_still_is_seen(tmp_path: Path) -> None:
    with Running(UVLOOP, tmp_path, Cores.of_machine()) as server:
        load = OpenLoop(server.place.port, 90)
        steady = load.run(per_s=100, seconds=0.5)
        server.server.suspend()
        frozen = load.run(per_s=100, seconds=0.5)
        server.server.resume()
        after = load.run(per_s=100, seconds=0.3)
        load.settle()
        load.close()
    assert steady.answered
    assert not steady.failed
    assert frozen.due > 15
    assert not frozen.answered
    assert after.latency_ms(99) > 300, "those that waited for it are answered now, and took all that time"
    assert len(steady.lags) == steady.due - steady.unsent
    assert 0 <= steady.lag_s == max(steady.lags)
