"""LSTM layers with a gradient written by hand: the same arithmetic as Keras's, for one compiled program.

The backward pass makes them fast: it computes the recurrent kernel's gradient by one matrix product over all timesteps,
where a derived gradient makes a product and a sum of full size at each step. The forward pass looks kernel rows up
instead of multiplying one-hot rows. `tests/networks/test_lstm_gradient.py` compares both with Keras's layers.

Time is the first axis, (timesteps, windows, features), so that a timestep is one slice.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from echo_core.config import LARGE_UNITS
from echo_core.networks.backend import tf
from echo_core.networks.steps import Functions, lstm_state

Tensor = Any  # TensorFlow ships no types
CellState = tuple[Tensor, Tensor]

#: TensorFlow's functions for `steps.py`.
TENSORFLOW = Functions(tf.sigmoid, tf.tanh, tf.split, tf.where)

#: The loop over time is unrolled for at most UNROLL_UP_TO timesteps and at least UNROLL_FROM_UNITS units, where it runs
#: faster. Elsewhere compiling the copies takes longer than they save (docs/decisions/0001).
UNROLL_UP_TO, UNROLL_FROM_UNITS = 10, 64


@tf.custom_gradient
def kernel_rows(kernel: Tensor, tokens: Tensor) -> tuple[Tensor, Callable[..., Any]]:
    """`one_hot(tokens) @ kernel`, computed by looking rows up.

    Args:
        kernel: (vocab_size, features).
        tokens: Integers in [0, vocab_size), (timesteps, windows).
    Returns:
        (timesteps, windows, features).
    """
    def gradient(upstream: Tensor) -> tuple[Tensor, None]:
        rows = tf.reshape(upstream, [-1, kernel.shape[1]])  # (timesteps · windows, features)
        return tf.math.unsorted_segment_sum(rows, tf.reshape(tokens, [-1]), kernel.shape[0]), None

    return tf.gather(kernel, tokens), gradient


def lstm(projected: Tensor, recurrent_kernel: Tensor, state: CellState | None, timesteps: int,
         may_unroll: bool = True) -> tuple[Tensor, CellState]:
    """An LSTM layer whose input product is given. Gates are in Keras's order: input, forget, candidate, output.

    Args:
        projected: `inputs @ kernel + bias`, (timesteps, windows, 4 · units); or (1, windows, 4 · units) where every
            timestep reads the same, as a decoder reads its context.
        recurrent_kernel: (units, 4 · units).
        state: h and c before the first timestep, (windows, units) each; None for zeros, which saves a product. No
            gradient flows into it, as none flows into the kept state of a stateful Keras layer.
        may_unroll: Whether a run has enough epochs for faster ones to repay a longer compilation.
    Returns:
        The h of every timestep, (timesteps, windows, units), and the last h and c.
    """
    unrolled = may_unroll and timesteps <= UNROLL_UP_TO and recurrent_kernel.shape[0] >= UNROLL_FROM_UNITS
    forwards, backwards = (_unrolled, _unrolled_backwards) if unrolled else (_looped, _looped_backwards)

    @tf.custom_gradient
    def layer(projected: Tensor, recurrent_kernel: Tensor) -> tuple[Any, Callable[..., Any]]:
        outputs, cells, gates = forwards(projected, recurrent_kernel, state, timesteps)

        def gradient(upstream: Tensor, _unused: Tensor) -> tuple[Tensor, Tensor]:
            c0 = state[1] if state else tf.zeros_like(cells[0])
            deltas = backwards(upstream, recurrent_kernel, cells, gates, c0, timesteps)  # (timesteps, windows, 4·units)
            recurrent = recurrent_gradient(outputs, deltas, state[0] if state else None)
            shared = projected.shape[0] == 1 and timesteps > 1
            return tf.reduce_sum(deltas, axis=0, keepdims=True) if shared else deltas, recurrent

        return (outputs, cells), gradient

    outputs, cells = layer(projected, recurrent_kernel)
    return outputs, (tf.stop_gradient(outputs[-1]), tf.stop_gradient(cells[-1]))


def recurrent_gradient(outputs: Tensor, deltas: Tensor, h0: Tensor | None) -> Tensor:
    """The gradient of a recurrent kernel, (units, gates · units), by one product over all timesteps.

    Args:
        outputs: The h after each timestep, (timesteps, windows, units).
        deltas: The gradients of each timestep's product with the kernel, (timesteps, windows, gates · units).
        h0: The h before the first timestep; None for zeros, which add nothing.
    """
    if h0 is None and outputs.shape[2] >= LARGE_UNITS:
        before, deltas = outputs[:-1], deltas[1:]
    else:  # a small network keeps its order of sums, and with it the last bits of its weights
        before = tf.concat([tf.zeros_like(outputs[:1]) if h0 is None else h0[None], outputs[:-1]], axis=0)
    before = tf.reshape(before, [-1, outputs.shape[2]])  # (timesteps · windows, units)
    return tf.matmul(before, tf.reshape(deltas, [-1, deltas.shape[2]]), transpose_a=True)


def _activation(units: int) -> Callable[[Tensor], Tensor]:
    """The function from pre-activations to gates, (windows, 4 · units) both.

    One tanh computes all four gates, as sigmoid(z) = tanh(z / 2) / 2 + 1 / 2: one kernel instead of five.
    """
    scale, offset = (tf.constant(np.repeat(np.array(values, np.float32), units))
                     for values in ([0.5, 0.5, 1, 0.5], [0.5, 0.5, 0, 0.5]))
    return lambda z: tf.tanh(z * scale) * scale + offset


def _step(projected: Tensor, recurrent_kernel: Tensor, state: CellState | None,
          activation: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """One timestep: the next h, the next c, and the four gates side by side. A state of None is zero."""
    gates = activation(projected + tf.matmul(state[0], recurrent_kernel) if state else projected)
    return *lstm_state(TENSORFLOW, tf.split(gates, 4, axis=1), state[1] if state else 0.0), gates


def _step_backwards(dh: Tensor, dc: Tensor, gates: Tensor, c_before: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients of a timestep's pre-activations, and of the c before it."""
    i, f, g, o = tf.split(gates, 4, axis=1)
    tanh_c = tf.tanh(c)
    dc = dc + dh * o * (1 - tanh_c * tanh_c)
    dz = tf.concat([dc * g * i * (1 - i), dc * c_before * f * (1 - f),
                    dc * i * (1 - g * g), dh * tanh_c * o * (1 - o)], axis=1)
    return dz, dc * f


def _unrolled(projected: Tensor, recurrent_kernel: Tensor, state: CellState | None,
              timesteps: int) -> tuple[Tensor, ...]:
    """Outputs, cells and gates of every timestep, from an unrolled loop."""
    read = tf.unstack(projected) if projected.shape[0] > 1 else [projected[0]] * timesteps
    activation = _activation(recurrent_kernel.shape[0])
    outputs, cells, gates = [], [], []
    for t in range(timesteps):
        h, c, gate = _step(read[t], recurrent_kernel, state, activation)
        state = h, c
        outputs.append(h)
        cells.append(c)
        gates.append(gate)
    return tf.stack(outputs), tf.stack(cells), tf.stack(gates)


def _unrolled_backwards(upstream: Tensor, recurrent_kernel: Tensor, cells: Tensor, gates: Tensor,
                        c0: Tensor, timesteps: int) -> Tensor:
    """`_looped_backwards` unrolled; factors that do not depend on later timesteps are computed for all at once."""
    before = tf.concat([c0[None], cells[:-1]], axis=0)
    i, f, g, o = tf.split(gates, 4, axis=2)
    tanh_c = tf.tanh(cells)
    # The slope of a sigmoid at its value a is (1 - a) a, that of a tanh (1 - a) (1 + a).
    linear = tf.constant(np.repeat(np.array([0, 0, 1, 0], np.float32), c0.shape[1]))
    factors = tf.unstack(tf.concat([g, before, i, tanh_c], axis=2) * ((1 - gates) * (gates + linear)))
    into_c, forget, upstream = tf.unstack(o * (1 - tanh_c * tanh_c)), tf.unstack(f), tf.unstack(upstream)
    deltas: list[Tensor] = []
    dh, dc = upstream[-1], upstream[-1] * into_c[-1]
    for t in reversed(range(timesteps)):
        delta = tf.concat([dc, dc, dc, dh], axis=1) * factors[t]
        deltas.append(delta)
        if t:
            dh = upstream[t - 1] + tf.matmul(delta, recurrent_kernel, transpose_b=True)
            dc = dc * forget[t] + dh * into_c[t - 1]
    return tf.stack(deltas[::-1])


def _looped(projected: Tensor, recurrent_kernel: Tensor, state: CellState | None,
            timesteps: int) -> tuple[Tensor, ...]:
    """`_unrolled` as a loop of the program, whose size does not depend on the number of timesteps."""
    shared, units = projected.shape[0] == 1, recurrent_kernel.shape[0]
    activation = _activation(units)

    def advance(t: Any, state: CellState | None, kept: Sequence[Tensor]) -> tuple[Any, ...]:
        after = _step(projected[0 if shared else t], recurrent_kernel, state, activation)
        return (t + 1, after[:2], tuple(array.write(t, value) for array, value in zip(kept, after, strict=True)))

    kept = tuple(tf.TensorArray(tf.float32, timesteps, element_shape=[projected.shape[1], width])
                 for width in (units, units, 4 * units))
    begun = (0, state, kept) if state else advance(0, None, kept)  # the first step without its product with zeros
    *_, (outputs, cells, gates) = tf.while_loop(
        lambda t, *_: t < timesteps, advance, begun, maximum_iterations=timesteps)
    return outputs.stack(), cells.stack(), gates.stack()


def _looped_backwards(upstream: Tensor, recurrent_kernel: Tensor, cells: Tensor, gates: Tensor,
                      c0: Tensor, timesteps: int) -> Tensor:
    """Gradients of every timestep's pre-activations, (timesteps, windows, 4 · units)."""
    before = tf.concat([c0[None], cells[:-1]], axis=0)

    def body(t: Tensor, carried_h: Tensor, carried_c: Tensor, deltas: Tensor) -> tuple[Any, ...]:
        delta, carried_c = _step_backwards(upstream[t] + carried_h, carried_c, gates[t], before[t], cells[t])
        return t - 1, tf.matmul(delta, recurrent_kernel, transpose_b=True), carried_c, deltas.write(t, delta)

    array = tf.TensorArray(tf.float32, timesteps, element_shape=[c0.shape[0], 4 * c0.shape[1]])
    zero = tf.zeros_like(c0)
    *_, deltas = tf.while_loop(
        lambda t, *_: t >= 0, body, (timesteps - 1, zero, zero, array), maximum_iterations=timesteps)
    return deltas.stack()
