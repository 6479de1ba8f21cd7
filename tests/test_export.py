import subprocess
import sys

import pytest

from echo_core.config import PRESETS, RunConfig
from echo_core.export import keras_listing, keras_summary, layers
from echo_core.models import build_model

CONFIGS = {name: preset.config for name, preset in PRESETS.items()} | {
    "tiny": RunConfig(vocab_size=3, units=2), "large": PRESETS["quick"].config.model_copy(update={"units": 1024})}


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_summary_is_what_keras_prints(config: RunConfig):
    printed: list[str] = []
    build_model(config).summary(print_fn=lambda text, **_: printed.append(text), line_length=70)
    assert keras_summary(config) == "\n".join(printed)


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_layers_sum_to_the_parameters_of_the_config(config: RunConfig):
    assert sum(layer.parameters for layer in layers(config)) == config.num_parameters


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["whole", "partial"])
def test_the_listing_runs_as_it_is_and_builds_the_same_network(preset: str, tmp_path):
    config = PRESETS[preset].config
    script = tmp_path / "listing.py"
    script.write_text(keras_listing(config.model_copy(update={"epochs": 2})))
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True, timeout=120)
    assert f"Total params: {config.num_parameters:,}" in done.stdout
    assert done.stdout.count("expected") == config.num_windows
