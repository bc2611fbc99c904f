"""The other stacks that are measured, as far as they run without their environments."""

import re
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

import driftline
from bench_serve.peers import PEERS, Peer, versions
from bench_serve.running import Running
from bench_serve.servers.job import BIAS, THRESHOLD, WEIGHTS, Features, entry, score
from bench_serve.stacks import FEATURES, is_right
from cores import Cores

ROOT = Path(__file__).resolve().parents[2]
MODEL = Path(driftline.__file__).parent / "models" / "seed" / "model.toml"
each_peer = pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.stack.name)


def test_they_score_the_model_that_driftline_serves_unless_it_is_given_another_one() -> None:
    model = tomllib.loads(MODEL.read_text())
    assert model["artifact"]["bias"] == BIAS
    assert tuple(model["artifact"]["weights"].values()) == WEIGHTS
    assert model["threshold"] == THRESHOLD
    assert is_right(score(Features(**FEATURES)).probability)
    assert score(Features(feature_1=-1, feature_2=0)).predicted_class == 0


def test_an_event_has_what_was_asked_and_what_was_answered() -> None:
    features = Features(**FEATURES)
    prediction = score(features)
    (event,) = entry(features, prediction).values()
    assert isinstance(event, str)
    for said in (features.model_dump_json(), prediction.request_id, str(prediction.probability)):
        assert said in event


def test_each_answer_of_an_application_is_an_entry_of_the_stream(tmp_path: Path) -> None:
    app = "bench_serve.servers.fastapi_service:app"
    stack = PEERS[0].stack._replace(
        command=lambda place: [sys.executable, "-m", "uvicorn", app, "--port", str(place.port), "--no-access-log"]
    )
    assert stack.events is not None
    with Running(stack, tmp_path, Cores.of_machine()) as server:
        assert all(server.answers_rightly() for _ in range(10))
        assert stack.events(server.place) == server.answers == 11


@each_peer
def test_each_has_a_lock_an_environment_and_a_line_on_the_page(peer: Peer) -> None:
    lock = (ROOT / "requirements" / f"bench-{peer.environment}.txt").read_text()
    assert all(re.search(rf"^{package}(\[.*\])?==", lock, re.MULTILINE) for package in peer.packages)
    made = re.search(r"^PEERS := (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert made is not None
    assert peer.environment in made[1].split()
    assert f"\n| {peer.stack.name} | " in (ROOT / "docs" / "benchmarks.md").read_text()


def test_the_versions_are_those_of_the_environment_asked_about() -> None:
    assert list(versions(Path(sys.prefix), ("redis", "mlserver"))) == [f"redis {version('redis')}"]
    assert list(versions(ROOT / "nowhere", ("redis",))) == []
