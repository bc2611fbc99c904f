"""``driftline chaos`` as its users run it: a short run is kept, a log that is tampered with is not."""

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import PROGRAM, environment
from tests.waiting import wait_until

pytestmark = [pytest.mark.long, pytest.mark.timeout(240)]


def chaos(*arguments: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    command = [str(PROGRAM), "chaos", *arguments]
    variables = environment(TMPDIR=str(folder), DRIFTLINE_PORT="1", DRIFTLINE_BROKER="redis://127.0.0.1:1/0")
    return subprocess.run(command, env=variables, cwd=folder, capture_output=True, text=True, check=False, timeout=200)


def judged(kept: Path) -> tuple[int, dict[str, Any]]:
    """The exit code and the verdict."""
    finished = chaos("--judge", str(kept), "--json", folder=kept.parent)
    return finished.returncode, json.loads(finished.stdout)


def tamper_lost(content: bytes) -> bytes:
    """Cuts out the first line."""
    return content.partition(b"\n")[2]


def tamper_doubled(content: bytes) -> bytes:
    """Puts the first line at the end once more."""
    return content + content[: content.index(b"\n") + 1]


def tamper_altered(content: bytes) -> bytes:
    """Changes a digit of the first probability."""
    found = re.search(rb'"probability":0[.](\d)', content)
    assert found
    return content[: found.start(1)] + b"%d" % (9 - int(found[1])) + content[found.end(1) :]


def tamper_foreign(content: bytes) -> bytes:
    """Changes the first feature of the first line."""
    return content.replace(b'"features":{"feature_1":', b'"features":{"feature_1":9', 1)


def test_a_short_run_keeps_the_promise_and_whoever_tampers_with_its_log_is_found_out(tmp_path: Path) -> None:
    # Beside tmp_path, which pytest could not remove if a disk stayed mounted there.
    with tempfile.TemporaryDirectory() as folder:
        arguments = ("--transport", "embedded", "--minutes", "0.25", "--seed", "3", "--keep", "--json")
        run = chaos(*arguments, folder=Path(folder))
        assert run.returncode == 0, run.stderr
        (result,) = json.loads(run.stdout)["runs"]
        check_kept(result, run.stderr)
        assert folder not in Path("/proc/mounts").read_text()
        assert still_running(folder) == []

        assert judged(Path(result["folder"])) == (0, result["verdict"])
        for tamper in (tamper_lost, tamper_doubled, tamper_altered, tamper_foreign):
            what = tamper.__name__.removeprefix("tamper_")
            kept = Path(shutil.copytree(result["folder"], tmp_path / what, symlinks=True))
            segment = kept / "data" / "logs" / "segments" / "00000001.jsonl"
            segment.write_bytes(tamper(segment.read_bytes()))
            code, verdict = judged(kept)
            assert (code, verdict["kept"], verdict[what]) == (1, False, 1), (what, verdict)
            assert len(verdict["examples"][what]) == 1
            assert verdict["problems"]  # the log's checksums and the ledger tell as well


def check_kept(result: dict[str, Any], said: str) -> None:
    """What is to be expected of a run that went well."""
    verdict = result["verdict"]
    assert verdict["kept"]
    assert [verdict[name] for name in ("lost", "doubled", "altered", "foreign")] == [0, 0, 0, 0]
    assert verdict["answered"] > 100
    assert verdict["ledger"]["logged"] == verdict["lines"] >= verdict["answered"]
    assert result["seed"] == 3
    assert result["faults"]
    assert all(fault["effect"] for fault in result["faults"])
    assert all(result["memory_bytes"][name] > 0 for name in ("api", "api-process", "worker"))
    assert "kept: lost 0, doubled 0, altered 0, foreign 0" in said


def test_ctrl_c_ends_the_faults_and_judges_and_leaves_nothing() -> None:
    with tempfile.TemporaryDirectory() as folder:
        command = [str(PROGRAM), "chaos", "--transport", "redis", "--minutes", "10", "--seed", "1"]
        with Path(folder, "output").open("w+") as output:
            process = subprocess.Popen(command, env=environment(TMPDIR=folder), stdout=output, stderr=output)
            try:
                wait_until(lambda: re.search(r"^ +\d+:", Path(folder, "output").read_text(), re.MULTILINE), within_s=60)
                process.send_signal(signal.SIGINT)
                assert process.wait(timeout=100) == 0, Path(folder, "output").read_text()
            finally:
                process.kill()
                process.wait()
        said = Path(folder, "output").read_text()
        assert "kept: lost 0, doubled 0, altered 0, foreign 0" in said
        assert os.listdir(folder) == ["output"]
        assert still_running(folder) == []


def test_a_second_ctrl_c_ends_everything_at_once_without_a_verdict() -> None:
    with tempfile.TemporaryDirectory() as folder:
        command = [str(PROGRAM), "chaos", "--transport", "redis", "--minutes", "10"]
        with Path(folder, "output").open("w+") as output:
            process = subprocess.Popen(command, env=environment(TMPDIR=folder), stdout=output, stderr=output)
            try:
                wait_until(lambda: still_running(folder), within_s=30)
                process.send_signal(signal.SIGINT)
                process.send_signal(signal.SIGTERM)
                assert process.wait(timeout=60) == 3
            finally:
                process.kill()
                process.wait()
        assert "there is no verdict" in Path(folder, "output").read_text()
        assert os.listdir(folder) == ["output"]
        assert still_running(folder) == []


def test_the_plan_is_printed_and_nothing_run() -> None:
    with tempfile.TemporaryDirectory() as folder:
        plans = [
            chaos("--plan", "--seed", "5", "--minutes", "1", "--transport", "embedded", folder=Path(folder)).stdout
            for _ in range(2)
        ]
        assert plans[0] == plans[1]
        assert len(re.findall(r"^ +0:\d\d\.\d  [\w-]+", plans[0], re.MULTILINE)) > 5
        assert os.listdir(folder) == []


def test_a_folder_that_is_none_of_a_run_is_a_wrong_option(tmp_path: Path) -> None:
    finished = chaos("--judge", str(tmp_path), folder=tmp_path)
    assert finished.returncode == 2
    assert "is not the folder of a run" in finished.stderr


def still_running(folder: str) -> list[str]:
    """The command lines and environments that name the folder, of processes that live."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            ours = folder.encode() in (path / "environ").read_bytes() and b"driftline-chaos-" in (
                (path / "environ").read_bytes() + (path / "cmdline").read_bytes()
            )
        except OSError:
            continue
        if ours:
            found.append((path / "cmdline").read_text())
    return found
