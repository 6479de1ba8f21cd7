"""The command line, `python -m echo_core`. No other package imports it."""

from echo_core.cli.commands import cli

__all__ = ["cli"]
