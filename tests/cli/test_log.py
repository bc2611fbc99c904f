"""``driftline log verify`` and ``repair``: damage is found, and there is a way back."""

import json
import os
import re
from pathlib import Path

import pytest

from driftline.eventlog.store import FILE_NAME
from driftline.transport.ledger import take_ledger
from tests.cli.conftest import Run, StartUp
from tests.cli.test_up import logged_ids, predict
from tests.waiting import wait_until


def tamper(data: Path) -> None:
    segment = next((data / "logs" / "segments").glob("*.jsonl"))
    segment.write_bytes(segment.read_bytes().replace(b'"probability":0.7', b'"probability":0.1', 1))


def test_a_sound_log_needs_no_repair(ask: Run, data: Path) -> None:
    assert ask("log", "verify").stdout.splitlines()[-1] == "to the byte what was committed"
    repair = ask("log", "repair")
    assert (repair.returncode, "nothing to repair" in repair.stdout) == (0, True)


def test_a_damaged_line_is_found_set_aside_and_left_out(run: Run, data: Path) -> None:
    tamper(data)
    found = run("log", "verify")
    assert found.returncode == 1
    assert "1 damaged lines at 00000001:0-" in found.stdout
    assert "log.damaged" in found.stderr
    assert len(list((data / "logs" / "quarantine").iterdir())) == 1
    as_json = run("log", "verify", "--json")
    assert (as_json.returncode, json.loads(as_json.stdout)["damaged_lines"]) == (1, 1)
    ledger = take_ledger(data / "outbox", data / "logs")
    assert (ledger.accepted, ledger.logged, ledger.quarantined, ledger.missing) == (3, 2, 1, 0)


@pytest.mark.long
def test_a_log_that_lost_its_end_says_so_is_repaired_and_goes_on_and_the_ledger_counts_what_is_gone(
    start_up: StartUp, run: Run, data: Path
) -> None:
    segment = next((data / "logs" / "segments").glob("*.jsonl"))
    os.truncate(segment, segment.stat().st_size - 10)
    found = run("log", "verify")
    assert found.returncode == 1
    assert re.search(r"lacks 10 of the [\d,]+ bytes that were committed to it: 1 line, from row 2 on", found.stdout)
    assert "driftline log repair" in found.stdout
    as_json = json.loads(run("log", "verify", "--json").stdout)
    assert (as_json["lost_lines"], as_json["lost_bytes"], as_json["sound"]) == (1, 10, False)
    repaired = run("log", "repair")
    assert repaired.returncode == 0, repaired.stderr
    assert "lacks 10 of the" in repaired.stdout
    assert run("log", "verify").returncode == 0
    ledger = run("ledger")
    assert ledger.returncode == 1
    assert "the log went on without events 2 to 2" in ledger.stdout
    up = start_up()
    assert up.api
    predict(up)
    wait_until(lambda: len(logged_ids(up)) == 3)
    up.signal()
    settled = take_ledger(data / "outbox", data / "logs")
    assert (settled.accepted, settled.logged, settled.missing) == (4, 3, 1)


@pytest.mark.long
def test_a_damaged_record_is_refused_and_rebuilt_and_the_outboxes_follow(
    start_up: StartUp, run: Run, data: Path
) -> None:
    tamper(data)
    path = data / "logs" / FILE_NAME
    path.write_bytes(path.read_bytes().replace(b"producers", b"producerz"))
    up = start_up()
    assert up.api, "predictions are answered meanwhile"
    predict(up)
    wait_until(lambda: "log.unusable" in up.output)
    assert "driftline log repair" in up.output
    assert "worker ended" not in up.output
    repaired = run("log", "repair")
    assert repaired.returncode == 0, repaired.stderr
    assert "2 lines of 1 producers" in repaired.stdout
    wait_until(lambda: len(logged_ids(up)) == 4)
    up.signal()
    ledger = take_ledger(data / "outbox", data / "logs")
    assert (ledger.accepted, ledger.logged, ledger.quarantined, ledger.missing) == (4, 3, 1, 0)
