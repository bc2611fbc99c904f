"""Driftline itself, as it is measured."""

from pathlib import Path

from bench_models.over_http import ACCEPTED
from bench_serve.ours import EMBEDDED, answered
from bench_serve.running import Running
from cores import Cores
from counters import counted


def test_each_answer_is_in_the_log_and_in_its_own_count(tmp_path: Path) -> None:
    with Running(EMBEDDED, tmp_path, Cores.of_machine()) as server:
        assert all(server.answers_rightly() for _ in range(3))
        assert server.lost() == 0
        assert answered(server.place) == server.answers == 4
        assert counted(server.place.port, ACCEPTED) == 4
        server.answers += 1
        assert server.lost() == 1
