"""Errands: short tasks that pages wait for, such as making a file. They come before runs, and no store keeps them."""

import concurrent.futures
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

#: The result of a task that is done arrives at once, unless its worker was lost at that moment.
RESULT_SECONDS = 0.5


class Busy(Exception):
    """No worker did an errand in time."""


@dataclass(eq=False)
class Errand:
    """A function for a worker, and the future that whoever asked for it waits on."""

    function: Callable[..., Any]
    args: tuple[Any, ...]
    result: concurrent.futures.Future[Any] = field(default_factory=concurrent.futures.Future)

    def settle(self, future: Any) -> None:
        """Pass on the result, or the error, of the Dask future of its task."""
        found = error = None
        try:
            found = future.result(timeout=RESULT_SECONDS)
        except Exception as raised:
            error = raised
        with suppress(concurrent.futures.InvalidStateError):  # nobody waits for it any more
            self.result.set_exception(error) if error is not None else self.result.set_result(found)


class Errands(deque[Errand]):
    """The errands that no worker has yet, oldest first. Pages append to them; the dispatcher's thread takes them."""

    def take(self) -> Errand | None:
        """Take the oldest errand that somebody still waits for."""
        while self:
            if not (errand := self.popleft()).result.cancelled():
                return errand
        return None
