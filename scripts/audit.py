"""Looks the locked packages up in the databases of known weaknesses: ``python scripts/audit.py``.

Exit code 0: all of them were looked up, and nothing is known. 1: something is known. 75: not all could be looked up, as
without a network; then nothing is said of them, and nobody should take it for a pass. ``--required``: 75 becomes 1.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv-audit"
UNKNOWN = os.EX_TEMPFAIL
SERVICES = ("pypi", "osv")
WITHIN_S = 120
SHOWN = 5


@dataclass
class Audit:
    """What is known of some packages.

    Attributes:
        clean: ``name version`` of those that were looked up, of which nothing is known.
        weak: A line for each weakness.
        unknown: Names of those that could not be looked up.
    """

    clean: set[str] = field(default_factory=set)
    weak: set[str] = field(default_factory=set)
    unknown: set[str] = field(default_factory=set)

    @property
    def exit_code(self) -> int:
        """Something known is worse than something unknown."""
        return 1 if self.weak else UNKNOWN if self.unknown or not self.clean else 0


def read(answer: dict[str, Any]) -> Audit:
    """What pip-audit has answered."""
    audit = Audit()
    for package in answer["dependencies"]:
        if "skip_reason" in package:
            audit.unknown.add(package["name"])
            continue
        name = f"{package['name']} {package['version']}"
        audit.weak |= {
            f"{name}: {found['id']}, mended in {', '.join(found['fix_versions']) or 'no version yet'}"
            for found in package["vulns"]
        }
        if not package["vulns"]:
            audit.clean.add(name)
    return audit


def locked(files: Iterable[Path]) -> list[str]:
    """All packages that the lock files pin, once each."""
    lines = (line for file in files for line in file.read_text().splitlines())
    pins = (line.partition(";")[0].rstrip("\\ ") for line in lines if "==" in line and not line.startswith((" ", "#")))
    return sorted(set(pins))


def rounds(packages: Iterable[str]) -> list[list[str]]:
    """The packages in lists that have none twice: some are locked in two versions, of which pip-audit takes one."""
    made: list[dict[str, str]] = []
    for package in packages:
        name = package.partition("==")[0]
        free = next((each for each in made if name not in each), None)
        if free is None:
            made.append(free := {})
        free[name] = package
    return [list(each.values()) for each in made]


def ask(packages: list[str], service: str) -> Audit:
    """What a service knows; all is unknown where it cannot be reached."""
    everything = Audit(unknown={package.partition("==")[0] for package in packages})
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("\n".join(packages))
        file.flush()
        command = [str(VENV / "bin/pip-audit"), "--requirement", file.name, "--no-deps", "--disable-pip"]
        command += ["--format", "json", "--progress-spinner", "off", "--vulnerability-service", service]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=WITHIN_S)
            return read(json.loads(done.stdout))
        except (subprocess.TimeoutExpired, json.JSONDecodeError):
            return everything


def merged(audits: Iterable[Audit]) -> Audit:
    """All of them as one."""
    whole = Audit()
    for audit in audits:
        whole.clean |= audit.clean
        whole.weak |= audit.weak
        whole.unknown |= audit.unknown
    return whole


def install() -> bool:
    """Whether pip-audit is there, in an environment of its own: its dependencies are none of ours."""
    lock, python, venv = str(ROOT / "requirements/audit.txt"), str(VENV / "bin/python"), str(VENV)
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "--python", python, "install"]
    uv = str(ROOT / ".venv/bin/uv")
    return (VENV.exists() or _ends_well([sys.executable, "-m", "venv", "--without-pip", venv])) and (
        _ends_well([uv, "--quiet", "pip", "sync", "--python", python, "--require-hashes", lock])
        or _ends_well([*pip, "--require-hashes", "--requirement", lock])
    )


def _ends_well(command: list[str]) -> bool:
    try:
        return subprocess.run(command, cwd=ROOT, check=False).returncode == 0
    except FileNotFoundError:  # uv is there only after `make setup`
        return False


def main() -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--required", action="store_true", help="fail where something could not be looked up")
    required = parser.parse_args().required
    packages = locked(sorted((ROOT / "requirements").glob("*.txt")))
    audit = Audit(unknown=set(packages))
    if install():
        for service in SERVICES:
            audit = merged(ask(each, service) for each in rounds(packages))
            if not audit.unknown:
                break
    for line in sorted(audit.weak):
        print(f"WEAK  {line}")
    print(
        f"{len(packages)} packages locked: {len(audit.clean)} looked up and clean, {len(audit.weak)} weaknesses known"
    )
    if audit.unknown:
        names = ", ".join(sorted(audit.unknown)[:SHOWN])
        print(f"NOT AUDITED: {len(audit.unknown)} ({names}, ...): no service that knows of weaknesses could be asked")
    return 1 if required and audit.exit_code else audit.exit_code


if __name__ == "__main__":
    sys.exit(main())
