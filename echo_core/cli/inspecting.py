"""The command `inspect`: the tables behind the views of a trained network."""

import math
from contextlib import closing
from typing import Any

import click
import pandas as pd

from echo_core.cli.options import (
    BadSettings,
    OnceEach,
    allowed,
    bad_settings,
    open_store,
    preset_config,
    read_settings,
    run_with_weights,
)
from echo_core.cli.training import print_json, train_quietly
from echo_core.config import RunConfig
from echo_core.config.repair import parse_settings, with_settings
from echo_core.inspection import inspecting
from echo_core.inspection.inspecting import INSPECTIONS
from echo_core.inspection.remembering import state_values
from echo_core.records import Checkpoint
from echo_core.workers.worker import moment, moment_of_row


@click.command(cls=OnceEach)
@click.argument("run_id", required=False)
@click.option("--preset", metavar="NAME", help="Inspect the run of a preset, which is trained first if the store does "
                                               "not have it.")
@click.option("--set", "pairs", metavar="FIELD=VALUE", multiple=True,
              help="Change one setting of the preset; may be repeated.")
@click.option("--what", "--view", "what", metavar="NAME", required=True, help=f"One of {', '.join(INSPECTIONS)}.")
@click.option("--sequences", metavar="N", type=click.IntRange(min=1), help="Use N random unseen sequences.")
@click.option("--seed", metavar="N", type=click.IntRange(min=0, max=2**31 - 1),
              help="Choose other sequences; by default the run's own seed does.")
@click.option("--unit", "units", metavar="N", type=click.IntRange(min=1), multiple=True,
              help="For ablation: silence this unit too; may be repeated.")
@click.option("--epoch", metavar="N", type=click.IntRange(min=0),
              help="Inspect the run as it was after N epochs. It is trained again up to there.")
@click.option("--untrained", is_flag=True, help="The same as --epoch 0.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def inspect(run_id: str | None, preset: str | None, pairs: tuple[str, ...], what: str, sequences: int | None,
            seed: int | None, units: tuple[int, ...], epoch: int | None, untrained: bool, as_json: bool) -> None:
    """Look inside a trained network: print the table behind one view of it.

    The same run, view, sequences and seed give the same table.
    """
    if what not in INSPECTIONS:
        raise BadSettings(f"what must be one of {', '.join(INSPECTIONS)}; received {what}. Try --what influence.")
    if units and what != "ablation":
        raise BadSettings(f"unit must be given for ablation alone, which silences it; received --unit for {what}. "
                          "Try --what ablation.")
    if untrained and epoch:
        raise BadSettings(f"epoch must be 0 with --untrained; received {epoch}. Try one of them.")
    config, checkpoint = _network(run_id, preset, pairs, 0 if untrained else epoch)
    with bad_settings():
        first = moment(config, 0).weights if what == "probe" and config.traits.num_recurrent_layers else None
        table = inspecting.inspect(config, checkpoint.weights, what, sequences, seed, first, units)
    if not as_json:
        return click.echo(f"{INSPECTIONS[what].says}:\n{table.to_string(index=False)}")
    used = inspecting.used(config, what, sequences, seed)
    print_json({"run_id": config.run_id, "epoch": checkpoint.epoch, "what": what, "sequences": used.sequences,
                "source": used.source, "seed": used.seed, "method": INSPECTIONS[what].interval, "chance": used.chance,
                "state_values": state_values(config), "rows": rows_of(table)})


def rows_of(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a table as JSON has them: plain numbers, and null for NaN."""
    return [{str(name): None if isinstance(value, float) and math.isnan(value) else value
             for name, value in row.items()} for row in table.to_dict("records")]


def _network(run_id: str | None, preset: str | None, pairs: tuple[str, ...],
             epoch: int | None) -> tuple[RunConfig, Checkpoint]:
    """The run that is meant and the weights of a moment of it, by default its newest ones."""
    if (run_id is None) == (preset is None and not pairs):
        raise BadSettings("a run must be given as RUN_ID, or by --preset and --set; received "
                          f"{'both' if run_id else 'neither'}. Try `runs`, which lists the runs of the store.")
    settings = read_settings()
    with closing(open_store(settings)) as store:
        if run_id is None:
            with bad_settings():
                config = with_settings(preset_config(preset), parse_settings(pairs))
            row = store.runs.get(config.run_id)
            if row is None:
                if epoch is not None:
                    with bad_settings():
                        return config, moment(allowed(config), epoch)
                train_quietly(allowed(config), store, settings)
            run_id = config.run_id
        row, checkpoint = run_with_weights(store, run_id)
    with bad_settings():
        return row.config, checkpoint if epoch is None else moment_of_row(row, epoch, checkpoint)
