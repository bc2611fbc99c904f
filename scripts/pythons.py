"""Runs a core of the tests under the other Pythons of this machine that Driftline is declared for.

Each gets an environment of its own (.venv-3.12, ...), without what only the report, the load test and the deployment
need, and runs the tests that are marked ``core``: start, predict, log, ledger.
"""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

MARK = "pytest.mark.core"
DECLARED = ((3, 11), (3, 12), (3, 13))
ROOT = Path(__file__).resolve().parent.parent


def find_pythons() -> dict[tuple[int, int], Path]:
    """Interpreters of declared versions but our own, by version: on PATH and in pyenv's folder, if they start."""
    pyenv = sorted(Path.home().glob(".pyenv/versions/*/bin"))
    folders = [*(Path(folder) for folder in os.environ.get("PATH", "").split(os.pathsep) if folder), *pyenv]
    found: dict[tuple[int, int], Path] = {}
    for version in DECLARED:
        candidates = (folder / f"python{version[0]}.{version[1]}" for folder in folders)
        working = next((candidate for candidate in candidates if _starts(candidate, version)), None)
        if working and version != sys.version_info[:2]:
            found[version] = working
    return found


def main() -> int:
    """The exit code: 0 if the core tests pass under all that were found."""
    pythons = find_pythons()
    names = ", ".join(f"{path} ({version[0]}.{version[1]})" for version, path in pythons.items())
    print(f"this is {sys.version_info[0]}.{sys.version_info[1]}; others that start here: {names or 'none'}", flush=True)
    with ThreadPoolExecutor() as pool:  # they wait more than they work
        checked = list(pool.map(_check, pythons, pythons.values()))
    for (passed, said), version in zip(checked, pythons, strict=True):
        print(f"\n--- {version[0]}.{version[1]}: {'passed' if passed else 'FAILED'}\n{said}", flush=True)
    return int(not all(passed for passed, _ in checked))


def _starts(python: Path, version: tuple[int, int]) -> bool:
    # Asked, not believed: a pyenv shim is there for versions that it then refuses to start.
    if not python.is_file():
        return False
    code = f"import sys; sys.exit(sys.version_info[:2] != {version})"
    return subprocess.run([python, "-c", code], capture_output=True, check=False).returncode == 0


def _check(version: tuple[int, int], python: Path) -> tuple[bool, str]:
    venv = ROOT / f".venv-{version[0]}.{version[1]}"
    said: list[str] = []
    # The others need not even be imported.
    marked = (path for path in sorted(ROOT.glob("tests/**/test_*.py")) if MARK in path.read_text(encoding="utf-8"))
    passed = _install(venv, python, said) and _run(said, venv / "bin/pytest", "-m", "core", *marked)
    return passed, "".join(said)


def _install(venv: Path, python: Path, said: list[str]) -> bool:
    uv = ROOT / ".venv/bin/uv"
    interpreter = venv / "bin/python"
    lock = ROOT / "requirements/core.txt"
    sync = ("--quiet", "pip", "sync", "--compile-bytecode")
    pip = (ROOT / ".venv/bin/python", "-m", "pip", "--quiet", "--python", interpreter, "install")
    return (
        (interpreter.exists() or _run(said, uv, "--quiet", "venv", "--python", python, venv))
        # pip where uv does not succeed, as in setup.sh.
        and (
            _run(said, uv, *sync, "--python", interpreter, "--require-hashes", lock)
            or _run(said, *pip, "--require-hashes", "--requirement", lock)
        )
        and _run(said, *pip, "--no-deps", "--no-build-isolation", "--editable", ROOT)
        and _run(said, interpreter, "-m", "compileall", "-q", ROOT / "src")
    )


def _run(said: list[str], program: Path, *arguments: str | Path) -> bool:
    environment = {**os.environ, "PATH": os.pathsep.join([str(program.parent), os.environ.get("PATH", "")])}
    command = [str(program), *map(str, arguments)]
    finished = subprocess.run(
        command, env=environment, cwd=ROOT, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    said.append(finished.stdout)
    return finished.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
