"""The alert rules and the dashboard: sound in themselves, and against a Prometheus that scrapes a real Driftline."""

import itertools
import json
import re
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from driftline.contract.problems import PREDICT_CODES, PROBLEMS
from tests.deploy.promql import metrics, plain, selectors
from tests.deploy.watched import PROMETHEUS, Watched
from tests.redis_server import RedisServer
from tests.waiting import wait_until

ROOT = Path(__file__).parents[2]
GRAFANA = ROOT / "deploy" / "monitoring" / "grafana"
RULES = PROMETHEUS / "rules" / "driftline.yml"
UNITS = {"none", "short", "s", "reqps", "cps", "bytes", "binBps", "percentunit"}
NOT_OURS = {"up", "process_start_time_seconds", "process_resident_memory_bytes"}
HEALTHY_AND_EMPTY = {"Alerts"}


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def rules(kind: str) -> list[dict[str, Any]]:
    return [rule for group in load(RULES)["groups"] for rule in group["rules"] if kind in rule]


def dashboard() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((GRAFANA / "dashboards" / "driftline.json").read_text(encoding="utf-8"))
    return found


def panels() -> list[dict[str, Any]]:
    return [panel for panel in dashboard()["panels"] if panel["type"] != "row"]


def queries() -> list[tuple[str, str]]:
    """The title of the panel, and the expression as Prometheus gets it."""
    return [(panel["title"], plain(target["expr"])) for panel in panels() for target in panel["targets"]]


def promtool(*arguments: object) -> None:
    done = subprocess.run(["promtool", *map(str, arguments)], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


# -- the rules


def test_prometheus_takes_the_configuration_and_the_rules() -> None:
    promtool("check", "config", PROMETHEUS / "prometheus.yml")
    promtool("check", "rules", RULES)


@pytest.mark.long
def test_each_alert_fires_when_it_should_and_only_then() -> None:
    promtool("test", "rules", RULES.with_name("driftline.test.yml"))


def test_each_alert_is_shown_firing_and_not_firing() -> None:
    shown = [
        (check["alertname"], bool(check.get("exp_alerts")))
        for case in load(RULES.with_name("driftline.test.yml"))["tests"]
        for check in case["alert_rule_test"]
    ]
    assert set(shown) == set(itertools.product([rule["alert"] for rule in rules("alert")], [True, False]))


@pytest.mark.parametrize("rule", rules("alert"), ids=lambda rule: rule["alert"])
def test_an_alert_says_what_is_wrong_how_much_and_what_to_do(rule: dict[str, Any]) -> None:
    assert re.fullmatch(r"\d+m", rule["for"])
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert set(rule["annotations"]) == {"summary", "description", "action"}
    assert "$value" in rule["annotations"]["description"]
    assert "{{" not in rule["annotations"]["summary"]


def test_the_pages_explain_each_alert_and_no_other() -> None:
    pages = "".join(page.read_text(encoding="utf-8") for page in (ROOT / "docs").glob("deploy*.md"))
    assert set(re.findall(r"^\| `(Driftline\w+)` \|", pages, re.MULTILINE)) == {
        rule["alert"] for rule in rules("alert")
    }


def test_prometheus_takes_the_jobs_that_the_page_has_for_a_cluster(tmp_path: Path) -> None:
    pages = "".join(page.read_text(encoding="utf-8") for page in (ROOT / "docs").glob("deploy*.md"))
    [jobs] = re.findall(r"```yaml\n(scrape_configs:\n.*?)```", pages, re.DOTALL)
    # Debian's Prometheus is built without this way to find targets; all else is checked.
    known = jobs.replace("kubernetes_sd_configs:\n      - role: pod", "static_configs:\n      - targets: [pod]")
    assert known != jobs
    (tmp_path / "prometheus.yml").write_text(known, encoding="utf-8")
    promtool("check", "config", tmp_path / "prometheus.yml")


def test_the_messages_that_an_operator_is_told_to_look_for_exist() -> None:
    pages = [RULES, *(ROOT / "docs").glob("deploy*.md")]
    told = {
        name for page in pages for name in re.findall(r"\b(?:log|relay|request)\.[a-z_]{4,}\b", page.read_text("utf-8"))
    }
    sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "src").rglob("*.py"))
    assert told
    assert [name for name in sorted(told) if f'"{name}"' not in sources] == []


def test_the_rules_know_which_refusals_are_the_servers_doing() -> None:
    ours = {code for code in PREDICT_CODES if PROBLEMS[code].status >= 500}
    found = re.findall(r"reason[=!]~\"([a-z_|]*internal_error[a-z_|]*)\"", RULES.read_text(encoding="utf-8"))
    assert [set(alternatives.split("|")) for alternatives in found] == [ours, ours]


# -- the dashboard


def test_panels_have_ids_of_their_own_and_do_not_overlap() -> None:
    everything = dashboard()["panels"]
    assert len({panel["id"] for panel in everything}) == len(everything)
    taken: set[tuple[int, int]] = set()
    for panel in everything:
        at = panel["gridPos"]
        cells = set(itertools.product(range(at["x"], at["x"] + at["w"]), range(at["y"], at["y"] + at["h"])))
        assert at["x"] + at["w"] <= 24, panel["title"]
        assert not cells & taken, panel["title"]
        taken |= cells
    depth = max(y for _, y in taken) + 1
    assert taken == set(itertools.product(range(24), range(depth))), "a hole in the grid"


@pytest.mark.parametrize("panel", panels(), ids=lambda panel: panel["title"])
def test_a_panel_says_what_it_shows_and_in_what_unit(panel: dict[str, Any]) -> None:
    assert len(panel["description"]) > 40
    assert panel["fieldConfig"]["defaults"]["unit"] in UNITS
    assert panel["datasource"] == {"type": "prometheus", "uid": "prometheus"}
    assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])
    for target in panel["targets"]:
        assert target["datasource"] == panel["datasource"]
        assert "instance=" not in target["expr"]
    steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
    assert steps[0]["value"] is None
    assert [step["value"] for step in steps[1:]] == sorted(step["value"] for step in steps[1:])


def test_the_dashboard_turns_red_where_the_alert_begins() -> None:
    limits = {
        rule["alert"]: float(rule["expr"].rpartition(">")[2]) for rule in rules("alert") if ">" in rule["expr"][-9:]
    }
    red = {panel["title"]: panel["fieldConfig"]["defaults"]["thresholds"]["steps"][-1]["value"] for panel in panels()}
    assert red["Errors"] == limits["DriftlineServerErrors"]
    assert red["p99"] == red["Latency of /predict"] == limits["DriftlineSlow"]
    assert red["Log behind"] == red["How far the log is behind"] == limits["DriftlineLogBehind"]
    assert red["Fullest outbox"] == limits["DriftlineOutboxNearlyFull"]
    assert red["How sure that is"] == 1, "the strength of an alarm"


def test_promtool_parses_each_query(tmp_path: Path) -> None:
    recorded = [{"record": f"q:{number}", "expr": expression} for number, (_, expression) in enumerate(queries())]
    assert not any("$" in rule["expr"] for rule in recorded)
    path = tmp_path / "queries.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": recorded}]}), encoding="utf-8")
    promtool("check", "rules", path)


def test_each_metric_that_is_asked_for_exists() -> None:
    page = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"^\| `(driftline_\w+)", page, re.MULTILINE))
    histogram = {"driftline_request_duration_seconds_bucket", "driftline_request_duration_seconds_count"}
    known = documented | histogram | NOT_OURS | {rule["record"] for rule in rules("record")}
    expressions = [rule["expr"] for rule in [*rules("alert"), *rules("record")]] + [asked for _, asked in queries()]
    asked = set().union(*map(metrics, expressions))
    assert asked <= known
    unwatched = documented - asked
    assert unwatched == {"driftline_request_duration_seconds"}, "each metric is on the dashboard or in a rule"


def test_grafana_finds_what_is_provisioned() -> None:
    [source] = load(GRAFANA / "provisioning" / "datasources" / "prometheus.yml")["datasources"]
    assert (source["uid"], source["url"], source["isDefault"]) == ("prometheus", "http://prometheus:9090", True)
    assert source["jsonData"]["timeInterval"] == load(PROMETHEUS / "prometheus.yml")["global"]["scrape_interval"]
    [provider] = load(GRAFANA / "provisioning" / "dashboards" / "driftline.yml")["providers"]
    assert provider["options"]["path"] == "/var/lib/grafana/dashboards"
    assert (dashboard()["uid"], dashboard()["title"], dashboard()["schemaVersion"]) == ("driftline", "Driftline", 39)


# -- a real Prometheus, a real Driftline


@pytest.fixture
def watched(tmp_path: Path, redis_server: RedisServer) -> Iterator[Watched]:
    """A Driftline with some traffic, and the Prometheus that scrapes it."""
    running = Watched(tmp_path, redis_server.url)
    try:
        running.start()
        yield running
    finally:
        running.end()


@pytest.mark.long
def test_a_real_prometheus_has_an_answer_to_each_question(watched: Watched) -> None:
    usual = {"feature_1": 1.5, "feature_2": -0.7}
    watched.put_reference(usual, rows=500)

    def serve_and_ask(expression: str) -> bool:
        assert watched.predict(usual) == 200
        assert watched.predict({"feature_1": 1.5}) == 422
        return bool(watched.ask(expression))

    wait_until(partial(serve_and_ask, "job:driftline_predict_duration_seconds:p99_rate5m"), within_s=30)

    for rule in [*rules("alert"), *rules("record")]:
        for selector in selectors(rule["expr"]):
            wait_until(partial(serve_and_ask, selector))
    for title, expression in queries():
        if title not in HEALTHY_AND_EMPTY:
            wait_until(partial(serve_and_ask, expression))

    asked = dict(queries())
    wait_until(
        lambda: watched.alerts() == {"DriftlineRequestsRejected": "pending"}
    )  # what we sent wrongly, nothing else
    assert watched.value("min(up)") == 1
    assert watched.value(asked["Errors"]) == 0
    assert watched.value(asked["Lost events"]) == 0
    assert watched.value("job:driftline_predict_rejections:ratio_rate5m") == pytest.approx(0.5, abs=0.2)
    wait_until(lambda: watched.value(COMMITTED) == watched.value(ACCEPTED))

    assert watched.value("max(driftline_drift_alarm)") == 0, "each window is as the reference"
    assert (watched.value("sum(driftline_monitor_rows_total)") or 0) > 0

    watched.kill("monitor")
    wait_until(lambda: watched.alerts().get("DriftlineMonitorDown") == "pending")
    watched.kill("worker")
    wait_until(lambda: watched.alerts().get("DriftlineWorkerDown") == "pending")
    wait_until(lambda: watched.ask(asked["Alerts"]))
    wait_until(lambda: watched.predict({"feature_1": 1, "feature_2": 1}) and watched.value(asked["Log behind"]))
    watched.kill("api")
    wait_until(lambda: watched.alerts().get("DriftlineApiDown") == "pending")
    assert watched.value('min(up{job="driftline-api"}) or vector(0)') == 0
    assert not watched.value("ALERTS{alertname='DriftlineEventsLost'}"), "what is down has lost nothing"


ACCEPTED = "sum(driftline_events_accepted_total)"
COMMITTED = "sum(driftline_events_committed_total)"
