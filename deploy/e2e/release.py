"""Releases of Driftline to deploy: copies of the project with versions of their own, and their images."""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from deploy.e2e.commands import Shell
from deploy.e2e.tools import PROJECT

PARTS = (
    *("compose.yaml", ".dockerignore", ".env.example", "pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md"),
    *("requirements", "src", "loadtest", "deploy"),
)
TARGETS = {"driftline": "runtime", "driftline-report": "report", "driftline-load": "load"}
BUILD_S = 900
MEGABYTE = 1_000_000


@dataclass(frozen=True)
class Release:
    """A copy of the project that says it has another version.

    Attributes:
        folder: Where it is.
        version: Its version, and the tag of its images.
    """

    folder: Path
    version: str

    def image(self, name: str) -> str:
        """The full name of one of its images."""
        return f"{name}:{self.version}"

    def build(self, shell: Shell, *names: str) -> str:
        """Builds the images of these names, and tells their sizes.

        Raises:
            CommandError: One cannot be built.
        """
        sizes = []
        for name in names:
            shell.run(
                *("docker", "build", "--quiet", "--file", "deploy/docker/Dockerfile", "--target", TARGETS[name]),
                *("--build-arg", f"VERSION={self.version}", "--tag", self.image(name), "."),
                cwd=self.folder,
                timeout_s=BUILD_S,
            )
            size = shell.run("docker", "image", "inspect", "--format", "{{.Size}}", self.image(name))
            sizes.append(f"{name} {int(size) / MEGABYTE:.0f} MB")
        return ", ".join(sizes)


def copy_project(folder: Path, number: int) -> Release:
    """A release that is the project as it is now, but for its version: ``0.1.0.dev1`` for number 1.

    Nobody but its owner may read its files, as after a clone under the umask 077: images have to cope with that.
    """
    skipped = shutil.ignore_patterns("__pycache__", "results", ".ansible")
    for part in PARTS:
        source, target = PROJECT / part, folder / part
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=skipped)
        else:
            shutil.copy(source, target)
    init = folder / "src" / "driftline" / "__init__.py"
    text = init.read_text()
    found = re.search(r'^__version__ = "(.+)"', text, re.MULTILINE)
    if found is None:
        raise ValueError(f"{init} has no __version__")
    version = f"{found[1]}.dev{number}"
    for path in (folder, *folder.rglob("*")):
        path.chmod(path.stat().st_mode & 0o700)
    init.write_text(text.replace(found[0], f'__version__ = "{version}"'))
    return Release(folder, version)


def without_monitor(release: Release) -> Release:
    """The release as it would be if it were from before there was a monitor."""
    path = release.folder / "compose.yaml"
    stack: dict[str, Any] = yaml.safe_load(path.read_text())
    del stack["services"]["monitor"], stack["volumes"]["monitor"]
    for service in stack["services"].values():
        service["volumes"] = [mount for mount in service["volumes"] if not str(mount).startswith("monitor:")]
    path.write_text(yaml.safe_dump(stack))
    return release


def save(shell: Shell, archive: Path, *images: str) -> str:
    """Writes images to an archive as ``docker load`` takes it, and tells its size."""
    shell.run("docker", "save", "--output", archive, *images, timeout_s=BUILD_S)
    return f"{archive.stat().st_size / MEGABYTE:.0f} MB"
