"""Each thing that can be wrong with an installation is found, with its remedy, and nothing is changed by looking."""

import json
import os
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from driftline.contract.checksum import with_checksum
from driftline.doctor import machine
from driftline.doctor.examine import examine
from driftline.doctor.finding import Finding, Installation, duration, size
from driftline.eventlog.store import FILE_NAME
from driftline.eventlog.verify import verify_log
from driftline.eventlog.writer import LogWriter
from driftline.outbox.outbox import Outbox
from driftline.outbox.root import OutboxRoot
from tests.eventlog.lines import segments
from tests.redis_server import RedisServer
from tests.small_disk import small_disk


class Site:
    """An installation with ten events in its outbox and in its log, at work."""

    def __init__(self, data: Path) -> None:
        self.at = Installation(data, data / "outbox", data / "logs", None, 1.0, 1, 1 << 20, "os", 1 << 20)
        self.root = OutboxRoot(self.at.outbox_dir)
        self.root.create()
        self.outbox = Outbox(self.root, segment_max_bytes=1000)
        self.log = LogWriter(self.at.log_dir)
        assert self.log.try_open()
        self.root.obey(self.log.log_id)

    def accept(self, count: int, ago_s: float = 0.0) -> list[bytes]:
        stamp = (datetime.now(UTC) - timedelta(seconds=ago_s)).isoformat()
        lines = []
        for _ in range(count):
            event = {"producer": self.outbox.producer, "seq": self.outbox.next_seq, "timestamp": stamp}
            lines.append(with_checksum(json.dumps(event).encode()))
            self.outbox.append(lines[-1])
        return lines

    def commit(self, lines: list[bytes]) -> None:
        stop = json.loads(lines[-1])["seq"] + 1
        self.log.append(b"".join(line + b"\n" for line in lines), len(lines), {self.outbox.producer: stop})

    def findings(self, **changes: object) -> dict[str, Finding]:
        return {finding.check: finding for finding in examine(replace(self.at, **changes), count=True)}  # type: ignore[arg-type]

    def level(self, check: str, **changes: object) -> str:
        finding = self.findings(**changes)[check]
        assert bool(finding.remedy) == (finding.level != "ok")
        return finding.level


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path / "data")
    site.commit(site.accept(10))
    yield site
    site.outbox._give_up()
    site.log.close()


def files(folder: Path) -> list[tuple[Path, int]]:
    return sorted((path, path.stat().st_size) for path in folder.rglob("*") if not path.name.startswith(FILE_NAME))


def test_where_all_is_well_it_says_so_and_changes_nothing(site: Site) -> None:
    before = files(site.at.data)
    found = site.findings()
    assert {finding for finding in found.values() if finding.level != "ok"} == set()
    assert found["ledger"].text == "10 accepted = 10 logged + 0 in flight"
    assert "1 in use" in found["outboxes"].text
    assert files(site.at.data) == before


def test_before_there_is_anything_it_makes_nothing_and_finds_no_problem(tmp_path: Path) -> None:
    data = tmp_path / "data"
    at = Installation(data, data / "outbox", data / "logs", None, 1.0, 1, 1 << 20, "os", 1 << 20)
    levels = {finding.check: finding.level for finding in examine(at, count=True)}
    assert levels.pop("data folder") == "warning"
    assert set(levels.values()) == {"ok"}
    assert not data.exists()


def test_stopped_it_says_that_no_worker_has_the_log_and_what_was_left_behind(site: Site) -> None:
    site.accept(3)
    site.outbox._give_up()
    site.log.close()
    found = site.findings()
    assert found["worker"].level == "warning"
    assert "0 in use, 1 left behind" in found["outboxes"].text
    assert found["on the way"].text.startswith("3 events are not in the log yet")


def test_events_that_wait_for_long_are_a_problem_and_young_ones_are_not(site: Site) -> None:
    site.commit(site.accept(1, ago_s=500))
    assert site.level("on the way") == "ok"
    site.accept(1, ago_s=500)
    assert site.level("on the way") == "problem"
    assert "8 min" in site.findings()["on the way"].text


def test_events_that_nobody_can_bring_to_redis_are_told_apart(site: Site) -> None:
    site.accept(1, ago_s=500)
    site.outbox._give_up()
    found = site.findings(broker_url="redis://127.0.0.1:1/0", broker_timeout_s=0.2)
    assert "start driftline serve" in found["on the way"].remedy


def test_outboxes_that_fill_up_are_a_problem(site: Site) -> None:
    assert site.level("outboxes", outbox_max_bytes=1000) == "problem"


def test_what_was_set_aside_in_the_outboxes_is_told(site: Site) -> None:
    site.root.quarantine("p", "0", 0, b"torn")
    assert site.level("quarantine") == "warning"


def test_outboxes_that_obey_another_log_are_a_problem_unless_it_was_replaced(site: Site) -> None:
    (site.at.outbox_dir / "log-id").write_text("c" * 32)
    finding = site.findings()["obeyed log"]
    assert (finding.level, finding.remedy.endswith(f"driftline log replace {'c' * 32}")) == ("problem", True)
    site.log.replace("c" * 32)
    assert site.level("obeyed log") == "ok"


def test_a_damaged_record_is_a_problem_whose_remedy_is_to_rebuild_it(site: Site) -> None:
    site.log.close()
    with sqlite3.connect(site.at.log_dir / FILE_NAME) as connection:
        connection.execute("UPDATE producers SET committed = 11")
    connection.close()
    found = site.findings()
    assert found["log"].level == "problem"
    assert found["log"].remedy == "stop the worker, then: driftline log repair"
    assert found["ledger"].level == "problem"
    (site.at.log_dir / FILE_NAME).unlink()
    assert "driftline log repair" in site.findings()["log"].remedy


def test_segments_that_are_short_or_missing_are_a_problem_that_names_them(site: Site) -> None:
    path = segments(site.at.log_dir)[0]
    os.truncate(path, path.stat().st_size - 1)
    found = site.findings()["segments"]
    assert (found.level, "lacks 1 of the" in found.text) == ("problem", True)
    assert "driftline log repair" in found.remedy
    site.log.close()
    path.unlink()
    assert "10 lines, from row 0 on" in site.findings()["segments"].text


def test_damage_is_a_problem_before_and_after_it_is_set_aside(site: Site) -> None:
    path = segments(site.at.log_dir)[0]
    path.write_bytes(path.read_bytes().replace(b'"seq": 4', b'"seq": 5'))
    found = site.findings()
    assert (found["ledger"].level, "damage" in found) == ("problem", False)
    assert "1 quarantined" in found["ledger"].text
    verify_log(site.at.log_dir)
    assert site.level("damage") == "problem"


def test_an_event_of_the_future_is_told(site: Site) -> None:
    site.commit(site.accept(1, ago_s=-3600))
    assert site.level("last event") == "warning"


def test_a_disk_without_room_and_one_in_memory_are_problems(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "tmpfs") as disk:
        site = Site(disk.path / "data")
        site.commit(site.accept(1))
        found = site.findings()
        if disk.path.is_mount():
            assert found["room, log"].level == "problem"
            assert found["disk, outboxes"].level == "problem"
        site.outbox._give_up()
        site.log.close()


def test_outboxes_that_could_outgrow_their_disk_are_a_warning(site: Site) -> None:
    assert site.level("room, outboxes", outbox_max_bytes=1 << 60) == "warning"
    assert site.level("room, log", log_segment_max_bytes=1 << 60) == "warning"


def test_a_folder_that_everybody_may_write_is_a_warning(site: Site) -> None:
    site.at.data.chmod(0o777)
    assert site.level("data folder") == "warning"


def test_a_data_folder_that_is_a_file_is_a_problem_and_the_other_checks_go_on(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.touch()
    at = Installation(data, data / "outbox", data / "logs", None, 1.0, 1, 1 << 20, "os", 1 << 20)
    found = {finding.check: finding for finding in examine(at, count=True)}
    assert [check for check, finding in found.items() if finding.level == "problem"]
    assert found["broker"].level == "ok"


# -- the machine


def test_a_clock_that_was_never_set_or_that_steps_is_found(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 1000.0)
    assert machine._clock().level == "problem"
    ticks = iter([2e9, 2e9 + 5])
    monkeypatch.setattr(time, "time", lambda: next(ticks))
    assert machine._clock().level == "warning"


def test_a_dependency_that_is_too_old_or_missing_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    needed = ["redis[hiredis]>=1000", "msgspec>=0.1,<0.2", "no-such-thing>=1", "typer>=0.1", 'x>=1; extra == "report"']
    monkeypatch.setattr("driftline.doctor.machine.metadata.requires", lambda _: needed)
    wrong = list(machine._wrong_versions())
    assert [line.split()[0] for line in wrong] == ["redis", "msgspec", "no-such-thing"]


def test_few_open_files_are_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("driftline.doctor.machine.resource.getrlimit", lambda _: (256, 256))
    assert machine._open_files().level == "warning"


def test_sizes_and_times_are_for_people() -> None:
    assert [size(count) for count in (0, 1023, 1024, 1536 << 20)] == ["0 bytes", "1023 bytes", "1.0 KiB", "1.5 GiB"]
    spans = [duration(seconds) for seconds in (0.25, 61, 3 * 3600 + 60, 90_000)]
    assert spans == ["0.2 s", "1 min 1 s", "3 h 1 min", "1 d 1 h"]


# -- Redis


def test_a_redis_that_is_set_up_well_is_ok_and_one_that_is_not_gets_remedies(
    site: Site, redis_server: RedisServer
) -> None:
    found = site.findings(broker_url=redis_server.url)
    assert {found[check].level for check in ("broker", "Redis memory", "Redis eviction", "Redis clock")} == {"ok"}
    assert found["workers"].level == "warning"
    with redis_server.client() as client:
        client.config_set("maxmemory", "1mb")
        client.config_set("maxmemory-policy", "allkeys-lru")
        client.config_set("appendonly", "yes")
    found = site.findings(broker_url=redis_server.url)
    assert found["Redis memory"].level in {"warning", "problem"}
    assert found["Redis eviction"].level == "warning"
    assert "appendfsync" in found["Redis persistence"].text


def test_a_redis_that_is_away_is_a_problem_that_does_not_tell_its_password(site: Site, free_port: int) -> None:
    found = site.findings(broker_url=f"redis://:s3cret@127.0.0.1:{free_port}/0")
    assert found["broker"].level == "problem"
    assert "s3cret" not in repr(found)
