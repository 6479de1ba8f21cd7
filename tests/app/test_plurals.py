"""Messages count one thing as one: `1 window an epoch`, not `1 windows`."""

import re

import pytest

from echo_app.charts.grid import summary
from echo_app.pages import train
from echo_app.panels.behind.tabs import how_to_read
from echo_core.config import RunConfig
from echo_core.config.repair import explain
from echo_core.data import shown_examples
from echo_core.exports.listing import keras_listing
from echo_core.store.upkeep import unwatched_reason
from echo_core.text.plurals import counted, duration

#: One thing with the noun of several.
WRONG = re.compile(r"(?<![\d.,=*])\*{0,2}\b1\b\*{0,2} (?:more |whole |unseen |different )?(?:windows|pairs|epochs|runs|"
                   r"seeds|words|numbers|steps|seconds|questions|parameters)\b(?! =)")
ONE_WINDOW = RunConfig(sequence_length=2, input_length=2, output_length=2, batch_size=1, vocab_size=2, units=1)
ONE_NUMBER = RunConfig(sequence_length=1, input_length=1, output_length=1, batch_size=1, vocab_size=2, units=1)


def test_a_count_has_its_noun():
    assert [counted(number, "window") for number in (0, 1, 2, 1000)] == [
        "0 windows", "1 window", "2 windows", "1,000 windows"]
    assert counted(1, "pair", bold=True) == "**1** pair"
    assert (counted(1.0, "second"), counted(0.5, "second")) == ("1 second", "0.5 seconds")


def test_a_duration_is_rounded_up_in_a_unit_that_fits():
    assert [duration(seconds) for seconds in (0, 1, 1.2, 89, 90, 119, 5399, 5400, 18_000)] == [
        "1 second", "1 second", "2 seconds", "89 seconds", "2 minutes", "2 minutes", "90 minutes", "2 hours", "5 hours"]


@pytest.mark.parametrize("config", [ONE_WINDOW, ONE_NUMBER, ONE_WINDOW.model_copy(update={"text": "a b"}),
                                    RunConfig(task="pairs", variant="encoder_decoder", stateful=False, text="a => b",
                                              vocab_size=2, sequence_length=1, input_length=1, output_length=1,
                                              batch_size=1)], ids=["window", "number", "words", "pair"])
def test_nothing_that_is_said_of_one_thing_speaks_of_several(config: RunConfig, monkeypatch: pytest.MonkeyPatch):
    drawn: list[str] = []
    monkeypatch.setattr(train.st, "markdown", drawn.append)
    monkeypatch.setattr(train.cached_reads, "estimate_seconds", lambda config: 1.0)
    monkeypatch.setattr(train.verdicts, "show", lambda found: None)
    train.what_it_takes(config)
    said = [*drawn, summary(config, shown_examples(config), None), how_to_read(config), keras_listing(config)]
    assert [found[0] for text in said for found in WRONG.finditer(text)] == []
    assert re.search(r"\*\*1\*\* (?:window|pair) an epoch", drawn[0])


def test_refusals_and_reasons_count_one_as_one():
    with pytest.raises(ValueError, match="the 1 window of an epoch") as refused:
        RunConfig.model_validate({**ONE_WINDOW.model_dump(), "batch_size": 2})
    assert all(not WRONG.search(line) for line in explain(refused.value))
    assert unwatched_reason(1) == "Nobody who pressed Train for it has been here for 1 second."
