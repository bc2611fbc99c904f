import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from driftline.errors import ModelError
from driftline.scoring import load_package
from driftline.scoring.artifact import sha256_of
from tests.scoring.packages import floats, write_package

WEIGHTS = json.dumps({"bias": 1.0, "weights": {"a": 2.0}}).encode()
SHA256 = hashlib.sha256(WEIGHTS).hexdigest()


def linear(folder: Path, content: bytes = WEIGHTS, **artifact: Any) -> Path:
    table = {"runtime": "linear", "file": "weights.json", **artifact}
    return write_package(folder, "regression", floats(["a"]), table, content=content)


def test_a_file_with_the_right_sum_is_loaded(tmp_path: Path) -> None:
    _, model = load_package(linear(tmp_path))
    assert model.score_row([3.0]) == 7.0


def test_a_file_that_has_changed_is_refused(tmp_path: Path) -> None:
    package = linear(tmp_path)
    (package / "weights.json").write_bytes(WEIGHTS.replace(b"2.0", b"9.0"))
    with pytest.raises(ModelError, match=f"is not the artifact that is meant.*{SHA256}"):
        load_package(package)


def test_a_file_without_a_sum_is_refused_and_the_message_has_the_line_to_write(tmp_path: Path) -> None:
    package = linear(tmp_path)
    declaration = package / "model.toml"
    declaration.write_text("\n".join(line for line in declaration.read_text().split("\n") if "sha256" not in line))
    with pytest.raises(ModelError, match=f'write sha256 = "{SHA256}" in'):
        load_package(package)


def test_a_file_that_is_missing_is_refused(tmp_path: Path) -> None:
    package = linear(tmp_path)
    (package / "weights.json").unlink()
    with pytest.raises(ModelError, match=r"cannot read the artifact .*weights\.json: No such file"):
        load_package(package)


@pytest.mark.parametrize("name", ["../weights.json", "/etc/passwd", "a/../../b", ""])
def test_a_file_outside_the_package_is_refused(name: str, tmp_path: Path) -> None:
    package = write_package(tmp_path, "regression", floats(["a"]), {"runtime": "linear", "file": name})
    with pytest.raises(ModelError, match="must lie in the package"):
        load_package(package)


@pytest.mark.parametrize(
    ("artifact", "message"),
    [({"file": 3}, "file"), ({"sha265": "x"}, "did you mean sha256"), ({"bias": 1.0}, r"unknown key artifact\.bias")],
)
def test_keys_that_mean_nothing_are_refused(artifact: dict[str, Any], message: str, tmp_path: Path) -> None:
    package = write_package(tmp_path, "regression", floats(["a"]), {"runtime": "linear", "file": "w", **artifact})
    with pytest.raises(ModelError, match=message):
        load_package(package)


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"bias": 1.0}', b'{"bias": 1, "weights": {"a": 1}, "more": 1}'])
def test_weights_that_are_none_are_refused(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(ModelError):
        load_package(linear(tmp_path, content))


def test_the_sum_of_a_folder_is_that_of_its_files_and_their_names_in_any_order(tmp_path: Path) -> None:
    def folder(name: str, files: dict[str, str]) -> str:
        for file, text in files.items():
            (tmp_path / name / file).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name / file).write_text(text)
        return sha256_of(tmp_path / name)

    one = folder("one", {"a": "1", "b/c": "2"})
    assert folder("same", {"b/c": "2", "a": "1"}) == one
    assert folder("with-a-cache", {"b/c": "2", "a": "1", "__pycache__/x.pyc": "3"}) == one
    assert len({one, folder("other", {"a": "1", "b/c": "3"}), folder("moved", {"a": "1", "b/d": "2"})}) == 3
    assert sha256_of(tmp_path / "one" / "a") == hashlib.sha256(b"1").hexdigest()
