"""The settings of a host: where runs are kept, how many workers there are, and the limits of a run."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated

import platformdirs
from pydantic import AfterValidator, Field
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy.engine import URL

from echo_core import machine
from echo_core.config import RunConfig, divisors
from echo_core.config.sizes import training_mb
from echo_core.text.plurals import counted

PROJECT_ROOT = Path(__file__).resolve().parent.parent


def data_folder(root: Path) -> Path:
    """The folder for runs and compiled programs: `.echo` in a clone, and the user's own data folder once installed."""
    is_installed = any(root.glob("echo_lab-*.dist-info"))
    return Path(platformdirs.user_data_dir("echo-lab", appauthor=False)) if is_installed else root / ".echo"


DATA_FOLDER = data_folder(PROJECT_ROOT)

Positive = Annotated[int, Field(ge=1)]
#: Sources of a content security policy, with spaces between them; nothing that would begin another directive or header.
_SOURCES = r"^('self'|'none'|[A-Za-z0-9.:/*_-]+)( +('self'|[A-Za-z0-9.:/*_-]+))*$"


def host_and_port(address: str) -> tuple[str, int]:
    """The parts of an address such as 127.0.0.1:9100 or [::1]:9100.

    Raises:
        ValueError: If it has another form.
    """
    host, colon, port = address.strip().rpartition(":")
    is_port = port.isascii() and port.isdecimal() and 0 < int(port) < 2**16
    if not (colon and host and is_port) or (":" in host) != (host[0] == "[" and host[-1] == "]"):
        raise ValueError("ECHO_HEALTH_ADDRESS must be a host and a port from 1 to 65535 with a colon between them; "
                         f"received {address!r}. Try 127.0.0.1:9100.")
    return host.strip("[]"), int(port)


def _as_address(address: str) -> str:
    host_and_port(address)
    return address.strip()


#: Seconds within which the oldest runs of a visitor who has used up their space make room.
ROOM_SECONDS = 60.0
#: Megabytes of the app's own process; of a worker just before it is recycled; and the part of these that compiling and
#: TensorFlow's libraries take.
APP_MB, WORKER_MB, COMPILE_MB = 256, 1250, 300
#: Megabytes kept free for the app and the system when another worker is started, and the share of its memory limit
#: above which a worker is restarted at once, so that the most it takes is known.
OTHERS_MB, FAR_TOO_MUCH = 1500, 1.05
#: The least megabytes in which training was seen to go well. With 700 a worker reads its libraries from disk again and
#: again, and never gets ready.
LEAST_MB = 1000


def sqlite_url(file: Path) -> str:
    """A file's URL, with those characters of its path escaped that URLs reserve, such as % and ?."""
    try:
        return URL.create("sqlite", database=str(file)).render_as_string()
    except UnicodeEncodeError:  # a name that is not valid UTF-8 cannot be escaped
        return f"sqlite:///{file}"


class LimitExceeded(ValueError):
    """A valid config exceeds a limit of this host."""


class QueueFull(LimitExceeded):
    """Too much is asked of this host at the moment, in total or by this visitor.

    Attributes:
        then: What will have happened when the visitor comes back, as a clause: `BEGINS`, `ENDS` or another.
        seconds: How long that takes; None if it follows from the queue.
    """

    BEGINS, ENDS = "then the next one begins", "then the next one ends"

    def __init__(self, message: str, then: str = BEGINS, seconds: float | None = None) -> None:
        super().__init__(message)
        self.then, self.seconds = then, seconds


#: Seconds over which `max_hourly_per_visitor` counts.
HOUR = 3600.0


@dataclass(frozen=True)
class Use:
    """What a visitor has of this host at a moment.

    Attributes:
        waiting, training: Their runs that are queued and running, without those of studies.
        ages: Seconds since each run that they queued within the last hour, the oldest first.
        kept, movable: Bytes of their runs in the store, and how many can go: weights, and unnamed runs' curves.
    """

    waiting: int
    training: int
    ages: Sequence[float]
    kept: int
    movable: int


@dataclass(frozen=True)
class Share:
    """What one visitor may have of this host; None is no limit."""

    waiting: int | None = None
    under_way: int | None = None
    an_hour: int | None = None
    megabytes: int | None = None

    def check(self, use: Use) -> None:
        """Raise `QueueFull`, with one sentence, for the first limit that another run would exceed."""
        active, asked, kept = use.waiting + use.training, len(use.ages), use.kept / 2**20
        if self.waiting is not None and use.waiting >= self.waiting:
            raise QueueFull(f"{use.waiting} of your runs {'waits' if use.waiting == 1 else 'wait'} already, and this "
                            f"host lets {self.waiting} of each visitor wait (ECHO_MAX_QUEUE_PER_VISITOR).")
        if self.under_way is not None and active >= self.under_way:
            raise QueueFull(f"{active} of your runs {'is' if active == 1 else 'are'} under way already, and this host "
                            f"lets each visitor have {self.under_way} (ECHO_MAX_ACTIVE_PER_VISITOR).", QueueFull.ENDS)
        if self.an_hour is not None and asked >= self.an_hour:
            raise QueueFull(f"You have asked for {counted(asked, 'run')} within the last hour, and this host lets each "
                            f"visitor ask for {self.an_hour} (ECHO_MAX_HOURLY_PER_VISITOR).",
                            "then the hour of one of them is over", HOUR - use.ages[asked - self.an_hour])
        if self.megabytes is not None and kept >= self.megabytes:
            what = (f"Your runs take {kept:,.0f} MB of this host, and it keeps {self.megabytes:,} MB of each visitor "
                    "(ECHO_MAX_MB_PER_VISITOR).")
            if kept - use.movable / 2**20 >= self.megabytes:
                raise LimitExceeded(f"{what} Try your own copy, which has room.")
            raise QueueFull(what, "then your oldest runs have made room; their settings and scores stay", ROOM_SECONDS)


class Limits(BaseSettings):
    """Limits of one run and of the queue on this host: `ECHO_MAX_UNITS=256` and so on.

    They are checked when a run is requested, by page, command line or library, and never when a run is read,
    so that lowering a limit leaves history readable.
    """

    model_config = SettingsConfigDict(env_prefix="ECHO_", env_ignore_empty=True, frozen=True, extra="ignore")

    max_units: Positive = 1024
    max_vocab_size: Positive = 1000
    max_sequence_length: Positive = 1000
    max_input_length: Positive = 100
    max_windows: Positive = Field(4096, description="windows an epoch")
    max_epochs: Positive = 100_000
    max_seconds: Positive = Field(3600, description="seconds that one run may train")
    max_queue: Positive = Field(100, description="runs that wait at one time")
    max_queue_per_visitor: Positive = Field(10, description="runs of one visitor that wait at one time")
    max_active_per_visitor: Positive = Field(20, description="runs of one visitor under way at one time, if hosted")
    max_hourly_per_visitor: Positive = Field(200, description="runs that one visitor may ask for in an hour, if hosted")
    max_mb_per_visitor: Positive = Field(500, description="space for one visitor's runs, if hosted")
    max_study_runs: Positive = Field(2000, description="runs of one study")
    max_memory_mb: Annotated[int, Field(ge=0)] = Field(
        0, description="memory of one training; 0 is what a worker may take")

    def share(self, hosted: bool, of_study: bool = False) -> Share:
        """What one visitor may have, for runs that they ask for one by one, or for those of a study."""
        waiting = None if of_study else self.max_queue_per_visitor
        if not hosted:
            return Share(waiting)
        active = None if of_study else self.max_active_per_visitor
        return Share(waiting, active, self.max_hourly_per_visitor, self.max_mb_per_visitor)

    def check_study(self, num_runs: int) -> None:
        """Raise `LimitExceeded`, with one line, if a study has more runs than this host allows."""
        if num_runs > self.max_study_runs:
            raise LimitExceeded(f"a study may have at most {counted(self.max_study_runs, 'run')} on this host "
                                f"(ECHO_MAX_STUDY_RUNS); received {num_runs:,}. Try fewer values or seeds, or run your "
                                "own copy.")

    def within(self, memory_mb: int | None) -> "Limits":
        """These limits for processes that have `memory_mb` each to train in, unless the host has set a number."""
        if self.max_memory_mb or memory_mb is None:
            return self
        return self.model_copy(update={"max_memory_mb": memory_mb})

    def check(self, config: RunConfig) -> None:
        """Raise `LimitExceeded`, with one line, for the first limit that a config exceeds."""
        asked = {"units": config.units, "vocab_size": config.vocab_size, "epochs": config.epochs,
                 "sequence_length": config.sequence_length, "input_length": config.input_length,
                 "windows": config.num_windows}
        for name, value in asked.items():
            limit = getattr(self, f"max_{name}")
            if value > limit:
                fix = "fewer sequences_per_epoch" if name == "windows" else f"{name}={limit}"
                raise LimitExceeded(f"{name} must be at most {limit} on this host (ECHO_MAX_{name.upper()}); "
                                    f"received {value}. Try {fix}, or run your own copy.")
        if self.max_memory_mb:
            self._check_memory(config)

    def _check_memory(self, config: RunConfig) -> None:
        """Refuse a run that needs more memory than there is, as the system would kill it and its neighbours."""
        needed = training_mb(config)
        if needed <= self.max_memory_mb:
            return
        smaller = (config.model_copy(update={"batch_size": size}) for size in reversed(divisors(config.num_windows)))
        fits = next((each.batch_size for each in smaller if training_mb(each) <= self.max_memory_mb), None)
        fix = f"batch_size={fits}" if fits else "fewer units, a smaller vocab_size or a shorter input_length"
        raise LimitExceeded(
            f"batch_size, units, vocab_size and lengths must fit into {self.max_memory_mb:,} MB of memory on this "
            f"host (ECHO_MAX_MEMORY_MB); batch_size={config.batch_size} with units={config.units} needs about "
            f"{needed:,} MB. Try {fix}, or run your own copy on a larger machine.")


class Settings(BaseSettings):
    """Where this process keeps runs, and the workers that train them."""

    model_config = SettingsConfigDict(env_prefix="ECHO_", env_ignore_empty=True, frozen=True, extra="ignore")

    # Neither appears in the repr of the settings, because both may contain a password.
    database_url: str = Field(sqlite_url(DATA_FOLDER / "runs.db"), validation_alias="DATABASE_URL",
                              repr=False)
    dask_scheduler_address: str | None = Field(None, validation_alias="DASK_SCHEDULER_ADDRESS", repr=False)
    memory_mb: Positive = Field(default_factory=lambda: machine.memory_bytes() >> 20,
                                description="memory of the app and its workers together")
    threads: Positive = Field(default_factory=lambda: min(2, machine.cores()), description="of one training")
    spin: bool | None = Field(None, description="whether threads of a worker look for work for a moment before they "
                              "sleep; unless said otherwise, those of an app's workers do where each has a core")
    workers: Annotated[int, Field(ge=0)] = Field(
        0, description="worker processes; 0 is as many as cores and memory allow")
    worker_mb: Positive = Field(900, description="an idle worker's own memory above which it is recycled")
    standby: bool = Field(True, description="one more warm worker, where memory allows: it trains on a free core, or "
                          "while another is recycled")
    compile_ahead: bool = Field(True, description="compile the network at a page's controls before Train is pressed")
    unwatched_seconds: Annotated[float, Field(gt=0)] = Field(300.0, description="until a run that nobody holds pauses")
    store_mb: Positive = Field(2000, description="space for runs; beyond it the oldest unnamed ones lose their data")
    health_address: Annotated[str, AfterValidator(_as_address)] | None = Field(
        None, description="host:port for the health of the app and its figures")
    hosted: bool = Field(False, description="strangers visit this copy: each sees and stops their own runs")
    frame_ancestors: Annotated[str, Field(pattern=_SOURCES)] = Field(
        "'self'", description="sites whose pages may embed this copy, as in a content security policy")
    xla_cache: Path = Field(DATA_FOLDER / "xla", description="compiled programs, kept for the next process")
    xla_mb: Positive = Field(256, description="space for compiled programs, about one megabyte each")

    @cached_property
    def num_workers(self) -> int:
        """Worker processes to start: one for each `threads` cores and each WORKER_MB of memory, at least one."""
        by_memory = (self.memory_mb - APP_MB) // WORKER_MB
        return self.workers or max(1, min(machine.cores() // self.threads, by_memory))

    @property
    def workers_spin(self) -> bool:
        """Whether threads of this app's own workers spin before they sleep: by default where each has a core.

        A run that trains alone then takes up to a fifth less, and each of two beside each other up to a half
        more (docs/decisions/0072). Where many visitors train, threads that sleep serve them better.
        """
        has_cores = self.num_workers * self.threads <= machine.cores()
        return self.spin if self.spin is not None else has_cores and not self.hosted

    @property
    def num_at_once(self) -> int:
        """Runs that train at one time: as many as the host has set workers, or else also the standby's on a free core,
        if there is memory for it.

        Small networks hardly use more than one core each (docs/decisions/0057).
        """
        standby = self.standby and OTHERS_MB + (self.num_workers + 1) * self.most_mb <= self.memory_mb
        return self.workers or max(self.num_workers, min(machine.cores(), self.num_workers + standby))

    @property
    def most_mb(self) -> float:
        """Megabytes that a worker takes at the most before it is replaced."""
        return FAR_TOO_MUCH * self.recycle_mb

    @property
    def share_mb(self) -> int:
        """Megabytes that each worker may take."""
        return max(1, (self.memory_mb - APP_MB) // self.num_workers)

    @property
    def recycle_mb(self) -> int:
        """Megabytes of an idle worker above which it is recycled: it has to compile the next network as well."""
        return max(1, min(self.worker_mb, self.share_mb - COMPILE_MB))

    @property
    def has_spare_memory(self) -> bool:
        """Whether workers have memory for programs that are compiled ahead."""
        return self.share_mb >= WORKER_MB

    @property
    def notices(self) -> list[str]:
        """What the host should know about these settings, a line each, for the log."""
        found = []
        if self.memory_mb < LEAST_MB and self.dask_scheduler_address is None:
            found.append(f"Echo Lab needs {LEAST_MB:,} MB of memory, and may take {self.memory_mb:,} MB here "
                         "(ECHO_MEMORY_MB, or the limit of its container): training may never begin.")
        if self.hosted and self.database_url.startswith("sqlite"):
            found.append("Runs are kept in a file on this machine. Where its disk does not last, as on free hosts, "
                         "they are gone at the next restart: set DATABASE_URL to a PostgreSQL to keep them.")
        return found
