"""The Inside page and the question below a result, by Streamlit's own test runner, on runs that are stored by hand."""

from collections.abc import Callable

import pytest
from sqlalchemy import delete
from streamlit.testing.v1 import AppTest

from echo_app import state
from echo_app.pages.inside import VIEW, VIEWS
from echo_core.config import RunConfig
from echo_core.engine import Busy, Engine
from echo_core.evaluation.asking import ask
from echo_core.records import Checkpoint
from echo_core.store import RunRow
from echo_core.store.schema import CHECKPOINTS, PROGRESS, SNAPSHOTS
from tests.helpers.apptest import open_page, open_script
from tests.helpers.cover import cover
from tests.helpers.samples import COMBINATIONS, TABLE, TINY
from tests.helpers.stored import add_finished
from tests.helpers.weights import random_weights

pytestmark = pytest.mark.usefixtures("own_engine")

#: A few kinds of runs: any two values of the table that can be combined meet in one of them. The first is drawn before
#: each change; `test_inside_views` draws every view of every network then, without the page around it.
FIRST, *OTHERS = ["-".join(map(str, row.values())) for row in cover(list(TABLE.values()), 2)]


def stored(config: RunConfig, seed: int = 0) -> RunRow:
    return add_finished(state.engine().store, config, seed)


def open_inside(**query: object) -> AppTest:
    """The Inside page alone."""
    def script() -> None:
        from echo_app.pages.inside import inside_page

        inside_page(lambda: None)

    return open_script(script, **query)


def errors(page: AppTest) -> list[str]:
    return [element.value for element in page.error]


def test_a_copy_without_runs_says_so_and_leads_to_train():
    page = open_inside()
    assert "There is no network to look into yet" in page.info[0].value
    assert page.button(key="train_first").label == "Train a network"


def test_the_question_below_a_result_is_answered_as_the_command_line_answers():
    run = stored(TINY.model_copy(update={"seed": 5}))
    page = open_page(run=run.run_id)
    page.text_input(key="asked").set_value("1 2 3").run()
    reply = ask(run.config, random_weights(run.config), "1 2 3")
    shown = next(element.proto.body for element in page.get("html") if "echo-answer" in element.proto.body)
    for place in reply.places:
        assert f'<span class="said">{place.answer}' in shown


def test_a_question_that_cannot_be_read_says_what_to_try():
    page = open_page(run=stored(TINY.model_copy(update={"seed": 5})).run_id)
    page.text_input(key="asked").set_value("1 2").run()
    said = errors(page)[0].replace("\\", "")
    assert said.startswith("Type 3 numbers, as many as this network reads; these are 2. Try")
    assert "pictures" not in said  # there are none below
    assert not page.exception


def test_inside_says_which_window_its_pictures_show_while_the_question_cannot_be_read():
    page = open_inside(run=stored(TINY.model_copy(update={"seed": 5})).run_id)
    page.text_input(key="asked").set_value("1 2 3").run()
    page.text_input(key="asked").set_value("1 2 99").run()
    said = errors(page)[0].replace("\\", "")
    assert said.startswith(f"Type numbers from 0 to {TINY.vocab_size - 1}; 99 is none of these.")
    assert said.endswith("The pictures below still show 1 2 3.")


def test_roll_asks_something_that_can_be_read():
    page = open_page(run=stored(TINY.model_copy(update={"seed": 5})).run_id)
    before = page.session_state["asked"]
    page.button(key="roll").click().run()
    assert page.session_state["asked"] != before
    assert not errors(page)


def test_the_newest_run_is_looked_into_unless_the_address_names_one():
    old, new = (stored(TINY.model_copy(update={"seed": seed})) for seed in (6, 7))
    assert open_inside().selectbox(key="inside_run").value == new.run_id
    assert open_inside(run=old.run_id).selectbox(key="inside_run").value == old.run_id


def test_another_run_may_be_picked_and_becomes_the_run_of_all_pages():
    runs = [stored(TINY.model_copy(update={"seed": seed})) for seed in (6, 7)]
    page = open_inside(run=runs[0].run_id)
    page.selectbox(key="inside_run").set_value(runs[1].run_id).run()
    assert not page.exception
    assert page.session_state["run_id"] == runs[1].run_id


def test_an_earlier_moment_is_asked_of_a_worker_and_the_answer_is_that_moments(monkeypatch: pytest.MonkeyPatch):
    run, early = stored(TINY.model_copy(update={"seed": 8})), tuple(random_weights(TINY, seed=1))
    asked = []

    def moment(self: Engine, run_id: str, epoch: int) -> Checkpoint:
        asked.append((run_id, epoch))
        return Checkpoint(epoch, epoch, early)

    monkeypatch.setattr(Engine, "moment", moment)
    page = open_inside(run=run.run_id)
    assert asked == []  # the newest weights are stored
    page.number_input(key="moment_box").set_value(7).run()
    assert asked == [(run.run_id, 7)]
    reply = ask(run.config, early, page.session_state["asked"])
    shown = next(element.proto.body for element in page.get("html") if "<ul" in element.proto.body)
    assert all(f'<span class="said">{place.answer}' in shown for place in reply.places)


def test_a_moment_that_no_worker_can_make_now_is_said(monkeypatch: pytest.MonkeyPatch):
    def moment(self: Engine, run_id: str, epoch: int) -> Checkpoint:
        raise Busy("the workers are still starting. Try again in about 12 seconds.")

    monkeypatch.setattr(Engine, "moment", moment)
    page = open_inside(run=stored(TINY.model_copy(update={"seed": 9})).run_id)
    page.number_input(key="moment_box").set_value(3).run()
    assert not page.exception
    assert "still starting" in page.warning[0].value


def test_a_run_whose_weights_were_given_up_says_how_to_get_them_back():
    run = stored(TINY.model_copy(update={"seed": 10}))
    state.engine().store.upkeep.evict(1)
    page = open_inside(run=run.run_id)
    assert "no weights any more" in page.info[0].value


def open_history(**query: object) -> AppTest:
    """The History page alone."""
    def script() -> None:
        from echo_app.pages.history import runs_page

        runs_page(lambda: None)

    return open_script(script, **query)


@pytest.mark.parametrize("has_weights", [True, False])
@pytest.mark.parametrize("open_it", [open_page, open_inside, open_history])
def test_pages_of_a_run_without_curve_and_snapshots_can_be_opened(open_it: Callable[..., AppTest], has_weights: bool):
    run, store = stored(TINY.model_copy(update={"seed": 12 + has_weights})), state.engine().store
    with store.database.write() as connection:
        for table in (PROGRESS, SNAPSHOTS, *([] if has_weights else [CHECKPOINTS])):
            connection.execute(delete(table).where(table.c.run_id == run.run_id))
    assert (store.progress.checkpoint(run.run_id) is not None) == has_weights
    page = open_it(run=run.run_id)
    assert not page.exception
    assert not errors(page)


def test_a_question_of_another_network_stays_if_this_one_can_read_it():
    first, second = stored(TINY.model_copy(update={"seed": 6})), stored(TINY.model_copy(update={"seed": 7}))
    wide = stored(TINY.model_copy(update={"input_length": 4, "batch_size": 5, "seed": 11}))
    page = open_inside(run=first.run_id)
    page.text_input(key="asked").set_value("1 2 3").run()
    page.selectbox(key="inside_run").set_value(second.run_id).run()
    assert page.session_state["asked"] == "1 2 3"
    page.selectbox(key="inside_run").set_value(wide.run_id).run()
    assert len(page.session_state["asked"].split()) == 4
    assert not errors(page)


@pytest.mark.parametrize("name", [FIRST, *(pytest.param(name, marks=pytest.mark.slow) for name in OTHERS)])
def test_every_view_is_drawn_of_every_kind_of_run(name: str, monkeypatch: pytest.MonkeyPatch):
    run = stored(COMBINATIONS[name])
    untrained = tuple(random_weights(run.config, seed=3))
    monkeypatch.setattr(Engine, "moment", lambda self, run_id, epoch: Checkpoint(epoch, epoch, untrained))
    page = open_inside(run=run.run_id)
    for view in VIEWS:
        page.session_state[VIEW] = view
        page.run()
        assert not page.exception
        assert not errors(page)
