import pytest
from tensorflow.python.eager import context

from echo_core.config.variants import VARIANTS
from echo_core.models import first_weights
from echo_core.training import compiled_epochs
from tests.helpers.samples import TINY, small


def names_of(config):
    """The names that tracing a network adds: `echo_<contents>_<trial>_<function>`."""
    def known():
        return {name for name in context.context().list_function_names() if name.startswith("echo_")}

    before = known()
    compiled_epochs.__wrapped__(config.network, tuple(weight.shape for weight in first_weights(config)), 6)
    return known() - before


def contents(names):
    found, = {name.split("_")[1] for name in names}
    return found


LOOPED = small(variant="attention", cell="gru", missing="mask", input_length=14, output_length=12, sequence_length=16)
CONFIGS = {variant: small(variant=variant) for variant in VARIANTS} | {
    "two updates": TINY.model_copy(update={"batch_size": 3}), "looped with gaps": LOOPED,
    "pairs": small(task="pairs", variant="encoder_decoder")}


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_a_program_that_is_traced_after_others_is_named_as_it_would_be_alone(config):
    alone, other, after = (names_of(config.model_copy(update={"units": units, "clip_norm": clip}))
                           for units, clip in ((9, 0), (11, 1), (9, 0)))
    assert contents(alone) == contents(after) != contents(other)
    assert not alone & after  # as TensorFlow remembers a failure by the name


def test_a_program_that_does_something_else_gets_another_name(monkeypatch):
    before = names_of(TINY)
    monkeypatch.setattr("echo_core.training.program.EPSILON", 1e-3)
    assert contents(names_of(TINY)) != contents(before)
