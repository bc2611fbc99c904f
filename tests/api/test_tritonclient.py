"""NVIDIA's own client of the Open Inference Protocol, unmodified, against a real server."""

import asyncio
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import tritonclient.http as triton
import tritonclient.http.aio as triton_aio
from tritonclient.utils import InferenceServerException

from driftline.contract.schema import Score
from driftline.scoring import load_package, seed_package
from tests.api.api_process import ApiProcess


def probability(score: Score) -> float:
    assert isinstance(score, float)
    return score


_, MODEL = load_package(seed_package())
ROWS = np.random.default_rng(7).normal(size=(100, 2))
SCORES = list(map(probability, MODEL.score(ROWS.tolist())))
ALL_IN_JSON = [
    triton.InferRequestedOutput(name, binary_data=False) for name in ("probability", "predicted_class", "request_id")
]


@pytest.fixture(scope="module")
def client(api: ApiProcess) -> Iterator[triton.InferenceServerClient]:
    with triton.InferenceServerClient(f"127.0.0.1:{api.port}") as made:
        yield made


def columns(rows: Any, *, binary: bool) -> list[triton.InferInput]:
    inputs = [triton.InferInput(f"feature_{at + 1}", [len(rows)], "FP64") for at in range(2)]
    return [each.set_data_from_numpy(rows[:, at].copy(), binary_data=binary) for at, each in enumerate(inputs)]


def matrix(rows: Any, *, binary: bool) -> list[triton.InferInput]:
    return [triton.InferInput("input-0", list(rows.shape), "FP64").set_data_from_numpy(rows, binary_data=binary)]


def test_it_finds_the_server_and_the_model(client: triton.InferenceServerClient) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("seed")
    assert client.is_model_ready("seed", "1")
    assert not client.is_model_ready("sead")
    assert not client.is_model_ready("seed", "2")
    assert client.get_server_metadata()["name"] == "driftline"
    assert [each["name"] for each in client.get_model_metadata("seed", "1")["inputs"]] == ["feature_1", "feature_2"]
    assert [each["state"] for each in client.get_model_repository_index()] == ["READY"]


@pytest.mark.parametrize("inputs", [columns, matrix])
@pytest.mark.parametrize("outputs", [None, ALL_IN_JSON], ids=["binary", "json"])
@pytest.mark.parametrize("coding", [None, "gzip", "deflate"])
@pytest.mark.parametrize("binary", [True, False])
def test_it_gets_the_scores_of_the_model_to_the_last_bit_and_each_row_is_an_event(
    client: triton.InferenceServerClient, api: ApiProcess, inputs: Any, outputs: Any, coding: Any, *, binary: bool
) -> None:
    result = client.infer(
        "seed",
        inputs(ROWS, binary=binary),
        outputs=outputs,
        request_id="order-7",
        request_compression_algorithm=coding,
        response_compression_algorithm=coding,
    )
    assert result.as_numpy("probability").tolist() == SCORES
    assert result.as_numpy("predicted_class").tolist() == [int(score >= 0.5) for score in SCORES]
    assert result.get_response()["id"] == "order-7"
    asked = [str(each, "ascii") if isinstance(each, bytes) else each for each in result.as_numpy("request_id")]
    kept = {event["request_id"]: event for event in api.events()}
    assert [kept[each]["probability"] for each in asked] == SCORES


def test_its_errors_have_our_words_and_status(client: triton.InferenceServerClient) -> None:
    def refused(model: str, inputs: list[triton.InferInput], **options: Any) -> tuple[str, str]:
        with pytest.raises(InferenceServerException) as caught:
            client.infer(model, inputs, **options)
        return caught.value.status(), caught.value.message()

    right = matrix(ROWS, binary=True)
    assert refused("sead", right) == (
        "404",
        "No model of this name is served; did you mean seed?",
    )
    assert refused("seed", right, outputs=[triton.InferRequestedOutput("x")])[0] == "400"
    for binary in (True, False):
        wrong = matrix(np.array([[1.0, 2.0], [1.0, math.nan]]), binary=binary)
        assert refused("seed", wrong) == ("400", "Row 1: the field feature_2 must be finite.")
    with pytest.raises(InferenceServerException, match="nothing at this path"):
        client.get_model_config("seed")


def test_its_asynchronous_client_which_asks_for_compression_by_itself_is_answered_too(api: ApiProcess) -> None:
    async def ask() -> None:
        async with triton_aio.InferenceServerClient(f"127.0.0.1:{api.port}") as client:
            assert await client.is_server_ready()
            assert (await client.get_model_metadata("seed"))["name"] == "seed"
            result = await client.infer("seed", matrix(ROWS, binary=True))
            assert result.as_numpy("probability").tolist() == SCORES
            with pytest.raises(InferenceServerException, match="did you mean seed"):
                await client.infer("sead", matrix(ROWS, binary=True))

    asyncio.run(ask())
