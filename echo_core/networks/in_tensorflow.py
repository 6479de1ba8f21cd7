"""The same networks in TensorFlow: `networks.Ops` for one compiled program.

LSTM layers without gaps, which nearly all runs are made of, are `cells.lstm`, with its gradient by hand.
Other cells, and layers that skip gaps, are plain loops whose gradient is derived.
"""

from collections.abc import Callable
from typing import Any

from echo_core.config import RunConfig
from echo_core.networks.backend import tf
from echo_core.networks.definition import CellState, Layer, States, state_sizes
from echo_core.networks.lstm_gradient import UNROLL_UP_TO, Tensor, kernel_rows, lstm

Step = Callable[[Tensor, CellState, Layer], CellState]

_NEVER = -1e9


def zero_states(config: RunConfig, windows: int) -> States:
    """The state of each recurrent layer before anything was read, (windows, units) each vector."""
    zero = tf.zeros((windows, config.units))
    return tuple((zero,) * size for size in state_sizes(config))


class TensorOps:
    """`networks.Ops` of TensorFlow."""

    def rows(self, kernel: Tensor, tokens: Tensor) -> Tensor:
        """See `Ops`."""
        return kernel_rows(kernel, tokens)

    def known(self, tokens: Tensor, present: Tensor) -> Tensor:
        """See `Ops`."""
        return tf.where(present, tokens, 0)

    def scaled(self, tokens: Tensor, vocab_size: int) -> Tensor:
        """See `Ops`."""
        return tf.cast(tokens, tf.float32)[..., None] / (vocab_size - 1)

    def dense(self, values: Tensor, kernel: Tensor, bias: Tensor) -> Tensor:
        """See `Ops`. All timesteps are one product."""
        *before, width = values.shape
        return tf.reshape(tf.matmul(tf.reshape(values, [-1, width]), kernel) + bias, [*before, -1])

    def recurrent(self, cell: str, projected: Tensor, layer: Layer, state: CellState, timesteps: int,
                  present: Tensor | None = None, may_unroll: bool = True) -> tuple[Tensor, CellState]:
        """See `Ops`."""
        if cell == "lstm" and present is None:
            return lstm(projected, layer.recurrent_kernel, state, timesteps, may_unroll)
        return _derived(_STEPS[cell], projected, layer, state, timesteps, present)

    def attend(self, decoded: Tensor, encoded: Tensor, present: Tensor | None) -> tuple[Tensor, Tensor]:
        """See `Ops`."""
        scores = tf.einsum("obu,ibu->boi", decoded, encoded)  # (B, output_length, input_length)
        if present is not None:
            scores = tf.where(tf.transpose(present)[:, None], scores, _NEVER)
        looked = tf.nn.softmax(scores)
        return tf.einsum("boi,ibu->obu", looked, encoded), looked

    def join(self, first: Tensor, second: Tensor) -> Tensor:
        """See `Ops`."""
        return tf.concat([first, second], axis=-1)

    def first_column(self, length: int, step: int) -> Tensor:
        """See `Ops`."""
        return tf.range(0, length * step, step, tf.int32)[:, None]

    def total(self, values: Tensor) -> Tensor:
        """See `Ops`."""
        return tf.reduce_sum(values, axis=0, keepdims=True)

    def blocks(self, values: Tensor, number: int) -> Tensor:
        """See `Ops`."""
        return tf.transpose(tf.reshape(values, [values.shape[0], number, -1]), [1, 0, 2])


def _derived(step: Step, projected: Tensor, layer: Layer, state: CellState, timesteps: int,
             present: Tensor | None) -> tuple[Tensor, CellState]:
    """A recurrent layer with its gradient left to TensorFlow."""
    shared = projected.shape[0] == 1

    def advance(t: Any, state: CellState) -> CellState:
        new = step(projected[0 if shared else t], state, layer)
        if present is None:
            return new
        return tuple(tf.where(present[t][:, None], *both) for both in zip(new, state, strict=True))

    if timesteps <= UNROLL_UP_TO:
        outputs = []
        for t in range(timesteps):
            state = advance(t, state)
            outputs.append(state[0])
        return tf.stack(outputs), tuple(map(tf.stop_gradient, state))

    def body(t: Tensor, state: CellState, kept: Tensor) -> tuple[Any, ...]:
        state = advance(t, state)
        return t + 1, state, kept.write(t, state[0])

    array = tf.TensorArray(tf.float32, timesteps, element_shape=state[0].shape)
    _, state, array = tf.while_loop(lambda t, *_: t < timesteps, body, (0, state, array),
                                    maximum_iterations=timesteps)
    return array.stack(), tuple(map(tf.stop_gradient, state))


def _lstm(z: Tensor, state: CellState, layer: Layer) -> CellState:
    """One timestep; gates stand in Keras's order: input, forget, candidate, output."""
    h, c = state
    i, f, g, o = tf.split(z + tf.matmul(h, layer.recurrent_kernel), 4, axis=-1)
    c = tf.sigmoid(f) * c + tf.sigmoid(i) * tf.tanh(g)
    return tf.sigmoid(o) * tf.tanh(c), c


def _gru(z: Tensor, state: CellState, layer: Layer) -> CellState:
    """One timestep; gates stand in Keras's order: update, reset, candidate."""
    h, = state
    update, reset, candidate = tf.split(z, 3, axis=-1)
    recurrent = tf.matmul(h, layer.recurrent_kernel) + layer.bias[1]
    update_h, reset_h, candidate_h = tf.split(recurrent, 3, axis=-1)
    kept = tf.sigmoid(update + update_h)
    new = tf.tanh(candidate + tf.sigmoid(reset + reset_h) * candidate_h)
    return (kept * h + (1 - kept) * new,)


def _simple_rnn(z: Tensor, state: CellState, layer: Layer) -> CellState:
    return (tf.tanh(z + tf.matmul(state[0], layer.recurrent_kernel)),)


_STEPS: dict[str, Step] = {"lstm": _lstm, "gru": _gru, "simple_rnn": _simple_rnn}
