"""The file of API keys: what is in it, what is not, and what is not taken for one."""

import re
import stat
import subprocess
import sys
import tomllib
from hashlib import sha256
from pathlib import Path

import pytest

from driftline.api.keys import MAX_KEYS, Key, add_key, by_id, find_key, read_keys, revoke_key
from driftline.durable import lock_directory
from driftline.errors import KeysError

GOOD = '[[key]]\nname = "a"\nid = "00000001"\nsha256 = "' + "0" * 64 + '"\n'


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "keys.toml"


def test_a_key_is_found_by_what_add_returned_and_by_nothing_near_it(path: Path) -> None:
    token, other = add_key(path, "web").encode(), add_key(path, "batch", 5.0).encode()
    keys = by_id(read_keys(path).values())
    for known, name, rate in ((token, "web", None), (other, "batch", 5.0)):
        key = find_key(keys, known)
        assert key is not None
        assert (key.name, key.rate_per_s) == (name, rate)
    prefix, key_id, secret = token.split(b"_", 2)
    for wrong in (
        b"",
        b"_",
        b"__",
        prefix,
        token[:-1],
        token + b"x",
        token.upper(),
        b"x" + token,
        b"_".join([b"other", key_id, secret]),
        b"_".join([prefix, key_id, b""]),
        b"_".join([prefix, other.split(b"_")[1], secret]),
        b"_".join([prefix, b"ffffffff", secret]),
        b"\xff" * 200,
    ):
        assert find_key(keys, wrong) is None, wrong


def test_an_unknown_id_is_not_let_in_by_the_hash_that_stands_in_for_it() -> None:
    assert find_key({}, b"") is None


def test_the_file_holds_hashes_and_is_its_owners_alone(path: Path) -> None:
    token = add_key(path, "web")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert token.split("_", 2)[2] not in path.read_text()
    [entry] = tomllib.loads(path.read_text())["key"]
    assert entry["sha256"] == sha256(token.encode()).hexdigest()
    add_key(path, "other")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_key_has_256_random_bits_and_a_prefix_that_scanners_can_find(path: Path) -> None:
    tokens = {add_key(path, f"k{number}") for number in range(20)}
    assert len(tokens) == 20
    assert all(re.fullmatch(r"driftline_[0-9a-f]{8}_[A-Za-z0-9_-]{43}", token) for token in tokens)
    assert len({key.slot for key in read_keys(path).values()}) == 20


def test_a_revoked_key_is_gone_and_the_others_stay(path: Path) -> None:
    old, new = add_key(path, "2025"), add_key(path, "2026")
    revoke_key(path, "2025")
    keys = by_id(read_keys(path).values())
    assert find_key(keys, old.encode()) is None
    assert find_key(keys, new.encode()) is not None
    revoke_key(path, "2026")
    assert read_keys(path) == {}


@pytest.mark.parametrize("name", ["", " ", "a b", 'a"', "a\n", "-a", ".a", "é", "a" * 65])
def test_a_name_that_is_none_is_refused(path: Path, name: str) -> None:
    with pytest.raises(KeysError):
        add_key(path, name)
    assert not path.exists()


@pytest.mark.parametrize("rate", [0, -1, float("nan"), float("inf"), 1e7])
def test_a_rate_that_is_none_is_refused(path: Path, rate: float) -> None:
    with pytest.raises(KeysError):
        add_key(path, "a", rate)


def test_a_name_is_given_once_and_only_what_is_there_is_revoked(path: Path) -> None:
    with pytest.raises(KeysError, match="no key to revoke"):
        revoke_key(path, "web")
    add_key(path, "web")
    before = path.read_bytes()
    with pytest.raises(KeysError, match="already"):
        add_key(path, "web")
    with pytest.raises(KeysError, match="no key other"):
        revoke_key(path, "other")
    assert path.read_bytes() == before


def test_a_file_written_by_hand_is_read_the_same(path: Path) -> None:
    path.parent.mkdir()
    path.write_text(GOOD + "rate_per_s = 3\n")
    assert read_keys(path) == {"a": Key("a", "00000001", bytes(32), "", 3.0)}


@pytest.mark.parametrize(
    "text",
    [
        "[[key",
        "key = 1",
        "other = 1",
        "[key]",
        "[[key]]",
        GOOD.replace("00000001", "0001"),
        GOOD.replace("0" * 64, "0" * 63),
        GOOD.replace('"a"', '"a b"'),
        GOOD + "rate_per_s = 0",
        GOOD + "rate_per_s = true",
        GOOD + "rate_per_s = nan",
        GOOD + 'rate_per_s = "1"',
        GOOD + "secret = 1",
        GOOD + GOOD,
        GOOD + GOOD.replace('"a"', '"b"').replace("00000001", f"{MAX_KEYS + 1:08x}"),
    ],
)
def test_a_file_that_makes_no_sense_is_an_error_that_names_it(path: Path, text: str) -> None:
    path.parent.mkdir()
    path.write_text(text)
    with pytest.raises(KeysError, match=re.escape(str(path))):
        read_keys(path)


def test_bytes_that_are_no_text_are_an_error(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"\xff")
    with pytest.raises(KeysError):
        read_keys(path)


def test_a_file_that_is_not_there_is_an_error_that_says_how_to_make_it(path: Path) -> None:
    with pytest.raises(KeysError, match="driftline keys add NAME"):
        read_keys(path)


def test_while_another_command_writes_nothing_is_written(path: Path) -> None:
    add_key(path, "a")
    code = (
        "import sys; from pathlib import Path; from driftline.api.keys import add_key; add_key(Path(sys.argv[1]), 'b')"
    )
    lock = lock_directory(path.parent)
    assert lock is not None
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=False)
    assert "another command is at work" in done.stderr
    assert set(read_keys(path)) == {"a"}
