"""What a challenger costs those who wait for answers: the same load without one, with one shadow, and with two.

    python benchmarks/shadow.py          # a minute

The server has one core and the load another. It stays the same: its roster file is written anew for each phase. The
phases come in turn, several times, and a figure is the median of its rounds.
"""

import argparse
import json
import statistics
import sys
import tempfile
import urllib.request
from pathlib import Path

from cores import Cores
from driftline.contract.package import FILE_NAME, seed_package
from driftline.contract.roster_file import Entry, RosterFile, write_roster_file
from open_loop import OpenLoop
from overload import Api
from stack import wait_for

CONNECTIONS = 64
PHASES = {"no shadow": (), "one shadow": ("2",), "two shadows": ("2", "3")}


def main() -> None:
    """Measures, and prints a table."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--per-s", type=float, default=1000, help="requests a second")
    arguments.add_argument("--seconds", type=float, default=4, help="of one phase")
    arguments.add_argument("--rounds", type=int, default=5)
    asked = arguments.parse_args()
    cores = Cores.of_machine()
    cores.pin_load()
    with tempfile.TemporaryDirectory() as directory:
        models = Path(directory) / "models"
        write_models(models)
        api = Api(Path(directory), {"DRIFTLINE_MODEL": str(models)}, cores)
        try:
            rounds = [
                {name: phase(api, models, shadows, asked.per_s, asked.seconds) for name, shadows in PHASES.items()}
                for _ in range(asked.rounds)
            ]
        finally:
            api.stop()
    lines = [f"{f'{asked.per_s:g} requests/s':<17} {'p50 ms':>9} {'p99 ms':>9} {'CPU us':>9}"]
    for name in PHASES:
        p50, p99, cpu = (statistics.median(each[name][at] for each in rounds) for at in range(3))
        lines.append(f"{name:<17} {p50:>9.2f} {p99:>9.2f} {cpu:>9.0f}")
    sys.stdout.write("\n".join(lines) + "\n")


def write_models(models: Path) -> None:
    """Three versions of the seed's model, which are as light as a model can be."""
    text = (seed_package() / FILE_NAME).read_text()
    for version in ("1", "2", "3"):
        package = models / "seed" / version
        package.mkdir(parents=True)
        (package / FILE_NAME).write_text(text.replace('version = "1"', f'version = "{version}"'))


def phase(api: Api, models: Path, shadows: tuple[str, ...], per_s: float, seconds: float) -> tuple[float, float, float]:
    """p50 and p99 in milliseconds, and microseconds of the server's processor for each answer."""
    write_roster_file(models, RosterFile(models={"seed": Entry("1", shadow=shadows)}))

    def switched() -> bool:
        with urllib.request.urlopen(f"http://127.0.0.1:{api.port}/models", timeout=5) as answer:
            return bool(json.load(answer)["models"][0]["shadow"] == list(shadows))

    wait_for("the shadows", switched, 10)
    load = OpenLoop(api.port, CONNECTIONS)
    load.run(per_s, seconds / 4)
    before = api.cpu_s()
    outcome = load.run(per_s, seconds)
    cpu_s = api.cpu_s() - before
    load.settle()
    load.close()
    answers = outcome.goodput * outcome.seconds
    return outcome.latency_ms(50), outcome.latency_ms(99), 1e6 * cpu_s / answers


if __name__ == "__main__":
    main()
