"""The contract of the stream is generated, committed, and true."""

import subprocess
import sys
from pathlib import Path

import yaml

from driftline import __version__
from driftline.transport.batch import Batch
from driftline.transport.redis import STREAM, encode_batch
from driftline.worker.asyncapi import document

COMMITTED = Path(__file__).parents[2] / "asyncapi.yaml"


def test_the_committed_document_is_the_one_that_is_generated() -> None:
    generated = subprocess.run(
        [sys.executable, "-m", "driftline.worker.asyncapi"], capture_output=True, text=True, check=True, timeout=60
    ).stdout
    assert COMMITTED.read_text() == generated, "run: python -m driftline.worker.asyncapi > asyncapi.yaml"


def test_it_names_the_stream_and_describes_the_fields_that_are_sent() -> None:
    described = yaml.safe_load(document())
    assert described["info"]["version"] == __version__
    assert described["channels"][STREAM]["address"] == STREAM
    entry = described["components"]["schemas"]["BatchEntry"]
    sent = encode_batch(Batch.of("log", "a" * 32, 0, 0, [b"{}"]))
    assert list(entry["properties"]) == entry["required"] == list(sent)
    assert all(field["description"] for field in entry["properties"].values())
