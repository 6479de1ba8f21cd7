"""The Train page: choose a network, watch it learn, and see its echo."""

import math
from collections.abc import Callable

import streamlit as st

from echo_app import actions, cached_reads, links, state, store_outages
from echo_app.charts import answers, grid
from echo_app.formatting import duration, first_lines, plain
from echo_app.pages import setup
from echo_app.pages.setup import prepare
from echo_app.panels import ask, banner, controls, run_view, seeds, share, verdicts
from echo_app.panels.behind import state_demo, tabs
from echo_app.web import page_scripts
from echo_core.config import RunConfig
from echo_core.config.labels import name_in_words
from echo_core.evaluation.verdicts import before_training
from echo_core.records import State
from echo_core.settings import LimitExceeded
from echo_core.store import RunRow
from echo_core.text.plurals import counted, shortened

#: The key of the tabs below the run, and the tab that does not depend on `units`.
BEHIND, STORY = "behind", "How it works"
#: Buttons for the visitor's other runs, and seconds between two updates of them.
_MOST_OTHERS, _OTHERS_POLL = 8, 1.0
#: Characters of the name of another run.
_LONGEST_NAME = 60
#: Wider than Streamlit's own margins allow, so that windows and curves have room. Progress and result are equally high,
#: so that the windows stay in place when a run ends.
_STYLE = """<style>
@media (min-width: 641px) {
  .stMainBlockContainer { padding-left: 2rem; padding-right: 2rem; }
  .st-key-progress { min-height: 10.5rem; }
}
.st-key-progress { gap: 0.5rem; }
</style>"""


def train_page(open_inside: Callable[[], None]) -> None:
    """From top to bottom: the controls, the run, and the tabs about how it works.

    Args:
        open_inside: Opens the Inside page, which looks at the run that is shown here.
    """
    st.html(grid.STYLE + answers.STYLE + setup.STYLE + _STYLE)
    store_outages.draw_page(lambda: _page(open_inside))


def _page(open_inside: Callable[[], None]) -> None:
    if ask.wants_inside():
        open_inside()
    prepare()
    links.put_address_back()
    config, run = state.config(), state.shown_run()
    beyond = _beyond_limits(config)
    left, panel = st.columns([1, 3], gap="medium")
    behind = st.container()
    with left:
        st.session_state[state.OUTSIDE] = _outside_key(config, run, beyond)
        store_outages.fragment(_settings, key="settings")()
        controls.advanced_controls(config.num_windows)
        store_outages.draw_optional(_other_runs)
    with behind:  # before the run, which may wait for its first records while the browser draws this
        if not beyond:
            store_outages.draw_optional(_behind, config, run)
        if st.session_state.pop(state.PRESSED, False):
            # On a telephone the run is below the controls, out of sight.
            page_scripts.scroll_to("seeds_head", "run")
    with panel:
        with st.container(key="seeds"):
            if run and st.session_state[state.SEEDS]:
                store_outages.draw_optional(seeds.seeds_panel, st.session_state[state.SEEDS])
                st.subheader(f"One of them: seed {run.config.seed}", anchor=False)
        with st.container(key="run"):
            above = st.container()  # always there, so that a banner that comes or goes leaves the run in its place
            if run:
                with above:
                    banner.banner(run.config, config)
                run_view.run_panel(run)
                store_outages.draw_optional(ask.panel, run)
            elif not beyond:  # a link may ask for more windows than a page can draw
                run_view.preview(config)


def _settings() -> None:
    """The controls and the lines about them: a fragment, as most changes of a control change nothing else."""
    is_fragment_rerun, session = store_outages.is_fragment_rerun(), st.session_state
    if is_fragment_rerun:
        prepare()
    config, run = state.config(), state.shown_run() if is_fragment_rerun else state.seen_run()
    beyond = _beyond_limits(config)
    if is_fragment_rerun and (state.PRESSED in session or session[state.OUTSIDE] != _outside_key(config, run, beyond)):
        st.rerun()
    controls.preset_controls()
    _buttons(config, run, beyond)
    _notes(beyond)
    store_outages.draw_optional(what_it_takes, config)
    controls.main_controls()
    if not beyond and state.has_few_sessions():
        state.engine().compile_ahead(config)


def _outside_key(config: RunConfig, run: RunRow | None, beyond: str | None) -> tuple[object, ...]:
    """All that decides what the page shows outside of `_settings`; a change of it reruns the whole page."""
    session, unused = st.session_state, dict[str, object]()
    # Without a run, the network's picture and the axes of the empty charts depend on every setting, as tabs do.
    if run and session.get(BEHIND, STORY) == STORY and not banner.shows_network(run.config, config):
        unused = {"units": 1, "epochs": 1}
    run_id, names = (run.run_id, banner.names(run.config, config)) if run else (None, None)
    return (config.model_copy(update=unused), run_id, names, session[state.SEEDS], session[state.TEXT_ERROR],
            beyond is None)


def _notes(beyond: str | None) -> None:
    """Draw why Train is disabled or was refused, and which settings had to change.

    These lines are below Train: above it they would move it, and Streamlit would show it twice for a moment.
    """
    if beyond:
        st.error(beyond, icon=":material/block:")
    else:
        store_outages.draw_refusal()
    if unknown := st.session_state[state.UNKNOWN_RUN]:
        st.warning(unknown, title="This run is not on this copy", icon=":material/link_off:")
        st.session_state[state.UNKNOWN_RUN] = None
    if lines := st.session_state[state.NOTES]:
        st.warning("Some settings were not accepted or had to follow others:", icon=":material/tune:")
        st.text(first_lines(lines))  # as plain text, as it quotes a link
        st.session_state[state.NOTES] = []


def what_it_takes(config: RunConfig) -> None:
    """Draw what a run of these settings takes: parameters, windows, bits of memory and time."""
    seconds, rows = cached_reads.estimate_seconds(config), "pair" if config.task == "pairs" else "window"
    known = state.store().runs.get(config.run_id)
    takes = ("**Trained before**: Train shows its replay." if known and known.state is State.FINISHED else
             f"Training takes about **{duration(seconds)}** here.")
    meaning = "A bit is the answer to one yes-or-no question. " if config.bits else ""
    st.markdown(f"{counted(config.num_parameters, 'parameter', bold=True)}, "
                f"{counted(config.num_windows, rows, bold=True)} an epoch. {_bits(config)}. {meaning}{takes}")
    verdicts.show(before_training(config))


def _bits(config: RunConfig) -> str:
    """The bits that the network's memory must hold, in a sentence."""
    if config.traits.reads_all_at_once:
        return "All numbers reach it in one step, so it needs **no memory**: 0 bits"
    if config.bits == 0:
        return "It answers while it reads, so it needs **no memory**: 0 bits"
    numbers = round(config.bits / math.log2(config.vocab_size))
    held = f"**{config.bits:.1f} bits** ({numbers} × log₂ {config.vocab_size})"
    if config.traits.num_recurrent_layers == 0:
        return f"It would have to remember {held}, and has no memory"
    if config.traits.has_attention:
        back = "the question" if config.task == "pairs" else "what it has read"
        return (f"Answers hold up to **{config.bits:.1f} bits**. It may look back at {back}, so no state has to hold "
                "them")
    return f"It must remember {held}"


def _beyond_limits(config: RunConfig) -> str | None:
    """The limit of this host that these settings exceed, in a sentence; None if they exceed none."""
    try:
        state.engine().limits.check(config)
    except LimitExceeded as error:
        return str(error)
    return None


def _buttons(config: RunConfig, run: RunRow | None, beyond: str | None) -> None:
    can_train = beyond is None and st.session_state[state.TEXT_ERROR] is None
    with st.container(horizontal=True):
        st.button("Train", type="primary", key="train", icon=":material/play_arrow:", on_click=actions.train,
                  disabled=not can_train)
        st.button(f"Train {actions.NUM_SEEDS} times", key="train_seeds", icon=":material/stacked_line_chart:",
                  on_click=actions.train_seeds, disabled=not can_train,
                  help="From different random starts: with this seed and the next ones.")
        share.share(config, run)
        if run:
            store_outages.draw_optional(share.downloads, run)


def _other_runs() -> None:
    """Draw buttons for the visitor's newest other runs, redrawn while one of them is under way."""
    is_live = any(run.state.is_active for run in _others())
    store_outages.fragment(_links, run_every=_OTHERS_POLL if is_live else None, key="others")(
        is_live, st.session_state[state.RUN])


def _others() -> list[RunRow]:
    session = st.session_state
    shown = {session[state.RUN], *(config.run_id for config in session[state.SEEDS])}
    newest = [run_id for run_id in session[state.PRESSED_RUNS] if run_id not in shown][-_MOST_OTHERS:]
    return [run for run_id in newest if (run := state.store().runs.get(run_id))]


def _links(was_live: bool, shown: str | None) -> None:
    others = _others()
    if st.session_state[state.RUN] != shown:
        st.rerun()  # one of them was picked, and the run is drawn outside of this fragment
    if store_outages.is_fragment_rerun() and was_live != any(run.state.is_active for run in others):
        st.rerun()  # ends the timer
    if others:
        st.caption("Your other runs")
    for run in others:
        place = cached_reads.wait_of(run.run_id).place if run.state is State.QUEUED else None
        where = seeds.to_row(run.config, run, place)
        epoch = f", epoch {run.epoch:,}" if run.epoch else ""
        name = plain(shortened(name_in_words(run.config), _LONGEST_NAME))
        st.button(f"{name}: {where.state}{epoch}", key=f"other_{run.run_id}", type="tertiary",
                  icon=":material/visibility:", on_click=actions.show_other, args=(run,))


def _pictured(config: RunConfig, run: RunRow | None) -> RunConfig:
    """The settings that the first tab explains: the run's, unless the controls are set to another network."""
    return run.config if run and not banner.shows_network(run.config, config) else config


def _behind(config: RunConfig, run: RunRow | None) -> None:
    views: dict[str, Callable[[], None]] = {
        STORY: lambda: tabs.story(_pictured(config, run), has_run=run is not None),
        "The data": lambda: st.fragment(tabs.data_view)(config),
        "The code": lambda: tabs.code_view(config),
        "What a reset does": lambda: store_outages.fragment(state_demo.resets_view)(run)}
    for tab, draw in zip(st.tabs(list(views), on_change="rerun", key=BEHIND), views.values(), strict=True):
        if tab.open:  # tables and charts are drawn only when their tab is opened
            with tab:
                draw()
