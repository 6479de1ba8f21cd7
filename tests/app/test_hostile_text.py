"""What a stranger has typed or linked reaches no place of a page that reads Markdown: by AppTest."""

import json
import re
from collections.abc import Iterator

import pytest
import streamlit as st
from google.protobuf.json_format import MessageToDict
from streamlit.testing.v1 import AppTest

from echo_app import state
from echo_app.formatting import plain
from echo_core.config import RunConfig
from echo_core.store import Store
from echo_core.studies.study import Axis, Study
from tests.helpers.apptest import open_page
from tests.helpers.hostile import HOSTILE, HOSTILE_WORD, PAIRS, keep_run
from tests.helpers.waiting import PATIENCE

#: Elements that show text unchanged, and fields of other elements in which a browser reads no Markdown.
#: Components get text as data, and set it as text.
INERT = {"bidi_component", "text", "code", "arrow_data_frame", "vega_lite_chart", "text_area", "text_input", "html"}
VALUES = {"id", "value", "default", "rawValues"}
#: In a selectbox only the label and the help are read as Markdown.
OF_A_SELECTBOX = {"options", "rawValue"}
#: Text from which Markdown would make a picture, a link, a colour, an icon or a formula.
MARKUP = re.compile(r"(?<!\\)(?:!\[x|\[log in|<b>|<img|\$x\^|:red\[|:smile:|`code`|\*\*b\*\*)|https?://127|me@planted")


@pytest.fixture(scope="module", autouse=True)
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """An engine for the module, and in its store two runs of hostile text, one of them with a hostile name."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(state, "browser_name", lambda: None)
        patch.setenv("ECHO_COMPILE_AHEAD", "false")
        patch.setenv("DATABASE_URL", f"sqlite:///{tmp_path_factory.mktemp('app') / 'runs.db'}")
        st.cache_resource.clear()
        opened = state.engine().store
        for seed in (0, 1):
            keep_run(opened, PAIRS.model_copy(update={"seed": seed}))
        opened.runs.rename(PAIRS.run_id, HOSTILE_WORD)
        yield opened
        state.engine().close()
        st.cache_resource.clear()


def read_as_markup(page: AppTest) -> list[str]:
    """The planted markup that stands where a browser reads Markdown."""
    shown = [element for element in page.main if getattr(element, "proto", None) and element.type not in INERT]
    assert len(shown) > 10
    return [said for element in shown for said in strings(
        MessageToDict(element.proto), VALUES | OF_A_SELECTBOX if element.type == "selectbox" else VALUES)
        if MARKUP.search(said)]


def strings(value: object, inert: set[str], name: str = "") -> Iterator[str]:
    """Every string of what is sent to a browser, but for those in inert fields."""
    if isinstance(value, str) and name not in inert:
        yield value
    elif isinstance(value, dict):
        for key, each in value.items():
            yield from strings(each, inert, key)
    elif isinstance(value, list):
        for each in value:
            yield from strings(each, inert, name)


def test_settings_of_hostile_pairs_are_plain_beside_the_run_of_them():
    page = open_page(run=PAIRS.run_id)
    assert read_as_markup(page) == []
    page.selectbox(key="preset").select("whole").run()
    assert any(plain("![x](http") in words.value for words in page.markdown if "Showing" in words.value)
    assert read_as_markup(page) == []


def test_studies_of_hostile_pairs_are_plain(store: Store):
    def script() -> None:
        from echo_app.pages.studies import studies_page

        studies_page(lambda: None)

    study = Study(PAIRS, (Axis("units", (4, 8)),), seeds=2)
    store.studies.ask(study.study_id, study.to_json(), "nobody")
    page = AppTest.from_function(script, default_timeout=PATIENCE)
    page.query_params["study"] = study.study_id
    page.run()
    assert "units" in page.subheader[0].value.lower()
    assert read_as_markup(page) == []


@pytest.mark.parametrize("tab", ["How it works", "The data", "The code"])
def test_tabs_behind_hostile_pairs_are_plain(tab: str):
    page = open_page(**{name: value for name, value in PAIRS.to_query().items() if value})
    page.session_state["behind"] = tab
    page.run()
    assert read_as_markup(page) == []


def test_a_link_of_hostile_values_is_plain():
    page = open_page(**dict.fromkeys(RunConfig.model_fields, HOSTILE), run=HOSTILE_WORD, preset=HOSTILE,
                     **{HOSTILE: HOSTILE})
    assert any(HOSTILE_WORD[:9] in said.value for said in page.text)
    assert read_as_markup(page) == []


@pytest.mark.parametrize("content", [HOSTILE, f"{HOSTILE},{HOSTILE},{HOSTILE}\n", f"a => b => {HOSTILE}"])
@pytest.mark.parametrize("name", ["a.csv", f"{HOSTILE_WORD.replace('/', '_')}.txt"])
def test_uploads_of_hostile_names_and_text_are_plain(name: str, content: str):
    page = open_page(preset="pairs")
    page.file_uploader(key="upload").upload(name, content.encode(), "text/plain").run()
    assert read_as_markup(page) == []


def test_settings_from_a_hostile_file_are_plain():
    page = open_page()
    page.file_uploader(key="import_config").upload(
        "s.json", json.dumps({"units": HOSTILE_WORD, HOSTILE_WORD: 1}).encode(), "application/json").run()
    assert any(HOSTILE_WORD[:9] in said.value for said in page.text)
    assert read_as_markup(page) == []
