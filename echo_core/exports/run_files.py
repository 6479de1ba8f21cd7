"""A run as files: its weights, settings, history, answers and picture, and the script and notebook that answer again.

Nothing here needs Keras, so the app's process can make it. `workers.worker.keras_file` makes the `.keras` files.
"""

import io
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from echo_core.config import RunConfig
from echo_core.config.sizes import sized_layers
from echo_core.evaluation.scores import take_snapshot
from echo_core.exports.notebook import keras_notebook
from echo_core.exports.script import SCRIPT, WEIGHTS, keras_script
from echo_core.exports.snippets import OLDEST_KERAS, TRIED_WITH
from echo_core.exports.svg import picture
from echo_core.records import Checkpoint, Floats, Snapshot
from echo_core.store import ProgressRow
from echo_core.tables import answers, curve, to_csv
from echo_core.text.plurals import counted

__all__ = ["CONFIG", "HISTORY", "MODEL", "NOTEBOOK", "PICTURE", "REQUIREMENTS", "SCRIPT", "STATEFUL_MODEL", "WEIGHTS",
           "WINDOWS", "export", "file_names", "models_of", "named_weights", "weight_names", "write"]

MODEL, CONFIG, HISTORY, WINDOWS, NOTEBOOK = "model.keras", "config.json", "history.csv", "windows.csv", "run.ipynb"
PICTURE, REQUIREMENTS = "curves.svg", "requirements.txt"
#: The stateful network of a run that carries its state, to train on. `MODEL` is stateless and answers.
STATEFUL_MODEL = "model_stateful.keras"


def models_of(config: RunConfig) -> Mapping[str, bool]:
    """The Keras models of an export by name, and whether each is stateful (see `echo_core.models.keras_file`)."""
    return {MODEL: False, STATEFUL_MODEL: True} if config.carries_state else {MODEL: False}


def file_names(config: RunConfig) -> tuple[str, ...]:
    """The names of all files of an export, including the models."""
    return (*models_of(config), WEIGHTS, CONFIG, HISTORY, WINDOWS, PICTURE, SCRIPT, NOTEBOOK, REQUIREMENTS)


def export(config: RunConfig, checkpoint: Checkpoint, history: Sequence[ProgressRow],
           snapshot: Snapshot | None = None) -> Mapping[str, bytes]:
    """The files of a run by name, except its Keras models. Script and notebook need the weights file in their folder.

    Args:
        checkpoint: The weights that all files but the history are made from.
        snapshot: The newest one; the network answers again if it is of another epoch than the weights.
    """
    if snapshot is None or snapshot.epoch != checkpoint.epoch:
        snapshot = take_snapshot(config, checkpoint.weights, checkpoint.epoch)
    took = f" in {history[-1].seconds:.1f} s" if history else ""
    below = f"{counted(checkpoint.epoch, 'epoch')}{took}, trained by Echo Lab"
    return {
        WEIGHTS: named_weights(config, checkpoint.weights),
        CONFIG: config.model_dump_json(indent=2).encode() + b"\n",
        HISTORY: to_csv(curve(history)).encode(),
        WINDOWS: to_csv(answers(config, snapshot)).encode(),
        PICTURE: picture(config, curve(history), below).encode(),
        SCRIPT: keras_script(config, checkpoint.epoch).encode(),
        NOTEBOOK: keras_notebook(config, checkpoint.epoch).encode(),
        REQUIREMENTS: _requirements().encode(),
    }


def _requirements() -> str:
    """The versions that models, script and notebook were tried with, as a file for `pip install -r`."""
    made = TRIED_WITH["keras"].rsplit(".", 1)[0]
    return "\n".join([
        "# The versions that this export was tried with, on Python 3.11 to 3.13: pip install -r requirements.txt",
        f"# Script and notebook need Keras {'.'.join(map(str, OLDEST_KERAS))} or newer, the .keras files Keras {made}.",
        *(f"{name}=={version}" for name, version in TRIED_WITH.items()), ""])


def named_weights(config: RunConfig, weights: Sequence[Floats]) -> bytes:
    """Weights as a NumPy archive, in the model's order, named as in Keras's layers: `encoder/kernel`."""
    arrays = dict(zip(weight_names(config), weights, strict=True))
    file = io.BytesIO()
    np.savez(file, **arrays)  # type: ignore[arg-type]
    return file.getvalue()


def weight_names(config: RunConfig) -> list[str]:
    """A name for each of `build_model(config).trainable_variables`, in their order."""
    return [f"{sized.layer.name}/{part}" for sized in sized_layers(config) if sized.parameters
            for part in (("kernel", "bias") if sized.layer.kind == "Dense" else ("kernel", "recurrent_kernel", "bias"))]


def write(files: Mapping[str, bytes], folder: Path) -> None:
    """Write files to a folder, created if missing. They are renamed into place at the end, so none is ever partial.

    Raises:
        OSError: If the folder cannot be created or written to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".export-") as beside:
        for name, data in files.items():
            Path(beside, name).write_bytes(data)
        for name in files:
            Path(beside, name).replace(folder / name)
