"""The commands as their users see them."""

from dataclasses import dataclass
from typing import Any

import typer.main

from driftline.cli.app import app


@dataclass(frozen=True)
class Command:
    """A command's words, and the long options that its help names."""

    path: tuple[str, ...]
    options: tuple[str, ...]

    def __str__(self) -> str:
        return " ".join(self.path)


def commands() -> list[Command]:
    """All commands there are."""
    return list(_below(typer.main.get_command(app), ()))


def _below(command: Any, path: tuple[str, ...]) -> list[Command]:
    # Any: Typer brings its own copy of click, whose classes have no public names.
    if hasattr(command, "commands"):
        return [found for name, inner in command.commands.items() for found in _below(inner, (*path, name))]
    visible = [parameter for parameter in command.params if not getattr(parameter, "hidden", False)]
    return [Command(path, tuple(name for parameter in visible for name in parameter.opts if name.startswith("--")))]
