"""The monitor: what it has counted, whom it tells, and that neither is lost."""

import json
import random
import time
from typing import Any

from deploy.e2e.eventlog import VOLUMES
from deploy.e2e.load import load_on
from deploy.e2e.machine import Machine
from deploy.e2e.release import copy_project, without_monitor
from deploy.e2e.steps import CheckError, ensure
from deploy.e2e.world import OPT, READY_WITHIN_S, World

NAME = "driftline-monitor-1"
STORE = f"{VOLUMES}/driftline_monitor/_data/monitor.sqlite"
REFERENCE_ROWS = 2000
WINDOW_S = 5
QUIET_S = 6 * WINDOW_S
TOLD_WITHIN_S = 60
COUNTED_WITHIN_S = 60

WEBHOOK_PORT = 9999
WEBHOOK_PATH = "/token-of-the-webhook"
CALLS = "/var/tmp/webhook.jsonl"  # noqa: S108 - on the machine
RECEIVER = f"""
import http.server
class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with open("{CALLS}", "ab") as calls:
            calls.write(body + b"\\n")
        self.send_response(204 if self.path == "{WEBHOOK_PATH}" else 404)
        self.end_headers()
http.server.HTTPServer(("", {WEBHOOK_PORT}), Receiver).serve_forever()
"""


def settings(machine: Machine) -> dict[str, Any]:
    """What the playbook is told of it: short windows, and a webhook on the machine itself."""
    webhook = f"http://{machine.address}:{WEBHOOK_PORT}{WEBHOOK_PATH}"
    return {"DRIFTLINE_WINDOW_S": WINDOW_S, "DRIFTLINE_ALERT_WEBHOOK": webhook}


def adopts_a_reference(world: World) -> None:
    """A sample is made the reference, and the log is counted under it from its beginning."""
    with world.steps.check("the monitor takes up a reference, and has counted each prediction of the log") as notes:
        world.machine.run(f"systemd-run --quiet --unit webhook python3 -c '{RECEIVER}'")
        rows = [f"{_usual()},{_usual()}" for _ in range(REFERENCE_ROWS)]
        build = "cat >/tmp/sample.csv && driftline reference build /tmp/sample.csv"
        sample = "\n".join(["feature_1,feature_2", *rows])
        built = _compose(world, f"exec -T monitor sh -c '{build}'", stdin=sample).split()[1]
        _wait_until_adopted(world, built)
        notes += [built, has_counted_all(world)]
        shown = world.machine.run(f"docker inspect {NAME} driftline-api-1 driftline-worker-1")
        ensure(WEBHOOK_PATH not in shown, "docker inspect shows the webhook's address")


def tells_of_drift_once(world: World) -> None:
    """Predictions like the sample's, and then of features that have changed."""
    with world.steps.check("drifting load opens one alert, and its webhook is called once") as notes:
        with load_on(world.machine.url, lambda: _body(_usual(), _usual())) as load:
            time.sleep(QUIET_S)
        world.answered += load.answered
        ensure(not _drift_calls(world), f"told of drift where there is none: {_drift_calls(world)}")
        began = time.monotonic()
        with load_on(world.machine.url, lambda: _body(abs(_usual()), _usual())) as load:
            while not _drift_calls(world):
                ensure(time.monotonic() - began < TOLD_WITHIN_S, f"nobody is told after {TOLD_WITHIN_S} s")
                time.sleep(0.5)
            notes.append(f"told after {time.monotonic() - began:.0f} s, of windows of {WINDOW_S} s")
            time.sleep(3 * WINDOW_S)
        world.answered += load.answered
        [call] = _drift_calls(world)
        ensure((call["state"], call["key"]) == ("firing", "all/feature_1/drift"), f"it says {call}")
        ensure(set(call["request_ids"]) <= set(world.answered), "it names predictions that were never answered")
        notes += [f'"{call["sentence"]}"', has_counted_all(world)]


def survives_kill_9(world: World) -> None:
    """It is started again, goes on where it was, and tells nobody twice."""
    with world.steps.check("the monitor is killed with -9: it goes on where it was, and tells nobody twice") as notes:
        before, told = world.machine.containers()[NAME], _drift_calls(world)
        world.machine.run(f"kill -9 $(docker inspect --format '{{{{.State.Pid}}}}' {NAME})")
        world.predict(20)
        notes.append(f"well again {_wait_until_well(world, since=before.started_at):.0f} s later")
        notes.append(has_counted_all(world))
        ensure(_drift_calls(world) == told, f"told again: {_drift_calls(world)}")


def goes_on_after_an_upgrade(world: World) -> None:
    """What was counted and found before the upgrades and rollbacks is there still."""
    with world.steps.check("after upgrade and rollback the monitor knows its reference, its counts and its alert"):
        has_counted_all(world)
        [first] = [call for call in _drift_calls(world) if call["state"] == "firing"][:1]
        found = _ask(world, "SELECT count(*) FROM alerts WHERE alert_id = ?", first["alert_id"])
        ensure(found == [[1]], f"its store has lost the alert {first['alert_id']}")
        ensure(_meta(world)["provisional"] == "0", "it has lost its reference")


def goes_and_comes_back(world: World) -> None:
    """A release from before there was a monitor is put in force, and left again."""
    with world.steps.check("a release without the monitor runs, and back from it the monitor goes on") as notes:
        profile = _meta(world)["profile"]
        old = without_monitor(copy_project(world.work / "release-0", 0))
        world.machine.run(f"docker tag {world.first.image('driftline')} {old.image('driftline')}")
        world.playbook(old).run(driftline_build=False)
        ensure(world.running_version() == world.first.version, "the image of the old release is not that of the first")
        ensure(NAME not in world.machine.containers(), "the monitor still runs")
        world.predict(20)
        notes.append(world.all_logged())
        world.playbook(world.first).run("--tags", "rollback")
        _wait_until_well(world)
        notes.append(has_counted_all(world))
        ensure(_meta(world)["profile"] == profile, "it has lost its reference")


def has_counted_all(world: World) -> str:
    """In words, that the monitor has counted each prediction that the log has.

    Raises:
        CheckError: It has not, after a while.
    """
    deadline = time.monotonic() + COUNTED_WITHIN_S
    while (counted := _counted(world)) != (logged := world.log.counts().total()):
        if time.monotonic() > deadline:
            raise CheckError(f"the monitor has counted {counted:,} predictions, and the log has {logged:,}")
        time.sleep(1)
    return f"{counted:,} counted"


def _counted(world: World) -> int:
    rows = "SELECT coalesce(sum(rows), 0) FROM (SELECT rows FROM cells UNION ALL SELECT rows FROM hours)"
    [[counted]] = _ask(world, rows) or [[0]]
    return int(counted)


def _wait_until_well(world: World, since: str = "") -> float:
    """How many seconds it took until its container, started later than ``since``, is healthy."""
    began = time.monotonic()
    shown = "{{.State.StartedAt}} {{.State.Health.Status}}"
    while True:
        started_at, health = world.machine.run(f"docker inspect --format '{shown}' {NAME}").split()
        if started_at != since and health == "healthy":
            return time.monotonic() - began
        if time.monotonic() - began > READY_WITHIN_S:
            raise CheckError(f"the monitor is {health} after {READY_WITHIN_S} s")
        time.sleep(0.5)


def _wait_until_adopted(world: World, profile: str) -> None:
    deadline = time.monotonic() + COUNTED_WITHIN_S
    while (found := _meta(world).get("profile")) != profile:
        if time.monotonic() > deadline:
            raise CheckError(f"it goes by the reference {found}, and not by {profile}")
        time.sleep(0.5)


def _meta(world: World) -> dict[str, str]:
    return dict(_ask(world, "SELECT key, value FROM meta"))


def _ask(world: World, query: str, *values: str) -> list[list[Any]]:
    """The rows that the monitor's store answers, read from outside; none while there is no such table."""
    script = (
        "import json, sqlite3, sys; query, *values = json.load(sys.stdin); "
        f'store = sqlite3.connect("file:{STORE}?mode=rw", uri=True, timeout=10); '
        "print(json.dumps(store.execute(query, values).fetchall()))"
    )
    done = world.machine.run(f"python3 -c '{script}'", stdin=json.dumps([query, *values]))
    rows: list[list[Any]] = json.loads(done)
    return rows


def _drift_calls(world: World) -> list[dict[str, Any]]:
    """What the webhook was told of drift; the load does change the traffic, and it may say so too."""
    calls = [json.loads(line) for line in world.machine.run(f"cat {CALLS} 2>/dev/null || true").splitlines()]
    return [call for call in calls if call["kind"] not in {"traffic", "latency", "errors"}]


def _usual() -> float:
    return random.uniform(-1, 1)  # noqa: S311 - a sample, no secret


def _body(one: float, two: float) -> str:
    return json.dumps({"feature_1": one, "feature_2": two})


def _compose(world: World, command: str, stdin: str = "") -> str:
    return world.machine.run(f"cd {OPT} && docker compose {command}", stdin=stdin)
