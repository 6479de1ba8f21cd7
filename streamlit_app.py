"""Echo Lab's front door: `streamlit run streamlit_app.py`, or `make run`."""

from functools import partial
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
    pages: dict[str, Any] = {}
    for name, icon in {"train": "play_arrow", "inside": "visibility", "history": "history", "studies": "query_stats",
                       "findings": "lightbulb"}.items():
        pages[name] = st.Page(partial(_draw, name, head, pages), title=name.title(), icon=f":material/{icon}:",
                              url_path=name, default=name == "train")
    st.navigation(list(pages.values()), position="top").run()


def _draw(name: str, head: Any, pages: dict[str, Any]) -> None:
    """Say what a page is for, and draw it. Pages are imported late: the first visitor sees one sooner."""
    go = {other: partial(st.switch_page, page) for other, page in pages.items()}
    match name:
        case "train":
            if "study" in st.query_params:  # a link to a study
                st.switch_page(pages["studies"], query_params=st.query_params.to_dict())
            head.markdown("An LSTM (long short-term memory) is a neural network with a memory. It reads numbers and "
                          "says them again. Press **Train** and watch it learn to remember.")
            from echo_app.pages.train import train_page
            train_page(open_inside=go["inside"])
        case "inside":
            head.markdown("Look into a trained network: ask it something, and see what it reads, keeps, forgets and "
                          "uses.")
            from echo_app.pages.inside import inside_page
            inside_page(open_train=go["train"])
        case "history":
            head.markdown("Runs are kept here. Pick some to lay their curves over each other.")
            from echo_app.pages.history import runs_page
            runs_page(open_run=go["train"])
        case "studies":
            head.markdown("Ask what a setting does, and get an answer that says how sure it is.")
            from echo_app.pages.studies import studies_page
            studies_page(open_train=go["train"])
        case "findings":
            head.markdown("What the tutorial and its readers left open, answered with many runs.")
            from echo_app.pages.findings import findings_page
            findings_page(open_studies=go["studies"])


if __name__ == "__main__":  # worker processes import this file again, as __mp_main__
    main()
