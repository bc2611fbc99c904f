"""Latencies below saturation."""

from pathlib import Path

import pytest

import open_loop
from bench_serve.replies import UVLOOP
from bench_serve.running import Running
from cores import Cores
from open_loop import OpenLoop


def test_what_is_still_under_way_at_the_end_counts_when_it_is_answered_and_has_failed_when_it_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(open_loop, "GIVE_UP_S", 0.2)
    with Running(UVLOOP, tmp_path, Cores.of_machine()) as server:
        load = OpenLoop(server.place.port, 20)
        server.server.suspend()
        late = load.run(per_s=100, seconds=0.1)
        server.server.resume()
        assert load.settle(late) == 0
        assert sum(map(len, late.answered.values())) == late.due - late.unsent > 0
        assert not late.failed
        server.server.suspend()
        never = load.run(per_s=100, seconds=0.1)
        assert load.settle(never) == never.failed == never.due - never.unsent > 0
        load.close()
        server.server.resume()
