"""Packs parts of a project into a tar file that has the same bytes whenever they have the same content.

    pack.py PROJECT OUTPUT PATH...

Ansible copies a single file much faster than a hundred, and knows by its checksum whether anything has changed.
"""

import sys
import tarfile
from pathlib import Path

SKIPPED = {"__pycache__", ".DS_Store", "results"}


def plain(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """The member without what differs from one checkout to the next, or None if it stays behind."""
    if SKIPPED.intersection(Path(member.name).parts):
        return None
    member.mtime = 0
    member.uid = member.gid = 0
    member.uname = member.gname = "root"
    member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
    return member


def pack(project: Path, output: Path, paths: list[str]) -> None:
    """Writes the archive; directories are taken whole, in the order of their names."""
    with tarfile.open(output, "w", format=tarfile.PAX_FORMAT) as archive:
        for path in paths:
            archive.add(project / path, path, filter=plain)


def main() -> int:
    """Packs, and returns the exit code."""
    project, output, *paths = sys.argv[1:]
    missing = [path for path in paths if not (Path(project) / path).exists()]
    if missing:
        sys.stderr.write(f"{project} is not the whole project, it lacks {', '.join(missing)}\n")
        return 1
    pack(Path(project), Path(output), paths)
    return 0


if __name__ == "__main__":
    sys.exit(main())
