"""What docs/deploy.md tells people to type on one machine."""

import json
import time
from typing import Any

from deploy.e2e.eventlog import FOLDER
from deploy.e2e.monitored import has_counted_all
from deploy.e2e.steps import CheckError, ensure
from deploy.e2e.world import OPT, World

KEPT = "/var/tmp/log.tar"  # noqa: S108 - on the machine
PROMETHEUS = "prom/prometheus:v3.5.0"
JOBS = {"driftline-api", "driftline-worker", "driftline-monitor", "prometheus"}
SCRAPED_WITHIN_S = 60


def restores_a_backup(world: World) -> None:
    """The log is lost, and comes back from a copy made while the worker went on: as docs/deploy.md says."""
    with world.steps.check("the log is restored from a backup, while the API goes on") as notes:
        _compose(world, f"exec -T worker driftline log backup >{KEPT}.new && mv {KEPT}.new {KEPT}")
        _compose(world, f"stop worker && rm -rf {FOLDER}/*")
        ensure(not world.log.counts(), "the log is not gone")
        notes.append(_compose(world, f"run --rm --no-deps -T worker log restore <{KEPT}"))
        world.predict(5)
        _compose(world, "up -d --wait")
        notes.append(world.all_logged())
        ledger = _compose(world, "exec -T worker driftline ledger --json")
        ensure(json.loads(ledger)["balanced"], f"the ledger does not balance: {ledger}")
        notes.append(has_counted_all(world))


def makes_load_and_a_report(world: World) -> None:
    """The two services that run when they are asked for."""
    with world.steps.check("the images of the report and the load test, to the clean machine") as notes:
        notes.append(world.other_images.result(world.steps))
        names = [world.first.image("driftline-report"), world.first.image("driftline-load"), PROMETHEUS]
        world.machine.load_images(names)
    with world.steps.check("docker compose run --rm load: every answer is in the log, once") as notes:
        said = _compose(world, "run --rm -T load -u 20 -r 20 -t 10s 2>&1").splitlines()
        ensure("HOLDS" in said, "it ended well, and has not said HOLDS")
        notes += [line.strip() for line in said if " answers, each " in line]
    with world.steps.check("docker compose run --rm report: it writes report.html") as notes:
        _compose(world, "run --rm -T report")
        size, owner, kind = world.machine.run(
            f"stat --format '%s %U' {OPT}/report.html; head -c 200 {OPT}/report.html"
        ).split(maxsplit=2)
        ensure("<html" in kind.lower(), f"report.html begins with {kind!r}")
        ensure(owner == "root", f"report.html belongs to {owner}, and its folder to root")
        notes.append(f"{int(size) / 1e6:.1f} MB")


def is_watched(world: World) -> None:
    """Prometheus, as the profile `monitoring` has it; of Grafana there is no Debian package to make an image of."""
    with world.steps.check("Prometheus reaches all it is to watch, and takes the alert rules") as notes:
        _compose(world, "up -d --wait prometheus")
        deadline = time.monotonic() + SCRAPED_WITHIN_S
        while (health := _targets(world)) != dict.fromkeys(JOBS, "up"):
            if time.monotonic() > deadline:
                raise CheckError(f"its targets are {health}")
            time.sleep(1)
        groups = _ask_prometheus(world, "rules")["groups"]
        rules = [rule for group in groups for rule in group["rules"] if rule["type"] == "alerting"]
        bad = [rule["name"] for rule in rules if rule["health"] == "err"]
        ensure(rules and not bad, f"of {len(rules)} alert rules, these cannot be evaluated: {bad}")
        notes.append(f"{', '.join(sorted(health))} are up; {len(rules)} alert rules")


def replaces_a_lost_log(world: World) -> None:
    """The log is gone for good, and there is no backup: the outboxes are told to obey the one that begins."""
    with world.steps.check(
        "a log that is lost for good is replaced, and what the outboxes hold goes to the new one"
    ) as notes:
        _compose(world, f"stop worker && rm -rf {FOLDER}/* {FOLDER}/.[!.]*")
        world.answered.clear()  # that is what being lost means
        world.predict(5)
        old = _compose(world, "exec -T api cat /data/outbox/log-id")
        notes.append(_compose(world, f"run --rm --no-deps -T worker log replace {old}"))
        _compose(world, "start worker")
        notes.append(world.all_logged())
        notes.append(has_counted_all(world))


def _compose(world: World, command: str) -> str:
    return world.machine.run(f"cd {OPT} && docker compose {command}")


def _targets(world: World) -> dict[str, str]:
    active = _ask_prometheus(world, "targets?state=active")["activeTargets"]
    return {target["labels"]["job"]: target["health"] for target in active}


def _ask_prometheus(world: World, what: str) -> dict[str, list[dict[str, Any]]]:
    answer = _compose(world, f"exec -T prometheus wget -q -O - 'http://127.0.0.1:9090/api/v1/{what}'")
    data: dict[str, list[dict[str, Any]]] = json.loads(answer)["data"]
    return data
