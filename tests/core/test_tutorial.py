"""The tutorial's way through its example, on our functions: in other words than its listing, with Keras 3's names.

Brownlee (2017), "How to use an Encoder-Decoder LSTM to Echo Sequences of Random Integers".
"""

from typing import Any

import pytest
from keras import Input, Sequential
from keras.layers import LSTM, Dense, RepeatVector, TimeDistributed

from echo_core import data


@pytest.fixture
def names() -> dict[str, Any]:
    """What a script has after `from echo_core.data import *`."""
    found: dict[str, Any] = {}
    exec("from echo_core.data import *", found)
    del found["__builtins__"]
    return found


def test_a_script_gets_our_functions_and_nothing_else(names: dict[str, Any]):
    assert sorted(names) == sorted(data.__all__)
    assert {function.__module__ for function in names.values()} == {"echo_core.data"}


def test_a_sequence_is_shown_encoded_and_decoded_as_plain_integers(names: dict[str, Any], capsys):
    sequence = names["generate_sequence"](length=25)
    encoded = names["one_hot_encode"](sequence, n_unique=100)
    decoded = names["one_hot_decode"](encoded)
    print(decoded)
    assert capsys.readouterr().out == f"[{', '.join(str(int(number)) for number in sequence)}]\n"
    assert decoded == sequence
    windows, echoes = names["to_supervised"](encoded, n_in=5, n_out=3)
    for start, (window, echo) in enumerate(zip(windows, echoes, strict=True)):
        assert names["one_hot_decode"](window) == sequence[start:start + 5]
        assert names["one_hot_decode"](echo) == names["one_hot_decode"](window)[:3]


@pytest.mark.parametrize(("n_out", "batch_size"), [(5, 7), (2, 21)], ids=["whole", "partial"])
def test_the_tutorials_loop_trains_and_compares_what_was_expected_with_what_was_predicted(
        names: dict[str, Any], n_out: int, batch_size: int, capsys):
    n_in, encoded_length = 5, 100
    decoder = [] if n_out == n_in else [RepeatVector(n_out), LSTM(8, return_sequences=True, stateful=True)]
    model = Sequential([Input(batch_shape=(batch_size, n_in, encoded_length)),
                        LSTM(8, return_sequences=not decoder, stateful=True), *decoder,
                        TimeDistributed(Dense(encoded_length, activation="softmax"))])
    model.compile(loss="categorical_crossentropy", optimizer="adam", metrics=["acc"])
    for _ in range(2):
        x, y = names["get_data"](n_in, n_out)
        model.fit(x, y, epochs=1, batch_size=batch_size, verbose=0, shuffle=False)
        for layer in model.layers:  # Keras 3 has no model.reset_states
            if hasattr(layer, "reset_states"):
                layer.reset_states()
    x, y = names["get_data"](n_in, n_out)
    predicted = model.predict(x, batch_size=batch_size, verbose=0)
    correct = 0
    for expected, answer in zip(y, predicted, strict=True):
        correct += names["one_hot_decode"](expected) == names["one_hot_decode"](answer)
        print("expected", names["one_hot_decode"](expected), "predicted", names["one_hot_decode"](answer))
    assert 0 <= correct <= len(y) == 21
    assert "array" not in capsys.readouterr().out
