"""A search finds runs by the words and settings that pages show, in upper or lower case."""

import pytest

from echo_core.config import RunConfig
from echo_core.config.labels import TITLES, name_in_words
from echo_core.config.presets import PRESETS, short_name
from echo_core.config.search import Query, describe

RUN_ID = "0f3a" * 4


def found(text: str, config: RunConfig = PRESETS["quick"].config, name: str | None = None,
          state: str = "finished") -> bool:
    return Query(text).fits(RUN_ID, state, name, describe(config))


@pytest.mark.parametrize("name", PRESETS)
def test_each_preset_is_found_by_its_name_and_its_title(name: str):
    config = PRESETS[name].config
    for text in (name, name.upper(), PRESETS[name].title, PRESETS[name].title.casefold(), short_name(config),
                 name_in_words(config)):
        assert found(text, config), text


@pytest.mark.parametrize("field", ["task", "variant", "cell"])
def test_each_choice_is_found_by_its_value_and_its_title(field: str):
    for value, title in TITLES[field].items():
        config = RunConfig.model_construct(**{**RunConfig().model_dump(), field: value})
        assert found(str(value), config)
        assert found(title.upper(), config)


@pytest.mark.parametrize("text", [
    "units=64", "64 units", "units 64", "Units: 64", "UNITS = 64", "learning rate=0.010", "learning_rate 1e-2",
    "epochs=800", "seed 0 units 64", "64 units 0 seed", "units=64, epochs=800", "stateful=false", "batch size 168",
    "Network=encoder_decoder", "quick 64 units", "output_length=2 finished", "800 epochs,64 units"])
def test_settings_are_found_as_people_write_them(text: str):
    assert found(text)


@pytest.mark.parametrize("text", ["units=6", "4 units", "units=640", "units=64 seed=1", "epochs=80", "attention",
                                  "paused", "quick seed=1", "learning_rate=0.1", "colour=red"])
def test_settings_are_exact_and_all_of_a_query_must_fit(text: str):
    assert not found(text)


def test_thousands_may_be_written_with_commas():
    assert found("5,000 epochs", PRESETS["partial"].config)
    assert found("epochs=5,000, units=150", PRESETS["partial"].config)


@pytest.mark.parametrize(("text", "name"), [
    ("über", "ÜBER uns"), ("STRASSE", "die Straße"), ("straße", "STRASSE"), ("ΣΊΣΥΦΟΣ", "σίσυφος"),
    ("привет", "ПРИВЕТ"), ("cafe\u0301", "CAFÉ"), ("日本", "日本語"),
    ("best % run", "my BEST % run"), ("64 units", "try 64 units again"),
    ("encoder-decoder", "Encoder–decoder"), ("_", "a-b"), ("[x", "[X] done"), ("\\", "back\\slash"), ("100%", "100%")])
def test_names_are_found_whatever_their_case_and_characters(text: str, name: str):
    assert found(text, PRESETS["whole"].config, name)
    assert not found(text, PRESETS["whole"].config, "something else")


def test_runs_are_found_by_the_beginning_of_their_id_of_four_characters_or_more():
    assert found("0F3A0f3a")
    assert not found("0f3")
    assert not found("3a0f")


def test_near_presets_are_found_by_the_preset_that_the_list_calls_them_by():
    near = PRESETS["quick"].config.model_copy(update={"units": 65})
    assert short_name(near) == "quick, units=65"
    assert found("Quick partial", near)
