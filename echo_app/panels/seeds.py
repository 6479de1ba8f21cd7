"""The same settings with several seeds: a row for each, mean curves with a band, and the spread of the results."""

from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st

from echo_app import actions, cached_reads, charts, state, store_outages
from echo_app.formatting import duration, escape, ordinal, percent, spread
from echo_core import tables
from echo_core.config import RunConfig
from echo_core.evaluation.verdicts import after_training
from echo_core.records import Evaluation, State
from echo_core.store import RunRow
from echo_core.text.plurals import counted

#: Seconds between two updates: while a run is under way, and while one of them may be continued.
_POLL, _RESTING_POLL = 1.0, 2.5
_COLUMNS = ("State", "Epoch", "Windows right", "Seconds")
#: A row's words for states; `to_row` has more precise ones for queued and running runs.
_WORDS = {State.PAUSED: "paused", State.INTERRUPTED: "interrupted", State.FAILED: "failed", State.FINISHED: "finished"}


@dataclass(frozen=True)
class Row:
    """One seed as its row shows it.

    Attributes:
        state: In words; `not asked for` without a run.
        why: The reason of the state, for a tooltip.
        judged: The evaluation of a finished run; None of any other, and of one that diverged.
        is_lost: Whether it failed or diverged.
    """

    seed: int
    run_id: str
    state: str
    epoch: int | None = None
    windows_right: float | None = None
    seconds: float | None = None
    why: str = ""
    judged: Evaluation | None = None
    is_lost: bool = False

    @property
    def cells(self) -> tuple[str, str, str, str]:
        """The texts under `_COLUMNS`."""
        return (self.state, "–" if self.epoch is None else f"{self.epoch:,}",
                "–" if self.windows_right is None else percent(self.windows_right),
                duration(self.seconds) if self.seconds else "–")


def seeds_panel(configs: Sequence[RunConfig]) -> None:
    """Draw several seeds, and redraw them while one of their runs is under way."""
    runs, seeds = _runs(configs), tuple(configs)
    live = any(run.state.is_active for run in runs if run)
    store_outages.fragment(_panel, run_every=_POLL if live else None, key="seeds_panel")(seeds, live)
    if not live and any(run is None or run.state is not State.FINISHED for run in runs):
        store_outages.fragment(_watch, run_every=_RESTING_POLL, key="seeds_watch")(seeds, _standing(runs))


def to_row(config: RunConfig, run: RunRow | None, place: int | None = None) -> Row:
    """The row of a seed, from its run if there is one.

    Args:
        place: How many queued runs begin before it, if it is queued.
    """
    if run is None:
        return Row(config.seed, config.run_id, "not asked for")
    kinds = {verdict.kind for verdict in after_training(config, run.evaluation, run.loss, run.state, run.reason)}
    has_diverged = "diverged" in kinds and run.state in (State.FAILED, State.FINISHED)
    is_lost = has_diverged or run.state is State.FAILED
    match run.state:
        case State.QUEUED:
            state = f"queued, {ordinal(place + 1)}" if place else "queued, next"
        case State.RUNNING if run.stop_requested:
            state = "stopping"
        case State.RUNNING:
            state = "training" if run.epoch else "compiling"
        case _:
            state = "diverged" if has_diverged else _WORDS[run.state]
    return Row(config.seed, config.run_id, state, run.epoch,
               run.evaluation.window_accuracy if run.evaluation else None, run.seconds, run.reason or "",
               run.evaluation if run.state is State.FINISHED and not is_lost else None, is_lost)


def in_words(rows: Sequence[Row], seconds: float) -> str:
    """The counts of states, the mean ± spread of the finished runs, and which runs it leaves out."""
    judged = [row.judged for row in rows if row.judged]
    counts = [f"**{len(judged)} of {len(rows)} finished**"]
    for word in ("failed", "diverged", "paused", "interrupted", "not asked for"):
        if number := sum(row.state == word for row in rows):
            counts.append(f"{number} {word}")
    sentences = [", ".join(counts) + "."]
    if judged:
        windows = spread([each.window_accuracy for each in judged])
        tokens = spread([each.token_accuracy for each in judged])
        basis = (f"mean ± standard deviation of {len(judged)} seeds" if len(judged) > 1 else
                 f"of seed {next(row.seed for row in rows if row.judged)} alone")
        sentences.append(f"Windows right: **{windows}**; single tokens: **{tokens}** ({basis}, {duration(seconds)} of "
                    "training).")
    if judged and any(row.is_lost for row in rows):
        sentences.append("Those that failed or diverged are not in it.")
    if len(judged) > 1:
        sentences.append("The same settings come out differently by chance alone: differences smaller than this spread "
                    "mean little.")
    elif not judged:
        sentences.append("They differ in their random start alone.")
    return " ".join(sentences)


def _runs(configs: Sequence[RunConfig]) -> list[RunRow | None]:
    return [state.store().runs.get(config.run_id) for config in configs]


def _standing(runs: Sequence[RunRow | None]) -> tuple[object, ...]:
    """The parts of ended runs whose change redraws their rows."""
    return tuple(run and (run.state, run.attempt, run.evaluation is None) for run in runs)


def _watch(configs: tuple[RunConfig, ...], standing: tuple[object, ...]) -> None:
    """Draw nothing; rerun the whole page once one of the runs is continued or judged."""
    if store_outages.is_fragment_rerun() and _standing(_runs(configs)) != standing:
        st.rerun()


def _panel(configs: tuple[RunConfig, ...], was_live: bool) -> None:
    runs = _runs(configs)
    is_live = any(run.state.is_active for run in runs if run)
    if is_live != was_live and store_outages.is_fragment_rerun():
        st.rerun()  # ends the timer, and redraws the rest of the page
    places = {run.run_id: cached_reads.wait_of(run.run_id).place for run in runs if run and run.state is State.QUEUED}
    rows = [to_row(config, run, places.get(config.run_id)) for config, run in zip(configs, runs, strict=True)]
    with st.container(horizontal=True, vertical_alignment="center", key="seeds_head"):
        st.subheader(f"{counted(len(rows), 'run')} from different random starts", anchor=False)
        if is_live:
            st.button("Stop all", key="stop_seeds", icon=":material/stop:", on_click=actions.stop_seeds)
    st.markdown(in_words(rows, sum(run.seconds for run in runs if run and run.state is State.FINISHED)))
    _table(rows)
    if any(row.state == "not asked for" for row in rows):
        st.caption(f"Press Train {actions.NUM_SEEDS} times again to ask for those that were not.")
    _curves([run for run in runs if run], configs[0])


def _curves(runs: Sequence[RunRow], config: RunConfig) -> None:
    curves = [curve for run in runs if len(curve := cached_reads.curve(run))]
    if not curves:
        return
    st.caption("The mean of the runs at each epoch, in a band of one standard deviation.")
    for place, what in zip(st.columns(2, gap="medium"), ("loss", "accuracy"), strict=True):
        with place, st.container(key=f"seeds_{what}"):
            top = charts.loss_scale(config)[1] if what == "loss" else 1.0
            st.vega_lite_chart(tables.band(curves, what), charts.band(what, config.epochs, top),
                               alt=f"Mean {what} of several seeds against epoch, with a band of their spread")


def _table(rows: Sequence[Row]) -> None:
    """A row for each seed, whose button shows its run below."""
    with st.container(key="seeds_table", gap=None):
        st.html(STYLE)
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.html("<div class='echo-seed-head'>Seed</div>", width=_SEED_WIDTH)
            st.html(_line(_COLUMNS, "echo-seed echo-seed-head"))
        for row in rows:
            is_shown = row.run_id == st.session_state[state.RUN]
            with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                pressed = st.button(
                    str(row.seed), key=f"seed_{row.seed}", type="tertiary", width=_SEED_WIDTH,
                    icon=":material/visibility:" if is_shown else ":material/arrow_forward:",
                    disabled=row.state == "not asked for", on_click=actions.show_seed, args=(row.run_id,))
                st.html(_line(row.cells, "echo-seed", state.public(row.why)))
            if pressed:
                st.rerun()  # the run is drawn outside of this fragment


def _line(cells: Sequence[str], kind: str, why: str = "") -> str:
    tooltip = f' title="{escape(why)}"' if why else ""
    return f"<div class='{kind}'{tooltip}>" + "".join(f"<span>{escape(cell)}</span>" for cell in cells) + "</div>"


#: Pixels of the column of seeds: the largest seed has ten digits.
_SEED_WIDTH = 112
STYLE = """<style>
.echo-seed { display: grid; grid-template-columns: 1.7fr 1fr 1fr 1fr; gap: 0 0.5rem; font-size: 0.875rem;
  align-items: center; max-width: 34rem; font-variant-numeric: tabular-nums; }
.echo-seed span + span { text-align: right; }
.echo-seed-head { font-size: 0.8rem; opacity: 0.75; font-weight: 600; }
.echo-seed.echo-seed-head span { white-space: normal; }
.st-key-seeds_table [data-testid="stHorizontalBlock"] { flex-wrap: nowrap; }
.st-key-seeds_table [data-testid="stHorizontalBlock"] > :last-child { min-width: 0; flex: 1 1 0; }
.st-key-seeds_table button { padding: 0; min-height: 2rem; }
.st-key-seeds_table button > div { justify-content: flex-start; }
.echo-seed span { white-space: nowrap; }
@media (max-width: 640px) {
  .st-key-seeds_table [data-testid="stHorizontalBlock"] > :first-child { flex: 0 0 4.5rem; width: 4.5rem; }
  .echo-seed { font-size: 0.8rem; gap: 0 0.3rem; grid-template-columns: 1.9fr 1fr 1fr 1fr; }
  .echo-seed-head { font-size: 0.72rem; }
}
</style>"""
