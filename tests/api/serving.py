"""Serves the API in this process until it is told to stop: ``python serving.py SPEC-AS-JSON``."""

import json
import sys
from pathlib import Path

from driftline.telemetry import configure_logging, use_multiprocess_metrics


def main() -> int:
    spec = json.loads(sys.argv[1])
    directory = Path(spec["directory"])
    configure_logging("json")
    use_multiprocess_metrics(directory / "metrics")

    from driftline.api.app import ApiConfig
    from driftline.api.server import serve
    from driftline.api.tls import Tls
    from driftline.ports import Address

    paths = {name: Path(spec["config"].pop(name)) for name in ("keys", "model") if name in spec["config"]}
    if "metrics" in spec["config"]:
        spec["config"]["metrics"] = Address(*spec["config"]["metrics"])
    tls = Tls(*map(Path, spec["tls"])) if spec["tls"] else None
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
            "hash_key": directory / "hash.key",
            **spec["config"],
            **paths,
        }
    )
    return serve(config, "127.0.0.1", spec["port"], spec["processes"], tls)


if __name__ == "__main__":
    sys.exit(main())
