"""Every error Driftline raises on purpose.

Each class carries a stable ``code``: it is in problem documents, logs and the documentation, and never changes
meaning. The message is for a person and may change.

    DriftlineError
     +-- SettingsError              settings_invalid
     |    +-- UnknownSettingError   settings_unknown
     |    +-- KeysError             keys_invalid
     |    +-- TlsError              tls_invalid
     +-- ModelError                 model_invalid
     +-- ModelNotFoundError         model_not_found
     +-- ScoringError               scoring_failed
     |    +-- ScoringTimeoutError   scoring_failed
     +-- TableError                 table_invalid
     +-- InputError                 see contract/problems.py: one code for each way a request can be wrong
     +-- OutboxError
     |    +-- OutboxFullError       outbox_full
     |    +-- OutboxUnavailableError    outbox_unavailable
     +-- LogError
     |    +-- LogNotFoundError      log_not_found
     |    +-- LogDamagedError       log_damaged
     |    +-- LogMismatchError      log_mismatch
     |    +-- LogUnavailableError   log_unavailable
     +-- QueryError                 query_invalid
     +-- BrokerError                broker_unavailable
     +-- PortError                  port_taken
     +-- ChaosError                 chaos_failed
     +-- ProfileError               profile_invalid
     +-- MonitorError               monitor_failed
     |    +-- SinkError             alert_undelivered
     +-- ReportError                report_failed
     |    +-- NotEnoughRowsError    not_enough_rows
     |    +-- ReferenceFileError    reference_invalid
     +-- ClientError                client_failed
          +-- UnreachableError      unreachable
          +-- AnswerLostError       answer_lost
          +-- AnswerError           answer_invalid
          +-- RefusedError          refused; ``reason`` is one of the codes in contract/problems.py
               +-- BusyError        busy
               +-- KeyRefusedError  key_refused
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar


class DriftlineError(Exception):
    """Base of all errors raised on purpose.

    Attributes:
        code: Stable, machine-readable name of what went wrong.
        message: One sentence for a person, with what to do about it where that is known.
    """

    code: ClassVar[str] = "driftline_error"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class SettingsError(DriftlineError):
    """A setting has a value it cannot have."""

    code = "settings_invalid"


class UnknownSettingError(SettingsError):
    """A setting that does not exist; the message names the nearest one that does."""

    code = "settings_unknown"


class KeysError(SettingsError):
    """The file with the API keys cannot be used, or lacks what was asked for."""

    code = "keys_invalid"


class TlsError(SettingsError):
    """The certificate and the key for TLS cannot be used together, or at all."""

    code = "tls_invalid"


class ModelError(DriftlineError):
    """A model package is incomplete or contradicts itself."""

    code = "model_invalid"


class ScoringError(DriftlineError):
    """A model could not score the rows that it was given, although they are as its schema wants them."""

    code = "scoring_failed"


class ScoringTimeoutError(ScoringError):
    """A model took longer than it may; its process has been ended, and asking once more would end another."""


class TableError(DriftlineError):
    """A table in a file cannot be read, or has rows that the model does not take."""

    code = "table_invalid"


class ModelNotFoundError(DriftlineError):
    """No model of this name, or no such version of it, is served."""

    code = "model_not_found"


class InputError(DriftlineError):
    """A request that is refused; nothing is logged as a prediction.

    Attributes:
        reason: One of the codes in ``contract/problems.py``; shadows ``code`` for this instance.
        path: Where in the body, as field names and indexes; empty for the body as a whole.
    """

    code = "input_invalid"

    def __init__(self, reason: str, message: str, path: tuple[str | int, ...] = ()) -> None:
        super().__init__(message)
        self.reason = reason
        self.path = path


class OutboxError(DriftlineError):
    """An event could not be kept, so its request must not be answered with 200."""

    code = "outbox_error"


class OutboxFullError(OutboxError):
    """The outboxes hold as many bytes as they may."""

    code = "outbox_full"


class OutboxUnavailableError(OutboxError):
    """The disk refused an append or a sync."""

    code = "outbox_unavailable"


class LogError(DriftlineError):
    """The log cannot be read or written."""

    code = "log_error"


class LogNotFoundError(LogError):
    """There is no log in the directory."""

    code = "log_not_found"


class LogDamagedError(LogError):
    """A segment is shorter than what was committed to it, or its bytes are not those that were committed."""

    code = "log_damaged"


class LogMismatchError(LogError):
    """The outboxes obey another log than the one they were given."""

    code = "log_mismatch"


class LogUnavailableError(LogError):
    """The disk refused an append or a commit; nothing of the batch counts as logged."""

    code = "log_unavailable"


class QueryError(DriftlineError):
    """SQL that cannot be run over the log, or would do more than read it."""

    code = "query_invalid"


class BrokerError(DriftlineError):
    """The broker is away, refuses, or answers what it should not."""

    code = "broker_unavailable"


class PortError(DriftlineError):
    """Nothing can listen on an address: somebody does already, or it is not ours to take."""

    code = "port_taken"


class ChaosError(DriftlineError):
    """The installation that was to be tried could not be run; says nothing of the promise."""

    code = "chaos_failed"


class ProfileError(DriftlineError):
    """The reference that current rows are compared with cannot be read, made, or used for this model."""

    code = "profile_invalid"


class MonitorError(DriftlineError):
    """What the monitor has found cannot be read or kept."""

    code = "monitor_failed"


class SinkError(MonitorError):
    """A receiver of alerts has not taken one, or has not said that it has.

    Attributes:
        refused: Whether the receiver answers, and minds this very alert; another may be taken.
        retry_after_s: How long the receiver asks to be left alone, if it does.
    """

    code = "alert_undelivered"

    def __init__(self, message: str, *, refused: bool = False, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.refused = refused
        self.retry_after_s = retry_after_s


class ReportError(DriftlineError):
    """The drift report could not be made."""

    code = "report_failed"


class NotEnoughRowsError(ReportError):
    """Fewer rows than a comparison needs; the message names both numbers."""

    code = "not_enough_rows"


class ReferenceFileError(ReportError):
    """The reference file cannot be read or lacks columns."""

    code = "reference_invalid"


class ClientError(DriftlineError):
    """A server could not be asked, or did not give what was asked for."""

    code = "client_failed"


class UnreachableError(ClientError):
    """There was no connection, so nothing was sent and nothing came of it."""

    code = "unreachable"


class AnswerLostError(ClientError):
    """The request was sent, and no answer came: what was asked for may have been done, and be in the log."""

    code = "answer_lost"


class AnswerError(ClientError):
    """The answer is not Driftline's: somebody else has the address, or stands in between.

    Attributes:
        status: The HTTP status.
    """

    code = "answer_invalid"

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class RefusedError(ClientError):
    """The server refused a request, and kept nothing of it.

    Attributes:
        reason: The code in the answer, which never changes its meaning.
        status: The HTTP status.
        errors: What is wrong with the fields, each with ``path`` (a JSON pointer), ``code`` and ``detail``.
    """

    code = "refused"

    def __init__(self, message: str, reason: str, status: int, errors: Sequence[Mapping[str, str]] = ()) -> None:
        super().__init__(message)
        self.reason = reason
        self.status = status
        self.errors = tuple(errors)


class BusyError(RefusedError):
    """The server is to be asked later: too much is asked of it, or it cannot keep events.

    Attributes:
        retry_after_s: When it wants to be asked again; None if it does not say.
    """

    code = "busy"

    def __init__(self, message: str, reason: str, status: int, retry_after_s: float | None = None) -> None:
        super().__init__(message, reason, status)
        self.retry_after_s = retry_after_s


class KeyRefusedError(RefusedError):
    """The server asks for an API key, or does not know the one that it was given."""

    code = "key_refused"
