"""What the processes that serve HTTP are told; plain values, so that it can be handed to a new process."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from driftline.ports import Address


@dataclass(frozen=True)
class ApiConfig:
    """Everything that an API process has to know.

    Attributes:
        app_name: Name of the service, shown on the pages with the documentation.
        outbox_dir: The directory of all outboxes.
        log_dir: The directory of the log, asked for what is committed when there is no broker.
        broker_url: Address of Redis; None is embedded.
        outbox_sync: What an event has survived before its request is answered: the process, or a power cut.
        outbox_max_bytes: Predictions are refused while the outboxes hold so much.
        outbox_segment_max_bytes: Size of one file of an outbox.
        max_body_bytes: Longer bodies are refused.
        model: Directory of the model package, or of several; None is the seed's.
        allow_pickle: Whether a model may be loaded from an artifact that runs code as it is loaded.
        broker_timeout_s: Longest wait for one answer of the broker.
        max_batch_rows: Batches of more rows are refused.
        max_batch_bytes: Longer bodies with a batch are refused.
        max_in_flight: How many requests one process works on at once.
        keep_alive_s: How long a connection may be idle, or take over the headers of a request.
        flush_s: How long a stopping process waits for its events to be committed; what is left is taken up by others.
        keys: The file with the API keys that are asked for; None asks for none.
        rates: The file in which the processes share how often each key has asked; None if there is one process only.
        metrics: Where to answer ``/metrics``, for it is not answered beside the rest then; None is beside the rest.
        outbox_full_policy: What a prediction gets that cannot be kept: a refusal, or an answer that says so.
        hash_key: The file with the key for hashed features, made when a model needs it; None if none does.
        log_format: For :func:`driftline.telemetry.configure_logging`, in processes that do not inherit it.
    """

    app_name: str
    outbox_dir: Path
    log_dir: Path
    broker_url: str | None
    outbox_sync: Literal["os", "always"]
    outbox_max_bytes: int
    outbox_segment_max_bytes: int
    max_body_bytes: int
    model: Path | None
    broker_timeout_s: float
    max_batch_rows: int = 10_000
    max_batch_bytes: int = 32 << 20
    max_in_flight: int = 32
    keep_alive_s: float = 75.0
    flush_s: float = 2.0
    keys: Path | None = None
    rates: Path | None = None
    metrics: Address | None = None
    hash_key: Path | None = None
    log_format: Literal["auto", "pretty", "json"] = "auto"
    outbox_full_policy: Literal["refuse", "serve"] = "refuse"
    allow_pickle: bool = False
