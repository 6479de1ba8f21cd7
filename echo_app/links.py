"""Links: from an address's query string to settings and a run, and back."""

import re
from typing import Any
from urllib.parse import urlencode

import streamlit as st

from echo_app import state
from echo_core.config import RunConfig
from echo_core.config.presets import FIRST, PRESETS
from echo_core.config.repair import repair_settings
from echo_core.store import RunRow

#: The parameter for the first of several seeds, if the link's run has another one.
FIRST_SEED = "first_seed"
#: The parameters of a link to a study: its id, and what is looked at.
STUDY, LOOK_AT = "study", "look_at"
MOST_SEEDS = 2**31
#: Characters of a packed text that a link may carry.
LONGEST_LINKED_TEXT = 1536


def open_link(given: dict[str, list[str]]) -> None:
    """Load the settings and the run of a query string, name -> values. What is not valid is left out, with a note.

    Without settings, those of the first visit are loaded.
    """
    query = {name: values[0] for name, values in given.items() if len(values) == 1}
    if re.fullmatch("[0-9a-f]{16}", study_id := query.pop(STUDY, "")):
        st.session_state[state.STUDY] = study_id
    query.pop(LOOK_AT, None)  # which the page itself reads
    run_id, seeds, first_seed = query.pop("run", None), query.pop("seeds", None), query.pop(FIRST_SEED, "")
    run = state.store().runs.get(run_id) if run_id and re.fullmatch("[0-9a-f]{16}", run_id) else None
    if run:
        st.session_state[state.RUN] = run.run_id
        if seeds and re.fullmatch("[2-9]", seeds):
            first = int(first_seed) if re.fullmatch("[0-9]{1,10}", first_seed) else run.config.seed
            together = with_seeds(run.config.model_copy(update={"seed": first}), int(seeds))
            st.session_state[state.SEEDS] = tuple(together) if run.config in together else ()
        state.load(run.config)
        return
    has_settings = bool(given.keys() - {"run", "seeds", FIRST_SEED, STUDY, LOOK_AT})
    name = query.pop(state.PRESET, None if has_settings else FIRST)
    preset = PRESETS.get(name or "")
    wanted: dict[str, Any] = {**(preset.config.to_query() if preset else {}), **query}
    settings, notes = repair_settings(wanted)
    notes += [f"{name[:40]} must be given once; received {len(values)} of it, so none of them counts."
              for name, values in given.items() if len(values) > 1]
    if name and not preset:
        notes.insert(0, f"preset must be one of {', '.join(PRESETS)}; received {name[:40]}.")
    if run_id:
        st.session_state[state.UNKNOWN_RUN] = (
            "Press **Train** to train it here: the controls have its settings." if has_settings else
            "The link has no settings of it, so it cannot be trained here either. Ask for a link to its settings.")
    st.session_state[state.NOTES] = notes
    state.load(settings)


def with_seeds(config: RunConfig, number: int) -> list[RunConfig]:
    """These settings with their seed and the next ones; near the largest seed, with the last `number` of them."""
    first = min(config.seed, MOST_SEEDS - number)
    return [config.model_copy(update={"seed": seed}) for seed in range(first, first + number)]


def share_links(config: RunConfig, run: RunRow | None) -> tuple[str | None, str | None]:
    """A link to settings with every field, and one to a run; None if there is no run or a text is too long."""
    base = str(st.context.url or "").split("?")[0].rstrip("/") + "/"
    settings = config.to_query()
    fits = len(settings["text"]) <= LONGEST_LINKED_TEXT
    return (f"{base}?{urlencode(settings)}" if fits else None,
            f"{base}?{urlencode(address(run.config, run.run_id))}" if run else None)


def study_link(study_id: str, look_at: str) -> str:
    """A link to a study, from its own page."""
    base = str(st.context.url or "").split("?")[0].rstrip("/").removesuffix("/studies")
    return f"{base}/?{urlencode({STUDY: study_id, LOOK_AT: look_at})}"


def put_address_back() -> None:
    """Restore the address of the shown run after a visit to another page, which has an address of its own."""
    if "run" not in st.query_params and (run := state.shown_run()):
        st.query_params.from_dict(address(run.config, run.run_id))


def address(config: RunConfig, run_id: str) -> dict[str, str]:
    """The query string of a run, its settings and the seeds on the page. Settings with a long text are left out."""
    query = {name: value for name, value in config.to_query().items() if value}
    if len(query.get("text", "")) > LONGEST_LINKED_TEXT:
        query = {}
    query["run"], seeds = run_id, st.session_state[state.SEEDS]
    if seeds:
        query["seeds"] = str(len(seeds))
        if seeds[0].seed != config.seed:
            query[FIRST_SEED] = str(seeds[0].seed)
    return query
