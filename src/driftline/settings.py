"""The settings, each with the place its value came from.

A command-line flag wins over a ``DRIFTLINE_*`` variable, that over the file that ``DRIFTLINE_*_FILE`` names (for what
is secret) and that over ``REDIS_URL`` (for the broker), that over ``driftline.toml`` in the working directory (or the
file ``DRIFTLINE_CONFIG`` names), and that over the default.
Nothing is read when this module is imported or a :class:`Settings` is made, only by :func:`load_settings`.
"""

import difflib
import os
import tomllib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from annotated_types import Ge
from pydantic import (
    AfterValidator,
    ByteSize,
    Field,
    PrivateAttr,
    SecretStr,
    ValidationError,
    field_validator,
)
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from driftline import layout
from driftline.alert_address import check_web_address, mail_address, mail_addresses, parse_mail_server, without_secret
from driftline.broker_address import check_broker_address
from driftline.errors import SettingsError, UnknownSettingError
from driftline.telemetry import redact

ENV_PREFIX = "DRIFTLINE_"
CONFIG_VARIABLE = "DRIFTLINE_CONFIG"
CONFIG_FILE = "driftline.toml"
BROKER_VARIABLE = "REDIS_URL"

T = TypeVar("T", bound=SecretStr | str)

MiB = 1024 * 1024

Bytes = Annotated[ByteSize, Ge(1)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
TcpPort = Annotated[int, Field(ge=0, le=65535)]


def _checked(check: Callable[[str], object]) -> AfterValidator:
    def validate(value: T) -> T:
        check(value.get_secret_value() if isinstance(value, SecretStr) else str(value))
        return value

    return AfterValidator(validate)


SecretWebAddress = Annotated[SecretStr, _checked(check_web_address)]
SecretMailServer = Annotated[SecretStr, _checked(parse_mail_server)]
WebAddress = Annotated[str, _checked(check_web_address)]
MailAddress = Annotated[str, _checked(mail_address)]
MailAddresses = Annotated[str, _checked(mail_addresses)]
LocalPath = Annotated[Path, AfterValidator(Path.expanduser)]


class Settings(BaseSettings):
    """All settings of one process, valid and frozen; sizes in bytes, times in seconds."""

    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, extra="forbid", frozen=True, hide_input_in_errors=True)

    app_name: str = Field(
        default="driftline", min_length=1, description="Name of the service, on the pages with its documentation."
    )
    data: LocalPath = Field(default=Path("data"), description="Folder that holds the outboxes and the log.")
    broker: SecretStr | None = Field(
        default=None,
        description="Redis address (redis://, rediss://, unix://); empty for embedded, which needs no broker.",
    )
    broker_timeout_s: Seconds = Field(default=5.0, description="Longest wait for one answer of the broker.")
    host: str = Field(default="127.0.0.1", min_length=1, description="Address the API listens on.")
    port: TcpPort = Field(default=8000, description="Port the API listens on; 0 takes any free one.")
    processes: int = Field(default=1, ge=1, description="Processes that answer requests.")
    auth: Literal["auto", "none", "keys"] = Field(
        default="auto",
        description="Whether requests need an API key; auto: not on a loopback address, and everywhere else.",
    )
    keys: LocalPath | None = Field(
        default=None, description="File with the hashes of the API keys; none for keys.toml in the data folder."
    )
    tls_certificate: LocalPath | None = Field(
        default=None, description="PEM file with the certificate, and those above it, for HTTPS; none for HTTP."
    )
    tls_key: LocalPath | None = Field(default=None, description="PEM file with the key of that certificate.")
    model: LocalPath | None = Field(
        default=None, description="Folder of the model package, or of several; none for the one that comes along."
    )
    pickle: Literal["refuse", "allow"] = Field(
        default="refuse",
        description="Whether a model may be loaded from a pickle, which can run any code as it is loaded.",
    )
    reference: LocalPath | None = Field(
        default=None,
        description="File with the reference profile; none for reference.json in the data folder or, without that, "
        "in the model package.",
    )
    reference_rows: int = Field(
        default=2000,
        ge=0,
        description="Without a reference, so many first rows of the log stand in for one; 0 for never.",
    )
    window_s: Seconds = Field(
        default=3600.0, ge=1, le=31 * 86400, description="Length of the windows that are held against the reference."
    )
    window_rows: int = Field(
        default=0, ge=0, description="Rows of a window, for windows of rows in place of time; 0 for windows of time."
    )
    window_min_rows: int = Field(
        default=200, ge=50, description="A window of time stays open until it has so many rows."
    )
    segment_by: str | None = Field(
        default=None, description="Column whose values divide the traffic into segments that are watched apart."
    )
    drift_days: float = Field(
        default=30.0,
        gt=0,
        allow_inf_nan=False,
        description="The budget: at most one false alarm of drift is expected in so many days.",
    )
    drift_min_moved: float = Field(
        default=0.01, ge=0, le=1, description="Share of a column's rows that must have changed for an alarm."
    )
    console_port: TcpPort = Field(default=8001, description="Port of the console, the monitor's pages; 0 serves none.")
    monitor_metrics_port: TcpPort = Field(
        default=9102, description="Port of the monitor's metrics and health; 0 serves none."
    )
    max_body_bytes: Bytes = Field(default=ByteSize(1 * MiB), description="Largest request body that is read.")
    max_batch_rows: int = Field(default=10_000, ge=1, description="Most rows of one batch that is predicted.")
    max_batch_bytes: Bytes = Field(default=ByteSize(32 * MiB), description="Largest body of such a batch.")
    max_in_flight: int = Field(
        default=32,
        ge=1,
        description="Requests one process works on at once; others wait a moment, or get 503 if it does not end.",
    )
    keep_alive_s: float = Field(
        default=75.0,
        ge=1,
        le=3600,
        description="How long a connection may be idle, or take over its headers; longer than load balancers keep one.",
    )
    outbox_sync: Literal["os", "always"] = Field(
        default="os", description="What a 200 waits for: os survives kill -9, always survives a power cut too."
    )
    outbox_max_bytes: Bytes = Field(
        default=ByteSize(1024 * MiB),
        description="Most bytes the outboxes of one process may hold before they are full.",
    )
    outbox_full_policy: Literal["refuse", "serve"] = Field(
        default="refuse",
        description="What a prediction gets that cannot be kept: refuse is a 503, serve an answer that says so.",
    )
    outbox_segment_max_bytes: Bytes = Field(default=ByteSize(16 * MiB), description="Size of one file of an outbox.")
    log_segment_max_bytes: Bytes = Field(
        default=ByteSize(256 * MiB), description="Size at which a new log segment begins."
    )
    log_segment_max_age_s: Seconds = Field(default=86400.0, description="Age at which a new log segment begins.")
    log_compact: Literal["rotation", "never"] = Field(
        default="rotation", description="When the worker has closed segments of the log made Parquet."
    )
    log_keep_days: int | None = Field(
        default=None, ge=1, description="Days of the log to keep before today; none for all of them."
    )
    log_keep_bytes: Bytes | None = Field(
        default=None, description="Bytes the log may take before its oldest days are deleted; none for any number."
    )
    query_memory_bytes: Bytes = Field(
        default=ByteSize(1024 * MiB), description="Most memory that driftline query may take for one question."
    )
    metrics_port: TcpPort = Field(default=9101, description="Port of the worker's metrics and health; 0 serves none.")
    api_metrics_port: TcpPort = Field(
        default=0, description="Port that the API's /metrics moves to, without a key; 0 leaves it beside the rest."
    )
    api_metrics_url: WebAddress | None = Field(
        default=None,
        description="Where the monitor finds the API's /metrics, for traffic, latency and errors; none to do without.",
    )
    alert_webhook: SecretWebAddress | None = Field(
        default=None, description="Address that each alert is posted to as JSON; shown without its path."
    )
    alert_slack: SecretWebAddress | None = Field(
        default=None,
        description="Incoming webhook of Slack, or of what understands the same; shown without its path.",
    )
    alert_email_to: MailAddresses | None = Field(
        default=None, description="Mail addresses, with commas, that each alert is sent to; none for no mail."
    )
    alert_email_from: MailAddress | None = Field(
        default=None, description="Address that mails come from; none for the first of alert_email_to."
    )
    alert_smtp: SecretMailServer | None = Field(
        default=None,
        description="Mail server (smtp:// with STARTTLS, smtps://); none for the one of this machine, on port 25.",
    )
    alert_timeout_s: Seconds = Field(
        default=10.0, description="Longest wait for one answer of a receiver of alerts, before it is tried again."
    )
    alert_close_after: int = Field(
        default=3, ge=1, description="Windows in a row without an alarm after which an alert is resolved."
    )
    console_url: WebAddress | None = Field(
        default=None, description="Address of the console as people reach it, for links in alerts; none for no links."
    )
    log_format: Literal["auto", "pretty", "json"] = Field(
        default="auto",
        description="Form of the program's own messages; auto is pretty on a terminal and JSON elsewhere.",
    )

    _sources: dict[str, str] = PrivateAttr(default_factory=dict)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only the arguments: ``Settings(port=1)`` is a plain value, :func:`load_settings` reads the world."""
        del settings_cls, env_settings, dotenv_settings, file_secret_settings
        return (init_settings,)

    @field_validator(
        *("broker", "model", "keys", "tls_certificate", "tls_key", "reference", "segment_by"),
        *("alert_webhook", "alert_slack", "alert_email_to", "alert_email_from", "alert_smtp", "console_url"),
        *("api_metrics_url", "log_keep_days", "log_keep_bytes"),
        mode="before",
    )
    @classmethod
    def _empty_is_none(cls, value: object) -> object:
        return None if value == "" else value  # so that a variable can take back what a file says

    @field_validator("data", mode="before")
    @classmethod
    def _data_is_named(cls, value: object) -> object:
        if value == "":
            raise ValueError("it is empty; the folder that you are in is written as .")
        return value

    @field_validator("broker", mode="after")
    @classmethod
    def _broker_is_an_address(cls, broker: SecretStr | None) -> SecretStr | None:
        if broker is not None:
            check_broker_address(broker.get_secret_value())
        return broker

    @property
    def outbox_dir(self) -> Path:
        """Folder of all outboxes."""
        return layout.outbox_dir(self.data)

    @property
    def log_dir(self) -> Path:
        """Folder of the log."""
        return layout.log_dir(self.data)

    @property
    def monitor_dir(self) -> Path:
        """Folder of what the monitor has seen, and of its alerts."""
        return layout.monitor_dir(self.data)

    @property
    def reference_file(self) -> Path:
        """File with the reference profile."""
        return self.reference or layout.reference_file(self.data)

    @property
    def monitor_file(self) -> Path:
        """The monitor's store, which says how far it has read the log; it is there once a monitor has run."""
        return layout.monitor_file(self.data)

    @property
    def run_dir(self) -> Path:
        """Folder of what only matters while processes run; may be deleted when none does."""
        return layout.run_dir(self.data)

    @property
    def keys_file(self) -> Path:
        """File with the hashes of the API keys."""
        return self.keys or layout.keys_file(self.data)

    @property
    def broker_url(self) -> str | None:
        """The broker's address with its password, never to be shown; None is embedded."""
        return self.broker.get_secret_value() if self.broker else None

    def source(self, name: str) -> str:
        """Where a value came from: ``--port``, ``DRIFTLINE_PORT``, ``REDIS_URL``, ``port in FILE``, ``default`` ..."""
        return self._sources.get(name, "default")

    def with_sources(self, sources: Mapping[str, str]) -> Self:
        """The same settings, which from now on know where their values came from."""
        self._sources.update(sources)
        return self

    def shown(self, name: str) -> str | int | float | None:
        """The value of a setting for people and JSON, without passwords."""
        value = getattr(self, name)
        if isinstance(value, SecretStr):
            hidden = without_secret if name in _SECRET_PATHS else redact
            return hidden(value.get_secret_value())
        return str(value) if isinstance(value, Path) else value

    def environment(self, names: Iterable[str]) -> dict[str, str]:
        """Variables that give another process these settings. Holds passwords: for an environment, not for a screen."""
        values = {name: getattr(self, name) for name in names}
        plain = {
            name: value.get_secret_value() if isinstance(value, SecretStr) else value for name, value in values.items()
        }
        return {variable(name): "" if value is None else str(value) for name, value in plain.items()}


_SECRETS = frozenset({"broker", "alert_webhook", "alert_slack", "alert_smtp"})
_SECRET_PATHS = frozenset({"alert_webhook", "alert_slack"})


def variable(name: str) -> str:
    """The environment variable of a setting."""
    return ENV_PREFIX + name.upper()


def file_variable(name: str) -> str:
    """The environment variable that names the file with a secret setting."""
    return f"{variable(name)}_FILE"


def flag(name: str) -> str:
    """The command-line flag of a setting."""
    return "--" + name.replace("_", "-")


def load_settings(flags: Mapping[str, object]) -> Settings:
    """The effective settings; reads the environment and, if there is one, the settings file.

    Args:
        flags: Values from the command line by setting; None means "not given".

    Raises:
        UnknownSettingError: A variable or a key of the file that is no setting; names the nearest one.
        SettingsError: A value that cannot be, or a file that cannot be read; one line each, without passwords.
    """
    path = Path(os.environ.get(CONFIG_VARIABLE) or CONFIG_FILE)
    redis_url = os.environ.get(BROKER_VARIABLE)
    environment = _from_environment()
    given = {name: value for name, value in flags.items() if value is not None}
    # A file that would not be heeded need not exist.
    secrets = _from_secret_files(_SECRETS - environment.keys() - given.keys())
    layers: list[tuple[Callable[[str], str], dict[str, Any]]] = [
        (lambda name: f"{name} in {path}", _from_file(path)),
        (lambda _: BROKER_VARIABLE, {"broker": redis_url} if redis_url else {}),
        (file_variable, secrets),
        (variable, environment),
        (flag, given),
    ]
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for source, layer in layers:
        values |= layer
        sources |= {name: source(name) for name in layer}
    try:
        return Settings(**values).with_sources(sources)
    except ValidationError as error:
        raise SettingsError("\n".join(_problems(error, values, sources))) from None


def _from_environment() -> dict[str, Any]:
    known = [variable(name) for name in Settings.model_fields]
    others = [CONFIG_VARIABLE, *map(file_variable, _SECRETS)]
    for name in os.environ:
        if name.upper().startswith(ENV_PREFIX) and name.upper() not in [*known, *others]:
            raise UnknownSettingError(f"there is no setting {name}; the nearest is {_nearest(name.upper(), known)}")
    return EnvSettingsSource(Settings)()


def _from_secret_files(names: Iterable[str]) -> dict[str, str]:
    named = {name: path for name in sorted(names) if (path := os.environ.get(file_variable(name)))}
    return {name: _secret_in(Path(path), file_variable(name)) for name, path in named.items()}


def _secret_in(path: Path, named_by: str) -> str:
    try:
        secret = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise SettingsError(f"{named_by} names {path}, which cannot be read: {reason}") from None
    # Without a broker it would run in another way than it was meant to; receivers of alerts can be none.
    if not secret and named_by == file_variable("broker"):
        raise SettingsError(f"{named_by} names {path}, which is empty")
    if len(secret.splitlines()) > 1:
        raise SettingsError(f"{named_by} names {path}, which has more than one line")
    return secret


def _from_file(path: Path) -> dict[str, Any]:
    if path.is_dir():
        raise SettingsError(f"{path} is a folder, and settings are read from a file of this name")
    if not path.exists():
        if os.environ.get(CONFIG_VARIABLE):
            raise SettingsError(f"{CONFIG_VARIABLE} names {path}, which does not exist")
        return {}
    try:
        values = TomlConfigSettingsSource(Settings, path).toml_data
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise SettingsError(f"{path} cannot be read: {reason}") from None
    for name, value in values.items():
        if isinstance(value, bool):  # which would pass for 1 or 0
            raise SettingsError(f"{name} in {path} is {str(value).lower()}: no setting is true or false")
        if name not in Settings.model_fields:
            raise UnknownSettingError(
                f"there is no setting {name} ({path}); the nearest is {_nearest(name, Settings.model_fields)}"
            )
    return values


def _nearest(name: str, known: Iterable[str]) -> str:
    return difflib.get_close_matches(name, known, n=1, cutoff=0)[0]


def _problems(error: ValidationError, values: Mapping[str, object], sources: Mapping[str, str]) -> Iterable[str]:
    for problem in error.errors(include_url=False, include_input=False):
        name = str(problem["loc"][0])
        reason = problem["msg"].removeprefix("Value error, ").replace("Input should be", "it must be")
        reason = reason.partition(", unable to")[0]
        value = "" if name in _SECRETS else f" is {str(values[name])!r}"
        yield f"{sources[name]}{value}: {reason}"
