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


class Errands:
    """The errands that no worker has yet, oldest first. Pages add to them, and the dispatcher's thread takes them."""

    def __init__(self) -> None:
        self._waiting: deque[Errand] = deque()

    def add(self, function: Callable[..., Any], args: tuple[Any, ...]) -> Errand:
        """Add an errand to the end of the queue."""
        errand = Errand(function, args)
        self._waiting.append(errand)
        return errand

    def put_back(self, errand: Errand) -> None:
        """Return an errand whose worker was lost to the head of the queue."""
        self._waiting.appendleft(errand)

    def take(self) -> Errand | None:
        """Take the oldest errand that somebody still waits for."""
        while self._waiting:
            if not (errand := self._waiting.popleft()).result.cancelled():
                return errand
        return None
