"""A client in Python for the HTTP API: typed, synchronous or not, and careful about what it sends twice.

It takes ``pip install 'driftline[client]'``.
"""

from driftline.client.async_client import AsyncClient
from driftline.client.client import Client
from driftline.client.results import (
    BinaryPrediction,
    Health,
    Model,
    MulticlassPrediction,
    Outcome,
    Prediction,
    RegressionPrediction,
)
from driftline.client.retry import NEVER, Retry
from driftline.errors import (
    AnswerError,
    AnswerLostError,
    BusyError,
    ClientError,
    KeyRefusedError,
    RefusedError,
    UnreachableError,
)

__all__ = [
    "NEVER",
    "AnswerError",
    "AnswerLostError",
    "AsyncClient",
    "BinaryPrediction",
    "BusyError",
    "Client",
    "ClientError",
    "Health",
    "KeyRefusedError",
    "Model",
    "MulticlassPrediction",
    "Outcome",
    "Prediction",
    "RefusedError",
    "RegressionPrediction",
    "Retry",
    "UnreachableError",
]
