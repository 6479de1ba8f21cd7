"""The command line: `python -m echo_core`. Nothing else imports it."""

from echo_core.cli.commands import cli

__all__ = ["cli"]
