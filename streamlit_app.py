"""Echo Lab's front door: `streamlit run streamlit_app.py`, or `make run`."""

from pathlib import Path
from typing import Any
from urllib.parse import quote

import streamlit as st

from echo_app.web import streamlit_patches

#: A file of our own, as symbols would come from another host; as an address, or it would be hashed at each rerun.
ICON = "data:image/svg+xml," + quote(Path(streamlit_patches.__file__).parents[1].joinpath("icon.svg").read_text())


def main() -> None:
    """Say what this is before the heavy imports, then show the page."""
    streamlit_patches.apply()
    st.set_page_config(page_title="Echo Lab", page_icon=ICON, layout="wide", initial_sidebar_state="collapsed")
    head = st.container(horizontal=True, vertical_alignment="center", key="head")
    head.title("Echo Lab", anchor=False, width="content")
    history = st.Page(lambda: _history(train), title="History", icon=":material/history:", url_path="history")
    train = st.Page(lambda: _train(head, inside, studies), title="Train", icon=":material/play_arrow:",
                    url_path="train", default=True)
    inside = st.Page(lambda: _inside(head, train), title="Inside", icon=":material/visibility:", url_path="inside")
    studies = st.Page(lambda: _studies(head, train), title="Studies", icon=":material/query_stats:",
                      url_path="studies")
    st.navigation([train, inside, history, studies], position="top").run()


def _train(head: Any, inside: Any, studies: Any) -> None:
    if "study" in st.query_params:  # a link to a study
        st.switch_page(studies, query_params=st.query_params.to_dict())
    head.markdown("An LSTM (long short-term memory) is a neural network with a memory. It reads numbers and says them "
                  "again. Press **Train** and watch it learn to remember.")
    from echo_app.pages.train import train_page  # late: the first visitor sees the page sooner

    train_page(open_inside=lambda: st.switch_page(inside))


def _inside(head: Any, train: Any) -> None:
    head.markdown("Look into a trained network: ask it something, and see what it reads, keeps, forgets and uses.")
    from echo_app.pages.inside import inside_page

    inside_page(open_train=lambda: st.switch_page(train))


def _studies(head: Any, train: Any) -> None:
    head.markdown("Ask what a setting does, and get an answer that says how sure it is.")
    from echo_app.pages.studies import studies_page

    studies_page(open_train=lambda: st.switch_page(train))


def _history(train: Any) -> None:
    from echo_app.pages.history import runs_page

    runs_page(open_run=lambda: st.switch_page(train))


if __name__ == "__main__":  # worker processes import this file again, as __mp_main__
    main()
