"""A run in which something fails."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from bench_serve import __main__ as bench
from bench_serve import running
from bench_serve.replies import UVLOOP
from bench_serve.rounds import Pace, in_rounds, values
from bench_serve.stacks import Stack
from bench_serve.wrk import Load
from cores import Cores


def test_a_stack_that_fails_does_not_spoil_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(_stack: Stack, _port: int, seconds: float) -> Load:
        return Load(100, seconds, 0, 1.0, 1.0)

    monkeypatch.setattr(running, "put_under_load", load)
    ends = UVLOOP._replace(name="ends", command=lambda _: [sys.executable, "-c", "raise SystemExit('no model')"])
    told: list[str] = []
    found = in_rounds((ends, UVLOOP), Pace(1, 1, 1), Cores.of_machine(), told.append)
    assert found["ends"]["turns"] == [None]
    (reason,) = found["ends"]["failures"]
    assert reason.startswith("round 1: ends: the server ended with 1")
    assert reason.endswith("no model")
    assert told[0] == f"  ends, {reason}"
    assert values(found, UVLOOP.name, "per_s") == [100.0]


def test_a_part_that_fails_is_noted_and_the_next_one_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any) -> Any:
        raise RuntimeError("no room")

    parts = {"memory": fails, "starts": lambda *_: {"driftline serve": {"wall_s": 1.0}}}
    monkeypatch.setattr(bench, "PARTS", parts)
    monkeypatch.setattr(bench, "NEEDS", {})
    file = tmp_path / "serve.json"
    file.write_text(json.dumps({"measured": {}, "memory": {"rss_mb": [1.0]}}))
    assert bench.measure(["memory", "starts"], file, Cores(0, 1))
    results = json.loads(file.read_text())
    assert "memory" not in results, "what was measured before is not what was asked for"
    assert results["measured"]["memory"]["failed"] == "no room"
    assert results["starts"] == {"driftline serve": {"wall_s": 1.0}}
    assert not bench.measure(["starts"], file, Cores(0, 1))


def test_a_program_that_is_missing_is_said_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench, "NEEDS", {"stacks": (("no-such-wrk",), ("sh",)), "memory": (("no-such-wrk",),)})
    with pytest.raises(SystemExit, match="no-such-wrk missing, nothing was measured"):
        bench.measure(["starts", "stacks", "memory"], tmp_path / "serve.json", Cores(0, 1))
    assert not list(tmp_path.iterdir())
