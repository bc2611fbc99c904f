"""Logs are one line each, in one form, without passwords; metrics of several processes add up."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from driftline.telemetry import redact

SECRET = "s3cr3t"


def run(code: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Python code in a process of its own: logging and metrics are set up once a process."""
    environment = {name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "FORCE_COLOR"}}
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *arguments],
        env={**environment, **variables},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )


LOG_EVERYTHING = f"""
    import logging, structlog, sys, warnings
    from driftline.telemetry import configure_logging
    configure_logging(sys.argv[1])
    structlog.get_logger().info("segment.rotated", segment=3, broker="redis://u:{SECRET}@host:1/0")
    logging.getLogger("redis").warning("no answer of %s", "redis://:{SECRET}@host", extra={{"port": 1}})
    warnings.warn("old redis://:{SECRET}@host", UserWarning)
    password = "{SECRET}"  # a local variable that a traceback might show
    try:
        raise ValueError("redis://:{SECRET}@host")
    except ValueError:
        structlog.get_logger().exception("relay.failed")
"""


def test_json_logs_are_one_object_a_line_whoever_wrote_them() -> None:
    lines = [json.loads(line) for line in run(LOG_EVERYTHING, "json").stderr.splitlines()]
    assert [line["event"] for line in lines[:2]] == ["segment.rotated", "no answer of redis://***@host"]
    assert [line["level"] for line in lines] == ["info", "warning", "warning", "error"]
    assert (lines[0]["segment"], lines[0]["broker"]) == (3, "redis://***@host:1/0")
    assert (lines[1]["logger"], lines[1]["port"]) == ("redis", 1)
    assert "ValueError: redis://***@host" in lines[3]["exception"]
    assert all(line["timestamp"].endswith("Z") for line in lines)


def test_auto_is_json_where_there_is_no_terminal() -> None:
    assert json.loads(run(LOG_EVERYTHING, "auto").stderr.splitlines()[0])["event"] == "segment.rotated"


def test_pretty_logs_are_plain_text_unless_colour_is_asked_for() -> None:
    plain = run(LOG_EVERYTHING, "pretty").stderr
    assert "segment.rotated" in plain
    assert "\x1b[" not in plain
    assert "\x1b[" in run(LOG_EVERYTHING, "pretty", FORCE_COLOR="1").stderr
    assert "\x1b[" not in run(LOG_EVERYTHING, "pretty", FORCE_COLOR="1", NO_COLOR="1").stderr


@pytest.mark.parametrize("log_format", ["json", "pretty"])
def test_no_password_gets_into_a_log(log_format: str) -> None:
    finished = run(LOG_EVERYTHING, log_format)
    assert "redis://***@host" in finished.stderr
    assert SECRET not in finished.stderr + finished.stdout
    assert finished.stdout == ""


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("redis://host:1/0", "redis://host:1/0"),
        ("redis://:p@host", "redis://***@host"),
        ("redis://u:p@ss@host", "redis://***@host"),
        ("see redis://u:p@a and redis://u:q@b.", "see redis://***@a and redis://***@b."),
        ("rediss://h?password=p@ss&db=1", "rediss://h?password=***&db=1"),
        ("redis://h?password=it's@x", "redis://h?password=***"),
        ('{"a":"redis://:p@h","b":"c@d"}', '{"a":"redis://***@h","b":"c@d"}'),
        ('{"a":"redis://h?password=p","b":1}', '{"a":"redis://h?password=***","b":1}'),
        ("unix:///s?db=1&password=p", "unix:///s?db=1&password=***"),
        ("write to someone@example.org", "write to someone@example.org"),
        ("http://h/a@b", "http://h/a@b"),
    ],
)
def test_only_the_secret_part_of_an_address_is_replaced(text: str, redacted: str) -> None:
    assert redact(text) == redacted


COUNT = """
    import os, sys
    from pathlib import Path
    from driftline.telemetry import metrics_payload, use_multiprocess_metrics
    use_multiprocess_metrics(Path(sys.argv[1]))
    from prometheus_client import Counter
    requests = Counter("driftline_probe_requests_total", "Requests.", ["route"])
    children = []
    for _ in range(3):
        child = os.fork()
        if not child:
            requests.labels("/predict").inc(2)
            os._exit(0)
        children.append(child)
    for child in children:
        os.waitpid(child, 0)
    requests.labels("/predict").inc()
    payload, content_type = metrics_payload()
    print(content_type)
    print(payload.decode())
"""


def test_counts_of_several_processes_add_up(tmp_path: Path) -> None:
    content_type, _, payload = run(COUNT, str(tmp_path)).stdout.partition("\n")
    assert content_type.startswith("text/plain")
    assert 'driftline_probe_requests_total{route="/predict"} 7.0' in payload


def test_counts_of_an_earlier_life_are_forgotten_and_its_folder_removed(tmp_path: Path) -> None:
    for _ in range(2):
        assert "} 7.0" in run(COUNT, str(tmp_path)).stdout
    assert len(list(tmp_path.iterdir())) == 1


def test_a_living_server_keeps_its_folder_when_another_starts(tmp_path: Path) -> None:
    nested = f"""
        import subprocess, sys
        from pathlib import Path
        from driftline.telemetry import use_multiprocess_metrics
        mine = use_multiprocess_metrics(Path(sys.argv[1]))
        subprocess.run([sys.executable, "-c", {textwrap.dedent(COUNT)!r}, sys.argv[1]], check=True)
        print(mine.is_dir(), len(list(Path(sys.argv[1]).iterdir())))
    """
    assert run(nested, str(tmp_path)).stdout.splitlines()[-1] == "True 2"


def test_one_process_serves_its_own_counts() -> None:
    code = """
        from driftline.telemetry import metrics_payload
        from prometheus_client import Counter
        Counter("driftline_probe_total", "Probes.").inc()
        print(metrics_payload()[0].decode())
    """
    assert "driftline_probe_total 1.0" in run(code).stdout


def test_setting_the_folder_too_late_is_an_error_rather_than_wrong_counts(tmp_path: Path) -> None:
    code = """
        import sys, prometheus_client
        from pathlib import Path
        from driftline.telemetry import use_multiprocess_metrics
        try:
            use_multiprocess_metrics(Path(sys.argv[1]))
        except RuntimeError as error:
            print(error)
    """
    assert "imported before its folder was set" in run(code, str(tmp_path)).stdout


def test_importing_telemetry_sets_nothing_up() -> None:
    code = """
        import logging, os, sys
        import driftline.telemetry
        print(logging.getLogger().handlers)
        print("PROMETHEUS_MULTIPROC_DIR" in os.environ, "prometheus_client" in sys.modules)
    """
    assert run(code).stdout.split() == ["[]", "False", "False"]
