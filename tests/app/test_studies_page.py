"""The Studies page by Streamlit's own test runner: the form, a study as it grows, its answer. Nothing is trained."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import Mock

import pytest
import streamlit as st
from sqlalchemy import insert
from streamlit.testing.v1 import AppTest

from echo_app import state
from echo_app.panels.studies import acting, examples, form
from echo_core import engine as engines
from echo_core.records import Point
from echo_core.settings import Limits
from echo_core.store import Store
from echo_core.store.schema import REQUESTS
from echo_core.studies.measures import Measure
from echo_core.studies.study import Axis, Study
from tests.helpers.apptest import open_script
from tests.helpers.ended import end
from tests.helpers.samples import TINY
from tests.helpers.waiting import PATIENCE

STUDY = Study(TINY, (Axis("units", (4, 6)),), seeds=3)


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """The store of a copy without workers, where nobody asks for the runs of studies."""
    monkeypatch.setattr(engines, "Dispatcher", Mock())
    monkeypatch.setattr(state, "Runner", Mock())
    monkeypatch.setattr(state, "browser_name", lambda: "me")
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path / 'runs.db'}")
    st.cache_resource.clear()
    state.engine().dispatcher.status = "ready"
    yield state.engine().store
    state.engine().close()
    st.cache_resource.clear()


def open_studies(**query: object) -> AppTest:
    """The Studies page alone."""
    def script() -> None:
        import streamlit as st

        from echo_app.pages.studies import studies_page

        studies_page(lambda: st.session_state.update(opened_train=True))

    return open_script(script, **query)


@contextmanager
def visitor(name: str) -> Iterator[None]:
    """Pages that are opened here are of this browser."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(state, "browser_name", lambda: name)
        yield


def plain(text: str) -> str:
    return re.sub(r"\\(.)\u2060?", r"\1", text)


def said(page: AppTest) -> str:
    """All sentences of a page, without the escapes of Markdown."""
    parts = [*page.markdown, *page.caption, *page.error, *page.warning, *page.info, *page.subheader]
    return plain("\n".join(str(part.value) for part in parts))


def keys(page: AppTest) -> set[str]:
    return {str(button.key) for button in page.button}


def shown_table(page: AppTest) -> list[list[str]]:
    """The cells of each row of the table."""
    body = next(element.proto.body for element in page.get("html") if "echo-study'" in element.proto.body)
    return [re.findall("<td>(.*?)</td>", line) for line in re.findall("<tr>(.*?)</tr>", body)[1:]]


def trials(study: Study, place: int):
    return [trial.config for trial in study.trials() if trial.place == place]


def end_all(store: Store, scores: dict[int, tuple[float, ...]], study: Study = STUDY) -> None:
    """End each seed of each setting with a score."""
    for place, values in scores.items():
        for config, value in zip(trials(study, place), values, strict=True):
            end(store, config, value)


def ask_for(store: Store, study: Study = STUDY, holder: str | None = "me") -> None:
    store.studies.ask(study.study_id, study.to_json(), holder or "me")
    if holder is None:
        store.studies.rest(study.study_id)


# --- the form --------------------------------------------------------------------------------------


def test_a_newcomer_meets_a_question_that_can_be_started():
    page = open_studies()
    assert "One run is an anecdote" in said(page)
    assert "**20 runs**: 4 settings × 5 seeds." in said(page)
    assert not page.button(key="study_start").disabled


@pytest.mark.parametrize("name", list(examples.EXAMPLES))
def test_an_example_fills_the_form_with_its_own_study(name: str):
    page = open_studies()
    page.button(key=f"study_ask_{name}").click().run()
    assert not page.exception
    page.button(key="study_start").click().run()
    assert not page.exception
    example = examples.EXAMPLES[name]
    assert page.session_state[state.STUDY] == example.study.study_id
    assert page.session_state[acting.MEASURE] == example.measure
    assert page.query_params["study"] == example.study.study_id


def test_a_linked_study_is_in_the_form_too(store: Store):
    ask_for(store, holder=None)
    page = open_studies(study=STUDY.study_id, look_at="epochs")
    assert page.text_input(key="study_values_1").value == "4, 6"
    assert page.number_input(key="study_seeds").value == STUDY.seeds
    assert page.session_state[form.LOOK_AT] == Measure.EPOCHS


@pytest.mark.parametrize(("values", "words"), [
    ("8, x", "units must be a whole number"), ("8, 8", "units must have different values"),
    ("", "Units has no values yet"), ("4096", "units must be at most 1024 on this host"),
    ("<b>&", "units must be a whole number")])
def test_values_that_cannot_be_trained_are_refused_in_words_before_start(values: str, words: str):
    page = open_studies()
    page.text_input(key="study_values_1").set_value(values).run()
    assert words in said(page)
    assert page.button(key="study_start").disabled
    page.text_input(key="study_values_1").set_value("8, 16").run()
    assert not page.error
    assert "**10 runs**" in said(page)


@pytest.mark.parametrize("values", ["8 16", "units=8,16", " 8 , 16 "])
def test_values_may_have_spaces_between_them_or_their_setting_before_them(values: str):
    page = open_studies()
    page.text_input(key="study_values_1").set_value(values).run()
    assert not page.error
    assert "**10 runs**" in said(page)


def test_a_study_is_put_into_the_form_and_its_known_runs_are_counted_before_start(store: Store):
    end_all(store, {0: (0.5, 0.6, 0.7)})
    ask_for(store, holder=None)
    page = open_studies(study=STUDY.study_id)
    page.button(key="study_change").click().run()
    assert not page.exception
    assert page.text_input(key="study_values_1").value == "4, 6"
    assert "**6 runs**: 2 settings × 3 seeds. **3** of them are trained already." in said(page)
    page.button(key="study_start").click().run()
    assert store.studies.get(STUDY.study_id).holders == ("me",)


def test_varying_the_cell_ticks_the_choice_of_the_rate_and_counts_its_trials():
    page = open_studies()
    page.selectbox(key="study_field_1").select("cell").run()
    assert page.multiselect(key="study_choices_1").value == ["lstm", "gru", "simple_rnn"]
    assert page.checkbox(key="study_tune").value is True
    assert "**39 runs**: 3 settings × 5 seeds, and 8 trials of each" in said(page)
    page.checkbox(key="study_tune").uncheck().run()
    assert "which network is best at one rate says little" in said(page)
    page.multiselect(key="study_choices_1").set_value([]).run()
    assert "Cell has no values yet" in said(page)


def test_the_controls_of_the_train_page_are_a_beginning():
    page = open_studies(units=33, epochs=17)
    page.selectbox(key="study_base").select(form.OWN).run()
    page.button(key="study_start").click().run()
    row, = state.store().studies.newest()
    study = Study.from_json(row.spec)
    assert (study.base.epochs, study.base.units) == (17, 33)


def test_every_setting_that_is_offered_has_values_that_can_be_trained():
    for name in ("quick", "whole", "lag", "pairs", "linear", "no_memory"):
        base = form.base_of(name)
        for field in examples.fields(base):
            page_free = examples.first_choices(base, field) if examples.is_choice(field) else None
            axis = Axis(field, tuple(page_free)) if page_free else form.parse_axis(
                f"{field}={examples.first_values(base, field)}")
            assert Study(base, (axis,)).num_runs >= 10, (name, field)


# --- a study ---------------------------------------------------------------------------------------


def test_a_study_under_way_says_how_far_it_is_and_that_what_it_shows_is_partial(store: Store):
    end(store, trials(STUDY, 0)[0], 0.5)
    ask_for(store)
    page = open_studies(study=STUDY.study_id)
    assert "**Partial: 1 of 6 runs.**" in said(page)
    assert [row[:2] for row in shown_table(page)] == [["units 4", "50.0 %"], ["units 6", "–"]]
    assert {"study_pause", "study_cancel"} <= keys(page)
    assert "study_go_on" not in keys(page)


def test_a_study_is_paused_gone_on_with_removed_and_brought_back(store: Store):
    ask_for(store)
    page = open_studies(study=STUDY.study_id)
    page.button(key="study_pause").click().run()
    assert store.studies.get(STUDY.study_id).holders == ()
    page.button(key="study_go_on").click().run()
    assert store.studies.get(STUDY.study_id).holders == ("me",)
    page.button(key="study_cancel").click().run()
    assert store.studies.get(STUDY.study_id) is None
    assert "One run is an anecdote" in said(page)
    page.button(key="study_undo").click().run()
    assert store.studies.get(STUDY.study_id).holders == ("me",)
    assert "study_pause" in keys(page)
    assert not page.exception


def test_a_paused_study_that_is_brought_back_is_still_paused(store: Store):
    ask_for(store, holder=None)
    page = open_studies(study=STUDY.study_id)
    page.button(key="study_cancel").click().run()
    page.button(key="study_undo").click().run()
    assert store.studies.get(STUDY.study_id).holders == ()
    assert "study_go_on" in keys(page)


def test_a_finished_study_shows_its_table_and_each_seed_opens_its_run(store: Store):
    end_all(store, {0: (0.5, 0.7, 0.9), 1: (1.0, 1.0, 1.0)})
    ask_for(store, holder=None)
    page = open_studies(study=STUDY.study_id)
    assert "All **6 runs** have ended" in said(page)
    rows = shown_table(page)
    assert [row[:2] + row[3:] for row in rows] == [["units 4", "70.0 %", "3"], ["units 6", "100 %", "3"]]
    first = trials(STUDY, 0)[1]
    page.button(key=f"study_seed_{first.run_id}_1").click().run()
    assert page.session_state["opened_train"]
    assert page.session_state[state.RUN] == first.run_id


def test_a_difference_that_may_be_chance_is_said_with_the_seeds_that_would_tell(store: Store):
    end_all(store, {0: (0.5, 0.7, 0.9), 1: (0.6, 0.95, 0.8)})
    ask_for(store, holder=None)
    page = open_studies(study=STUDY.study_id)
    assert re.search(r"\*\*units 4\*\* or units 6: \*\*cannot tell yet\*\*.* percentage points worse so far",
                     said(page))


def test_the_button_for_more_seeds_starts_the_same_question_with_them(store: Store, monkeypatch: pytest.MonkeyPatch):
    from echo_core.studies import results
    found = results.Difference(0.1, -0.1, 0.3, 3, 0.95, False, 4, "…")
    monkeypatch.setattr(results, "compare", lambda *_: found)
    end_all(store, {0: (0.5, 0.7, 0.9), 1: (0.6, 0.95, 0.8)})
    ask_for(store, holder=None)
    page = open_studies(study=STUDY.study_id)
    assert "about 4 more seeds would" in said(page)
    page.button(key="study_more_seeds").click().run()
    longer = STUDY.with_seeds(7)
    assert page.session_state[state.STUDY] == longer.study_id
    assert store.studies.get(longer.study_id).holders == ("me",)
    assert "**Partial: 6 of 14 runs.**" in said(page)


def test_failed_and_missed_seeds_are_in_the_table_and_in_the_words(store: Store):
    first, second = trials(STUDY, 0), trials(STUDY, 1)
    end(store, first[0], failed=True)
    for config in (*first[1:], *second):
        end(store, config, 1.0, curve=tuple(Point(epoch, 0.1, 0.5) for epoch in range(1, 60)))
    ask_for(store, holder=None)
    page = open_studies(study=STUDY.study_id, look_at="epochs")
    assert page.session_state[acting.MEASURE] == Measure.EPOCHS
    assert [row[3:] for row in shown_table(page)] == [["0", "1", "2"], ["0", "0", "3"]]
    assert "1 failed or diverged; ▲ at the edge: 5 never got there" in said(page)
    assert "1 of them failed" in said(page)


def test_networks_compared_untuned_say_so_and_the_form_tunes_them(store: Store):
    study = Study(TINY, (Axis("cell", ("lstm", "gru")),), seeds=2)
    end_all(store, {0: (0.5, 0.7), 1: (1.0, 1.0)}, study)
    ask_for(store, study, holder=None)
    page = open_studies(study=study.study_id)
    assert "which network is best at one rate says little" in said(page)
    page.button(key="study_tune_first").click().run()
    assert page.checkbox(key="study_tune").value is True
    assert page.multiselect(key="study_choices_1").value == ["lstm", "gru"]


def test_two_settings_are_drawn_and_listed(store: Store):
    study = Study(TINY, (Axis("units", (4, 6)), Axis("cell", ("lstm", "gru"))), seeds=2)
    end_all(store, {0: (0.5, 0.7), 1: (0.6, 0.65), 2: (0.9, 0.8), 3: (1.0, 1.0)}, study)
    ask_for(store, study, holder=None)
    page = open_studies(study=study.study_id)
    assert [row[0] for row in shown_table(page)] == ["units 4, LSTM", "units 4, GRU", "units 6, LSTM", "units 6, GRU"]
    assert "corrected for 3 comparisons" in said(page)


def test_a_link_to_a_study_that_is_not_here_says_so():
    page = open_studies(study="0123456789abcdef")
    assert "This study is not on this copy" in str(page.warning[0].proto)
    assert open_studies(study="<b>").session_state[state.STUDY] is None


def test_a_study_of_another_version_says_so_and_can_be_removed(store: Store):
    store.studies.ask("0123456789abcdef", '{"base": {}}', "me")
    page = open_studies(study="0123456789abcdef")
    assert "This version cannot read this study" in str(page.warning[0].proto)
    page.button(key="study_remove").click().run()
    assert store.studies.newest() == []


def test_on_a_hosted_copy_visitors_list_their_own_and_may_not_pause_those_of_others(
        store: Store, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(state.engine(), "settings", state.engine().settings.model_copy(update={"hosted": True}))
    ask_for(store)
    with visitor("stranger"):
        page = open_studies(study=STUDY.study_id)
    assert "study_pause" not in keys(page)
    assert f"study_open_{STUDY.study_id}" not in keys(page)
    assert "0 of 6 runs have ended" in str(page.get("progress")[0].proto)
    assert f"study_open_{STUDY.study_id}" in keys(open_studies())


def test_on_a_hosted_copy_a_study_that_has_used_up_its_visitors_hour_says_so(
        store: Store, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(state.engine(), "settings", state.engine().settings.model_copy(update={"hosted": True}))
    with store.database.write() as connection:
        connection.execute(insert(REQUESTS), [{"visitor": "me", "asked_at": time.time() - 1800}] * 200)
    ask_for(store)
    bar = str(open_studies(study=STUDY.study_id).get("progress")[0].proto)
    assert "200 runs within the last hour" in bar
    assert "Try again in about 30 minutes" in bar
    with visitor("stranger"):
        bar = str(open_studies(study=STUDY.study_id).get("progress")[0].proto)
    assert "within the last hour" not in bar


def test_a_study_that_this_host_does_not_allow_any_more_says_so(store: Store, monkeypatch: pytest.MonkeyPatch):
    ask_for(store)
    monkeypatch.setattr(type(state.engine()), "limits", property(lambda _: Limits(max_units=5)))
    bar = str(open_studies(study=STUDY.study_id).get("progress")[0].proto)
    assert "units must be at most 5 on this host" in bar


def test_the_history_lists_runs_of_studies_when_it_is_asked_to(store: Store):
    def script() -> None:
        from echo_app.pages.history import runs_page

        runs_page(lambda: None)

    end_all(store, {0: (0.5, 0.6, 0.7)})
    ask_for(store, holder=None)
    page = AppTest.from_function(script, default_timeout=PATIENCE).run()
    assert "So far only studies have trained." in said(page)
    page.button(key="runs_show_studies").click().run()
    assert len(page.dataframe[0].value) == 3


def test_the_history_counts_the_runs_of_studies_that_it_does_not_list(store: Store):
    def script() -> None:
        from echo_app.pages.history import runs_page

        runs_page(lambda: None)

    end_all(store, {0: (0.5, 0.6, 0.7)})
    store.queue.request(trials(STUDY, 0)[0], "me", "me")  # a person's run from now on
    page = AppTest.from_function(script, default_timeout=PATIENCE).run()
    assert len(page.dataframe[0].value) == 1
    assert page.button(key="runs_show_studies").label == "Show 2 runs of studies"


def test_order_has_the_words_of_its_sort(store: Store):
    def script() -> None:
        from echo_app.pages.history import runs_page

        runs_page(lambda: None)

    store.queue.request(trials(STUDY, 0)[0], "me", "me")
    page = AppTest.from_function(script, default_timeout=PATIENCE).run()
    for sort, words in (("When", ["Newest first", "Oldest first"]), ("Epochs", ["Largest first", "Smallest first"])):
        page.selectbox(key="runs_sort").select(sort).run()
        assert page.selectbox(key=f"runs_ascending_{sort}").options == words


def test_the_list_has_each_study_with_how_far_it_is(store: Store):
    end(store, trials(STUDY, 0)[0], 0.5)
    ask_for(store, holder=None)
    page = open_studies()
    label = plain(page.button(key=f"study_open_{STUDY.study_id}").label)
    assert label.startswith("Units 4, 6: ")
    assert label.endswith("3 seeds (1 of 6 runs, paused)")
    page.button(key=f"study_open_{STUDY.study_id}").click().run()
    assert page.session_state[state.STUDY] == STUDY.study_id
