"""KServe's own client of the Open Inference Protocol."""

import asyncio
from typing import Any

import httpx
import numpy as np
import pytest
from kserve import InferenceRESTClient, InferInput, InferRequest
from kserve.inference_client import RESTConfig

from tests.interop.conftest import Serving, Trained

pytestmark = [pytest.mark.timeout(120), pytest.mark.filterwarnings("ignore")]


def matrix(model: Trained, *, binary: bool) -> Any:
    """A request with all inputs in one tensor, as the servers of scikit-learn models take them."""
    tensor = InferInput("input-0", list(model.rows.shape), "FP64")
    tensor.set_data_from_numpy(model.rows.to_numpy(), binary_data=binary)
    return InferRequest(model.name, [tensor], request_id="42")


def columns(model: Trained, *, binary: bool) -> Any:
    """A request with a tensor for each feature."""
    tensors = []
    for name in model.rows.columns:
        tensor = InferInput(name, [len(model.rows)], "FP64")
        tensor.set_data_from_numpy(model.rows[name].to_numpy(), binary_data=binary)
        tensors.append(tensor)
    return InferRequest(model.name, tensors)


def ask(serving: Serving, request: Any) -> Any:
    async def infer() -> Any:
        async with InferenceRESTClient(RESTConfig(protocol="v2")) as client:
            return await client.infer(serving.url, request, model_name=request.model_name)

    return asyncio.run(infer())


def output(response: Any, name: str) -> Any:
    return response.get_output_by_name(name).as_numpy()


@pytest.mark.parametrize("make", [matrix, columns])
@pytest.mark.parametrize("binary", [False, True], ids=["json", "binary"])
def test_two_classes_get_what_the_library_gives(serving: Serving, make: Any, binary: bool) -> None:
    model = serving.models["cancer"]
    response = ask(serving, make(model, binary=binary))
    given = model.estimator.predict_proba(model.rows)[:, 1]
    assert np.allclose(output(response, "probability"), given, rtol=1e-12, atol=0)
    assert output(response, "predicted_class").tolist() == model.estimator.predict(model.rows).tolist()
    assert response.model_name == "cancer"
    assert len(set(output(response, "request_id").tolist())) == len(model.rows)


def test_three_classes_and_a_number_do_too(serving: Serving) -> None:
    wine, diabetes = serving.models["wine"], serving.models["diabetes"]
    response = ask(serving, matrix(wine, binary=False))
    assert np.allclose(output(response, "probabilities"), wine.estimator.predict_proba(wine.rows), rtol=1e-12)
    assert [str(label) for label in output(response, "predicted_class")] == wine.estimator.predict(wine.rows).tolist()
    response = ask(serving, matrix(diabetes, binary=False))
    assert np.allclose(output(response, "prediction"), diabetes.estimator.predict(diabetes.rows), rtol=1e-12)


def test_it_is_told_that_all_are_ready_and_of_no_model_that_is_not_there(serving: Serving) -> None:
    async def look() -> list[bool]:
        async with InferenceRESTClient(RESTConfig(protocol="v2")) as client:
            return [
                await client.is_server_live(serving.url),
                await client.is_server_ready(serving.url),
                await client.is_model_ready(serving.url, "wine"),
                await client.is_model_ready(serving.url, "beer"),
            ]

    assert asyncio.run(look()) == [True, True, True, False]


def test_what_is_wrong_is_in_the_clients_error(serving: Serving) -> None:
    model = serving.models["cancer"]
    short = Trained(model.name, model.estimator, model.rows.iloc[:, :3])
    with pytest.raises(httpx.HTTPStatusError, match=r"input-0.*400 Bad Request"):
        ask(serving, matrix(short, binary=False))
