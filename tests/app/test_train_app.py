"""The Train page by Streamlit's own test runner: what it says, without a browser. Workers are real."""

import re
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from echo_app import state, store_outages
from echo_app.panels import run_view
from echo_core.config import RunConfig
from echo_core.config.presets import PRESETS
from echo_core.data import shown_examples
from echo_core.evaluation.verdicts import not_finite
from echo_core.records import Checkpoint, Evaluation, Point, Progress, Snapshot, State
from echo_core.settings import LimitExceeded
from echo_core.store import StoreError
from echo_core.studies.running import pause, top_up
from echo_core.studies.study import Axis, Study
from tests.helpers.apptest import open_page, texts
from tests.helpers.waiting import PATIENCE, until

pytestmark = pytest.mark.usefixtures("own_engine")


def test_first_visit_begins_with_a_network_that_has_to_remember():
    page = open_page()
    assert page.selectbox(key="preset").value == "quick"
    assert "81,764" in texts(page)
    assert "It must remember **13.3 bits**" in texts(page)


def test_whole_echo_is_one_press_away_as_the_contrast_and_leads_back():
    page = open_page()
    assert page.button(key="contrast").label == "Compare: whole echo needs no memory"
    page.button(key="contrast").click().run()
    assert page.session_state[state.RUN] == PRESETS["whole"].config.run_id
    assert page.selectbox(key="preset").value == "whole"
    assert "11,780" in texts(page)
    assert "needs **no memory**" in texts(page)
    page.button(key="contrast").click().run()
    assert page.selectbox(key="preset").value == "quick"


@pytest.mark.parametrize("preset", [
    preset if preset in ("attention_20", "linear", "pairs") else pytest.param(preset, marks=pytest.mark.slow)
    for preset in PRESETS])
def test_a_preset_sets_every_control(preset: str):
    page = open_page()
    page.selectbox(key="preset").select(preset).run()
    shown = {name: page.session_state[name] for name in RunConfig.model_fields}
    assert RunConfig(**shown) == PRESETS[preset].config
    assert PRESETS[preset].watch_for in texts(page)


def test_a_changed_control_makes_the_settings_ones_own():
    page = open_page()
    page.number_input(key="units").set_value(21).run()
    assert page.selectbox(key="preset").value == state.OWN
    assert not page.exception


def test_bits_to_remember_are_said_for_partial_echo():
    page = open_page(variant="encoder_decoder", output_length=2)
    assert "13.3 bits" in texts(page)


def test_a_link_carries_fields_by_name():
    page = open_page(variant="encoder_decoder", units=64, seed=3)
    assert page.session_state["variant"] == "encoder_decoder"
    assert (page.session_state["units"], page.session_state["seed"]) == (64, 3)
    assert not page.warning


def test_a_link_may_name_a_preset():
    page = open_page(preset="quick", seed=3)
    assert page.session_state["units"] == 64
    assert page.session_state["seed"] == 3


def test_nonsense_in_a_link_is_named_as_plain_text():
    page = open_page(units=-5, variant="<script>", epochs="1e99")
    said = "\n".join(element.value for element in page.text)
    assert "units must be at least 1; received -5" in said
    assert "received <script>" in said
    assert "epochs must be a whole number; received 1e99" in said
    assert page.session_state["units"] == 20


def test_a_longer_input_moves_the_batch_size_to_one_that_divides_the_windows():
    page = open_page(preset="whole")
    page.number_input(key="input_length").set_value(7).run()
    assert page.session_state["batch_size"] == 19
    assert "batch_size=7 does not fit" in "\n".join(element.value for element in page.text)
    assert page.selectbox(key="batch_size").options == ["1", "19"]


def test_whole_echo_holds_its_output_length_to_the_input_length():
    page = open_page(variant="encoder_decoder", output_length=2)
    assert not page.number_input(key="output_length").disabled
    page.selectbox(key="variant").select("whole").run()
    assert page.number_input(key="output_length").disabled
    assert page.session_state["output_length"] == 5


def test_several_sequences_switch_stateful_off():
    page = open_page(preset="whole")
    page.number_input(key="sequences_per_epoch").set_value(2).run()
    assert page.toggle(key="stateful").disabled
    assert page.session_state["stateful"] is False


def test_what_this_host_does_not_allow_is_said_before_training():
    page = open_page(units=100_000)
    assert page.button(key="train").disabled
    assert any("units must be at most 1024 on this host" in error.value for error in page.error)


def test_an_unknown_run_in_a_link_is_said_and_the_settings_stay():
    page = open_page(run="0" * 16, units=33)
    [warning] = page.warning
    assert "This run is not on this copy" in str(warning.proto)
    assert "the controls have its settings" in warning.value
    assert "not accepted" not in texts(page)
    assert page.session_state["units"] == 33


def test_train_asks_for_the_run_of_the_settings_and_puts_it_into_the_address():
    page = open_page(epochs=3, seed=77)
    page.button(key="train").click().run()
    wanted = RunConfig(epochs=3, seed=77)
    assert page.session_state[state.RUN] == wanted.run_id
    assert page.query_params["run"] == wanted.run_id
    assert page.query_params["seed"] == "77"
    assert state.engine().wait(wanted.run_id, timeout=PATIENCE) == "finished"
    again = open_page(run=wanted.run_id)
    assert again.session_state["seed"] == 77
    [box] = [box for box in again.warning if "3 epochs in" in str(box.proto)]
    assert "Did not learn it: " in str(box.proto)
    downloads = {button.proto.label: button.proto for button in again.get("download_button")}
    assert {"Download as CSV", "Settings as a file", "All of it"} <= set(downloads)
    assert all(each.deferred_file_id and not each.url for each in downloads.values())


def test_presses_in_the_panel_are_understood_when_the_whole_page_is_drawn():
    # A press that meets another reason to draw the page comes with it; the test runner always draws it all.
    page = open_page(epochs=3, seed=85)
    page.button(key="train").click().run()
    assert state.engine().wait(RunConfig(epochs=3, seed=85).run_id, timeout=PATIENCE) == "finished"
    page.run()
    page.number_input(key="more_epochs").set_value(2).run()
    page.button(key="extend").click().run()
    assert not page.exception
    longer = RunConfig(epochs=5, seed=85).run_id
    assert (page.session_state["epochs"], page.session_state[state.RUN]) == (5, longer)
    assert state.engine().wait(longer, timeout=PATIENCE) == "finished"


def test_go_on_puts_the_controls_where_the_run_is_when_the_whole_page_is_drawn():
    wanted = RunConfig(epochs=100_000, seed=81)
    page = open_page(**wanted.to_query())
    page.button(key="train").click().run()
    state.engine().stop(wanted.run_id)
    assert state.engine().wait(wanted.run_id, timeout=PATIENCE) == "paused"
    page.number_input(key="units").set_value(33).run()
    while "go_on" not in [button.key for button in page.button]:  # it is judged first, in a moment
        page.run()
    page.button(key="go_on").click().run()
    assert not page.exception
    assert page.session_state["units"] == wanted.units
    assert state.store().runs.get(wanted.run_id).state.is_active
    state.engine().stop(wanted.run_id)
    assert state.engine().wait(wanted.run_id, timeout=PATIENCE) == "paused"


def test_a_page_says_which_network_may_be_wanted_unless_many_are_here(monkeypatch: pytest.MonkeyPatch):
    open_page()  # so that there is an engine
    wanted: list[RunConfig] = []
    monkeypatch.setattr(state.engine(), "compile_ahead", wanted.append)
    monkeypatch.setattr(state, "FEW_SESSIONS", 1000)
    page = open_page(units=33)
    page.number_input(key="units").set_value(34).run()
    assert [config.units for config in wanted] == [33, 34]
    open_page(units=1500)  # more than this host allows
    monkeypatch.setattr(state, "FEW_SESSIONS", 0)
    open_page(units=35)
    assert [config.units for config in wanted] == [33, 34]


def test_a_run_that_lasts_is_drawn_half_as_often(monkeypatch: pytest.MonkeyPatch):
    open_page()  # so that there is an engine
    monkeypatch.setattr(state, "FEW_SESSIONS", 1000)
    wanted = RunConfig(epochs=3, seed=86)
    state.engine().submit(wanted)
    run = state.store().runs.get(wanted.run_id)
    short, long = (replace(run, state=State.RUNNING, seconds=seconds) for seconds in (4.9, 5.1))
    assert run_view.pace_of(long) == 2 * run_view.pace_of(short)


def test_a_refusal_stays_to_be_read_though_the_page_is_drawn_anew(monkeypatch: pytest.MonkeyPatch):
    page = open_page(epochs=3, seed=82)

    def full(*_: object) -> str:
        raise LimitExceeded("the queue is full")

    with monkeypatch.context() as patch:
        patch.setattr(state.engine(), "submit", full)
        page.button(key="train").click().run()
    page.run()
    assert [error.value for error in page.error] == ["the queue is full"]
    monkeypatch.setattr(store_outages, "READING_SECONDS", 0.0)
    page.run()
    assert not page.error


def test_a_run_of_a_study_is_stopped_by_pausing_the_study():
    study = Study(RunConfig(units=4, epochs=100_000, seed=83), (Axis("units", (4, 5)),), seeds=1)
    studies, engine = state.store().studies, state.engine()
    studies.ask(study.study_id, study.to_json(), engine.own_holder)
    run_id = next(study.trials()).config.run_id
    until(lambda: not top_up(study, engine) and state.store().runs.get(run_id).epoch > 0)
    page = open_page(run=run_id)
    assert page.button(key="stop").disabled
    assert any("Pause the study to stop it" in box.value for box in page.info)
    pause(study, engine)
    until(lambda: state.store().runs.get(run_id).state is State.PAUSED)


def test_a_changed_control_and_the_click_may_arrive_together():
    page = open_page(epochs=3, seed=79)
    page.number_input(key="sequence_length").set_value(30)
    page.button(key="train").click().run()
    assert not page.exception
    run = state.store().runs.get(page.session_state[state.RUN])
    assert (run.config.sequence_length, run.config.num_windows % run.config.batch_size) == (30, 0)


def test_a_link_far_beyond_the_limits_draws_nothing_of_its_size():
    page = open_page(sequence_length=90_000, input_length=40_000)
    assert any("sequence_length must be at most 1000 on this host" in error.value for error in page.error)
    assert not page.tabs


def test_a_store_that_cannot_be_opened_is_said_on_the_page(monkeypatch: pytest.MonkeyPatch):
    def refuse() -> None:
        raise StoreError("the store is of a newer version")

    monkeypatch.setattr(state, "engine", refuse)
    page = open_page()
    assert "the store is of a newer version" in [element.value for element in page.text]
    assert not page.button


def test_a_failed_run_says_why_and_its_settings_stay():
    config = RunConfig(epochs=3, seed=78)
    open_page()  # so that there is an engine
    store = state.engine().store
    ticket = store.queue.take(config, worker="test", holder="test")
    store.attempts.start(ticket, threads=1)
    store.attempts.fail(ticket, "MemoryError: <b>no room</b>")
    page = open_page(run=config.run_id)
    assert "MemoryError: <b>no room</b>" in [element.value for element in page.text]  # as plain text
    assert any("Failed at epoch 0" in str(box.proto) for box in page.error)
    assert page.session_state["seed"] == 78
    page.session_state["seed"] = 90  # the button takes the run's settings, whatever the controls say
    page.button(key="train_again").click().run()
    assert not page.exception
    assert store.runs.get(config.run_id).state is not State.FAILED
    assert page.session_state["seed"] == 78


def test_a_run_that_diverged_says_so_in_a_sentence_and_shows_its_last_good_answers():
    config = RunConfig(epochs=3, seed=79, learning_rate=1)
    open_page()  # so that there is an engine
    store = state.engine().store
    ticket = store.queue.take(config, worker="test", holder="test")
    store.attempts.start(ticket, threads=1)
    reason = str(not_finite(config, 2))
    store.attempts.fail(ticket, reason, Checkpoint(1, 3, ()))
    page = open_page(run=config.run_id)
    assert reason in [element.value for element in page.text]
    assert any("Failed at epoch 1" in str(box.proto) for box in page.error)


def test_contradictory_pairs_are_named_beside_the_settings_as_plain_text():
    page = open_page(preset="pairs")
    page.text_area(key="text").set_value("<b>a</b> => b\n<b>a</b> => c\nd => e").run()
    said = "\n".join(element.value for element in page.text)
    assert '"<b>a</b>" has two answers, "b" and "c". No network can learn both' in said


def test_a_result_that_is_the_same_answer_to_everything_is_named_beside_it():
    config = RunConfig(epochs=3, seed=80, learning_rate=1)
    open_page()
    store = state.engine().store
    ticket = store.queue.take(config, worker="test", holder="test")
    store.attempts.start(ticket, threads=1)
    store.attempts.append(ticket, Progress(3, 1005.0, 0.0, 1.0, (Point(3, 1005.0, 0.0),), Checkpoint(3, 9, ())))
    store.attempts.finish(ticket, Checkpoint(3, 9, ()),
                 Evaluation(0.01, 0.0, 2000, (0.01,) * 5, sameness=1.0, same_accuracy=0.0))
    said = "\n".join(element.value for element in open_page(run=config.run_id).text)
    assert "Training diverged: its loss ended at 1,005, where pure guessing has 4.61." in said
    assert "The network gives the same answer for every window, which alone scores 0.0 % of windows." in said


def finished(config: RunConfig, right: float, each: float | None = None) -> str:
    """Put a finished run into the store by hand. Returns its run_id."""
    open_page()  # so that there is an engine
    store = state.engine().store
    ticket = store.queue.take(config, worker="test", holder="test")
    store.attempts.start(ticket, threads=1)
    for epoch in (0, 1, config.epochs):
        answers = shown_examples(config).expected.astype(np.int32)
        snapshot = Snapshot(epoch, answers, np.full(answers.shape, 0.5, np.float32))
        store.attempts.append(ticket, Progress(epoch, 1.0, right, epoch / 10, (Point(epoch, 1.0, right),),
                                               Checkpoint(epoch, epoch, ()), snapshot))
    store.attempts.finish(ticket, Checkpoint(config.epochs, config.epochs, ()), Evaluation(
        each if each is not None else right, right, 2004, (right,) * config.output_length, sameness=0.1,
        same_accuracy=0.0))
    return config.run_id


@pytest.mark.parametrize(("preset", "right", "box", "said"), [
    ("quick", 1.0, "success", "Learnt it: 2,004 of 2,004 windows"),
    ("partial", 0.25, "info", "Partly learnt: 501 of 2,004 windows"),
    ("ten_without_attention", 0.0, "warning", "Did not learn it: 0 of 2,004 windows")])
def test_result_says_what_it_comes_to_in_the_colour_of_it(preset: str, right: float, box: str, said: str):
    page = open_page(run=finished(PRESETS[preset].config.model_copy(update={"seed": 600}), right))
    [found] = [shown for shown in getattr(page, box) if said in str(shown.proto)]
    assert "Finished: " in found.value
    if preset == "ten_without_attention":
        assert found.value.startswith("As expected: training finds no way to keep 66 bits in this state.")


def test_what_to_try_next_is_a_button_that_does_it():
    config = PRESETS["ten_without_attention"].config.model_copy(update={"seed": 601})
    page = open_page(run=finished(config, 0.0))
    assert page.button(key="next_step").label == "Let it look back: attention"
    page.button(key="next_step").click().run()
    assert not page.exception
    assert (page.session_state["variant"], page.session_state["seed"]) == ("attention", 601)
    assert state.store().runs.get(page.session_state[state.RUN]).config.variant == "attention"


def test_shown_run_of_other_settings_is_said_above_it_with_both_ways_out():
    shown = PRESETS["no_memory"].config
    page = open_page(run=finished(shown, 0.0))
    assert not [button for button in page.button if button.key == "train_these"]
    page.selectbox(key="preset").select("pairs").run()
    assert "Showing *No memory*. Your controls are set to *Questions and answers*." in texts(page)
    page.button(key="back_to_shown").click().run()
    assert page.selectbox(key="preset").value == "no_memory"
    assert "Showing" not in texts(page)
    page.selectbox(key="preset").select("pairs").run()
    page.button(key="train_these").click().run()
    assert page.session_state[state.RUN] == PRESETS["pairs"].config.run_id
    state.engine().stop(PRESETS["pairs"].config.run_id)


def test_settings_that_were_trained_before_are_replayed_by_themselves_and_can_be_trained_anew(
        monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(state, "frame_seconds", lambda: 3600.0)  # it stays at its first picture
    config = RunConfig(epochs=3, seed=602)
    run_id = finished(config, 1.0)
    page = open_page(**config.to_query())
    assert "**Trained before**: Train shows its replay." in texts(page)
    page.button(key="train").click().run()
    assert page.session_state[state.PLAYING]
    assert page.session_state[state.REPLAY_AT] == 0
    day = f"{datetime.now(UTC):%-d %b}"
    assert any(f"Trained before, {day}; this is its replay." in box.value for box in page.success)
    page.button(key="train_again").click().run()
    assert not page.exception
    assert state.engine().wait(run_id, timeout=PATIENCE) == "finished"
    assert state.store().runs.get(run_id).attempt == 2
    assert state.store().runs.get(run_id).fingerprint is not None
    assert not any("Trained before" in box.value for box in open_page(run=run_id).success)


def test_train_longer_is_shown_and_says_why_a_cosine_cannot_go_on():
    page = open_page(run=finished(RunConfig(epochs=3, seed=603, schedule="cosine"), 1.0))
    assert page.button(key="extend").disabled
    assert "its learning rate has fallen to zero along a cosine" in texts(page)
    page = open_page(run=finished(RunConfig(epochs=3, seed=604), 1.0))
    assert not page.button(key="extend").disabled


def test_the_code_tab_holds_the_network_and_its_summary():
    page = open_page(variant="encoder_decoder", output_length=2, units=150, batch_size=21)
    page.session_state["behind"] = "The code"
    page.run()
    code = "\n".join(block.value for block in page.code)
    assert re.search(r"LSTM\(150, stateful=True, name=\"encoder\"\)", code)
    assert "Total params: 346,300" in code
