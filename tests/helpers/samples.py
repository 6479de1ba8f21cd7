"""Records made by hand, for tests that do not train; and a config of every kind of run."""

import ast
from collections.abc import Mapping

import numpy as np
import pytest

from echo_core.config import RunConfig, divisors
from echo_core.config.compatibility import combinations
from echo_core.records import Checkpoint, Evaluation, Point, Progress, Snapshot
from tests.helpers.cover import cover

#: Small enough to compile in a second or two, whatever its seed, epochs and rate.
TINY = RunConfig(variant="encoder_decoder", vocab_size=10, sequence_length=8, input_length=3, output_length=2, units=6,
                 batch_size=6, epochs=60)


def small(**settings: object) -> RunConfig:
    """The config of a small run of any combination, with sizes that fit."""
    if settings.get("task") == "pairs":
        sizes: dict[str, object] = {"text": "what is this => a test\nwho => me\nwho is a test => it is this one\n"
                                            "this => that"}
    else:
        is_lag = settings.get("task") == "lag"
        as_long = is_lag or settings.get("variant", "whole") == "whole"
        lengths = {"input_length": 3, "output_length": 3 if as_long else 2, "lag": int(is_lag)}
        sizes = {"vocab_size": 7, "sequence_length": 8, **lengths}
    wanted = {"units": 4, "epochs": 3, "learning_rate": 0.01, "stateful": False, **sizes, **settings}
    probe = RunConfig(**{"batch_size": 1, **wanted})  # type: ignore[arg-type]
    fits = [size for size in divisors(probe.num_windows) if size > 1]
    return RunConfig(**{"batch_size": fits[0], **wanted})  # type: ignore[arg-type]


WORDS = "a rose is a rose is a rose and so on " * 5
#: Words that would end a string or begin a command if they were pasted into code unescaped.
NASTY = '''it's "quoted" \\ \\n \\" {c} {0} %s """ \'\'\' # ${HOME} \\u0041 \\N{BULLET} 日本語 😀 é ")]) \\'''

#: A config for each row of the table of combinations.
TABLE = {"-".join(map(str, chosen.values())): chosen for chosen in combinations()}
COMBINATIONS = {name: small(**chosen) for name, chosen in TABLE.items()}
#: Kinds of runs that the table of combinations does not have.
MORE = {
    "echo that starts later": small(variant="many_to_one", task="reverse", echo_start=1),
    "later and masked": small(variant="encoder_decoder", echo_start=1, missing="mask"),
    "padded without paddings": small(variant="padded", output_length=3),
    "a lag of two": small(task="lag", lag=2, input_length=5, output_length=5, stateful=True),
    "a lag of none": small(task="lag", lag=0),
    "own words with a lag": small(task="lag", text=WORDS, vocab_size=6),
    "several sequences": small(sequences_per_epoch=3),
    "own words": small(variant="encoder_decoder", text=WORDS, vocab_size=6, stateful=True),
    "own words, masked": small(variant="attention", text=WORDS, vocab_size=6, missing="mask", stateful=True),
    "own words, padded": small(variant="padded", text=WORDS, vocab_size=6),
    "own words by size": small(text=WORDS, vocab_size=6, representation="linear"),
}
#: A config of every kind of run.
ALL = COMBINATIONS | MORE


def each(configs: Mapping[str, RunConfig]) -> pytest.MarkDecorator:
    """A test of one tool for each `config`: before each change for a cover of the combinations among them and for all
    the others, and in `make test-all` for every one."""
    quick = {"-".join(map(str, row.values())) for row in cover([TABLE[name] for name in configs if name in TABLE])}
    return pytest.mark.parametrize("config", [
        pytest.param(config, id=name, marks=[pytest.mark.slow] if name in TABLE and name not in quick else [])
        for name, config in configs.items()])


def unused(code: str) -> set[str]:
    """The names that a script imports, defines or assigns at its top level and never uses."""
    tree = ast.parse(code)
    bound = {alias.asname or alias.name for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)
             for alias in node.names}
    bound |= {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    bound |= {name.id for node in tree.body if isinstance(node, ast.Assign) for name in ast.walk(node.targets[0])
              if isinstance(name, ast.Name) and name.id != "_"}
    return bound - {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}


EVALUATION = Evaluation(token_accuracy=0.75, window_accuracy=0.5, windows=2000, by_timestep=(1.0, 0.5))


def config(number: int) -> RunConfig:
    """A config for each number, each of another run."""
    return TINY.model_copy(update={"seed": number})


def checkpoint(epoch: int) -> Checkpoint:
    """A checkpoint whose weights encode its epoch."""
    weights = (np.full((2, 3), epoch, np.float32), np.arange(3, dtype=np.float32))
    return Checkpoint(epoch, 2 * epoch, weights, tuple(np.ones_like(weight) for weight in weights * 2))


def progress(epoch: int, seconds: float = 0.0, loss: float = 2.5, with_snapshot: bool = False) -> Progress:
    """A record of `TINY`."""
    shape = (TINY.windows_per_sequence, TINY.output_length)
    snapshot = Snapshot(epoch, np.full(shape, epoch % TINY.vocab_size, np.int32), np.full(shape, 0.5, np.float32))
    return Progress(epoch, loss, 0.25, seconds, (Point(epoch, loss, 0.25),), checkpoint(epoch),
                    snapshot if with_snapshot else None)
