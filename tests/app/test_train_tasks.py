"""The Train page with every task, network and text, by Streamlit's own test runner. Workers are real."""

import random

import pytest

from echo_app import actions, state
from echo_core.config import RunConfig
from echo_core.config.presets import SAMPLE_PAIRS
from echo_core.config.variants import VARIANTS
from tests.helpers.apptest import open_page, texts
from tests.helpers.waiting import PATIENCE

pytestmark = pytest.mark.usefixtures("own_engine")


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_network_has_a_page_of_its_own(variant: str):
    page = open_page(variant=variant, output_length=2 if variant != "whole" else 5)
    assert page.selectbox(key="variant").value == variant
    assert VARIANTS[variant].story.strip() in [words.value.strip() for words in page.markdown]


def test_only_what_makes_sense_is_offered():
    page = open_page(variant="attention", output_length=2)
    assert page.selectbox(key="representation").options == ["One-hot"]
    assert page.selectbox(key="missing").options == ["Drop", "Keep and mask"]
    page.selectbox(key="task").select("reverse").run()
    assert not {"Whole: answers while it reads", "Padded: one layer that waits"} & set(
        page.selectbox(key="variant").options)
    page.selectbox(key="variant").select("many_to_one").run()
    assert page.selectbox(key="representation").options == ["One-hot", "Scaled 0…1"]
    assert page.selectbox(key="missing").options == ["Drop"]


def test_a_network_that_cannot_do_the_task_makes_room_and_the_page_says_so():
    page = open_page(preset="whole")
    page.selectbox(key="task").select("reverse").run()
    assert page.session_state["variant"] == "encoder_decoder"
    assert "variant=whole does not fit" in texts(page)


def test_the_lag_has_a_control_of_its_own_that_begins_at_one_and_survives_a_look_at_another_task():
    page = open_page(units=33)
    page.selectbox(key="task").select("lag").run()
    assert page.number_input(key="lag").value == 1
    assert not [number for number in page.number_input if number.key == "output_length"]
    assert "6.6 bits" in texts(page)
    page.number_input(key="lag").set_value(3).run()
    assert "19.9 bits" not in texts(page)  # of five numbers only two are ever asked for
    assert "13.3 bits" in texts(page)
    page.selectbox(key="task").select("echo").run()
    assert (page.session_state["lag"], page.session_state["output_length"]) == (0, 5)
    assert "needs **no memory**" in texts(page)
    assert not page.warning


def test_pairs_come_with_an_example_and_going_back_brings_the_settings_back():
    page = open_page(units=33)
    page.selectbox(key="task").select("pairs").run()
    assert page.session_state["text"] == SAMPLE_PAIRS
    assert page.selectbox(key="preset").value == "pairs"
    assert page.number_input(key="output_length").disabled
    assert "12** pairs an epoch" in texts(page)
    assert not page.warning
    page.text_area(key="text").set_value("a b => c\nc => a").run()
    assert (page.session_state["vocab_size"], page.session_state["input_length"]) == (3, 2)
    assert not page.warning
    page.selectbox(key="task").select("echo").run()
    assert (page.session_state["units"], page.session_state["vocab_size"]) == (33, 100)
    page.selectbox(key="task").select("pairs").run()
    assert page.session_state["text"] == "a b => c\nc => a"


def test_what_cannot_be_learnt_stays_as_it_was_typed_and_train_waits():
    page = open_page(preset="pairs")
    page.text_area(key="text").set_value("how are you ?").run()
    assert page.session_state["text"] == "how are you ?"
    assert "received 'how are you ?' in line 1" in texts(page)
    assert page.button(key="train").disabled
    page.text_area(key="text").set_value("how are you ? => fine").run()
    assert not page.button(key="train").disabled


def test_own_words_take_the_place_of_numbers():
    page = open_page(variant="encoder_decoder", output_length=2)
    page.toggle(key="own_words").set_value(True).run()
    assert page.session_state["text"] == actions.SAMPLE_WORDS
    assert page.number_input(key="vocab_size").disabled
    assert page.session_state["vocab_size"] == 8
    assert not page.warning
    page.toggle(key="own_words").set_value(False).run()
    assert state.SETTLED_TEXT in page.session_state
    assert page.session_state[state.SETTLED_TEXT] == ""


def test_a_link_carries_a_text_and_a_long_one_only_its_run():
    config = RunConfig(task="pairs", variant="attention", text="<b>a</b> => c\nc => a", epochs=2, units=4)
    page = open_page(**config.to_query())
    assert page.session_state["text"] == config.text
    assert not page.warning
    page.button(key="train").click().run()
    assert page.query_params["text"].startswith("zip:")
    rng = random.Random(0)
    long = "\n".join(f"{rng.getrandbits(64):x} => {rng.getrandbits(64):x}" for _ in range(100))
    page.text_area(key="text").set_value(long).run()
    page.button(key="train").click().run()
    assert list(page.query_params) == ["run"]
    again = open_page(run=page.query_params["run"])
    assert again.session_state["text"] == long


def test_asking_twice_without_a_reset_is_shown_for_a_stateful_network():
    page = open_page(variant="encoder_decoder", output_length=2, units=8, batch_size=21, epochs=3, seed=80)
    page.session_state["behind"] = "What a reset does"
    page.run()
    assert any("only a network with **Stateful** on" in note.value for note in page.info)
    page.button(key="train").click().run()
    assert state.engine().wait(page.session_state[state.RUN], timeout=PATIENCE) == "finished"
    page.run()
    shown = next(table.value for table in page.dataframe if "never reset" in table.value)
    assert list(shown["reset before"]) == [shown["reset before"][0]] * 4
    assert shown["never reset"][0] == shown["reset before"][0]


def test_a_file_of_pairs_takes_the_place_of_what_was_typed():
    page = open_page(preset="pairs")
    page.file_uploader(key="upload").upload("pairs.csv", b"how are you ?,fine\nwho ?,me\n", "text/csv").run()
    assert page.session_state["text"] == "how are you ? => fine\nwho ? => me"
    assert page.session_state["input_length"] == 4


def test_a_table_with_a_heading_says_what_of_it_was_left_out_until_other_settings_come():
    page = open_page(preset="pairs")
    page.file_uploader(key="upload").upload("cards.tsv", b"Front\tBack\tTags\nwho ?\tme\tx\n", "text/plain").run()
    assert page.session_state["text"] == "who ? => me"
    assert "Line 1 of the file was taken for a heading" in texts(page)
    assert "its other columns left out" in texts(page)
    page.selectbox(key="preset").set_value("pairs").run()
    assert "left out" not in texts(page)


def test_a_setting_that_a_link_gives_twice_counts_neither_time():
    page = open_page(units=["8", "9"], seed=3)
    assert (page.session_state["units"], page.session_state["seed"]) == (RunConfig().units, 3)
    assert "units must be given once; received 2 of it" in texts(page)


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"a" * 200_000 + b",b\n"])
def test_a_file_that_cannot_be_read_is_refused_and_what_was_typed_stays(content: bytes):
    page = open_page(preset="pairs")
    page.file_uploader(key="upload").upload("pairs.csv", content, "text/csv").run()
    assert page.session_state["text"] == SAMPLE_PAIRS
    assert "text must be a " in texts(page)
