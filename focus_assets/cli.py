"""The ``focus-assets`` command: its commands by name, each imported when it is called.

What belongs here: the list of commands and how their errors are told. What does not: the commands themselves
(``commands``).
Dagster takes seconds to import, so nothing here imports more than click.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Final

import click

from focus_assets.errors import FocusAssetsError

_COMMANDS: Final = {
    "init": "Write a commented starter focus.yaml.",
    "doctor": "Check configuration, lake, source, destinations and runs; say what to do.",
    "demo": "Run the whole chain, on the sample company or on your own events.",
    "ui": "Start the Dagster UI on the lake.",
    "materialize": "Run the chain for days you name.",
    "deliver": "Deliver billing months to destinations, now.",
    "deliveries": "Show what was delivered to whom, and when.",
    "restatements": "Show what changed in days that had been delivered, and why.",
    "destination": "Try a destination out; print what its owner has to allow.",
    "ledger": "Make the record of deliveries again from the manifests.",
    "check": "Check FOCUS files, anybody's, against the rules of their version.",
    "sql": "Ask the lake a question in SQL.",
    "reconcile": "Compare invoices with their charges, line by line.",
    "verify": "Check a delivery's files against its manifests.",
    "dimensions": "Show which setting decides each FOCUS dimension of each meter.",
    "schema": "Print the JSON Schema of focus.yaml.",
    "version": "Print the version.",
}

_READS_ANYBODYS_FILES: Final = "check"

FAILED: Final = 2
"""Exit code of a command that could not do what it was asked; ``doctor`` exits 1 where it found something."""


class LazyCommands(click.Group):
    """A group whose commands are the modules of ``focus_assets.commands``, imported one at a time."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names, in the order in which a new user needs them."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command itself; imports its module."""
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = import_module(f"focus_assets.commands.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.group(cls=LazyCommands, context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Turn metered usage into FOCUS cost and usage data, and deliver it."""


def main() -> None:
    """Run the command line; a FocusAssetsError is told in its own words, without a traceback."""
    try:
        if sys.argv[1:2] == [_READS_ANYBODYS_FILES]:
            import_module("focus_assets.commands.apart").go_on_apart()
        cli(prog_name="focus-assets")
    except FocusAssetsError as error:
        click.echo(f"focus-assets: {error}", err=True)
        sys.exit(FAILED)
