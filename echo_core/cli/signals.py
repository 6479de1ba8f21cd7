"""How a command ends when a signal stops it or when the reader of its output closes.

A terminal that closes, a host that shuts down and `kill` all pause a run as Ctrl-C does.
"""

import io
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

#: Shells report a command that a signal ended by this status plus the signal's number.
_SIGNALLED = 128
#: The exit status when the reader of the output is gone, such as `head`.
BROKEN_PIPE = _SIGNALLED + 13
#: SIGTERM is sent by `kill` and by hosts that shut down, SIGHUP by a terminal that closes. Windows has SIGTERM only.
_SIGNALS = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]


class Ended(KeyboardInterrupt):
    """A signal asked this command to end."""

    def __init__(self, number: int = signal.SIGINT) -> None:
        super().__init__(number)
        self.number = number


def status_of(error: KeyboardInterrupt) -> int:
    """The exit status of a command that Ctrl-C or another signal has ended."""
    return _SIGNALLED + (error.number if isinstance(error, Ended) else signal.SIGINT)


@contextmanager
def signals_as_ctrl_c() -> Iterator[None]:
    """Raise `Ended` for signals that would end this process without a word. Ignored signals stay ignored (`nohup`).

    Only the first signal raises, so that a second one does not interrupt the pause. Ctrl-C still interrupts it.
    """
    is_ending = False

    def end(number: int, _frame: FrameType | None) -> None:
        nonlocal is_ending
        if not is_ending:
            is_ending = True
            raise Ended(number)

    taken = [number for number in _SIGNALS if signal.getsignal(number) is signal.SIG_DFL]
    for number in taken:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, signal.SIG_DFL)


def escape_what_a_stream_cannot_write() -> None:
    r"""Make stdout and stderr write `\u6771` for a character that their encoding lacks, instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # tests and notebooks may have replaced it by another object
            stream.reconfigure(errors="backslashreplace")
