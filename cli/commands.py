"""Commands that are imported when they are used, and lists of commands that say of each all that its help says."""

from __future__ import annotations

import importlib
from typing import Any

import click

own_help_option = click.help_option(help="show this message and exit")


class LazyCommand(click.Command):
    """Stands for the command at `place`, `module:name`, until it is used.

    Args:
        summary: the help of the command, which is not imported to be listed.
    """

    def __init__(self, name: str, place: str, summary: str) -> None:
        super().__init__(name, help=summary)
        self._place = place
        self._command: click.Command | None = None

    def load(self) -> click.Command:
        """The command itself."""
        if self._command is None:
            module, _, attribute = self._place.partition(":")
            command: click.Command = getattr(importlib.import_module(module), attribute)
            _describe_help(command)
            self._command = command
        return self._command

    def make_context(self, *args: Any, **options: Any) -> click.Context:
        """A context of the command itself, which then parses its arguments, runs, and completes words."""
        return self.load().make_context(*args, **options)


def _describe_help(command: click.Command) -> None:
    """Give a command, and those that it consists of, the words of `autonl --help` for the option."""
    own_help_option(command)
    for part in command.commands.values() if isinstance(command, click.Group) else ():
        _describe_help(part)


class FullHelpGroup(click.Group):
    """Lists its commands with their whole help; Click would cut it off at the end of the line."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, command.help or "") for name, command in self.commands.items()])
