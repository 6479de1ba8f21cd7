"""Recurrent layers of any cell, with gaps or without, for one compiled program.

What a cell computes is `steps.py`. TensorFlow derives the gradient of its gates, timestep by timestep. The recurrent
kernel's gradient is one product over all timesteps, as in `lstm_gradient.py`: derived, it would be a product and a sum
of full size at each.
"""

from collections.abc import Callable, Sequence
from typing import Any

from echo_core.config.cells import CELLS
from echo_core.networks.backend import tf
from echo_core.networks.definition import CellState, LayerWeights
from echo_core.networks.lstm_gradient import TENSORFLOW, UNROLL_UP_TO, Tensor, recurrent_gradient
from echo_core.networks.steps import gated

#: One timestep: t and what the timestep before hands on -> what this one hands on, and what is kept of it.
Advance = Callable[[Any, Any], tuple[Any, Sequence[Tensor]]]


def any_cell(cell: str, projected: Tensor, layer: LayerWeights, state: CellState | None, timesteps: int,
             present: Tensor | None) -> tuple[Tensor, CellState]:
    """A recurrent layer whose input product is given; see `definition.Ops.recurrent`.

    No gradient flows into `state`, as none flows into the kept state of a stateful Keras layer.
    """
    shared = projected.shape[0] == 1
    units, windows = layer.recurrent_kernel.shape[0], projected.shape[1]
    width, num_states = projected.shape[2], CELLS[cell].num_states
    zero = tf.zeros((windows, units))

    def state_after(t: Any, read: Tensor, recurrent: Tensor, before: CellState) -> CellState:
        return gated(cell, TENSORFLOW, read, recurrent, before, present[t] if present is not None else None)[0]

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def run(projected: Tensor, recurrent_kernel: Tensor, bias: Tensor) -> tuple[Any, Callable[..., Any]]:
        def forwards(t: Any, before: CellState) -> tuple[CellState, Sequence[Tensor]]:
            product = tf.matmul(before[0], recurrent_kernel)  # (windows, gates·units)
            after = state_after(t, projected[0 if shared else t], product + bias, before)
            return after, (product, *after)

        products, *states = _over(forwards, state or (zero,) * num_states, range(timesteps),
                                  [width, *[units] * num_states], windows)

        def gradient(*upstream: Tensor) -> tuple[Tensor, ...]:
            before = [tf.concat([(state[place] if state else zero)[None], vector[:-1]], axis=0)
                      for place, vector in enumerate(states)]  # each (timesteps, windows, units)

            def backwards(t: Any, carried: CellState) -> tuple[CellState, Sequence[Tensor]]:
                read = projected[0 if shared else t]
                product, state_before = products[t], tuple(vector[t] for vector in before)
                watched = [read, product, *state_before]
                with tf.GradientTape() as tape:
                    tape.watch(watched)
                    after = state_after(t, read, product + bias, state_before)
                into_read, delta, *into_state = tape.gradient(
                    after, watched, [carried[0] + upstream[0][t], *carried[1:]], "zero")
                into_state[0] += tf.matmul(delta, recurrent_kernel, transpose_b=True)
                return tuple(into_state), (into_read, delta)

            into_read, deltas = _over(backwards, (zero,) * num_states, range(timesteps - 1, -1, -1),
                                      [width, width], windows)
            return (tf.reduce_sum(into_read, axis=0, keepdims=True) if shared else into_read,
                    recurrent_gradient(states[0], deltas, state[0] if state else None),
                    tf.reduce_sum(deltas, axis=[0, 1]))

        return tuple(states), gradient

    bias = layer.bias[1] if CELLS[cell].num_biases == 2 else tf.zeros(width)
    outputs, *others = run(projected, layer.recurrent_kernel, bias)
    return outputs, tuple(tf.stop_gradient(vector[-1]) for vector in (outputs, *others))


def _over(advance: Advance, carried: Any, places: range, widths: Sequence[int], windows: int) -> list[Tensor]:
    """What `advance` keeps of each timestep, stacked by timestep: unrolled where there are few, or else by a loop.

    Args:
        places: The timesteps in the order in which they are made, up or down.
        widths: Of each thing that is kept, (windows, width).
    """
    if len(places) <= UNROLL_UP_TO:
        kept = []
        for t in places:
            carried, made = advance(t, carried)
            kept.append(made)
        return [tf.stack(each[::places.step]) for each in zip(*kept, strict=True)]

    def body(t: Tensor, carried: Any, arrays: Sequence[Tensor]) -> tuple[Any, ...]:
        carried, made = advance(t, carried)
        return t + places.step, carried, tuple(array.write(t, one) for array, one in zip(arrays, made, strict=True))

    arrays = tuple(tf.TensorArray(tf.float32, len(places), element_shape=[windows, width]) for width in widths)
    *_, arrays = tf.while_loop(lambda t, *_: (t >= 0) & (t < len(places)), body, (places.start, carried, arrays),
                               maximum_iterations=len(places))
    return [array.stack() for array in arrays]
