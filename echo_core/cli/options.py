"""What all commands share: reading settings, opening the store, finding a run, and errors of one line."""

import math
from collections.abc import Iterator
from contextlib import closing, contextmanager

import click
from pydantic import ValidationError

from echo_core.config import RunConfig
from echo_core.config.presets import PRESETS
from echo_core.config.repair import explain
from echo_core.records import Checkpoint, State
from echo_core.settings import LimitExceeded, Limits, Settings
from echo_core.store import RunRow, Store
from echo_core.workers.cluster import has_ended


class BadSettings(click.UsageError):
    """A request that cannot be carried out: one line on stderr, exit status 2."""


@contextmanager
def bad_settings() -> Iterator[None]:
    """Report a ValueError of the block as `BadSettings`, on one line."""
    try:
        yield
    except ValueError as error:
        raise BadSettings(" ".join(explain(error))) from error


class OnceEach(click.Command):
    """A command that refuses an option given twice; click would silently use the last one."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Like click's, after a check for repeated options."""
        _, _, given = self.make_parser(ctx).parse_args(args=list(args))
        for option in given:
            if isinstance(option, click.Option) and not (option.multiple or option.is_flag) and given.count(option) > 1:
                raise BadSettings(f"{option.opts[0]} must be given once; received {given.count(option)} of it. "
                                  "Try only the one that you mean.")
        return super().parse_args(ctx, args)


def allowed(config: RunConfig) -> RunConfig:
    """Return the config. Raises `BadSettings` if this host does not allow it."""
    try:
        Limits().within(read_settings().memory_mb).check(config)
    except ValidationError as error:
        raise BadSettings(in_environment(error)) from error
    except LimitExceeded as error:
        raise BadSettings(str(error)) from error
    return config


def preset_config(name: str | None) -> RunConfig:
    """The config of a preset; without a name, that of `whole`. Raises `BadSettings` if there is no such preset."""
    if name is not None and name not in PRESETS:
        raise BadSettings(f"preset must be one of {', '.join(PRESETS)}; received {name}.")
    return PRESETS[name].config if name else RunConfig()


def known_run(store: Store, run_id: str) -> RunRow:
    """Return a run of the store. Raises `BadSettings` if the store does not have it."""
    row = store.runs.get(run_id)
    if row is None:
        raise BadSettings(f"there is no run {run_id} in the store. Try `runs`, which lists them.")
    return row


def run_with_weights(store: Store, run_id: str) -> tuple[RunRow, Checkpoint]:
    """Return a run of the store and its newest weights. Raises `BadSettings` if it has none."""
    row, checkpoint = known_run(store, run_id), store.progress.checkpoint(run_id)
    if checkpoint is None and row.state is State.FINISHED:
        raise BadSettings(f"run {run_id} has no weights any more: the store was full and gave up its oldest ones.")
    if checkpoint is None:
        raise BadSettings(f"run {run_id} has no weights yet. Try again when it has trained for a while.")
    return row, checkpoint


def trained_network(run_id: str) -> tuple[RunConfig, Checkpoint]:
    """The config and the newest weights of a run of the store, for commands that only read."""
    with closing(open_store(read_settings())) as store:
        row, checkpoint = run_with_weights(store, run_id)
    return row.config, checkpoint


def open_store(settings: Settings) -> Store:
    """The store, after marking runs without a heartbeat as interrupted, in case no app does that."""
    store = Store(settings.database_url)
    store.upkeep.sweep(math.inf, has_ended=has_ended)
    return store


def read_settings() -> Settings:
    """The settings of the environment."""
    try:
        return Settings()
    except ValidationError as error:
        raise BadSettings(in_environment(error)) from error


def in_environment(error: ValidationError) -> str:
    """What is wrong with the environment, on one line."""
    return "in the environment (ECHO_…): " + " ".join(explain(error))
