"""The Studies page: ask what a setting does, and get an answer with its uncertainty."""

from collections.abc import Callable

import streamlit as st

from echo_app import links, state, store_outages
from echo_app.pages import setup
from echo_app.pages.setup import prepare
from echo_app.panels.studies import acting, form, listing, view
from echo_app.web import page_scripts

#: What decides which study is drawn beside the form.
_DRAWN = "study_drawn"


def studies_page(open_train: Callable[[], None]) -> None:
    """From top to bottom: the question and the studies from before; beside them, the study at hand.

    Args:
        open_train: Opens the Train page, which shows the run that was picked.
    """
    st.html(setup.STYLE + _STYLE)
    store_outages.draw_page(lambda: _page(open_train))


def _page(open_train: Callable[[], None]) -> None:
    if acting.is_run_picked(once=True):
        open_train()
    prepare()
    form.prepare()
    acting.put_address()
    session = st.session_state
    session[_DRAWN] = session[state.STUDY]
    form.offer_examples()
    left, right = st.columns([2, 3], gap="large")
    with left:
        store_outages.fragment(_form, key="study_form")()
        listing.removed()
        store_outages.draw_optional(listing.studies)
    with right:
        if session[state.STUDY]:
            store_outages.draw_optional(view.panel, session[state.STUDY], _link)
        else:
            _nothing()
    if session.pop(state.PRESSED, False):
        page_scripts.scroll_to("study_bar")


def _form() -> None:
    if store_outages.is_fragment_rerun():
        prepare()
        if st.session_state[_DRAWN] != st.session_state[state.STUDY]:
            st.rerun()  # it was started, and is drawn outside of this fragment
    form.form()


def _link() -> str:
    return links.study_link(st.session_state[state.STUDY], str(st.session_state[acting.MEASURE]))


def _nothing() -> None:
    """The empty state: what a study is."""
    st.markdown("""**One run is an anecdote.** The same settings come out differently by chance alone: another random
start, another result. A study trains a network with different values of one or two settings, several seeds of each,
and answers with

- every seed as a dot, and the mean of each setting with the range that it lies in with 95 % confidence,
- which differences are real, and which may be chance, and how many more seeds would tell,
- the runs themselves: each dot opens one, with its replay and its inside.

The form holds a question: press **Start**, or change it.""")


_STYLE = """<style>
@media (min-width: 641px) { .stMainBlockContainer { padding-left: 2rem; padding-right: 2rem; } }
.st-key-study_examples { gap: 0 1.5rem; }
.st-key-study_form_parts { gap: 0.625rem; }
:is(.st-key-study_list, .st-key-study_examples) button { padding: 0; min-height: 1.9rem; text-align: left; }
:is(.st-key-study_list, .st-key-study_examples) button > div { justify-content: flex-start; }
.st-key-study_list button p, .st-key-study_examples button p { white-space: normal; }
.st-key-study_bar [data-testid="stProgress"] { flex: 1 1 14rem; }
.st-key-study_bar { scroll-margin-top: 10rem; }
/* Streamlit keeps what is replaced until the page is drawn: the old button would move the new one under the pointer. */
.st-key-study_pause + .st-key-study_go_on, .st-key-study_go_on + .st-key-study_pause { display: none; }
</style>"""
