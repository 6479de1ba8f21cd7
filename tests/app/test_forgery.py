"""A real hosted server, and clients that forge what they can: cookies, headers, sessions, presses."""

import time
from collections.abc import Iterator
from contextlib import closing
from urllib.parse import urlencode

import pytest
from websockets.exceptions import InvalidStatus

from echo_app.web.browser import name_of
from echo_core.config import RunConfig
from echo_core.records import State
from echo_core.store import Store
from echo_core.studies.study import Axis, Study
from tests.helpers.raw_page import cookie_of, raw_page
from tests.helpers.samples import TINY
from tests.helpers.server import Server, serve_quick

A, B = cookie_of("A"), cookie_of("B")
#: Words that only A has typed, and A's name for the run.
WORDS, NAME = "zebra quokka zebra okapi narwhal okapi " * 3, "a name that is nobody's business"
SECRETS = ("quokka", "okapi", "narwhal", "nobody's business")
CONFIG = RunConfig(variant="encoder_decoder", text=WORDS, vocab_size=4, sequence_length=8, input_length=3,
                   output_length=2, units=6, batch_size=6, epochs=9_000_000, learning_rate=1e-5)
STUDY = Study(CONFIG.model_copy(update={"epochs": 10}), (Axis("units", (4, 5)),), seeds=2)

#: Cookies that Streamlit has not written, of which some would once have named whoever sent them.
MALFORMED = ["", "2", "2|||", "2|00000000||0", "2|00000000|00|0", cookie_of("A", size=8), cookie_of("A", size=15),
             f"{cookie_of('A')}|1", cookie_of("A").replace("2|", "1|", 1), "00", "zz" * 16,
             cookie_of("A").upper().replace("|", "%7C"), "2|0102|" + "00" * 16 + "|1", "2|é|é|1", "2|" * 5000]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serve_quick(tmp_path_factory.mktemp("hosted"), ECHO_HOSTED="true") as running:
        yield running


@pytest.fixture(scope="module")
def store(server: Server) -> Iterator[Store]:
    """The server's store, where A has a study, and a named run that is under way and as good as endless."""
    with closing(Store(f"sqlite:///{server.log.parent / 'runs.db'}")) as opened:
        with raw_page(server, urlencode(CONFIG.to_query()), A) as page:
            page.press("train")
        opened.runs.rename(CONFIG.run_id, NAME, name_of({"_streamlit_xsrf": A}))
        opened.studies.ask(STUDY.study_id, STUDY.to_json(), name_of({"_streamlit_xsrf": A}))
        yield opened


def is_under_way(store: Store) -> bool:
    run = store.runs.get(CONFIG.run_id)
    return run.state.is_active and not run.stop_requested


def test_a_browser_has_the_same_name_whatever_the_mask_and_another_has_another():
    names = {name_of({"_streamlit_xsrf": cookie_of("A", mask)}) for mask in (b"\0\0\0\0", b"abcd", b"\xff\1\2\3")}
    assert len(names) == 1
    assert names != {name_of({"_streamlit_xsrf": B})}


@pytest.mark.parametrize("cookie", MALFORMED)
def test_a_cookie_that_streamlit_has_not_written_names_nobody(cookie: str):
    assert name_of({"_streamlit_xsrf": cookie}) is None


@pytest.mark.parametrize("cookie", [None, B, "2|00000000||0", cookie_of("A", size=8)],
                         ids=["none", "another's", "empty", "short"])
@pytest.mark.parametrize("headers", [{}, {
    "X-Echo-Browser": name_of({"_streamlit_xsrf": A}) or "", "X-Forwarded-User": "A", "X-Forwarded-For": "127.0.0.1",
    "X-Forwarded-Proto": "https", "X-Streamlit-User": "A", "Authorization": "Bearer A", "Remote-User": "A"}],
    ids=["plain", "with headers"])
def test_whoever_is_not_a_sees_none_of_as_runs_words_names_and_studies(
        server: Server, store: Store, cookie: str | None, headers: dict[str, str]):
    for name in ("", "history", "studies", "inside", "findings"):
        with raw_page(server, cookie=cookie, headers=headers, page=name) as page:
            assert len(page.said) > 5
            found = [secret for secret in (*SECRETS, CONFIG.run_id, STUDY.study_id) if secret in page.text]
            assert found == [], name


def test_a_finds_it_all_again(server: Server, store: Store):
    with raw_page(server, cookie=cookie_of("A", mask=b"wxyz"), page="studies") as page:
        assert f"study_open_{STUDY.study_id}" in page.widgets
    with raw_page(server, f"run={CONFIG.run_id}", A) as page:
        assert "quokka" in page.text


@pytest.mark.parametrize("cookie", [None, B, cookie_of("A", size=8)], ids=["none", "another's", "short"])
def test_with_as_link_a_stranger_looks_and_stops_nothing(server: Server, store: Store, cookie: str | None):
    with raw_page(server, f"run={CONFIG.run_id}", cookie) as page:
        assert "quokka" in page.text
        assert NAME not in page.text
        page.press("stop")
        assert "it goes on until they stop it or have been away for a while" in page.text
    with raw_page(server, f"study={STUDY.study_id}", cookie, page="studies") as page:
        assert {"study_pause", "study_go_on", "study_cancel", "study_remove"}.isdisjoint(page.widgets)
    assert is_under_way(store)
    assert store.studies.get(STUDY.study_id).visitors == (name_of({"_streamlit_xsrf": A}),)


def test_presses_of_widgets_that_a_page_has_not_drawn_do_nothing(server: Server, store: Store):
    with raw_page(server, f"study={STUDY.study_id}", A, page="studies") as page:
        theirs = dict(page.widgets)
    with raw_page(server, f"run={CONFIG.run_id}", A) as page:
        theirs |= page.widgets
    assert {"stop", "study_cancel"} < theirs.keys()
    for name, query in {"": f"run={CONFIG.run_id}", "studies": f"study={STUDY.study_id}", "history": ""}.items():
        with raw_page(server, query, B, page=name) as page:
            page.rerun({id_: True for key, id_ in theirs.items() if key != "train"})
            page.rerun({theirs["stop"]: NAME})
    assert is_under_way(store)
    assert store.runs.name_of(CONFIG.run_id, name_of({"_streamlit_xsrf": A})) == NAME
    assert store.studies.get(STUDY.study_id).visitors == (name_of({"_streamlit_xsrf": A}),)


def test_a_value_of_the_wrong_kind_breaks_the_forgers_page_alone_and_says_no_path(server: Server, store: Store):
    with raw_page(server, f"run={CONFIG.run_id}", B) as page:
        page.rerun(dict.fromkeys(page.widgets.values(), True))
        for secret in ("site-packages", "Traceback", "TypeError", str(server.log.parent), "/work", "127.0.0.1"):
            assert secret not in page.text.replace(server.url, "")
    assert is_under_way(store)


def test_a_session_is_not_given_to_another_browser_that_knows_its_id(server: Server, store: Store):
    with raw_page(server, f"run={CONFIG.run_id}", A) as mine:
        for cookie in (B, None):
            with raw_page(server, "", cookie, session_id=mine.session_id) as theirs:
                assert theirs.session_id != mine.session_id
                assert "quokka" not in theirs.text
                theirs.rerun({mine.widgets["stop"]: True})
        mine.rerun()  # it is connected still
        left = mine.session_id
    with raw_page(server, "", B, session_id=left) as theirs:
        assert theirs.session_id != left
    with raw_page(server, "", cookie_of("A", mask=b"zzzz"), session_id=left) as mine:
        assert mine.session_id == left
    assert is_under_way(store)


@pytest.mark.parametrize("origin", ["https://elsewhere.example.org", "http://localhost:1", "http://[::", "x"])
def test_a_page_of_another_site_opens_no_websocket_and_the_server_asks_nobody(server: Server, origin: str):
    began = time.monotonic()
    with pytest.raises(InvalidStatus, match="403"), raw_page(server, headers={"Origin": origin}):
        pass
    assert time.monotonic() - began < 0.5


def test_a_forger_shares_a_malformed_cookie_with_nobody(server: Server, store: Store):
    run_id = TINY.model_copy(update={"seed": 5}).run_id
    with raw_page(server, urlencode(TINY.model_copy(update={"seed": 5}).to_query()), "2|00000000|00|0") as page:
        page.press("train")
        assert store.runs.get(run_id).state in State
    with raw_page(server, "", "2|00000000|00|0", page="history") as page:
        assert run_id not in page.text
        assert "runs_table" not in page.widgets
