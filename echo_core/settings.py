"""What a host decides: where runs are kept, how many workers there are, and what visitors may ask."""

import os
from pathlib import Path
from typing import Annotated

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy.engine import URL

from echo_core.config import RunConfig

PROJECT_ROOT = Path(__file__).resolve().parent.parent

Positive = Annotated[int, Field(ge=1)]


def sqlite_url(file: Path) -> str:
    """A file's URL: a path may hold what means something else in a URL, such as % or ?."""
    try:
        return URL.create("sqlite", database=str(file)).render_as_string()
    except UnicodeEncodeError:  # a name that is no text in UTF-8 cannot be escaped, and is taken as it is
        return f"sqlite:///{file}"


class LimitExceeded(ValueError):
    """A config is sound, but this host does not allow it."""


class QueueFull(LimitExceeded):
    """Too many runs wait on this host already, or too many of who asks."""


class Limits(BaseSettings):
    """What one visitor may ask of this host: `ECHO_MAX_UNITS=256` and so on.

    Checked where work is asked for, whatever door it came through, and never when a run is read:
    lowering a limit leaves history readable.
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

    def check(self, config: RunConfig) -> None:
        """Raise `LimitExceeded` with one line for the first thing this host does not allow."""
        asked = {"units": config.units, "vocab_size": config.vocab_size, "epochs": config.epochs,
                 "sequence_length": config.sequence_length, "input_length": config.input_length,
                 "windows": config.num_windows}
        for name, value in asked.items():
            limit = getattr(self, f"max_{name}")
            if value > limit:
                fix = "fewer sequences_per_epoch" if name == "windows" else f"{name}={limit}"
                raise LimitExceeded(f"{name} must be at most {limit} on this host (ECHO_MAX_{name.upper()}); "
                                    f"received {value}. Try {fix}, or run your own copy.")


class Settings(BaseSettings):
    """Where this process keeps runs and who does the work."""

    model_config = SettingsConfigDict(env_prefix="ECHO_", env_ignore_empty=True, frozen=True, extra="ignore")

    # Neither is printed with the other settings, as both may hold a password.
    database_url: str = Field(sqlite_url(PROJECT_ROOT / ".echo" / "runs.db"), validation_alias="DATABASE_URL",
                              repr=False)
    dask_scheduler_address: str | None = Field(None, validation_alias="DASK_SCHEDULER_ADDRESS", repr=False)
    threads: Positive = Field(default_factory=lambda: min(2, os.cpu_count() or 1), description="of one training")
    workers: Annotated[int, Field(ge=0)] = Field(0, description="worker processes; 0 is as many as the cores allow")
    worker_mb: Positive = Field(1050, description="memory of an idle worker above which it is recycled")
    standby: bool = Field(True, description="one more warm worker while others are recycled, where memory allows")
    compile_ahead: bool = Field(True, description="compile the network at a page's controls before Train is pressed")
    unwatched_seconds: Annotated[float, Field(gt=0)] = Field(300.0, description="until a run that nobody holds pauses")
    store_mb: Positive = Field(2000, description="space for runs; beyond it the oldest unnamed ones lose their weights")
    hosted: bool = Field(False, description="strangers visit this copy: each sees and stops their own runs")
    xla_cache: Path = Field(PROJECT_ROOT / ".echo" / "xla", description="compiled programs, kept for the next process")
    xla_mb: Positive = Field(256, description="space for compiled programs, about one megabyte each")

    @property
    def num_workers(self) -> int:
        """Worker processes to start: one for each `threads` cores, at least one."""
        return self.workers or max(1, (os.cpu_count() or 1) // self.threads)
