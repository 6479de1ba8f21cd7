"""Does a network work at lengths that it was not trained on? Windows and numbers right against length."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import pandas as pd
import streamlit as st

from echo_app.charts import inspection
from echo_app.formatting import ordinal, percent
from echo_app.panels.inside import pieces
from echo_app.panels.inside.look import BY_MOMENT, Look
from echo_app.web.shared_cache import shared_cache
from echo_core.config import RunConfig
from echo_core.config.sizes import needs_memory
from echo_core.data import MIN_JUDGED_WINDOWS
from echo_core.evaluation.lengths import WAYS, judge_length, ladder, ways, why_none
from echo_core.settings import Limits
from echo_core.text.plurals import counted

TITLE = "New lengths"

#: Way of `WAYS` -> its name on the page, and what the axis counts.
_NAMES: Mapping[str, tuple[str, str]] = MappingProxyType({
    "both": ("Window and answer", "in the window, and in the answer"), "input": ("Window alone", "in the window"),
    "output": ("Answer alone", "in the answer")})
#: Share of windows from which a network works at a length.
_WORKS = 0.9


def draw(look: Look) -> None:
    """Draw accuracy against the length of the window, of the answer or of both."""
    config = look.config
    try:
        known = ways(config)
    except ValueError:
        st.info(f"This network cannot be judged on other lengths, because {why_none(config)}.",
                icon=":material/info:")
        return
    noun = pieces.noun(config)
    st.markdown(f"The network was trained on windows of {counted(config.input_length, noun, bold=True)} and answers of "
                f"**{config.output_length}**. Here it is judged on new windows, at other lengths. "
                "**Read a line from the grey one, the trained length, to either side:** where it stays up, what was "
                "learnt works there too; where it falls, it does not. The band is a 95 % interval.")
    way = known[0] if len(known) == 1 else str(st.segmented_control(
        "What has another length", known, default=known[0], required=True, key=f"lengths_{'_'.join(known)}",
        format_func=lambda each: _NAMES[each][0]))
    table = _table(look, way)
    st.markdown(finding(config, way, table))
    _picture(config, way, table)
    fewest, most = int(table.windows.min()), int(table.windows.max())
    st.caption(f"Each dot rests on {fewest:,}{f' to {most:,}' if most > fewest else ''} new windows. A window is right "
               f"if every {noun} of its answer is. The intervals are Wilson's.")
    pieces.offer_more(look, "lengths", fewest, MIN_JUDGED_WINDOWS, is_random=True, is_said=True)
    pieces.numbers(table, "lengths")


def _table(look: Look, way: str) -> pd.DataFrame:
    lengths = ladder(look.config, way, Limits().max_input_length)
    is_thorough = pieces.wanted(look, "lengths", 0, MIN_JUDGED_WINDOWS) == MIN_JUDGED_WINDOWS
    # The longest one first: it takes longest, so the time left is no less than it is said to be.
    rows = [_row(look, way, length, is_thorough)
            for length in pieces.with_progress(lengths[::-1], "Judging it at each length")]
    return pd.DataFrame(rows[::-1])


@shared_cache(max_entries=1024, hash_funcs=BY_MOMENT)
def _row(look: Look, way: str, length: int, is_thorough: bool) -> dict[str, Any]:
    return judge_length(look.config, look.weights, way, length, is_thorough=is_thorough)


def _picture(config: RunConfig, way: str, table: pd.DataFrame) -> None:
    column = WAYS[way][0]
    noun, title = pieces.noun(config), f"{pieces.noun(config).capitalize()}s {_NAMES[way][1]}"
    whole, single = "windows right", f"{noun}s right"
    shares = pd.concat([pd.DataFrame({
        "length": table[column], "share": name, "accuracy": table[f"{kind}_accuracy"], "low": table[f"{kind}_low"],
        "high": table[f"{kind}_high"], "n": table.windows}) for name, kind in ((whole, "window"), (single, "token"))])
    spec = inspection.accuracy_by_length((whole, single), title, int(table[column].min()), int(table[column].max()),
                                      getattr(config, column), 1 / config.vocab_size)
    st.vega_lite_chart(shares, spec, key="lengths_chart",
                       alt=f"Share of {whole} and of {single} against length, with bands of their intervals and a line "
                           "at the trained length")


def finding(config: RunConfig, way: str, table: pd.DataFrame) -> str:
    """At which lengths the network works, how it does at the furthest one, and why, in Markdown."""
    column, rows = WAYS[way][0], table.to_dict("records")
    at = next(place for place, row in enumerate(rows) if row["trained"])
    trained = rows[at]
    share, length = percent(trained["window_accuracy"]), trained[column]
    if trained["window_accuracy"] < _WORKS:
        return (f"**There is little to carry over:** at the trained length, {length}, {share} of the windows are "
                f"right, and {percent(trained['token_accuracy'])} of the single {pieces.noun(config)}s. "
                f"{why(config, way)}")
    first, last = _working([row["window_accuracy"] >= _WORKS for row in rows], at)
    if (first, last) == (0, len(rows) - 1):
        least = min(row["window_accuracy"] for row in rows)
        found = (f"**It works at every length here**, from {rows[0][column]} to {rows[-1][column]}: "
                 + ("every window is right." if least == 1 else f"at least {percent(least)} of the windows are right."))
    else:
        holds = f"from {rows[first][column]} to {rows[last][column]}" if first < last else "at no other length here"
        far = rows[-1] if last < len(rows) - 1 else rows[0]
        found = (f"At the trained length, {length}, **{share}** of the windows are right, and at least "
                 f"{100 * _WORKS:.0f} % are **{holds}**. At {far[column]} it is {percent(far['window_accuracy'])} "
                 f"of the windows and {percent(far['token_accuracy'])} of the single {pieces.noun(config)}s.")
    return f"{found} {why(config, way)}"


def _working(works: Sequence[bool], at: int) -> tuple[int, int]:
    """The first and the last place of the unbroken range around `at` in which the network works."""
    first = next((place + 1 for place in range(at, -1, -1) if not works[place]), 0)
    last = next((place - 1 for place in range(at, len(works)) if not works[place]), len(works) - 1)
    return first, last


def why(config: RunConfig, way: str) -> str:
    """What another length asks of the network, in a sentence or two."""
    noun, traits = pieces.noun(config), config.traits
    if not needs_memory(config):
        return f"Each {noun} is said in the step that reads it, so a longer window asks for nothing new."
    if config.task == "lag":
        return f"Whatever the length, each {noun} has to be held for {counted(config.lag, 'step')}."
    if traits.answers_while_reading:
        begins = ordinal(config.input_length - config.output_length + 1)
        return (f"Nothing tells it how long the window is: it has learnt to begin its answer at the {begins} step."
                if traits.has_padding else
                f"It sees one {noun} at a time, and answers right where that is the one that is asked for.")
    if way == "output":
        more = f": each step more asks for a {noun} that it was never made to keep"
        return (f"Nothing tells it how many {noun}s to say, so it begins the same answer whatever the length"
                f"{more if config.output_length < config.input_length else ''}.")
    if traits.has_attention:
        return (f"Attention can look back at any {noun} of any window, but where to look next is something that the "
                "network has learnt for the steps of its training alone.")
    if way == "both":
        return (f"A longer window has more {noun}s that must pass through the same state, more than it has learnt to "
                "put there. An LSTM that had learnt to copy 1 to 20 vectors failed beyond 20, too (Graves et al. 2014, "
                "arXiv 1410.5401).")
    return (f"A longer window puts more {noun}s between those that are asked for and the answer, and the state must "
            "hold them longer than it has learnt to.")
