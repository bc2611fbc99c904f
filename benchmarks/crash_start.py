"""Start after a crash: how soon the API answers with much in its outbox, and how fast that drains behind it.

    python benchmarks/crash_start.py              # 1 GB; ends with 1 if it is not ready within two seconds
    python benchmarks/crash_start.py --mb 100

The events are copies of real ones, so that every reader and the log take them for what they are.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from pathlib import Path

from driftline.outbox.outbox import Outbox
from driftline.outbox.root import OutboxRoot
from stack import free_port, installed, wait_for

READY_S = 2.0
DRAIN_S = 600.0
MB = 1_000_000
PRODUCER = len(uuid.uuid4().hex)


def fill(outboxes: Path, size_bytes: int, segment_bytes: int = 16 * MB) -> None:
    """Makes what a killed process leaves behind, of this size."""
    child = os.fork()
    if child == 0:  # it ends as by kill -9: without closing anything
        root = OutboxRoot(outboxes)
        root.create()
        outbox = Outbox(root, segment_max_bytes=segment_bytes, max_bytes=4 * size_bytes + 4 * segment_bytes)
        while outbox.held_bytes < size_bytes:
            outbox.append(event(outbox.producer, outbox.next_seq))
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if status:
        raise OSError("the outbox could not be filled")


def event(producer: str, seq: int) -> bytes:
    """A prediction as the API writes it."""
    return (
        b'{"request_id":"019a2071-fc95-759e-a214-%012x","features":{"feature_1":1.5,"feature_2":-0.7},'
        b'"probability":0.7649478037637648,"predicted_class":1,"timestamp":"2026-11-24T12:00:00.000000Z",'
        b'"schema_version":1,"kind":"prediction","producer":"%s","seq":%d,"model":"seed","model_version":"1"}'
    ) % (seq, producer.encode(), seq)


def measure(directory: Path, size_bytes: int) -> dict[str, float]:
    """Seconds from the start of ``driftline up`` until it is ready, and until all is drained; one prediction's, too."""
    data = directory / "data"
    fill(data / "outbox", size_bytes)
    [orphan] = (path for path in (data / "outbox").iterdir() if len(path.name) == PRODUCER)
    port = free_port()
    command = [installed("driftline"), "up", "--data", str(data), "--port", str(port), "--metrics-port", "0"]
    command += ["--console-port", "0", "--monitor-metrics-port", "0"]
    began = time.perf_counter()
    with (directory / "up.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        wait_for("readiness", lambda: ask(port, "/health/ready") is not None, 60)
        ready_s = time.perf_counter() - began
        left = left_bytes(data / "outbox")
        predict_s = ask(port, "/predict", b'{"feature_1": 1.5, "feature_2": -0.7}')
        wait_for("the draining", lambda: not orphan.exists(), DRAIN_S)
        drained_s = time.perf_counter() - began
        ledger = subprocess.run(
            [installed("driftline"), "ledger", "--data", str(data), "--json"], capture_output=True, check=False
        )
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
    counts = json.loads(ledger.stdout)
    return {
        "ready_s": ready_s,
        "left_at_ready_mb": left / MB,
        "predict_ms": 1000 * (predict_s or float("nan")),
        "drained_s": drained_s,
        "mb_per_s": size_bytes / MB / (drained_s - ready_s),
        "missing": counts["missing"],
        "logged": counts["logged"],
    }


def left_bytes(outboxes: Path) -> int:
    """Bytes of segments that are still there."""
    return sum(path.stat().st_size for path in outboxes.glob("*/*.seg"))


def ask(port: int, path: str, body: bytes | None = None) -> float | None:
    """Seconds until a 200, or None if there was none."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", body, {"Content-Type": "application/json"})
    began = time.perf_counter()
    try:
        with urllib.request.urlopen(request, timeout=10):
            return time.perf_counter() - began
    except (urllib.error.URLError, TimeoutError, OSError):
        return None


def main() -> int:
    """Measures, says what holds, and returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mb", type=int, default=1000, help="size of the outbox that is found")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="crash-start-") as directory:
        found = measure(Path(directory), arguments.mb * MB)
    for name, value in found.items():
        sys.stdout.write(f"{name:<18}{value:>12,.2f}\n")
    holds = found["ready_s"] <= READY_S and not found["missing"]
    sys.stdout.write("the claim holds\n" if holds else f"not ready within {READY_S:.0f} s, or events are missing\n")
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
