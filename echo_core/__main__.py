"""`python -m echo_core`: see `echo_core.cli`."""

from echo_core.cli import cli

if __name__ == "__main__":
    cli(prog_name="python -m echo_core")
