"""The command `echo-lab` of an installed copy.

    echo-lab                       opens the app; options are passed to Streamlit: echo-lab --server.port=8502
    echo-lab train --preset quick  is `python -m echo_core train --preset quick`, and likewise for other commands
"""

import sys


def main() -> None:
    """Open the app, unless the first argument is a command or asks for help."""
    first = sys.argv[1] if len(sys.argv) > 1 else "--"
    if first.startswith("-") and first != "--help":
        from echo_app.__main__ import main as open_app

        open_app()
        return
    from echo_core.cli import cli

    cli.epilog = "Without a command, echo-lab opens the app; options go on to Streamlit: echo-lab --server.port=8502"
    cli(prog_name="echo-lab")


if __name__ == "__main__":
    main()
