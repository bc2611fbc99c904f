"""What ``driftline up`` prints when all is ready: where things are, and what to paste next."""

import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from driftline.cli.package import package_of, reference_in_use

if TYPE_CHECKING:
    from driftline.settings import Settings

EVERYWHERE = ("127.0.0.1", "0.0.0.0", "::", "::1")  # noqa: S104 - compared, not listened on


def banner(settings: "Settings", port: int, keys: Path | None = None) -> str:
    """The text, in colour; ``typer.echo`` takes the colour away where there is no terminal.

    Args:
        settings: What was started.
        port: Where the API listens.
        keys: The file with the API keys, if one is needed.
    """
    scheme = "https" if settings.tls_certificate else "http"
    api = f"{scheme}://{host_in_url(settings.host)}:{port}"
    log = settings.log_dir / "predictions.jsonl"
    package = package_of(settings)
    model = package.schema
    places = {
        "model": f"{model.name} {model.version}",
        "API": f"{api}/predict",
        "docs": f"{api}/docs",
        "metrics": f"{api}/metrics",
        "log": str(log),
    }
    if settings.console_port:
        places["console"] = f"{scheme}://{host_in_url(settings.host)}:{settings.console_port}"
    if settings.monitor_metrics_port:
        places["monitor"] = f"http://{host_in_url(settings.host)}:{settings.monitor_metrics_port}/metrics"
    # Of a folder of packages others may be served too, now or later.
    watched = "" if package.path == (settings.model or package.path) else f"of {model.name} only, the default: "
    places["drift"] = f"{watched}{_windows(settings)}, {_reference(settings)}"
    if settings.api_metrics_port:
        places["metrics"] = f"http://{host_in_url(settings.host)}:{settings.api_metrics_port}/metrics"
    if keys is not None:
        places["keys"] = f"{keys}: every request but /health needs one"
    transport = f"broker {settings.shown('broker')}" if settings.broker else "embedded: no broker needed"
    return "\n".join(
        [
            "",
            typer.style("Driftline is up", fg="green", bold=True) + f" ({transport}). Ctrl-C stops it.",
            "",
            *(f"  {typer.style(f'{name:<8}', dim=True)}{place}" for name, place in places.items()),
            "",
            "Paste into another terminal:",
            "",
            *(f"  {typer.style(line, bold=True)}" for line in next_lines(settings, api, log, keys)),
            "",
        ]
    )


def next_lines(settings: "Settings", api: str, log: Path, keys: Path | None) -> list[str]:
    """Shell lines from a first prediction to a drift report."""
    example = _in_quotes(json.dumps(package_of(settings).schema.example))
    trust = f"--cacert {settings.tls_certificate} " if settings.tls_certificate else ""
    key = '-H "X-API-Key: $API_KEY" ' if keys is not None else ""
    lines = [
        f'curl {trust}{key}-X POST "{api}/predict" -H "Content-Type: application/json" -d "{example}"',
        f"tail -n 1 {log}",
    ]
    data = "" if settings.data == Path("data") else f" --data {settings.data}"
    if Path("Makefile").exists() and Path("loadtest").is_dir():
        host = "" if api == "http://localhost:8000" else f" --host {api}"
        lines.append(f'make load ARGS="{(host + data).strip()}"' if host or data else "make load")
    return [*lines, f"{_program()} report{data} --open"]


def _in_quotes(text: str) -> str:
    """The text as it stands between double quotes of a shell."""
    return re.sub(r'[\\"$`]', r"\\\g<0>", text)


def _windows(settings: "Settings") -> str:
    """What a window is, in words."""
    if settings.window_rows:
        return f"windows of {settings.window_rows:,} rows"
    return f"windows of {settings.window_s:g} s and at least {settings.window_min_rows:,} rows"


def _reference(settings: "Settings") -> str:
    """What windows are held against, in words."""
    if (reference := reference_in_use(settings)).exists():
        return f"held against {reference}"
    if settings.reference_rows:
        return f"held against the first {settings.reference_rows:,} rows until there is {settings.reference_file}"
    return f"once there is {settings.reference_file}: driftline reference build"


def host_in_url(host: str) -> str:
    """How a browser on this machine reaches a server that listens on ``host``."""
    if host in EVERYWHERE:
        return "localhost"
    return f"[{host}]" if ":" in host else host


def _program() -> str:
    """How the reader can start us: as in a checkout, where the environment need not be active, or by name."""
    here = Path(".venv/bin/driftline")
    return str(here) if here.exists() and here.parent.resolve() == Path(sys.executable).parent else "driftline"
