"""The roster: the workers as the dispatcher knows them, what each is at, and when one has to be replaced.

It only takes note and judges: the dispatcher (`dispatcher.py`) alone speaks to the cluster and to the store.
"""

import concurrent.futures
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from echo_core.config import RunConfig
from echo_core.settings import Settings
from echo_core.store import Ticket
from echo_core.workers import worker

#: A worker that takes more memory than it should is restarted once another stands by, or it was idle
#: for so long. One that takes a little more is restarted before its next run, as compiling takes
#: another 150 MB for a while. The other one is started when a worker comes near that.
REST_SECONDS = 10.0
SOON_TOO_MUCH, FAR_TOO_MUCH = 0.85, 1.05


@dataclass(eq=False)
class Errand:
    """Something short that a page wants of a worker: it comes before runs, and is not kept in the store."""

    function: Callable[..., Any]
    args: tuple[Any, ...]
    result: concurrent.futures.Future[Any] = field(default_factory=concurrent.futures.Future)


@dataclass(eq=False)
class Entry:
    """What is known of one worker process.

    Attributes:
        process: Tells it from another one that got the same address.
        future: Its task, if it has one; `ticket` is the run's if the task trains.
        steps: Of the warm-up, done.
        memory: Bytes that its process took after its last task.
        used_at: When its last run ended, or it began to compile ahead.
        aside: Its other task, if it has one: the `errand` that a page waits for, or to compile ahead.
        foreseen: The network that it was to compile ahead last.
        is_greeted: It was asked whether it shares our store and training version; `refusal` says why not.
        is_broken: TensorFlow could not be loaded, and never will be in this process: it has to be replaced.
        refused_at: When it was asked last, or broke.
        last_seen: When the scheduler heard of it, by the scheduler's clock; `heard_at` is when we saw that change.
    """

    address: str
    process: str
    future: Any = None
    ticket: Ticket | None = None
    steps: int = 0
    memory: int = 0
    used_at: float | None = None
    aside: Any = None
    errand: Errand | None = None
    foreseen: RunConfig | None = None
    is_greeted: bool = False
    is_restarting: bool = False
    is_broken: bool = False
    refusal: str | None = None
    refused_at: float = 0.0
    last_seen: float = 0.0
    heard_at: float = 0.0

    @property
    def is_loaded(self) -> bool:
        """Whether its process has imported TensorFlow. Until then it is given no other task than that."""
        return self.steps > 0

    @property
    def is_warm(self) -> bool:
        """Whether it has imported and compiled what a first run needs, or has run one."""
        return self.used_at is not None or self.steps == len(worker.WARM_UP_STEPS)

    @property
    def is_free(self) -> bool:
        """Whether it can be given a task at once."""
        return self.future is None and not self.is_restarting

    @property
    def is_refused(self) -> bool:
        """Whether it may not be used, until it is asked again or replaced."""
        return self.is_broken or (self.refusal is not None and self.is_greeted)


class Roster:
    """All workers that the cluster has told of and that are not lost."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._entries: dict[str, Entry] = {}

    def __iter__(self) -> Iterator[Entry]:
        """All that are known at this moment, for other threads too."""
        return iter(list(self._entries.values()))

    @property
    def status(self) -> str:
        """`starting`, `warming`, `ready`, or why no worker may be used."""
        entries = list(self)
        if not entries:
            return "starting"
        if all(each.refusal for each in entries):
            return str(entries[0].refusal)
        return "ready" if any(each.is_warm for each in entries) else "warming"

    @property
    def num_training(self) -> int:
        """How many of them have a run."""
        return sum(each.ticket is not None for each in self)

    def meet(self, found: Mapping[str, Mapping[str, Any]], *, is_remote: bool) -> None:
        """Note who is new. Only workers of a remote cluster have to be greeted."""
        for address, info in found.items():
            if address not in self._entries:
                self._entries[address] = Entry(address, info["local_directory"], is_greeted=not is_remote)

    def lost(self, found: Mapping[str, Mapping[str, Any]]) -> list[Entry]:
        """Who is not among those found any more."""
        return [each for each in self
                if each.address not in found or found[each.address]["local_directory"] != each.process]

    def strike_out(self, gone: Entry) -> None:
        """Forget one, once all it had was taken back."""
        del self._entries[gone.address]

    def last_used_first(self) -> list[Entry]:
        """Who was used last comes first: it has programs ready, and the standby has none."""
        return sorted(self, key=lambda each: each.used_at or 0, reverse=True)

    def has_to_restart(self, idle: Entry) -> bool:
        """Whether an idle worker takes too much memory, and it is a good moment. A new one never does."""
        if idle.used_at is None or idle.aside is not None:
            return False
        share = self._memory_share(idle)
        is_replaced = sum(each.is_warm and each.is_free for each in self) > self.settings.num_workers
        has_rested = time.monotonic() - idle.used_at >= REST_SECONDS
        return share > FAR_TOO_MUCH or (share > 1 and (is_replaced or has_rested))

    def will_soon_restart(self) -> bool:
        """Whether one of them comes near the memory with which it has to be replaced."""
        return any(self._memory_share(each) > SOON_TOO_MUCH for each in self)

    @property
    def highest_mb(self) -> float:
        """What a worker takes before it is replaced at once."""
        return FAR_TOO_MUCH * self.settings.recycle_mb

    def _memory_share(self, known: Entry) -> float:
        """The memory of a worker's process as a share of what it may take."""
        return known.memory / (self.settings.recycle_mb * 2**20)
