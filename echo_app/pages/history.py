"""The History page: every run of the store, to find, compare, name, hide and delete."""

import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import streamlit as st

from echo_app import actions, state, store_outages
from echo_app.formatting import in_percent
from echo_app.pages.setup import prepare
from echo_app.panels import comparison
from echo_app.store_outages import needs_store
from echo_app.web import focus
from echo_core.config.labels import name_in_words
from echo_core.config.variants import VARIANTS
from echo_core.records import State
from echo_core.store import ListedRun, Wanted
from echo_core.text.plurals import counted

PAGE_SIZE = 25
_TABLE = "runs_table"
_PAGE, _FILTERS, _LISTED = "runs_page", ("runs_text", "runs_states", "runs_variants", "runs_hidden"), "runs_listed"
#: Key of the toggle that lists also the runs that only studies have asked for.
_STUDIES = "runs_of_studies"
#: Labels of the sort orders -> fields of the store's query.
_SORTING = {"When": "created_at", "Windows right": "window_accuracy", "Numbers right": "token_accuracy", "Loss": "loss",
            "Seconds": "seconds", "Epochs": "epoch", "State": "state", "Name": "name", "Network": "variant"}
#: Sort orders whose two directions have words of their own: descending, ascending.
_DIRECTIONS = {"When": ("Newest first", "Oldest first"), "State": ("Z to A", "A to Z"), "Name": ("Z to A", "A to Z"),
               "Network": ("Z to A", "A to Z")}


def runs_page(open_run: Callable[[], None]) -> None:
    """From top to bottom: the search, the list, actions on the picked runs, and their curves."""
    store_outages.draw_page(lambda: _page(open_run))


def _page(open_run: Callable[[], None]) -> None:
    prepare()
    _filters()
    entries, total = _find()
    if not entries:
        return _nothing(total)
    picked = st.session_state[state.SELECTED]
    _actions(picked, open_run)
    _list(entries, total)
    if picked:
        comparison.comparison(picked)


def _filters() -> None:
    with st.container(horizontal=True, vertical_alignment="bottom", key="runs_filters"):
        st.text_input("Search", key="runs_text", placeholder="quick, attention, units=64", on_change=_first_page,
                      width=220, help="Finds runs by what this list shows of them, and by their settings: a preset, a "
                      "network, a task, a state, a name of your own, `units=64` or `64 units`, or the beginning of a "
                      "run's id. All of it must fit; case does not count.")
        st.selectbox("Sort by", list(_SORTING), key="runs_sort", on_change=_first_page, width=160)
        words = _DIRECTIONS.get(st.session_state["runs_sort"], ("Largest first", "Smallest first"))
        st.selectbox("Order", [False, True], key=_order_key(), on_change=_first_page, width=150,
                     format_func=words.__getitem__)
        with st.popover("Filter", icon=":material/filter_list:"):
            st.multiselect("State", list(State), key="runs_states", on_change=_first_page, placeholder="any state",
                           format_func=str)
            st.multiselect("Network", tuple(VARIANTS), key="runs_variants", on_change=_first_page,
                           placeholder="any network", format_func=lambda name: VARIANTS[name].title)
            st.toggle("Hidden ones", key="runs_hidden", on_change=_first_page)
            st.toggle("Runs of studies", key=_STUDIES, on_change=_first_page, help="Also those that only a study has "
                      "asked for.")


def _first_page() -> None:
    st.session_state[_PAGE] = 0


def _order_key() -> str:
    """The key of the Order box. Each sort has its own: a box whose options are renamed still shows the old words."""
    return f"runs_ascending_{st.session_state['runs_sort']}"


def _wanted(studies: bool) -> Wanted:
    """What is searched for, with or without the runs that only studies have asked for."""
    session = st.session_state
    return state.wanted(
        text=session["runs_text"].strip(), states=session["runs_states"], variants=session["runs_variants"],
        hidden=session["runs_hidden"], studies=studies, sort=_SORTING[session["runs_sort"]],
        descending=not session[_order_key()])


def _find() -> tuple[Sequence[ListedRun], int]:
    """The runs on the current page of the list, and how many were found in all.

    If fewer runs are left than the current page needs, the last page becomes the current one.
    """
    session = st.session_state
    wanted = _wanted(session[_STUDIES])
    at = session.get(_PAGE, 0)
    found = state.store().runs.find(wanted, PAGE_SIZE, at * PAGE_SIZE)
    last = max(0, math.ceil(found.total / PAGE_SIZE) - 1)
    if at > last:
        at = last
        found = state.store().runs.find(wanted, PAGE_SIZE, at * PAGE_SIZE)
    session[_PAGE] = at
    return found.runs, found.total


def _nothing(total: int) -> None:
    _undo()
    if any(st.session_state[name] for name in _FILTERS):
        st.info("No run is like that. Take something out of the search above.", icon=":material/search_off:")
    elif total:
        st.info("These runs were made by another version of Echo Lab, which can read them.", icon=":material/history:")
    elif left_out := _num_left_out():
        st.info("So far only studies have trained.", icon=":material/history:")
        st.button(f"Show {counted(left_out, 'run')} of studies", key="runs_show_studies", on_click=_show_studies)
    else:
        st.info("There are no runs yet. Press Train on the first page, and they are kept here.",
                icon=":material/history:")


def _show_studies() -> None:
    """Callback: list the runs of studies, too."""
    st.session_state[_STUDIES] = True
    _first_page()


def _num_left_out() -> int:
    """How many runs are not listed because only studies have asked for them; 0 while a text is searched for."""
    if st.session_state[_STUDIES] or st.session_state["runs_text"].strip():
        return 0
    every, listed = (state.store().runs.count(_wanted(studies)) for studies in (True, False))
    return every - listed


def _list(entries: Sequence[ListedRun], total: int) -> None:
    """Draw the table. Picked rows are kept as run ids, as places change."""
    session = st.session_state
    ids = [entry.run.run_id for entry in entries]
    session[_LISTED] = ids
    rows = [place for place, run_id in enumerate(ids) if run_id in session[state.SELECTED]]
    session[_TABLE] = {"selection": {"rows": rows, "columns": [], "cells": []}}
    st.dataframe(_table(entries), key=_TABLE, on_select=_pick, selection_mode="multi-row", hide_index=True,
                 placeholder="–", height=min(38 + 35 * len(entries), 600), column_config={
        "run": st.column_config.TextColumn("Run", width=195),  # so that a telephone also shows the result
        "windows": st.column_config.NumberColumn("Windows right", format="%.1f %%", width=110),
        "state": st.column_config.TextColumn("State", width="small"),
        "tokens": st.column_config.NumberColumn("Numbers right", format="%.1f %%", width=115),
        "curve": st.column_config.LineChartColumn("Loss", y_min=0, width="small"),
        "epochs": st.column_config.NumberColumn("Epochs", format="localized", width="small"),
        "seconds": st.column_config.NumberColumn("Seconds", format="%.1f", width="small", help="Of training, with "
                                                  "compiling where the network was new."),
        "when": st.column_config.DatetimeColumn("When", format="D MMM, HH:mm", width=110,
                                                    timezone=st.context.timezone or "UTC")})
    _pages(len(entries), total)


def _table(entries: Sequence[ListedRun]) -> pd.DataFrame:
    def row(entry: ListedRun) -> dict[str, Any]:
        run, judged = entry.run, entry.run.evaluation
        return {"run": " · ".join(filter(None, [entry.name, name_in_words(run.config)])),
                "windows": in_percent(judged.window_accuracy) if judged else None, "state": str(run.state),
                "tokens": in_percent(judged.token_accuracy) if judged else None,
                "curve": list(entry.losses),
                "epochs": run.epoch, "seconds": run.seconds,
                "when": datetime.fromtimestamp(run.created_at, UTC)}

    return pd.DataFrame([row(entry) for entry in entries])


def _pick() -> None:
    """Callback of the table: runs picked on other pages of the list stay picked."""
    session, listed = st.session_state, st.session_state[_LISTED]
    now = [listed[place] for place in session[_TABLE]["selection"]["rows"] if place < len(listed)]
    kept = [run_id for run_id in session[state.SELECTED] if run_id not in listed or run_id in now]
    session[state.SELECTED] = [*kept, *(run_id for run_id in now if run_id not in kept)]


def _pages(shown: int, total: int) -> None:
    at = st.session_state[_PAGE]
    with st.container(horizontal=True, vertical_alignment="center", key="runs_pages"):
        if total > PAGE_SIZE:
            _turning(at, shown, total)
        else:
            st.markdown(counted(total, "run", bold=True), width="content")
        if left_out := _num_left_out():
            st.button(f"Show {counted(left_out, 'run')} of studies", key="runs_show_studies", type="tertiary",
                      on_click=_show_studies)


def _turning(at: int, shown: int, total: int) -> None:
    first = at * PAGE_SIZE
    st.button("", icon=":material/chevron_left:", key="runs_back", disabled=at == 0, on_click=_turn, args=(-1,))
    st.markdown(f"{first + 1:,} to {first + shown:,} of **{total:,}**", width="content")
    st.button("", icon=":material/chevron_right:", key="runs_on", disabled=first + PAGE_SIZE >= total,
              on_click=_turn, args=(1,))


def _turn(by: int) -> None:
    focus.move_to("runs_back", "runs_on")
    st.session_state[_PAGE] += by


def _actions(picked: Sequence[str], open_run: Callable[[], None]) -> None:
    """Draw the actions on the picked runs: above the list, always there, so that a tick moves nothing."""
    _undo()
    store_outages.draw_refusal()
    hides, none = not st.session_state["runs_hidden"], not picked
    with st.container(horizontal=True, vertical_alignment="center", key="runs_actions"):
        st.markdown("Tick runs to compare them" if none else f"**{len(picked)}** picked", width=180)
        if st.button("Open", icon=":material/open_in_full:", key="runs_open", disabled=len(picked) != 1) and (
                run := state.store().runs.get(picked[0])):
            actions.show_other(run)
            open_run()
        with st.popover("Rename", icon=":material/edit:", disabled=len(picked) != 1):
            if picked:
                st.text_input("Name", state.name_of(picked[0]) or "", key=f"runs_name_{picked[0]}", max_chars=80,
                              on_change=_rename, args=(picked[0],), placeholder="such as: two bits too few")
        label, icon = ("Hide", "visibility_off") if hides else ("Show again", "visibility")
        st.button(label, icon=f":material/{icon}:", key="runs_hide", disabled=none, on_click=_hide,
                  args=(list(picked), hides))
        if not state.engine().settings.hosted:  # there only the operator deletes
            st.button("Delete", icon=":material/delete:", key="runs_delete", disabled=none, on_click=_delete,
                      args=(list(picked),))
        st.button("Pick none", icon=":material/close:", key="runs_none", type="tertiary", disabled=none,
                  on_click=_deselect)


@needs_store
def _rename(run_id: str) -> None:
    state.store().runs.rename(run_id, st.session_state[f"runs_name_{run_id}"], state.visitor())


@needs_store
def _hide(run_ids: list[str], hidden: bool) -> None:
    state.store().runs.hide(run_ids, hidden, state.visitor())
    _deselect()


@needs_store
def _delete(run_ids: list[str]) -> None:
    focus.move_to("undo_delete")
    deleted = state.store().runs.delete(run_ids)
    st.session_state[state.DELETED] = deleted
    st.session_state[state.SELECTED] = [run_id for run_id in run_ids if run_id not in deleted]
    if len(deleted) < len(run_ids):
        st.toast("Runs under way were left. Stop them first.", icon=":material/info:")


def _deselect() -> None:
    focus.move_to("runs_text")
    st.session_state[state.SELECTED] = []


def _undo() -> None:
    deleted = st.session_state[state.DELETED]
    if deleted:
        with st.container(horizontal=True, vertical_alignment="center", key="runs_undo"):
            count = f"{counted(len(deleted), 'run')} {'is' if len(deleted) == 1 else 'are'}"
            st.markdown(f":material/delete: {count} deleted, for good in ten minutes.", width="content")
            st.button("Undo", icon=":material/undo:", key="undo_delete", on_click=_bring_back)


@needs_store
def _bring_back() -> None:
    focus.move_to("runs_text")
    state.store().runs.bring_back(st.session_state[state.DELETED])
    st.session_state[state.DELETED] = []
