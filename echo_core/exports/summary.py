"""The layers of a run's network as `model.summary()` lists them, in text that the app's process makes without Keras."""

from echo_core.config import RunConfig
from echo_core.config.sizes import sized_layers


def summary(config: RunConfig) -> str:
    """A line for each layer of `build_model(config)`: name, class, shape of its output, parameters; then their sum.

    The first axis of a shape is the batch, None if it may vary.
    """
    batch = config.batch_size if config.stateful else None
    rows = [("Layer (type)", "Output shape", "Param #")]
    rows += [(f"{sized.layer.name} ({sized.keras_class})", str((batch, *sized.gives)),
              f"{sized.parameters:,}") for sized in sized_layers(config)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [f"{name:{widths[0]}}   {shape:{widths[1]}}   {count:>{widths[2]}}" for name, shape, count in rows]
    return "\n".join([*lines, f"Total params: {config.num_parameters:,}"])
