"""The artifact that a package names, read once: what is checked is what is loaded."""

import hashlib
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

import msgspec

from driftline.contract.package import Package
from driftline.contract.schema import converted, refuse_unknown_keys
from driftline.errors import ModelError


class FileArtifact(msgspec.Struct, frozen=True, kw_only=True):
    """The ``[artifact]`` table of a runtime that reads one file.

    Attributes:
        runtime: The name that chose it.
        file: Where the file lies in the package.
        sha256: The SHA-256 of its bytes, in hex.
    """

    runtime: str
    file: str
    sha256: str | None = None


Table = TypeVar("Table", bound=msgspec.Struct)


def artifact_table(package: Package, kind: type[Table]) -> Table:
    """Returns the ``[artifact]`` table of a package.

    Args:
        package: What ``model.toml`` says.
        kind: The keys that its runtime knows.

    Raises:
        ModelError: A key is missing, unknown, or of the wrong type.
    """
    refuse_unknown_keys(package.artifact, kind.__struct_encode_fields__, where="artifact.")
    table: Table = converted(package.artifact, kind)
    return table


def artifact_bytes(package: Package, artifact: FileArtifact) -> bytes:
    """Returns what the artifact's file holds.

    Raises:
        ModelError: It is not there, outside the package, or not the file that ``sha256`` is of.
    """
    file = inside(package, artifact.file)
    try:
        content = file.read_bytes()
    except OSError as error:
        raise ModelError(f"cannot read the artifact {file}: {error.strerror}") from error
    check_sha256(file, hashlib.sha256(content).hexdigest(), artifact.sha256)
    return content


def inside(package: Package, name: str) -> Path:
    """Returns where a name of the ``[artifact]`` table leads.

    Raises:
        ModelError: Out of the package, which could then not be moved.
    """
    relative = PurePosixPath(name)
    if relative.is_absolute() or ".." in relative.parts or not relative.parts:
        raise ModelError(f"the artifact must lie in the package, and {name!r} does not")
    return package.path / relative


def check_sha256(path: Path, found: str, declared: str | None) -> None:
    """Returns if an artifact is the one that was meant.

    Raises:
        ModelError: It is another one, or nothing says which one is meant.
    """
    if declared is None:
        raise ModelError(f'nothing says which artifact is meant: if {path} is, write sha256 = "{found}" in [artifact]')
    if declared.lower() != found:
        raise ModelError(
            f"{path} is not the artifact that is meant: its SHA-256 is {found}, and artifact.sha256 is {declared}"
        )


def sha256_of(path: Path) -> str:
    """Returns the SHA-256 of a file in hex; of a folder, that of the names and sums of all files in it.

    Raises:
        ModelError: It cannot be read.
    """
    try:
        if not path.is_dir():
            return _file_sha256(path)
        files = sorted((file.relative_to(path).as_posix(), file) for file in path.rglob("*") if _counts(file))
        listing = "".join(f"{_file_sha256(file)}  {name}\n" for name, file in files)
    except OSError as error:
        raise ModelError(f"cannot read the artifact {path}: {error.strerror}") from error
    return hashlib.sha256(listing.encode("utf-8", "surrogateescape")).hexdigest()


def _counts(file: Path) -> bool:
    return file.is_file() and "__pycache__" not in file.parts  # those come with the first import


def _file_sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def told(error: BaseException) -> str:
    """Returns what an error of a library says, on one line."""
    return " ".join(str(error).split()) or type(error).__name__


def names_checked(given: Any, names: tuple[str, ...]) -> None:
    """Returns if a model was trained on these features, in this order.

    Args:
        given: What the model says of it; None if it says nothing.
        names: What the package says.

    Raises:
        ModelError: It was trained on others, or in another order.
    """
    if given is None:
        return
    trained = tuple(map(str, given))
    if trained == names:
        return
    if sorted(trained) == sorted(names):
        raise ModelError(f"the inputs must stand in the order in which the model takes them: {', '.join(trained)}")
    missing = [name for name in trained if name not in names]
    surplus = [name for name in names if name not in trained]
    parts = [f"it lacks {', '.join(missing)}"] * bool(missing) + [f"it has {', '.join(surplus)}"] * bool(surplus)
    raise ModelError(f"the package's inputs are not those the model was trained on: {'; and '.join(parts)}")
