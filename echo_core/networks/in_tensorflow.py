"""The operations of `definition.Ops` in TensorFlow, for one compiled program.

LSTM layers without gaps, which nearly all runs consist of, are `lstm_gradient.lstm`. Other cells, and layers that skip
gaps, are `cell_gradient.any_cell`.
"""


from echo_core.config import RunConfig
from echo_core.networks.backend import tf
from echo_core.networks.cell_gradient import any_cell
from echo_core.networks.definition import CellState, LayerWeights, States, state_sizes
from echo_core.networks.lstm_gradient import Tensor, kernel_rows, lstm

_NEVER = -1e9


def zero_states(config: RunConfig, windows: int) -> States:
    """The zeros that a stateful epoch begins with: vectors of (windows, units) for each recurrent layer."""
    zero = tf.zeros((windows, config.units))
    return tuple((zero,) * size for size in state_sizes(config))


class TensorOps:
    """`definition.Ops` of TensorFlow."""

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

    def recurrent(self, cell: str, projected: Tensor, layer: LayerWeights, state: CellState | None, timesteps: int,
                  present: Tensor | None = None, may_unroll: bool = True) -> tuple[Tensor, CellState]:
        """See `Ops`."""
        if cell == "lstm" and present is None:
            return lstm(projected, layer.recurrent_kernel, state, timesteps, may_unroll)
        return any_cell(cell, projected, layer, state, timesteps, present)

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

    def total(self, values: Tensor) -> Tensor:
        """See `Ops`."""
        return tf.reduce_sum(values, axis=0, keepdims=True)

    def blocks(self, values: Tensor, number: int) -> Tensor:
        """See `Ops`."""
        return tf.transpose(tf.reshape(values, [values.shape[0], number, -1]), [1, 0, 2])


class LoopedOps(TensorOps):
    """The same without loops over time that are written out, which compile slowly."""

    def recurrent(self, cell: str, projected: Tensor, layer: LayerWeights, state: CellState | None, timesteps: int,
                  present: Tensor | None = None, may_unroll: bool = False) -> tuple[Tensor, CellState]:
        """See `Ops`."""
        return super().recurrent(cell, projected, layer, state, timesteps, present, may_unroll=False)
