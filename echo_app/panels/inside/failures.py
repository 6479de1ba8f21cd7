"""Where a network fails: by place and by symbol, what it says instead, its worst windows, and one answer for all."""

from functools import partial

import pandas as pd
import streamlit as st

from echo_app import state
from echo_app.charts import inspection
from echo_app.formatting import percent, plain
from echo_app.panels import verdicts
from echo_app.panels.inside import pieces, steps
from echo_app.panels.inside.look import BY_MOMENT, VIEW, Look, affordable
from echo_app.web.shared_cache import shared_cache
from echo_core.config import RunConfig
from echo_core.data import Examples
from echo_core.evaluation.asking import GAP
from echo_core.evaluation.scores import answer, score
from echo_core.evaluation.verdicts import Verdict, after_training
from echo_core.inspection.inspecting import INSPECTIONS
from echo_core.inspection.samples import Stream, sample
from echo_core.text.plurals import counted, shortened

TITLE = "Where does it fail?"

#: Sequences of the inspections.
_ALL = INSPECTIONS["errors"].sequences
#: Symbols, pairs of words and windows that are shown.
_SYMBOLS, _WORD_PAIRS, _WINDOWS, _RIGHT_WINDOWS = 12, 15, 8, 3
#: Characters of a window on its button, and of an answer beside it.
_LONGEST_WINDOW, _LONGEST_ANSWER = 60, 80


def draw(look: Look) -> None:
    """Draw what is the same whatever it reads, then errors by place, by symbol and by pair, then the worst windows."""
    config = look.config
    used = pieces.wanted(look, "errors", affordable(config, _ALL), _ALL)
    get = partial(pieces.table_of, look, sequences=used)
    errors = get("errors")
    if errors is None:
        return
    if errors.accuracy.min() == 1:
        return _nothing_fails(look, errors, get("worst"))
    st.markdown("The network answers sequences that it has never seen. **Each dot is the share of right answers**; the "
                "bar through it is a 95 % interval." if config.task != "pairs" else
                "The network answers the questions that it has learnt. **Each dot is the share of right answers**; the "
                "bar through it is a 95 % interval.")
    sameness = get("sameness")
    _verdict(look, used, sameness)
    left, right = st.columns(2, gap="medium")
    with left:
        _by_place(config, errors)
    with right:
        _by_symbol(config, get("symbols"))
    pieces.offer_more(look, "errors", int(errors.n.max()), _ALL)
    left, right = st.columns(2, gap="medium")
    with left:
        _confused(config, get("confusions"))
    with right:
        _worst(config, get("worst"))
    if sameness is not None:
        pieces.numbers(_with_texts(sameness, "answer"), "sameness", "How often it gives its most common answer")


def _nothing_fails(look: Look, errors: pd.DataFrame, worst: pd.DataFrame | None) -> None:
    st.info(f"There is nothing to see here: every answer was right. {pieces.WHERE_IT_FAILS}",
            icon=":material/check_circle:")
    pieces.offer_more(look, "errors", int(errors.n.max()), _ALL)
    pieces.numbers(errors, "errors", "The numbers by place")
    _worst(look.config, worst)


def _verdict(look: Look, sequences: int, sameness: pd.DataFrame | None) -> None:
    """Say so if the network gives nearly the same answer whatever it reads, in the words of its result."""
    found = [verdict for verdict in _verdicts(look, sequences) if verdict.kind == "same_answer"]
    verdicts.show(found)
    if found and sameness is not None:
        said = pieces.joined([f"{pieces.quoted(row['answer'])} at output {row['output']} ({percent(row['share'])})"
                              for row in sameness.head(3).to_dict("records")])
        st.markdown(f"Its most common answers: {said}.")


@shared_cache(max_entries=64, hash_funcs=BY_MOMENT)
def _verdicts(look: Look, sequences: int) -> list[Verdict]:
    judged = sample(look.config, sequences, stream=Stream.ERRORS)
    predicted = answer(look.config, look.weights, judged.windows).predicted
    examples = Examples(judged.windows.astype(int), judged.expected.astype(int))
    return after_training(look.config, score(look.config, examples, predicted), loss=None)


def _chance(config: RunConfig) -> float | None:
    return None if config.task == "pairs" else 1 / config.vocab_size


def _by_place(config: RunConfig, errors: pd.DataFrame) -> None:
    st.markdown("**By place**")
    worst, best = errors.accuracy.min(), errors.accuracy.max()
    at = errors.output.iloc[int(errors.accuracy.argmin())]
    which = "The output" if len(errors) == 1 else "Each output"
    st.caption(f"{which} is right in {percent(worst)} of cases." if worst == best else
               f"Worst at output {at}: {percent(worst)} right, against {percent(best)} at its best.")
    spec = inspection.accuracy_by_place("output", "Output", int(errors.output.min()), int(errors.output.max()),
                                     _chance(config))
    st.vega_lite_chart(errors, spec, key="failures_place", alt="Share of right answers at each output, with intervals")
    pieces.numbers(errors, "errors", "The numbers by place")


def _by_symbol(config: RunConfig, symbols: pd.DataFrame | None) -> None:
    noun = pieces.noun(config)
    st.markdown(f"**By {noun}**")
    if symbols is None:
        return
    wrong = symbols[symbols.accuracy < 1]
    if wrong.empty:
        st.caption(f"Every {noun} comes back right every time.")
        pieces.numbers(symbols, "symbols", "The numbers by symbol")
        return
    shown = _with_texts(wrong.head(_SYMBOLS), "symbol")
    st.caption(f"{len(wrong)} of {counted(len(symbols), noun)} sometimes came back wrong"
               + (f"; these are the {len(shown)} worst." if len(wrong) > len(shown) else ", the worst first."))
    st.vega_lite_chart(shown, inspection.accuracy_by_name(len(shown), "symbol", None, _chance(config)),
                       key="failures_symbol", alt=f"Share of right answers for each {noun}, with intervals")
    pieces.numbers(symbols, "symbols", "The numbers by symbol")


def _confused(config: RunConfig, confusions: pd.DataFrame | None) -> None:
    if confusions is None:
        return
    st.markdown("**What it says instead**")
    if confusions.empty:
        st.caption("Nothing: every answer was right.")
        return
    first, noun = confusions.head(1).to_dict("records")[0], pieces.noun(config)
    times, pair = int(first["count"]), f"{pieces.quoted(first['predicted'])} for {pieces.quoted(first['expected'])}"
    most = f"Most often {pair}, {times} times." if times > 1 else "No mistake was made twice."
    st.caption(f"A square for each {noun} that was expected and the one that was said in its place, larger where that "
               f"happened more often. {most} "
               + ("" if config.text else "Squares near the dashed line are near misses."))
    is_words = bool(config.text) or config.traits.has_padding  # a padding is no number
    if is_words:
        confusions = _with_texts(confusions, "expected", "predicted")
    shown = confusions.head(_WORD_PAIRS) if is_words else confusions
    st.vega_lite_chart(shown, inspection.confusions(None if is_words else config.vocab_size), key="failures_confused",
                       alt=f"Expected {noun}s against predicted ones, for wrong answers")
    pieces.numbers(confusions, "confusions", "The numbers of what it says instead")


def _worst(config: RunConfig, worst: pd.DataFrame | None) -> None:
    """A button for each of the worst windows, which makes it the window at hand."""
    if worst is None:
        return
    st.markdown("**The worst windows**")
    wrong, gap = worst[worst.wrong > 0], "" if config.task == "pairs" else GAP
    st.caption("Press one to look at it step by step." if len(wrong) else
               "No answer was wrong. Of these it was least sure; press one to look at it step by step.")
    listed = {_in_words(row["window"]): row for row in (wrong if len(wrong) else worst).to_dict("records")}
    for place, (asked, row) in enumerate(list(listed.items())[:_WINDOWS if len(wrong) else _RIGHT_WINDOWS]):
        with st.container(horizontal=True, vertical_alignment="center", gap="small", key=f"worst_row_{place}"):
            st.button(plain(shortened(asked, _LONGEST_WINDOW)), key=f"worst_{place}", icon=":material/search:",
                      on_click=_open, args=(asked,))
            said, right = (shortened(_in_words(row[part], gap), _LONGEST_ANSWER) for part in ("predicted", "expected"))
            st.caption(plain(f"{row['wrong']} wrong: it said {said}, expected was {right}" if row["wrong"] else
                             f"right: {said}"))
    pieces.numbers(worst.assign(**{column: worst[column].map(_in_words)
                                   for column in ("window", "expected", "predicted")}), "worst",
                   "The numbers of the worst windows")


def _with_texts(table: pd.DataFrame, *columns: str) -> pd.DataFrame:
    """The table with symbols as text: numbers and `(padding)` cannot share a column."""
    return table.assign(**{column: table[column].map(str) for column in columns})


def _open(window: str) -> None:
    """Callback: make it the window at hand, and open the view that carries it through the network."""
    st.session_state[state.ASKED], st.session_state[VIEW] = window, steps.TITLE


def _in_words(symbols: list[int | str | None], gap: str = "") -> str:
    """Symbols of the inspection `worst` as a visitor would type them; the gaps that fill up a pair are left out."""
    return " ".join(filter(None, (gap if symbol is None else str(symbol) for symbol in symbols)))
