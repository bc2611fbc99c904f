"""The key for hashed features: made when it is needed, once, and the same for all."""

import json
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from driftline.api.hash_key import KEY_BYTES, hash_key
from driftline.contract.logged import hashed
from driftline.contract.package import read_package, seed_schema
from driftline.contract.schema import ModelSchema
from driftline.errors import ModelError
from tests.api.conftest import StartApi
from tests.api.models import loan

BODY = {
    "amount": 5000,
    "months": 36,
    "open loans": 2,
    "employed": True,
    "country": "AT",
    "branch": "Graz",
    "customer": "erika.mustermann@example.org",
    "age": 41,
}


@pytest.fixture
def hashing(tmp_path: Path) -> ModelSchema:
    return read_package(loan(tmp_path / "loan")).schema


def test_no_key_is_made_for_a_model_that_hashes_nothing(tmp_path: Path) -> None:
    assert hash_key(tmp_path / "hash.key", seed_schema()) == b""
    assert hash_key(None, seed_schema()) == b""
    assert not list(tmp_path.iterdir())


def test_the_key_is_made_once_and_only_its_owner_may_read_it(tmp_path: Path, hashing: ModelSchema) -> None:
    file = tmp_path / "hash.key"
    made = hash_key(file, hashing)
    assert len(made) == KEY_BYTES
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert hash_key(file, hashing) == made
    assert hash_key(tmp_path / "another.key", hashing) != made


def test_the_first_server_of_all_makes_the_data_folder_too(tmp_path: Path, hashing: ModelSchema) -> None:
    file = tmp_path / "data" / "hash.key"
    assert hash_key(file, hashing) == bytes.fromhex(file.read_text().strip())


def test_all_who_come_at_once_have_the_same_key(tmp_path: Path, hashing: ModelSchema) -> None:
    many = 16
    together = Barrier(many)

    def come(_: int) -> bytes:
        together.wait(60)
        return hash_key(tmp_path / "hash.key", hashing)

    with ThreadPoolExecutor(many) as pool:
        assert len(set(pool.map(come, range(many)))) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["hash.key", "loan"]


def test_a_key_that_was_brought_along_is_taken_however_it_is_written(tmp_path: Path, hashing: ModelSchema) -> None:
    file = tmp_path / "hash.key"
    file.write_text("AB" * KEY_BYTES)
    assert hash_key(file, hashing) == b"\xab" * KEY_BYTES


@pytest.mark.parametrize("content", [b"", b"ab" * 31, b"ab" * 33, b"xy" * 32, b"\xff" * 64])
def test_a_file_that_holds_no_key_is_refused_and_stays(tmp_path: Path, hashing: ModelSchema, content: bytes) -> None:
    file = tmp_path / "hash.key"
    file.write_bytes(content)
    with pytest.raises(ModelError, match="64 hexadecimal digits"):
        hash_key(file, hashing)
    assert file.read_bytes() == content


def test_a_key_that_cannot_be_made_is_an_error_with_the_remedy(tmp_path: Path, hashing: ModelSchema) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ModelError, match=r"loan hashes features.*openssl rand -hex 32"):
        hash_key(tmp_path / "file" / "hash.key", hashing)
    with pytest.raises(ModelError, match="no file for the key"):
        hash_key(None, hashing)


def test_every_process_logs_the_same_hash_and_nobody_the_value(start_api: StartApi, tmp_path: Path) -> None:
    api = start_api(model=loan(tmp_path / "loan"), processes=2)
    for _ in range(40):  # a new connection each time, so that both processes come to it
        response = api.predict(json.dumps(BODY).encode(), {"content-type": "application/json", "connection": "close"})
        assert (response.status_code, response.json()["predicted_class"]) == (200, "repaid")
        if len({event["producer"] for event in api.events()}) == 2:
            break
    key = bytes.fromhex((api.directory / "hash.key").read_text())
    logged = [event["features"] for event in api.events()]
    kept = {name: value for name, value in BODY.items() if name != "age"}
    assert logged == [{**kept, "customer": hashed(BODY["customer"], key)}] * len(logged)
    assert len({event["producer"] for event in api.events()}) == 2
    for file in api.directory.rglob("*"):
        assert not file.is_file() or b"erika" not in file.read_bytes()
