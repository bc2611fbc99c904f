"""What something was measured on: the machine, and the versions of what ran."""

import importlib.metadata
import os
import platform
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def machine() -> dict[str, Any]:
    """The processor, its cores, the system with its kernel, and how busy it is."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if "model name" in line]
    return {
        "cpu": models[0] if models else platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "load": os.getloadavg()[0],
    }


def versions(names: Iterable[str]) -> dict[str, str]:
    """The versions of Python and of what is installed of these."""
    found = {"Python": platform.python_version()}
    for name in names:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def said_by(*command: str) -> str:
    """What a program says when it is asked for its version."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout or done.stderr
