"""What the exit code of a command says, and the end of every command's ``--help``."""

from enum import IntEnum

import typer

from driftline.errors import DriftlineError, QueryError, SettingsError


class Exit(IntEnum):
    """The exit codes; they never change meaning."""

    OK = 0
    NO = 1
    USAGE = 2
    CANNOT = 3


MEANING = {
    Exit.OK: "done",
    Exit.NO: 'the answer is "no"',
    Exit.USAGE: "a wrong option or setting",
    Exit.CANNOT: "cannot be done: no log, port taken, disk refused, extra missing",
}


def exit_of(error: DriftlineError) -> Exit:
    """The exit code for an error that ends a command."""
    return Exit.USAGE if isinstance(error, SettingsError | QueryError) else Exit.CANNOT


def complain(error: DriftlineError) -> None:
    """Prints an error on stderr: a line for each thing that is wrong, without passwords."""
    from driftline.telemetry import redact  # noqa: PLC0415 - slow to load, and seldom needed

    for line in redact(error.message).splitlines():
        typer.echo(f"driftline: {line} ({error.code})", err=True)


def epilog(*examples: str, no: str | None = None) -> str:
    """The end of a command's help: examples to paste, and what its exit codes mean.

    Args:
        examples: Command lines.
        no: What it means that the command ends with 1, for one that answers a question.
    """
    meaning = {**MEANING, Exit.NO: no}
    codes = [f"{code.value}  {text}" for code, text in meaning.items() if text]
    sections = {"Examples": examples, "Exit codes": codes}
    return "\n\n".join(
        "\n".join([f"[bold]{title}[/bold]", *(f"  {line}" for line in lines)]) for title, lines in sections.items()
    )
