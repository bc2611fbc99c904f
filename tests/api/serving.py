"""Serves the API in this process until it is told to stop: ``python serving.py SPEC-AS-JSON``."""

import json
import sys
from dataclasses import replace
from pathlib import Path

from driftline.telemetry import configure_logging, use_multiprocess_metrics


def main() -> int:
    spec = json.loads(sys.argv[1])
    directory = Path(spec["directory"])
    configure_logging("json")
    use_multiprocess_metrics(directory / "metrics")

    from driftline.api.app import ApiConfig
    from driftline.api.server import serve

    config = ApiConfig(
        **{
            "app_name": "tested",
            "outbox_dir": directory / "outbox",
            "log_dir": directory / "logs",
            "broker_url": None,
            "outbox_sync": "os",
            "outbox_max_bytes": 1 << 30,
            "outbox_segment_max_bytes": 1 << 20,
            "max_body_bytes": 1 << 20,
            "model": None,
            "broker_timeout_s": 1.0,
            "flush_s": 0.1,
            "log_format": "json",
            **spec["config"],
        }
    )
    if config.model is not None:
        config = replace(config, model=Path(config.model))
    return serve(config, "127.0.0.1", spec["port"], spec["processes"])


if __name__ == "__main__":
    sys.exit(main())
