"""The end-to-end test's own parts, as far as they need no engine."""

import json
import os
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
import yaml

from deploy.e2e.commands import CommandError, Shell
from deploy.e2e.engine import make_room_for_groups
from deploy.e2e.eventlog import EventLog
from deploy.e2e.firewall import Firewall
from deploy.e2e.playbook import MESSAGE, RECAP
from deploy.e2e.release import PARTS, copy_project, without_monitor
from deploy.e2e.steps import CHECK_FAILED, NOT_SET_UP, CheckError, SetupError, StepFailedError, Steps, ensure
from deploy.e2e.tools import PROJECT
from tests.deploy.test_ansible import OWN

FAILED = """
TASK [driftline : The port must be free] ***************************************
[ERROR]: Task failed: Action failed: The port is taken.
  Choose another.
Origin: /somewhere/check.yml:44:3

fatal: [clean-machine]: FAILED! =>
    msg: The port is taken.

PLAY RECAP *********************************************************************
clean-machine              : ok=9    changed=3    unreachable=0    failed=1    skipped=1    rescued=0    ignored=0
"""


class Cat:
    """A machine whose log is this text."""

    def __init__(self, *texts: str) -> None:
        self._texts = list(texts)

    def run(self, _script: str, *, quiet: bool) -> str:
        assert quiet
        return self._texts.pop(0) if len(self._texts) > 1 else self._texts[0]


def lines(*request_ids: str) -> str:
    return "".join(json.dumps({"request_id": request_id}) + "\n" for request_id in request_ids)


def event_log(*texts: str) -> EventLog:
    return EventLog(Cat(*texts))  # type: ignore[arg-type]  # all that the log asks of a machine


def test_a_line_that_is_still_being_written_does_not_count() -> None:
    assert event_log(lines("a", "b") + '{"request_id": "c').counts() == Counter("ab")


def test_an_answer_that_is_not_logged_is_found() -> None:
    with pytest.raises(CheckError, match="1 of 2 answered predictions are not in the log"):
        event_log(lines("a")).has_once(["a", "b"], within_s=0)


def test_an_answer_that_is_logged_twice_is_found_though_the_second_line_comes_late() -> None:
    with pytest.raises(CheckError, match="more than once, such as b"):
        event_log(lines("a", "b"), lines("a", "b", "b")).has_once(["a", "b"])


def test_the_message_and_the_summary_of_a_failed_run_are_read() -> None:
    assert MESSAGE.findall(FAILED) == ["The port is taken.\n  Choose another.\n"]
    recap = RECAP.search(FAILED)
    assert recap is not None
    assert recap.groups() == ("3", "1")


def test_a_release_holds_all_that_the_playbook_brings_and_says_its_own_version(tmp_path: Path) -> None:
    release = copy_project(tmp_path / "release", 7)
    assert release.version.endswith(".dev7")
    assert f'"{release.version}"' in (release.folder / "src" / "driftline" / "__init__.py").read_text()
    assert [path for path in OWN["driftline_bundle_paths"] if not (release.folder / path).exists()] == []
    assert "deploy" in PARTS
    assert [path for path in release.folder.rglob("*") if path.stat().st_mode & 0o077] == []


def test_a_release_from_before_the_monitor_is_the_project_without_its_service_and_volume(tmp_path: Path) -> None:
    release = without_monitor(copy_project(tmp_path / "release", 0))
    now, before = (yaml.safe_load((folder / "compose.yaml").read_text()) for folder in (PROJECT, release.folder))
    assert now["services"].keys() - before["services"].keys() == {"monitor"}
    assert now["volumes"].keys() - before["volumes"].keys() == {"monitor"}
    assert "monitor:/" not in str([service.get("volumes") for service in before["services"].values()])


def test_a_program_that_fails_or_takes_too_long_says_so_and_ends(tmp_path: Path) -> None:
    shell = Shell(tmp_path / "log")
    with pytest.raises(CommandError, match="exit code 3: no"):
        shell.run(sys.executable, "-c", "import sys; print('no', file=sys.stderr); sys.exit(3)")
    with pytest.raises(CommandError, match=r"no end after 0\.2 s"):
        shell.run(sys.executable, "-c", "import time; time.sleep(60)", timeout_s=0.2)
    with pytest.raises(CommandError, match="No such file"):
        shell.run(tmp_path / "nothing")
    assert "sys.exit(3)" in (tmp_path / "log").read_text()


def test_what_a_late_program_has_started_ends_with_it(tmp_path: Path) -> None:
    shell = Shell(tmp_path / "log")
    began = time.monotonic()
    with pytest.raises(CommandError, match=r"no end after 0\.5 s"):
        shell.run("bash", "-c", f"sleep 60 & echo $! >{tmp_path}/child; wait", timeout_s=0.5)
    assert time.monotonic() - began < 30
    child = int((tmp_path / "child").read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


def test_an_engine_in_a_container_gets_control_groups_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").write_text("cpu memory\n")
    (tmp_path / "cgroup.procs").write_text("1\n")
    (tmp_path / "cgroup.subtree_control").write_text("")
    make_room_for_groups(tmp_path)
    assert not (tmp_path / "init").exists()  # the machine's own topmost group
    (tmp_path / "cgroup.type").write_text("domain\n")
    make_room_for_groups(tmp_path)
    assert (tmp_path / "init" / "cgroup.procs").read_text() == "1"
    assert (tmp_path / "cgroup.subtree_control").read_text() == "+memory"


def find_wanting(shell: Shell) -> None:
    shell.run(sys.executable, "-c", "print('what happened')")
    ensure(condition=False, otherwise="it does not hold")


def test_a_failed_step_decides_the_exit_code_and_shows_its_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    steps = Steps(tmp_path)
    with pytest.raises(StepFailedError) as check, steps.check("a claim"):
        find_wanting(steps.shell)
    with pytest.raises(StepFailedError) as preparation, steps.preparation("a thing"):
        raise CommandError("it broke")
    with pytest.raises(StepFailedError) as setup, steps.check("another claim"):
        raise SetupError("not here")
    codes = [raised.value.exit_code for raised in (check, preparation, setup)]
    assert codes == [CHECK_FAILED, NOT_SET_UP, NOT_SET_UP]
    shown = capsys.readouterr().out
    assert "it does not hold" in shown
    assert "what happened" in shown
    assert steps.passed == 0


BEFORE = """*filter
:INPUT ACCEPT [3:180]
:FORWARD ACCEPT [0:0]
:DOCKER-USER - [0:0]
-A DOCKER-USER -s 10.0.0.0/8 -j DROP
COMMIT
*mangle
:FORWARD DROP [0:0]
COMMIT
"""
AFTER = """# Generated
*nat
:POSTROUTING ACCEPT [7:420]
:DOCKER - [0:0]
-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
COMMIT
*filter
:INPUT ACCEPT [9:999]
:FORWARD DROP [5:300]
:DOCKER - [0:0]
:DOCKER-USER - [0:0]
-A INPUT -p tcp --dport 22 -j ACCEPT
-A FORWARD -j DOCKER-USER
-A DOCKER-USER -s 10.0.0.0/8 -j DROP
COMMIT
*mangle
:FORWARD DROP [0:0]
COMMIT
"""


def test_only_what_the_engine_added_is_taken_out_of_the_firewall() -> None:
    left = Firewall.read(BEFORE).without_engine(Firewall.read(AFTER)).written()
    assert (
        left
        == """*nat
:POSTROUTING ACCEPT [0:0]
COMMIT
*filter
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:DOCKER-USER - [0:0]
-A INPUT -p tcp --dport 22 -j ACCEPT
-A DOCKER-USER -s 10.0.0.0/8 -j DROP
COMMIT
*mangle
:FORWARD DROP [0:0]
COMMIT
"""
    )
