"""The same work as an expert writes it in PyTorch: eager, its own LSTM layers and fused Adam."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from benchmarks.peers import Trained, first_weights
from echo_core.config import RunConfig


class Network(nn.Module):
    """An LSTM that reads one-hot windows, for the encoder-decoder a second one that answers, and a readout."""

    def __init__(self, config: RunConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = nn.LSTM(config.vocab_size, config.units)
        self.decoder = nn.LSTM(config.units, config.units) if config.variant == "encoder_decoder" else None
        self.readout = nn.Linear(config.units, config.vocab_size)

    def forward(self, tokens: torch.Tensor, states: Any) -> tuple[torch.Tensor, Any]:
        """Tokens (input_length, windows) to logits (output_length, windows, vocab_size), and the states after."""
        one_hot = nn.functional.one_hot(tokens, self.config.vocab_size).float()
        outputs, encoder = self.encoder(one_hot, states[0])
        if self.decoder is None:
            return self.readout(outputs), (encoder, None)
        context = outputs[-1].expand(self.config.output_length, -1, -1)
        outputs, decoder = self.decoder(context, states[1])
        return self.readout(outputs), (encoder, decoder)

    def load(self, weights: tuple[Any, ...]) -> None:
        """Load weights in Keras's order. PyTorch has the same gates in the same order, transposed."""
        layers = [self.encoder] + ([self.decoder] if self.decoder is not None else [])
        with torch.no_grad():
            for number, layer in enumerate(layers):
                kernel, recurrent, bias = weights[3 * number:3 * number + 3]
                layer.weight_ih_l0.copy_(torch.from_numpy(kernel.T))
                layer.weight_hh_l0.copy_(torch.from_numpy(recurrent.T))
                layer.bias_ih_l0.copy_(torch.from_numpy(bias))
                layer.bias_hh_l0.zero_().requires_grad_(False)  # its second bias is not trained
            self.readout.weight.copy_(torch.from_numpy(weights[-2].T))
            self.readout.bias.copy_(torch.from_numpy(weights[-1]))

    def weights(self) -> tuple[Any, ...]:
        """The inverse of `load`."""
        layers = [self.encoder] + ([self.decoder] if self.decoder is not None else [])
        recurrent = [part.detach().numpy().copy() for layer in layers
                     for part in (layer.weight_ih_l0.T, layer.weight_hh_l0.T, layer.bias_ih_l0)]
        return (*recurrent, self.readout.weight.T.detach().numpy().copy(), self.readout.bias.detach().numpy().copy())


def train(config: RunConfig, chunk: int) -> Iterator[Trained]:
    """Train epoch by epoch; yields after each chunk."""
    torch.manual_seed(config.seed)
    network = Network(config)
    network.load(first_weights(config))
    trainable = [parameter for parameter in network.parameters() if parameter.requires_grad]
    adam = torch.optim.Adam(trainable, lr=config.learning_rate, eps=1e-7, fused=True)
    for epoch in range(1, config.epochs + 1):
        states: Any = (None, None)
        for tokens in _batches(config):
            adam.zero_grad()
            logits, after = network(tokens, states)
            expected = tokens[:config.output_length]
            loss = nn.functional.cross_entropy(logits.flatten(0, 1), expected.flatten())
            loss.backward()
            adam.step()
            if config.stateful:
                states = [state and tuple(part.detach() for part in state) for state in after]
        if epoch % chunk == 0:
            yield Trained(epoch, network.weights)


def matrix_product(size: int) -> Any:
    """A function that multiplies two square matrices."""
    matrix = torch.randn(size, size)
    return lambda: matrix @ matrix


def _batches(config: RunConfig) -> tuple[torch.Tensor, ...]:
    """New windows, (input_length, batch_size) each, in order."""
    sequences = torch.randint(config.vocab_size, (config.sequences_per_epoch, config.sequence_length))
    windows = sequences.unfold(1, config.input_length, 1).flatten(0, 1).T
    return windows.contiguous().split(config.batch_size, dim=1)
