"""The options that several commands share, and the settings they make."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from driftline.cli.loading import loading

if TYPE_CHECKING:
    from driftline.settings import Settings

# Defaults stand in the help text: None is what tells "not given" from a value that happens to be the default.
Data = Annotated[Path | None, typer.Option(metavar="DIR", help="Folder of the outboxes and the log. Default: data")]
Broker = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="Redis address. With a password, better in DRIFTLINE_BROKER, or in the file that DRIFTLINE_BROKER_FILE "
        "names. Default: none, embedded",
    ),
]
Host = Annotated[str | None, typer.Option(help="Address to listen on. Default: 127.0.0.1")]
Port = Annotated[int | None, typer.Option(help="Port of the API; 0 takes any free one. Default: 8000")]
Processes = Annotated[int | None, typer.Option(help="Processes that answer requests. Default: 1")]
MetricsPort = Annotated[
    int | None, typer.Option(help="Port of the worker's metrics and health; 0 serves none. Default: 9101")
]
MonitorMetricsPort = Annotated[
    int | None, typer.Option(help="Port of the monitor's metrics and health; 0 serves none. Default: 9102")
]
ConsolePort = Annotated[int | None, typer.Option(help="Port of the console; 0 serves none. Default: 8001")]
WindowSeconds = Annotated[
    float | None, typer.Option("--window-s", help="Length of a window, in seconds. Default: 3600, an hour")
]
Model = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Folder of the model package, or of several. Default: the one that comes along"),
]
ServedModel = Annotated[
    Path | None, typer.Argument(metavar="[MODEL]", help="Folder of the model package; the same as --model.")
]
AllowPickle = Annotated[
    bool,
    typer.Option("--allow-pickle", help="Load a model from a pickle, which can run any code as it is loaded."),
]
LogFormat = Annotated[
    str | None, typer.Option(help="Form of messages: pretty, json, or auto: pretty on a terminal. Default: auto")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]
Parent = Annotated[int | None, typer.Option(hidden=True, help="Stop when this process is no longer the parent.")]


def served_model(argument: Path | None, option: Path | None) -> Path | None:
    """The model package that was named, in one way or the other.

    Raises:
        typer.BadParameter: It was named twice.
    """
    if argument is not None and option is not None:
        raise typer.BadParameter("give the model package once: as the argument, or with --model")
    return argument or option


def pickle_setting(allow_pickle: bool) -> str | None:
    """What the flag says of the setting; None if it was not given."""
    return "allow" if allow_pickle else None


def read_settings(**flags: object) -> "Settings":
    """The effective settings under these flags; None means "not given".

    Raises:
        SettingsError: A value, a variable or a key of the settings file that cannot be.
    """
    # Loading pydantic takes longer than all else of `driftline --help`.
    with loading():
        from driftline.settings import load_settings  # noqa: PLC0415

    return load_settings(flags)
