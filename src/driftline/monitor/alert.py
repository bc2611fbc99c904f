"""What an alert says, and the JSON that every receiver gets of it (``docs/alerts.md``)."""

import hashlib
from typing import Final, Literal, Self, get_args

import msgspec

SCHEMA_VERSION: Final = 1

Kind = Literal[
    "drift",
    "missing",
    "out_of_range",
    "unseen",
    "constant",
    "traffic",
    "latency",
    "errors",
    "test",
]
"""What has changed. ``test`` is what ``driftline alerts test`` sends; no window is ever judged by it."""

KINDS: Final[tuple[Kind, ...]] = tuple(kind for kind in get_args(Kind) if kind != "test")

State = Literal["firing", "resolved"]


class Window(msgspec.Struct, frozen=True):
    """What was judged: the times of its first and last event, in microseconds since 1970 UTC, and its rows."""

    start_us: int
    stop_us: int
    rows: int


class Evidence(msgspec.Struct, frozen=True):
    """How sure the monitor is.

    Attributes:
        detector: Which detector alarmed.
        p: Chance of a window at least as odd if nothing had changed; None for a detector that has none.
        bound: What it needs to alarm: an upper limit of ``p``, or the value its statistic has to reach.
        budget: How many false alarms that means, in words.
    """

    detector: str
    p: float | None
    bound: float | None
    budget: str


class Bins(msgspec.Struct, frozen=True):
    """Shares of the rows in each bin, in the reference and in the window; of one length each."""

    labels: tuple[str, ...]
    reference: tuple[float, ...]
    current: tuple[float, ...]


class Finding(msgspec.Struct, frozen=True):
    """What there is to say of a window that alarms; looked up only when an alert opens.

    Attributes:
        sentence: One sentence for a person: what changed, and how much.
        since_us: Since when, as far as the detector can tell.
        effect: Effect sizes and the ends of their intervals: ``psi``, ``psi_low``, ``psi_high``, ``js`` ...; None for
            one that has no finite value.
        evidence: How sure the monitor is.
        bins: The distributions; None where there are none, as for traffic.
        request_ids: Some of the window's predictions, ten at most; none if the log has them no more.
        profile: Id of the reference profile that was compared with; None without one.
        page: Address of the page that shows it; None if it is not known under which address people see it.
    """

    sentence: str
    since_us: int
    effect: dict[str, float | None]
    evidence: Evidence
    bins: Bins | None = None
    request_ids: tuple[str, ...] = ()
    profile: str | None = None
    page: str | None = None


class Alert(msgspec.Struct, frozen=True):
    """One alert; its fields are the keys of its JSON, in their order, and all of them are always there.

    Attributes:
        schema_version: Of this list of fields.
        alert_id: The same for all notices of one alert, and for the same alert of a monitor that was rebuilt.
        service: The name of the installation (``app_name``).
        key: What it is about, see :func:`alert_key`; at most one alert of a key is firing.
        kind: What has changed.
        state: Whether it is firing, or resolved.
        column: The feature or output; None where it is about none, as with traffic.
        scope: Whose rows: ``all``, or a segment.
        since_us: Since when, as far as the detector can tell.
        opened_us: End of the window that opened it.
        closed_us: End of the window that closed it; None while it is firing.
        sentence: One sentence for a person.
        effect: See :class:`Finding`.
        evidence: See :class:`Evidence`.
        bins: See :class:`Bins`.
        request_ids: Some of the predictions in the window.
        profile: Id of the reference profile.
        window: The window that opened it.
        page: Address of the page that shows it.
    """

    alert_id: str
    service: str
    key: str
    kind: Kind
    state: State
    column: str | None
    scope: str
    since_us: int
    opened_us: int
    closed_us: int | None
    sentence: str
    effect: dict[str, float | None]
    evidence: Evidence
    bins: Bins | None
    request_ids: tuple[str, ...]
    profile: str | None
    window: Window
    page: str | None
    schema_version: int = SCHEMA_VERSION

    @property
    def notice_id(self) -> str:
        """The same whenever this state of this alert is sent, so that a receiver can tell a repetition."""
        return f"{self.alert_id}.{self.state}"

    def resolved(self, closed_us: int) -> Self:
        """Returns this alert as it is when it has closed."""
        return msgspec.structs.replace(self, state="resolved", closed_us=closed_us)


def alert_key(scope: str, column: str | None, kind: Kind) -> str:
    """Returns what an alert is about: ``all/age/drift``, ``country=DE/age/missing``, ``all/-/traffic``."""
    return f"{scope}/{'-' if column is None else column}/{kind}"


def alert_id(log_id: str, key: str, window: Window) -> str:
    """Returns the id of the alert that this window opens: always the same for the same log, and no other's."""
    return hashlib.sha256(f"{log_id}\n{key}\n{window.start_us}\n{window.stop_us}".encode()).hexdigest()[:32]


encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(Alert).decode
