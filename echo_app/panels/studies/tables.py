"""The table of a study, its CSV file, and the seeds of each setting as buttons that open their runs."""

from functools import partial

import streamlit as st

from echo_app.formatting import escape, plain
from echo_app.panels.studies import acting, words
from echo_core.config import written
from echo_core.config.labels import label_of
from echo_core.records import State
from echo_core.studies.intervals import NO_INTERVAL
from echo_core.studies.measures import MEASURES
from echo_core.studies.results import Outcome, Results
from echo_core.text.plurals import counted

#: Seeds of a setting that have a button.
_MOST_BUTTONS = 40

STYLE = """<style>
.echo-study { overflow: auto; max-width: 100%; max-height: 26rem; }
.echo-study table { border-collapse: collapse; font-size: 0.875rem; font-variant-numeric: tabular-nums; margin: 0; }
.echo-study th, .echo-study td { text-align: right; padding: 0.25rem 0.75rem; white-space: nowrap; border: 0;
  border-bottom: 1px solid rgba(128, 128, 128, 0.3); }
.echo-study th:first-child, .echo-study td:first-child { text-align: left; padding-left: 0; }
.echo-study th { font-weight: 600; opacity: 0.8; }
@media (max-width: 640px) {
  .echo-study td:first-child { white-space: normal; min-width: 7rem; }
  .echo-study th, .echo-study td { padding: 0.25rem 0.4rem; }
}
.st-key-study_runs button { min-height: 2rem; padding: 0.1rem 0.5rem; }
</style>"""


def table(found: Results) -> None:
    """Draw a row for each setting, and the button for the file."""
    st.html(STYLE + to_html(found))
    methods = sorted({row.estimate.method for row in found.rows})
    given = [method for method in methods if not method.startswith(NO_INTERVAL)]
    why_not = [method.removeprefix(NO_INTERVAL) for method in methods if method not in given]
    parts = ([f"Intervals: {', '.join(given)}."] if given else []) + [f"No interval: {why}." for why in why_not]
    st.caption(f"{plain(' '.join(parts))} n: the seeds in the mean.")
    st.download_button("Download as CSV", partial(found.to_csv), f"study-{found.study.study_id}.csv", "text/csv",
                       icon=":material/download:", key="study_csv", on_click="ignore")


def to_html(found: Results) -> str:
    """The table; columns that say nothing are left out."""
    rows = found.rows
    columns = [("Setting", [words.setting_in_words(found.study, row.setting) for row in rows]),
               (MEASURES[found.measure].title, [words.in_unit(found.measure, row.estimate.mean) for row in rows]),
               ("95 % interval", [words.interval_in_words(found.measure, row.estimate.low, row.estimate.high)
                                  for row in rows]),
               ("n", [str(row.estimate.n) for row in rows])]
    for title, which in (("Failed", "failures"), ("Never got there", "missed"), ("No value", "valueless"),
                         ("To come", "waiting")):
        if any(numbers := [getattr(row, which) for row in rows]):
            columns.append((title, [str(number) for number in numbers]))
    if found.study.tune:
        columns.append(("Learning rate", ["…" if row.rate is None else written(row.rate) for row in rows]))
    if any(row.changed for row in rows):
        columns.append(("Follows", [", ".join(f"{label_of(field).lower()} {written(value)}"
                                              for field, value in row.changed.items()) or "–" for row in rows]))
    head = "".join(f"<th scope='col'>{escape(title)}</th>" for title, _ in columns)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>"
                   for cells in zip(*(cells for _, cells in columns), strict=True))
    return ("<div class='echo-study' tabindex='0'><table>"
            f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>")


def seeds(found: Results) -> None:
    """Draw the seeds of one setting as buttons, each of which opens its run."""
    session, names = st.session_state, [words.setting_in_words(found.study, row.setting) for row in found.rows]
    if session.get(acting.SEEDS_OF) not in range(len(names)):
        session[acting.SEEDS_OF] = 0
    place = st.selectbox("Seeds of", range(len(names)), key=acting.SEEDS_OF, format_func=names.__getitem__,
                         persist_state="session", width=260, help="Each seed, with its result, opens its run: "
                         "the replay, and from there the inside.")
    row = found.rows[place]
    if not any(outcome.state for outcome in row.outcomes):
        st.caption("None of them has been asked for yet.")
        return
    with st.container(horizontal=True, key="study_runs", gap="small"):
        for outcome in row.outcomes[:_MOST_BUTTONS]:
            st.button(f"{outcome.seed}: {plain(_result(found, outcome))}",
                      key=f"study_seed_{outcome.run_id}_{outcome.seed}", disabled=outcome.state is None,
                      on_click=acting.open_run, args=(outcome.run_id,))
    if len(row.outcomes) > _MOST_BUTTONS:
        st.caption(f"And {counted(len(row.outcomes) - _MOST_BUTTONS, 'more seed')}, whose dots above open their runs.")


def _result(found: Results, outcome: Outcome) -> str:
    if outcome.state is State.FAILED:
        return "failed"
    if not outcome.has_ended:
        return str(outcome.state or "to come")
    if outcome.value is None:
        return "no value"
    return words.in_unit(found.measure, outcome.number) if outcome.number is not None else "never got there"


