"""Inference requests as tritonclient makes them, answered in this process by models made for it."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tritonclient.http as triton
from numpy.typing import NDArray
from tritonclient.utils import np_to_triton_dtype

from driftline.api.batch import Limits
from driftline.api.keeper import Keeper
from driftline.api.predict import Choose
from driftline.api.served import Served
from driftline.api.v2.infer import infer
from driftline.contract.package import Package
from driftline.contract.problems import Answer
from driftline.contract.schema import ModelSchema, Row, Score
from driftline.outbox.outbox import Outbox
from driftline.outbox.reader import OutboxReader
from driftline.outbox.root import OutboxRoot

LIMITS = Limits(rows=1000, body_bytes=100_000)


class Told:
    """A model that gives the scores it was told to, and remembers what it was asked."""

    def __init__(self, *scores: Score) -> None:
        self.scores = scores
        self.asked: list[list[Any]] = []

    def score(self, rows: Sequence[Row]) -> Sequence[Score]:
        self.asked += map(list, rows)
        return [self.scores[at % len(self.scores)] for at in range(len(rows))]

    def score_row(self, row: Row) -> Score:
        return self.score([row])[0]


class Place:
    """A model, and an outbox of its own in a directory."""

    def __init__(self, directory: Path, schema: ModelSchema, *scores: Score, max_outbox_bytes: int = 1 << 20) -> None:
        root = OutboxRoot(directory)
        root.create()
        self.outbox = Outbox(root, max_bytes=max_outbox_bytes)
        self.model = Told(*scores)
        package = Package(directory, schema, {"runtime": "told"}, None, None, None, 0.0)
        self.served = Served(package, self.model)
        self.keeper = Keeper(self.outbox, durable=False)
        self.chosen: Choose | None = None

    def answer(self, body: bytes, headers: Mapping[str, str] | None = None) -> Answer:
        return asyncio.run(infer(self.served, self.keeper, LIMITS, dict(headers or {}), body, chosen=self.chosen))

    def answered(
        self,
        tensors: Mapping[str, NDArray[Any]],
        *,
        binary: bool = True,
        outputs: Sequence[triton.InferRequestedOutput] | None = None,
        headers: Mapping[str, str] | None = None,
        **options: Any,
    ) -> Answer:
        """The answer to a request that tritonclient has made."""
        body, length = triton.InferenceServerClient.generate_request_body(
            [infer_input(name, values, binary=binary) for name, values in tensors.items()], outputs, **options
        )
        measured = {} if length is None else {"inference-header-content-length": str(length)}
        return self.answer(body, {**measured, **(headers or {})})

    def ask(self, tensors: Mapping[str, NDArray[Any]], **options: Any) -> triton.InferResult:
        """The result of a request that tritonclient has made, as it reads it."""
        answer = self.answered(tensors, **options)
        assert answer.status == 200, answer.body
        told = dict(answer.headers)
        head_bytes = told.get("inference-header-content-length")
        return triton.InferenceServerClient.parse_response_body(
            answer.body, False, head_bytes and int(head_bytes), told.get("content-encoding")
        )

    def refusal(self, tensors: Mapping[str, NDArray[Any]], **options: Any) -> tuple[str, str]:
        """The code and the detail of the problem with a request, of which nothing may be kept."""
        answer = self.answered(tensors, **options)
        assert answer.status >= 400
        problem = json.loads(answer.body)
        return problem["code"], problem["detail"]

    def events(self) -> list[dict[str, Any]]:
        reader = OutboxReader(self.outbox.root, self.outbox.producer)
        reader.seek(0)
        events = [json.loads(line) for line in reader.read(2000, 1 << 20).events]
        reader.close()
        return events


def infer_input(name: str, values: NDArray[Any], *, binary: bool = True) -> triton.InferInput:
    made = triton.InferInput(name, list(values.shape), np_to_triton_dtype(values.dtype))
    return made.set_data_from_numpy(values, binary_data=binary)


def texts(*each: str) -> NDArray[np.object_]:
    return np.array(each, dtype=np.object_)
