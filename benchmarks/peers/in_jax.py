"""The same work as an expert writes it in JAX: `jit` around a `scan` over epochs, updates and timesteps.

The gradient is derived. Rows of the kernel are looked up, the decoder's input product is made once,
and data is drawn inside the program, as ours is.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.peers import Array, Trained, first_weights
from echo_core.config import RunConfig

Carry = tuple[Any, ...]


def train(config: RunConfig, chunk: int) -> Iterator[Trained]:
    """Train in chunks of epochs, each one call of a program that is compiled once for a network."""
    weights = tuple(jnp.asarray(weight) for weight in first_weights(config))
    zeros = tuple(jnp.zeros_like(weight) for weight in weights)
    trained: Carry = (weights, zeros, zeros, jnp.float32(0))
    network, key = config.network, jax.random.key(config.seed)
    for epoch in range(chunk, config.epochs + 1, chunk):
        keys = jax.random.split(jax.random.fold_in(key, epoch), chunk)
        trained, losses = _epochs(network, trained, keys, config.learning_rate)
        losses.block_until_ready()
        yield Trained(epoch, tuple(np.asarray(weight) for weight in trained[0]))


def matrix_product(size: int) -> Any:
    """A function that multiplies two square matrices and waits for it."""
    matrix = jax.random.normal(jax.random.key(0), (size, size))
    multiply = jax.jit(lambda a, b: a @ b)
    return lambda: multiply(matrix, matrix).block_until_ready()


@partial(jax.jit, static_argnums=0)
def _epochs(config: RunConfig, trained: Carry, keys: Array, rate: float) -> tuple[Carry, Array]:
    return jax.lax.scan(partial(_epoch, config, rate), trained, keys)


def _epoch(config: RunConfig, rate: float, trained: Carry, key: Array) -> tuple[Carry, Array]:
    """Every update of one epoch, in order; state begins at zero."""
    sequences = jax.random.randint(key, (config.sequences_per_epoch, config.sequence_length), 0, config.vocab_size)
    width = config.windows_per_sequence
    windows = jnp.stack([sequences[:, start:start + width].reshape(-1) for start in range(config.input_length)])
    batches = windows.reshape(config.input_length, config.updates_per_epoch, config.batch_size).transpose(1, 0, 2)
    zero = jnp.zeros((config.batch_size, config.units))
    states = ((zero, zero), (zero, zero))
    (trained, _), losses = jax.lax.scan(partial(_update, config, rate), (trained, states), batches)
    return trained, losses.mean()


def _update(config: RunConfig, rate: float, carry: Carry, tokens: Array) -> tuple[Carry, Array]:
    (weights, first, second, step), states = carry
    (loss, after), gradients = jax.value_and_grad(partial(_loss, config), has_aux=True)(weights, tokens, states)
    step += 1
    scaled = rate * jnp.sqrt(1 - 0.999**step) / (1 - 0.9**step)
    first = jax.tree.map(lambda m, g: m + (g - m) * 0.1, first, gradients)
    second = jax.tree.map(lambda v, g: v + (g * g - v) * 0.001, second, gradients)
    weights = jax.tree.map(lambda w, m, v: w - scaled * m / (jnp.sqrt(v) + 1e-7), weights, first, second)
    return ((weights, first, second, step), after if config.stateful else states), loss


def _loss(config: RunConfig, weights: Sequence[Array], tokens: Array, states: Any) -> tuple[Array, Any]:
    kernel, recurrent, bias, *decoder, readout, readout_bias = weights
    encoder, outputs = _lstm(recurrent, states[0], kernel[tokens] + bias)
    after = (encoder, states[1])
    if config.variant == "encoder_decoder":
        context = encoder[0] @ decoder[0] + decoder[2]
        repeated = jnp.broadcast_to(context, (config.output_length, *context.shape))
        state, outputs = _lstm(decoder[1], states[1], repeated)
        after = (encoder, state)
    logits = outputs @ readout + readout_bias
    expected = tokens[:config.output_length, :, None]
    chosen = jnp.take_along_axis(jax.nn.log_softmax(logits), expected, axis=-1)
    return -chosen.mean(), after


def _lstm(recurrent: Array, state: Any, projected: Array) -> tuple[Any, Array]:
    def step(state: Any, z: Array) -> tuple[Any, Array]:
        h, c = state
        i, f, g, o = jnp.split(z + h @ recurrent, 4, axis=-1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return (h, c), h

    return jax.lax.scan(step, state, projected)
