"""Load from wrk, and what it says of it."""

import json
import subprocess
from pathlib import Path
from typing import NamedTuple

from bench_serve.stacks import Stack
from stack import installed

SCRIPT = Path(__file__).parent / "post.lua"
FAILURES = ("connect", "read", "write", "status", "timeout")


class Load(NamedTuple):
    """What came of it.

    Attributes:
        answers: How many requests were answered with 200.
        seconds: How long it took.
        failed: How many of them, or of the connections, failed.
        p50_ms: The median latency, from when a request was sent.
        p99_ms: What all but one in a hundred took at most.
    """

    answers: int
    seconds: float
    failed: int
    p50_ms: float
    p99_ms: float

    @property
    def per_s(self) -> float:
        """Answers a second."""
        return self.answers / self.seconds


def put_under_load(stack: Stack, port: int, seconds: float) -> Load:
    """Keeps all connections of the stack busy for so many seconds, each sending again as soon as it is answered."""
    command = [installed("wrk"), "--threads", "1", "--connections", str(stack.connections)]
    command += ["--duration", f"{max(1, round(seconds))}s", "--timeout", "10s", "--script", str(SCRIPT)]
    command += [f"http://127.0.0.1:{port}{stack.path}", "--", stack.body.decode()]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"wrk ended with {done.returncode}: {done.stdout}{done.stderr}")
    return parse(done.stdout)


def parse(output: str) -> Load:
    """What the script printed behind wrk's own lines.

    Raises:
        ValueError: It printed nothing.
    """
    lines = [line for line in output.splitlines() if line.startswith("{")]
    if not lines:
        raise ValueError(f"wrk said nothing of its load: {output!r}")
    said = json.loads(lines[-1])
    return Load(
        answers=said["answers"] - said["status"],
        seconds=said["us"] / 1e6,
        failed=sum(said[name] for name in FAILURES),
        p50_ms=said["p50_us"] / 1000,
        p99_ms=said["p99_us"] / 1000,
    )
