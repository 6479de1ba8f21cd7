import keras
import pytest

from echo_core.config import RunConfig
from echo_core.config.presets import PRESETS
from echo_core.exports.summary import summary
from echo_core.models import build_model
from tests.helpers.samples import COMBINATIONS, each

CONFIGS = {"large": PRESETS["quick"].config.model_copy(update={"units": 1024}),
           **{name: preset.config for name, preset in PRESETS.items()}, **COMBINATIONS}


@pytest.fixture(autouse=True)
def plain_keras(monkeypatch: pytest.MonkeyPatch) -> None:
    # No test looks at the weights, and zeros are made at once.
    for initializer in (keras.initializers.GlorotUniform, keras.initializers.Orthogonal):
        monkeypatch.setattr(initializer, "__call__", keras.initializers.Zeros().__call__)


@each(CONFIGS)
def test_summary_lists_the_layers_of_the_keras_model(config: RunConfig):
    model = build_model(config)
    layers = [layer for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)]
    outputs = [layer.output[0] if isinstance(layer.output, list | tuple) else layer.output for layer in layers]
    heading, *rows, total = summary(config).splitlines()
    assert [tuple(cell.strip() for cell in row.split("   ") if cell.strip()) for row in rows] == [
        (f"{layer.name} ({type(layer).__name__})", str(output.shape), f"{layer.count_params():,}")
        for layer, output in zip(layers, outputs, strict=True)]
    assert total == f"Total params: {model.count_params():,}"
    assert len({len(line) for line in (heading, *rows)}) == 1
