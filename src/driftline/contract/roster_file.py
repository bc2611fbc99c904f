"""``serving.toml``, the roster file of a folder of models: which versions answer, and which are tried beside them."""

import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec

from driftline.contract.nearest import did_you_mean
from driftline.contract.schema import Name
from driftline.durable import write_durably
from driftline.errors import ModelError

ROSTER_FILE: Final = "serving.toml"
_HEAD: Final = """\
# Which versions of the models beside this file answer. `driftline model promote`, `rollback`, `shadow` and `canary`
# write it anew, without other comments; running servers follow within seconds.
"""
_DIGITS: Final = re.compile(r"(\d+)")


class Canary(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A version that answers a share of what asks for no version.

    Attributes:
        version: Which.
        share: How much, above 0 and at most 1.
        by: The feature whose value decides, so that whoever it names always gets the same version; None for all inputs.
    """

    version: Name
    share: Annotated[float, msgspec.Meta(gt=0, le=1)]
    by: Name | None = None


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the file says of one model.

    Attributes:
        version: The one that serves; None for the highest.
        previous: The one that served before, which a rollback goes back to.
        shadow: Those that score the same rows beside the answer.
        canary: The one that answers a share.
    """

    version: Name | None = None
    previous: Name | None = None
    shadow: tuple[Name, ...] = ()
    canary: Canary | None = None


class RosterFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the file says.

    Attributes:
        default: The model that ``/predict`` asks; None if there is only one.
        models: By their names; one that is not here is served by its highest version.
    """

    default: Name | None = None
    models: dict[Name, Entry] = {}

    def entry(self, name: str) -> Entry:
        """Returns what it says of a model, which may be nothing."""
        return self.models.get(name, Entry())

    def with_entry(self, name: str, entry: Entry) -> "RosterFile":
        """Returns the same with another entry for one model."""
        return msgspec.structs.replace(self, models={**self.models, name: entry})


def read_roster_file(folder: Path) -> RosterFile:
    """Returns what the roster file of a folder says; nothing if there is none.

    Raises:
        ModelError: It cannot be read, or is wrong.
    """
    file = folder / ROSTER_FILE
    try:
        mapping = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return RosterFile()
    except OSError as error:
        raise ModelError(f"cannot read {file}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ModelError(f"{file} is not TOML: {error}") from error
    _refuse_unknown(file, mapping)
    try:
        return msgspec.convert(mapping, RosterFile)
    except msgspec.ValidationError as error:
        raise ModelError(f"{file} is wrong: {error}") from error


def write_roster_file(folder: Path, roster: RosterFile) -> None:
    """Replaces the roster file of a folder in one step.

    Raises:
        OSError: The disk refuses.
    """
    write_durably(folder / ROSTER_FILE, to_toml(roster).encode())


def to_toml(roster: RosterFile) -> str:
    """Returns the text of a roster file."""
    lines = [_HEAD]
    if roster.default is not None:
        lines.append(f"default = {_quoted(roster.default)}\n")
    for name, entry in roster.models.items():
        lines.append(f"[models.{_quoted(name)}]")
        if entry.version is not None:
            lines.append(f"version = {_quoted(entry.version)}")
        if entry.previous is not None:
            lines.append(f"previous = {_quoted(entry.previous)}")
        if entry.shadow:
            lines.append(f"shadow = [{', '.join(map(_quoted, entry.shadow))}]")
        if (canary := entry.canary) is not None:
            by = "" if canary.by is None else f", by = {_quoted(canary.by)}"
            lines.append(f"canary = {{ version = {_quoted(canary.version)}, share = {canary.share!r}{by} }}")
        lines.append("")
    return "\n".join(lines)


def natural(version: str) -> tuple[tuple[int, int | str], ...]:
    """Returns what versions are sorted by: digits as numbers, so that 1.10 comes after 1.9; all else as text."""
    parts = _DIGITS.split(version)
    return tuple((1, int(part)) if part.isdecimal() else (0, part) for part in parts if part)


def _refuse_unknown(file: Path, mapping: Mapping[str, Any]) -> None:
    _refuse_unknown_keys(file, "", mapping, RosterFile)
    models = mapping.get("models")
    for name, entry in models.items() if isinstance(models, dict) else ():
        if isinstance(entry, dict):
            _refuse_unknown_keys(file, f"models.{name}.", entry, Entry)
            if isinstance(entry.get("canary"), dict):
                _refuse_unknown_keys(file, f"models.{name}.canary.", entry["canary"], Canary)


def _refuse_unknown_keys(file: Path, where: str, mapping: Mapping[str, Any], kind: type[msgspec.Struct]) -> None:
    for key in mapping:
        if key not in kind.__struct_fields__:
            raise ModelError(f"unknown key {where}{key} in {file}{did_you_mean(key, kind.__struct_fields__)}")


def _quoted(text: str) -> str:
    # JSON's strings are TOML's, but for DEL, which TOML wants escaped.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
