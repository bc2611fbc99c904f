"""Model packages, written by tests: real models of real data, small enough to be trained in milliseconds."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from driftline.contract.schema import Feature


def write_package(
    folder: Path,
    output: str,
    features: Sequence[Feature],
    artifact: dict[str, Any],
    *,
    labels: Sequence[str | int] = (),
    content: bytes | None = None,
) -> Path:
    """The folder, which now holds a package; its artifact's file has this content, and its sum is declared."""
    folder.mkdir(parents=True, exist_ok=True)
    if content is not None:
        (folder / artifact["file"]).write_bytes(content)
        artifact = {"sha256": hashlib.sha256(content).hexdigest(), **artifact}
    lines = [f'name = "{folder.name}"', 'version = "1"', f'output = "{output}"']
    if labels:
        lines.append(f"labels = {json.dumps(list(labels))}")
    for feature in features:
        lines += ["[[features]]", f"name = {json.dumps(feature.name)}", f'type = "{feature.type}"']
        if feature.nullable:
            lines.append("nullable = true")
        if feature.categories is not None:
            lines.append(f"categories = {json.dumps(list(feature.categories))}")
    lines.append("[artifact]")
    lines += [f"{key} = {_toml(value)}" for key, value in artifact.items()]
    (folder / "model.toml").write_text("\n".join(lines) + "\n")
    return folder


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(key)} = {_toml(each)}" for key, each in value.items()) + " }"
    return json.dumps(value)


def floats(names: Sequence[str], *, nullable: bool = False) -> list[Feature]:
    return [Feature(str(name), "float", nullable=nullable) for name in names]
