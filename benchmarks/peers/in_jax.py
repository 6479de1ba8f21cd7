"""The same work as an expert writes it in JAX: `jit` around a `scan` over epochs, updates and timesteps.

The gradient is derived. Rows of the kernel are looked up, the decoder's input product is made once, data is drawn
inside the program, as ours is, and what the program has trained is given to it as buffers to reuse.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.peers import Array, Trained, first_weights
from echo_core.config import RunConfig
from echo_core.data import TASKS, paddings, text_examples

Carry = tuple[Any, ...]
Layer = Sequence[Array]

#: Where nothing was read, attention does not look.
NEVER = -1e9


def train(config: RunConfig, chunk: int, unroll: bool = True) -> Iterator[Trained]:
    """Train in chunks of epochs, each one call of a program that is compiled once for a network.

    Args:
        unroll: Whether the loop over timesteps is written out in the program.
    """
    weights = tuple(jnp.asarray(weight) for weight in first_weights(config))
    first, second = (tuple(map(jnp.zeros_like, weights)) for _ in range(2))
    trained: Carry = (weights, first, second, jnp.float32(0))
    network, key, updates = config.network, jax.random.key(config.seed), config.epochs * config.updates_per_epoch
    for epoch in range(chunk, config.epochs + 1, chunk):
        keys = jax.random.split(jax.random.fold_in(key, epoch), chunk)
        trained, losses = _epochs(network, unroll, trained, keys, config.learning_rate, updates)
        losses.block_until_ready()
        yield Trained(epoch, partial(_copied, trained[0]))


def train_scanned(config: RunConfig, chunk: int) -> Iterator[Trained]:
    """`train` with a loop over timesteps in the program, which compiles sooner."""
    return train(config, chunk, unroll=False)


def matrix_product(size: int) -> Any:
    """A function that multiplies two square matrices and waits for it."""
    matrix = jax.random.normal(jax.random.key(0), (size, size))
    multiply = jax.jit(lambda a, b: a @ b)
    return lambda: multiply(matrix, matrix).block_until_ready()


def _copied(weights: Sequence[Array]) -> tuple[np.ndarray, ...]:
    """Weights that stay as they are when the next call reuses the buffers."""
    return tuple(np.array(weight) for weight in weights)


@partial(jax.jit, static_argnums=(0, 1), donate_argnums=2)
def _epochs(config: RunConfig, unroll: bool, trained: Carry, keys: Array, rate: float,
            updates: int) -> tuple[Carry, Array]:
    return jax.lax.scan(partial(_epoch, config, unroll, rate, updates), trained, keys)


def _epoch(config: RunConfig, unroll: bool, rate: float, updates: int, trained: Carry,
           key: Array) -> tuple[Carry, Array]:
    """Every update of one epoch, in order; state begins at zero."""
    batches = tuple(part.reshape(len(part), config.updates_per_epoch, config.batch_size).transpose(1, 0, 2)
                    for part in _examples(config, key))
    zero = jnp.zeros((config.batch_size, config.units))
    state = (zero,) * (2 if config.cell == "lstm" else 1)
    update = partial(_update, config, unroll, rate, updates)
    (trained, _), losses = jax.lax.scan(update, (trained, (state, state)), batches)
    return trained, losses.mean()


def _examples(config: RunConfig, key: Array) -> tuple[Array, Array]:
    """An epoch's windows (input_length, windows) and their targets (answer_steps, windows)."""
    if config.task == "pairs":
        examples = text_examples(config)
        return jnp.asarray(examples.inputs.T), jnp.asarray(examples.expected.T)
    sequences = jax.random.randint(key, (config.sequences_per_epoch, config.sequence_length), 0, config.vocab_size)
    if config.missing == "mask":
        sequences = jnp.pad(sequences, ((0, 0), paddings(config)), constant_values=config.vocab_size)
    width = config.windows_per_sequence
    windows = jnp.stack([sequences[:, start:start + width].reshape(-1) for start in range(config.input_length)])
    targets = TASKS[config.task](config, windows)
    waits = config.answer_steps - config.output_length + config.lag
    return windows, jnp.pad(targets, ((waits, 0), (0, 0)), constant_values=config.vocab_size)


def _update(config: RunConfig, unroll: bool, rate: float, updates: int, carry: Carry,
            batch: tuple[Array, Array]) -> tuple[Carry, Array]:
    (weights, first, second, step), states = carry
    loss_of = partial(_loss, config, unroll)
    (loss, after), gradients = jax.value_and_grad(loss_of, has_aux=True)(weights, *batch, states)
    if config.clip_norm:
        norm = jnp.sqrt(sum(jnp.sum(g * g) for g in gradients))
        gradients = jax.tree.map(lambda g: g * (config.clip_norm / jnp.maximum(norm, config.clip_norm)), gradients)
    if config.schedule == "cosine":
        rate = rate * (0.5 + 0.5 * jnp.cos(jnp.pi * step / updates))
    step += 1
    scaled = rate * jnp.sqrt(1 - 0.999**step) / (1 - 0.9**step)
    first = jax.tree.map(lambda m, g: m + (g - m) * 0.1, first, gradients)
    second = jax.tree.map(lambda v, g: v + (g * g - v) * 0.001, second, gradients)
    weights = jax.tree.map(lambda w, m, v: w - scaled * m / (jnp.sqrt(v) + 1e-7), weights, first, second)
    return ((weights, first, second, step), after if config.stateful else states), loss


def _loss(config: RunConfig, unroll: bool, weights: Sequence[Array], tokens: Array, targets: Array,
          states: Any) -> tuple[Array, Any]:
    logits, after = _answer(config, unroll, weights, tokens, states)
    classes = jnp.minimum(targets, logits.shape[-1] - 1)
    losses = -jnp.take_along_axis(jax.nn.log_softmax(logits), classes[..., None], axis=-1)[..., 0]
    if not config.has_target_gaps:
        return losses.mean(), after
    present = targets < config.vocab_size
    return jnp.where(present, losses, 0).sum() / present.sum(), after


def _answer(config: RunConfig, unroll: bool, weights: Sequence[Array], tokens: Array,
            states: Any) -> tuple[Array, Any]:
    """Logits (answer_steps, windows, classes), and the state of each layer."""
    layer = partial(_recurrent, config.cell, unroll)
    (kernel, recurrent, bias), rest = weights[:3], weights[3:]
    present = tokens < config.vocab_size if config.has_gaps else None
    projected = kernel[jnp.minimum(tokens, config.vocab_size - 1)] + _input_bias(config, bias)
    encoder, outputs = layer((recurrent, bias), states[0], projected, present)
    if config.variant not in ("encoder_decoder", "attention"):
        return outputs @ rest[0] + rest[1], (encoder, states[1])
    kernel, recurrent, bias, readout, readout_bias = rest
    context = encoder[0] @ kernel + _input_bias(config, bias)
    decoder, decoded = layer((recurrent, bias), states[1],
                             jnp.broadcast_to(context, (config.output_length, *context.shape)), None)
    if config.variant == "attention":
        scores = jnp.einsum("obu,ibu->boi", decoded, outputs)
        if present is not None:
            scores = jnp.where(present.T[:, None], scores, NEVER)
        found = jnp.einsum("boi,ibu->obu", jax.nn.softmax(scores), outputs)
        decoded = jnp.concatenate([decoded, found], axis=-1)
    return decoded @ readout + readout_bias, (encoder, decoder)


def _input_bias(config: RunConfig, bias: Array) -> Array:
    return bias[0] if config.cell == "gru" else bias


def _recurrent(cell: str, unroll: bool, layer: Layer, state: Any, projected: Array,
               present: Array | None) -> tuple[Any, Array]:
    """A layer over its timesteps: the last state, and every h, (timesteps, windows, units)."""
    def step(state: Any, read: tuple[Array, Array | None]) -> tuple[Any, Array]:
        z, there = read
        after = _CELLS[cell](layer, state, z)
        if there is not None:
            after = tuple(jnp.where(there[:, None], new, old) for new, old in zip(after, state, strict=True))
        return after, after[0]

    return jax.lax.scan(step, state, (projected, present), unroll=len(projected) if unroll else 1)


def _lstm(layer: Layer, state: Any, z: Array) -> Any:
    h, c = state
    i, f, g, o = jnp.split(z + h @ layer[0], 4, axis=-1)
    c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
    return jax.nn.sigmoid(o) * jnp.tanh(c), c


def _gru(layer: Layer, state: Any, z: Array) -> Any:
    h, = state
    recurrent, bias = layer
    update, reset, candidate = jnp.split(z, 3, axis=-1)
    update_h, reset_h, candidate_h = jnp.split(h @ recurrent + bias[1], 3, axis=-1)
    kept = jax.nn.sigmoid(update + update_h)
    new = jnp.tanh(candidate + jax.nn.sigmoid(reset + reset_h) * candidate_h)
    return (kept * h + (1 - kept) * new,)


def _simple_rnn(layer: Layer, state: Any, z: Array) -> Any:
    return (jnp.tanh(z + state[0] @ layer[0]),)


_CELLS: dict[str, Callable[[Layer, Any, Array], Any]] = {"lstm": _lstm, "gru": _gru, "simple_rnn": _simple_rnn}
