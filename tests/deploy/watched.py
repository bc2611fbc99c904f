"""A running Driftline with Redis, and a Prometheus with the configuration that is deployed, only faster."""

import json
import os
import shutil
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from tests.waiting import find_free_port, wait_until

PROMETHEUS = Path(__file__).parents[2] / "deploy" / "monitoring" / "prometheus"
EVERY = "1s"


WINDOW = {"DRIFTLINE_WINDOW_S": "1", "DRIFTLINE_WINDOW_MIN_ROWS": "50"}


class Watched:
    """Two API processes and a worker on one Redis, a monitor, and the Prometheus that scrapes them.

    Args:
        directory: For all they write.
        redis_url: The Redis between API and worker.
    """

    def __init__(self, directory: Path, redis_url: str) -> None:
        self._directory = directory
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._redis_url = redis_url
        self.api = f"127.0.0.1:{find_free_port()}"
        self.api_metrics = f"127.0.0.1:{find_free_port()}"
        self.worker = f"127.0.0.1:{find_free_port()}"
        self.monitor = f"127.0.0.1:{find_free_port()}"
        self.prometheus = f"127.0.0.1:{find_free_port()}"

    def start(self) -> None:
        """Returns when all of them are up."""
        driftline = (sys.executable, "-m", "driftline")
        self._start("api", *driftline, "serve", "--processes", "2", "--port", _port(self.api))
        self._start("worker", *driftline, "worker", "--metrics-port", _port(self.worker))
        self._start(
            "monitor", *driftline, "monitor", "--monitor-metrics-port", _port(self.monitor), "--console-port", "0"
        )
        self._start(
            "prometheus",
            *("prometheus", f"--config.file={self._configuration()}", f"--web.listen-address={self.prometheus}"),
            *(f"--storage.tsdb.path={self._directory / 'tsdb'}", "--log.level=warn"),
        )
        ready = [f"{part}/health/ready" for part in (self.api, self.worker, self.monitor)]
        for url in (*ready, f"{self.prometheus}/-/ready"):
            wait_until(partial(_answers, url), within_s=30)

    def put_reference(self, features: dict[str, float], rows: int) -> None:
        """Makes a reference of rows that are all the same."""
        header, row = (",".join(map(str, part)) for part in (features.keys(), features.values()))
        sample = self._directory / "sample.csv"
        sample.write_text("\n".join([header, *[row] * rows]), encoding="utf-8")
        command = (sys.executable, "-m", "driftline", "reference", "build", str(sample))
        subprocess.run(command, env=self._environment(), cwd=self._directory, check=True, capture_output=True)

    def predict(self, features: dict[str, float]) -> int:
        """The status of the answer; on a connection of its own, so that both processes get some."""
        return _status(f"{self.api}/predict", json.dumps(features).encode())

    def ask(self, expression: str) -> dict[str, float]:
        """What Prometheus answers now: each series' labels as text, and its value; NaN is no answer."""
        query = urllib.parse.urlencode({"query": expression})
        found = self._get(f"/api/v1/query?{query}")["result"]
        samples = {json.dumps(sample["metric"], sort_keys=True): float(sample["value"][1]) for sample in found}
        return {labels: value for labels, value in samples.items() if value == value}  # noqa: PLR0124 (NaN)

    def value(self, expression: str) -> float | None:
        """The one value that Prometheus answers now; None for no answer."""
        values = list(self.ask(expression).values())
        assert len(values) <= 1, expression
        return values[0] if values else None

    def alerts(self) -> dict[str, str]:
        """The alerts that are pending or firing, each with its state."""
        return {alert["labels"]["alertname"]: alert["state"] for alert in self._get("/api/v1/alerts")["alerts"]}

    def kill(self, name: str) -> None:
        """``kill -9`` of one of them by its name; of the API, with the processes that it started."""
        process = self._processes.pop(name)
        process.kill()
        process.wait(20)

    def end(self) -> None:
        """Leaves nothing behind."""
        for name in list(self._processes):
            self.kill(name)

    def _start(self, name: str, *command: str) -> None:
        with (self._directory / f"{name}.log").open("wb") as log:
            self._processes[name] = subprocess.Popen(command, env=self._environment(), cwd=self._directory, stderr=log)

    def _environment(self) -> dict[str, str]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("DRIFTLINE_")}
        environment |= {"DRIFTLINE_DATA": str(self._directory / "data"), "DRIFTLINE_BROKER": self._redis_url}
        return environment | {"DRIFTLINE_API_METRICS_PORT": _port(self.api_metrics)} | WINDOW

    def _configuration(self) -> Path:
        """The deployed one, with the places where things are here."""
        here = {"api:9102": self.api_metrics, "worker:9101": self.worker, "monitor:9102": self.monitor}
        here |= {"localhost:9090": self.prometheus}
        configuration = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text(encoding="utf-8"))
        configuration["global"] = {"scrape_interval": EVERY, "evaluation_interval": EVERY}
        for job in configuration["scrape_configs"]:
            for group in job["static_configs"]:
                group["targets"] = [here[target] for target in group["targets"]]
        path = self._directory / "prometheus.yml"
        path.write_text(yaml.safe_dump(configuration), encoding="utf-8")
        shutil.copytree(PROMETHEUS / "rules", self._directory / "rules")
        return path

    def _get(self, path: str) -> Any:
        with urllib.request.urlopen(f"http://{self.prometheus}{path}", timeout=5) as answer:
            return json.load(answer)["data"]


def _status(url: str, body: bytes | None = None) -> int:
    request = urllib.request.Request(f"http://{url}", data=body, headers={"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code


def _answers(url: str) -> bool:
    return _status(url) == 200


def _port(address: str) -> str:
    return address.rpartition(":")[2]
