"""The roster: what the dispatcher knows of each worker, and when a worker has to be replaced.

It only keeps notes and decides. The dispatcher alone speaks to the cluster and to the store.
"""

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from echo_core.config import RunConfig
from echo_core.settings import FAR_TOO_MUCH, Settings
from echo_core.store import Ticket
from echo_core.workers import worker
from echo_core.workers.errands import Errand

#: A worker above its memory limit is restarted once the standby is ready, or after it was idle for REST_SECONDS.
REST_SECONDS = 10.0
#: The share of the memory limit from which on the standby is started.
SOON_TOO_MUCH = 0.85

#: What a worker may be doing, and why one was replaced: `memory` it had grown, `broken` it could not load TensorFlow,
#: `lost` it ended by itself or was killed.
ACTIVITIES = ("starting", "warming", "idle", "training", "restarting", "refused")
REPLACEMENTS = ("memory", "broken", "lost")


@dataclass(eq=False)
class Entry:
    """One worker process.

    Attributes:
        process: Its local directory, which distinguishes it from an earlier process at the same address.
        future: Its task, if it has one.
        ticket: The run's, if that task trains.
        steps: The number of warm-up steps that it has done.
        memory: Bytes of memory of its process after its last task.
        used_at: When its last run ended, or it began to compile ahead.
        side_task: Its second task, if it has one: an errand, or compiling ahead.
        errand: What a page waits for, if that is the second task.
        compiled_ahead: The network that it was last asked to compile ahead.
        is_greeted: Whether it was asked if it shares our store and training version.
        refusal: Why it does not, if so.
        is_broken: TensorFlow could not be loaded, and never will be in this process: it has to be replaced.
        refused_at: When it was last asked, or broke.
        last_seen: When the scheduler heard from it, by the scheduler's clock.
        heard_at: When `last_seen` changed, by our clock.
    """

    address: str
    process: str
    future: Any = None
    ticket: Ticket | None = None
    steps: int = 0
    memory: int = 0
    used_at: float | None = None
    side_task: Any = None
    errand: Errand | None = None
    compiled_ahead: RunConfig | None = None
    is_greeted: bool = False
    is_restarting: bool = False
    is_broken: bool = False
    refusal: str | None = None
    refused_at: float = 0.0
    last_seen: float = 0.0
    heard_at: float = 0.0

    @property
    def is_loaded(self) -> bool:
        """Whether its process has imported TensorFlow. Until then it gets no other task."""
        return self.steps > 0

    @property
    def is_warm(self) -> bool:
        """Whether it has finished the warm-up, or has trained a run."""
        return self.used_at is not None or self.steps == len(worker.WARM_UP_STEPS)

    @property
    def is_free(self) -> bool:
        """Whether it can be given a task at once."""
        return self.future is None and not self.is_restarting

    @property
    def is_refused(self) -> bool:
        """Whether it may not be used, until it is asked again or replaced."""
        return self.is_broken or (self.refusal is not None and self.is_greeted)

    @property
    def can_train(self) -> bool:
        """Whether it trains, or could as soon as it is free."""
        return self.is_loaded and not self.is_refused and not self.is_restarting

    @property
    def activity(self) -> str:
        """One of `ACTIVITIES`."""
        if self.is_restarting or self.is_refused:
            return "restarting" if self.is_restarting else "refused"
        if self.ticket is not None:
            return "training"
        return "idle" if self.is_warm else "warming" if self.is_loaded else "starting"


class Roster:
    """All workers that the cluster has reported and that are not lost.

    Attributes:
        replaced: How many workers have ended, by `REPLACEMENTS`.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.replaced: Counter[str] = Counter()
        self._entries: dict[str, Entry] = {}

    def __iter__(self) -> Iterator[Entry]:
        """The workers known at this moment; other threads may iterate too."""
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

    def meet(self, found: Mapping[str, Mapping[str, Any]], *, is_remote: bool) -> None:
        """Add new workers. Only workers of a remote cluster have to be greeted."""
        for address, info in found.items():
            if address not in self._entries:
                self._entries[address] = Entry(address, info["local_directory"], is_greeted=not is_remote)

    def lost(self, found: Mapping[str, Mapping[str, Any]]) -> list[Entry]:
        """The workers that are no longer among those found."""
        return [each for each in self
                if each.address not in found or found[each.address]["local_directory"] != each.process]

    def strike_out(self, gone: Entry) -> None:
        """Remove a lost worker, after its run and errand were taken back."""
        self.replaced["lost" if not gone.is_restarting else "broken" if gone.is_broken else "memory"] += 1
        del self._entries[gone.address]

    def last_used_first(self) -> list[Entry]:
        """The workers, the last used one first: it has compiled programs in its memory, and the standby has none."""
        return sorted(self, key=lambda each: each.used_at or 0, reverse=True)

    def has_to_restart(self, idle: Entry) -> bool:
        """Whether an idle worker shall be restarted now because of its memory. A new one never is."""
        if idle.used_at is None or idle.side_task is not None:
            return False
        share = self._memory_share(idle)
        is_replaced = sum(each.is_warm and each.is_free for each in self) > self.settings.num_workers
        has_rested = time.monotonic() - idle.used_at >= REST_SECONDS
        return share > FAR_TOO_MUCH or (share > 1 and (is_replaced or has_rested))

    def will_soon_restart(self) -> bool:
        """Whether a worker comes near its memory limit."""
        return any(self._memory_share(each) > SOON_TOO_MUCH for each in self)

    def _memory_share(self, known: Entry) -> float:
        """The memory of a worker's process as a share of its limit."""
        return known.memory / (self.settings.recycle_mb * 2**20)
