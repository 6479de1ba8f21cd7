import keras
import pytest

from echo_core.config import RunConfig
from echo_core.config.presets import PRESETS
from echo_core.exports.summary import keras_summary, layers, line_length
from echo_core.models import build_model
from tests.helpers.samples import COMBINATIONS, each

CONFIGS = {
    "tiny": RunConfig(vocab_size=3, units=2),
    "large": PRESETS["quick"].config.model_copy(update={"units": 1024}),
    "beyond its columns": RunConfig(cell="gru", vocab_size=100_000, sequence_length=100_000, input_length=50_001,
                                    output_length=50_001, batch_size=50_000),
    "attention that fills its columns": RunConfig(
        variant="attention", input_length=100, output_length=100, sequence_length=1099, batch_size=1000, units=2000),
    **{name: preset.config for name, preset in PRESETS.items()},
    **COMBINATIONS,
}


def printed_by_keras(config: RunConfig) -> str:
    keras.utils.clear_session(free_memory=False)  # otherwise it goes on counting the operations beside a mask
    printed: list[str] = []
    build_model(config).summary(print_fn=lambda text, **_: printed.append(text), line_length=line_length(config))
    return "\n".join(printed)


@pytest.fixture(autouse=True)
def plain_keras(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")  # what Keras prints is cut at the edge of a narrow screen
    # Weights are not looked at, and zeros are made in no time.
    for initializer in (keras.initializers.GlorotUniform, keras.initializers.Orthogonal):
        monkeypatch.setattr(initializer, "__call__", keras.initializers.Zeros().__call__)


@each(CONFIGS)
def test_summary_is_what_keras_prints(config: RunConfig):
    assert keras_summary(config) == printed_by_keras(config)


@each(CONFIGS)
def test_layers_sum_to_the_parameters_of_the_config(config: RunConfig):
    assert sum(layer.parameters for layer in layers(config)) == config.num_parameters
