"""The steps of the cells, and what each gate was at each timestep, against Keras's states and a plain loop."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from echo_core.config import RunConfig
from echo_core.config.cells import CELLS
from echo_core.models import first_weights
from echo_core.networks.definition import LayerWeights
from echo_core.networks.in_numpy import NUMPY, Trace, forward
from echo_core.networks.lstm_gradient import TENSORFLOW
from echo_core.networks.steps import GATES, step
from tests.helpers.samples import small

UNITS, WINDOWS, TIMESTEPS = 4, 3, 5
RNG = np.random.default_rng(7)


def layer_of(cell: str) -> tuple[keras.layers.Layer, np.ndarray]:
    """A Keras layer whose weights, biases too, are all random, and an input for it."""
    built = getattr(keras.layers, CELLS[cell].keras_class)(UNITS, return_sequences=True, return_state=True)
    inputs = RNG.normal(size=(WINDOWS, TIMESTEPS, 2)).astype("f")
    built(inputs)
    built.set_weights([RNG.normal(size=weight.shape).astype("f") for weight in built.get_weights()])
    return built, inputs


@pytest.mark.parametrize("cell", GATES)
@pytest.mark.parametrize(("of", "array"), [(NUMPY, np.asarray), (TENSORFLOW, tf.constant)], ids=["numpy", "tensorflow"])
def test_every_state_is_that_of_the_keras_layer(cell, of, array):
    built, inputs = layer_of(cell)
    kernel, *others = built.get_weights()
    layer = LayerWeights(kernel, *map(array, others))
    projected = inputs @ kernel + (layer.bias[0] if cell == "gru" else layer.bias)
    state = (array(np.zeros((WINDOWS, UNITS), "f")),) * (2 if cell == "lstm" else 1)
    for t in range(TIMESTEPS):
        state, gates = step(cell, of, projected[:, t], state, layer)
        _, *expected = built(inputs[:, :t + 1])
        assert len(gates) == len(GATES[cell])
        for mine, theirs in zip(state, expected, strict=True):
            np.testing.assert_allclose(mine, theirs, atol=1e-6)


def traces_of(config: RunConfig, weights, windows) -> list[Trace]:
    traces: list[Trace] = []
    forward(config, weights, windows, traces=traces)
    return traces


def lstm_by_hand(tokens: list[int], kernel, recurrent, bias, units: int):
    """Gates and states of one window by the equations of an LSTM, a number at a time."""
    def sigmoid(x: float) -> float:
        return 1 / (1 + math.exp(-x))

    h, c, rows = [0.0] * units, [0.0] * units, []
    for token in tokens:
        def before_activation(gate: int, unit: int, token=token, h=h) -> float:
            column = gate * units + unit
            return kernel[token][column] + bias[column] + sum(h[k] * recurrent[k][column] for k in range(units))

        i, f, g, o = ([activation(before_activation(gate, unit)) for unit in range(units)]
                      for gate, activation in enumerate((sigmoid, sigmoid, math.tanh, sigmoid)))
        c = [f[u] * c[u] + i[u] * g[u] for u in range(units)]
        h = [o[u] * math.tanh(c[u]) for u in range(units)]
        rows.append({"i": i, "f": f, "g": g, "o": o, "h": h, "c": c})
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def gru_by_hand(tokens: list[int], kernel, recurrent, bias, units: int):
    """The same by the equations of a GRU whose reset gate acts after the product, as Keras has it."""
    def sigmoid(x: float) -> float:
        return 1 / (1 + math.exp(-x))

    h, rows = [0.0] * units, []
    for token in tokens:
        def parts(gate: int, unit: int, token=token, h=h) -> tuple[float, float]:
            column = gate * units + unit
            return (kernel[token][column] + bias[0][column],
                    bias[1][column] + sum(h[k] * recurrent[k][column] for k in range(units)))

        z, r = ([sigmoid(sum(parts(gate, u))) for u in range(units)] for gate in (0, 1))
        n = [math.tanh(parts(2, u)[0] + r[u] * parts(2, u)[1]) for u in range(units)]
        h = [z[u] * h[u] + (1 - z[u]) * n[u] for u in range(units)]
        rows.append({"z": z, "r": r, "n": n, "h": h})
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


@pytest.mark.parametrize(("cell", "by_hand"), [("lstm", lstm_by_hand), ("gru", gru_by_hand)])
def test_gates_and_states_are_those_of_the_equations(cell, by_hand):
    config = small(cell=cell, stateful=False)
    weights = [weight + RNG.normal(scale=0.3, size=weight.shape).astype("f") for weight in first_weights(config)]
    windows = RNG.integers(config.vocab_size, size=(WINDOWS, config.input_length))
    (trace,) = traces_of(config, weights, windows)
    assert tuple(trace.gates) == GATES[cell]
    for index, window in enumerate(windows.tolist()):
        expected = by_hand(window, *[weight.tolist() for weight in weights[:3]], config.units)
        for name, values in {**trace.gates, **dict(zip("hc", trace.states, strict=False))}.items():
            np.testing.assert_allclose(values[index], expected[name], atol=1e-5, err_msg=name)


@pytest.mark.parametrize("cell", GATES)
def test_a_trace_changes_no_answer_and_ends_in_the_last_state(cell: str):
    config = small(variant="encoder_decoder", cell=cell, stateful=False)
    windows, weights = RNG.integers(config.vocab_size, size=(WINDOWS, config.input_length)), first_weights(config)
    traces: list[Trace] = []
    plain, traced = forward(config, weights, windows), forward(config, weights, windows, traces=traces)
    np.testing.assert_array_equal(traced.outputs, plain.outputs)
    for trace, last, timesteps in zip(traces, plain.states, (config.input_length, config.output_length), strict=True):
        for values, final in zip(trace.states, last, strict=True):
            assert values.shape == (WINDOWS, timesteps, config.units)
            np.testing.assert_array_equal(values[:, -1], final)


def test_a_gap_has_no_gates_and_leaves_the_state():
    config: RunConfig = small(missing="mask", stateful=False)
    windows = np.array([[1, 2, config.vocab_size, 3, 4, 1, 2][:config.input_length]])
    (trace,) = traces_of(config, first_weights(config), windows)
    gaps = windows == config.vocab_size
    assert gaps.any()
    for values in trace.gates.values():
        np.testing.assert_array_equal(np.isnan(values).all(axis=-1), gaps)
    for values in trace.states:
        np.testing.assert_array_equal(values[:, 2], values[:, 1])
