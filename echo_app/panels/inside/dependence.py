"""Which input each output depends on, measured in up to three ways; attention that can be made to look elsewhere."""

from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from echo_app.charts import inspection
from echo_app.charts.cell import percent as whole_percent
from echo_app.formatting import percent
from echo_app.panels.inside import pieces
from echo_app.panels.inside.look import BY_MOMENT, BY_WINDOW, Look, affordable, inside
from echo_app.web.shared_cache import shared_cache
from echo_core.config import RunConfig
from echo_core.evaluation.asking import expected_answer
from echo_core.evaluation.scores import read_off
from echo_core.inspection.influence import (
    MAX_ANSWERED,
    Dependence,
    agreement_table,
    dependence_on,
    influence_table,
    is_moved,
)
from echo_core.inspection.inside import look_inside
from echo_core.inspection.inspecting import INSPECTIONS
from echo_core.inspection.remembering import sources
from echo_core.inspection.samples import Stream, sample
from echo_core.records import Floats
from echo_core.text.plurals import counted

TITLE = "Which input matters"

_MANY, _ONE = "Many sequences", "The window at hand"
#: Sequences of the inspection, and how many of them are measured between two movements of the progress bar.
_ALL, _AT_ONCE = INSPECTIONS["influence"].sequences, 5
#: Outputs that a sentence lists.
_MOST_LISTED = 4
#: Keys of `st.session_state`: where each output was made to look (output -> input from 1, or `_EVENLY`), and the
#: widgets that choose it.
_LOOKS, _OUTPUT, _PLACE = "inside_looks", "dependence_output", "dependence_place"
_MIXED, _AS_IT_DOES, _EVENLY, _EVERY = -2, -1, 0, 0

_WAYS = {
    "influence": ("By replacing it",
                  "How far the answer moves when this input is another {noun}: 0 is not at all, 1 is wholly."),
    "gradient": ("By its gradient",
                 "How fast the score of the answer changes as this input is made a little stronger."),
    "attention": ("By attention", "Where the decoder looks. Each row adds up to 1."),
}
_SUBJECTS = {"gradient": "The gradient", "attention": "Attention"}


def draw(look: Look) -> None:
    """Draw the maps of influence, gradient and attention, what they say, and the controls of attention."""
    config, noun = look.config, pieces.noun(look.config)
    st.markdown(f"Each input is replaced by other {noun}s, one at a time, to see how far each output moves. **Read a "
                "row:** its strongest cell is the input on which that output depends most.")
    scope = st.segmented_control("Measured on", [_MANY, _ONE], default=_MANY, required=True, key="dependence_scope")
    is_many = scope == _MANY
    quick = _affordable_sequences(config)
    used = pieces.wanted(look, "influence", quick, _ALL)
    with st.spinner("Replacing each input …"):
        found = _of_many(look, used) if is_many else _of_window(look)
    ways = {name: values for name, values in found._asdict().items() if values is not None}
    st.markdown(finding(config, found))
    for column, (name, values) in zip(st.columns(len(ways), gap="medium"), ways.items(), strict=True):
        with column:
            _map(look, name, values, is_many)
    for name in list(ways)[1:]:
        st.markdown(disagreement(found, name))
    if is_moved(found).any():
        st.caption("Where they disagree, trust the replacement: it is what really happens when the input changes.")
    if is_many:
        pieces.offer_more(look, "influence", len(found.influence), _ALL)
    pieces.numbers(_table(found, ways), "dependence")
    if is_many and is_moved(found).any():
        pieces.numbers(agreement_table(found), "agreement", "How often they agree, where a replacement moves an output")
    if config.traits.has_attention:
        _look_elsewhere(look)


def _affordable_sequences(config: RunConfig) -> int:
    """Sequences that can be measured in about half a second, with five passes for each input."""
    return max(1, affordable(config, _ALL * config.input_length) // config.input_length)


def _replacements(config: RunConfig, sequences: int) -> int:
    """Windows to answer, so that with three other passes for each input it takes about half a second."""
    rows = sequences * config.input_length
    return int(np.clip(5 * affordable(config, MAX_ANSWERED) - 3 * rows, rows, MAX_ANSWERED))


def _of_many(look: Look, sequences: int) -> Dependence:
    """New sequences, all of them in parts with a progress bar."""
    if sequences < _ALL or _affordable_sequences(look.config) >= _ALL:
        return _part(look, 0, sequences, _replacements(look.config, sequences))
    starts, answered = range(0, _ALL, _AT_ONCE), MAX_ANSWERED * _AT_ONCE // _ALL
    parts = [_part(look, start, start + _AT_ONCE, answered)
             for start in pieces.with_progress(starts, "Replacing each input of some sequences")]
    looked = [part.attention for part in parts if part.attention is not None]
    return Dependence(np.concatenate([part.influence for part in parts]),
                      np.concatenate([part.gradient for part in parts]), np.concatenate(looked) if looked else None)


@shared_cache(max_entries=128, hash_funcs=BY_MOMENT)  # at most 0.2 MB each
def _part(look: Look, first: int, last: int, answered: int) -> Dependence:
    windows = sample(look.config, last, stream=Stream.INFLUENCE).windows[first:]
    return dependence_on(look.config, look.weights, windows, answered)


@shared_cache(max_entries=64, hash_funcs=BY_WINDOW)
def _of_window(look: Look) -> Dependence:
    return dependence_on(look.config, look.weights, look.window[None], _replacements(look.config, 1))


def _map(look: Look, name: str, values: Floats, is_many: bool) -> None:
    config, (title, how) = look.config, _WAYS[name]
    table = pd.DataFrame({**_places(values), name: values.mean(axis=0).ravel()})
    if not is_many:
        names = pieces.names_of(config)
        table["reads"] = [names[token] for token in look.window] * config.output_length
    st.markdown(f"**{title}**")
    top = (float(table[name].max()) or 1.0) if name == "gradient" else 1.0
    spec = inspection.dependence(config.output_length, config.input_length, name, name.capitalize(), top, not is_many)
    st.vega_lite_chart(table, spec, key=f"dependence_{name}", alt=(
        f"Heat map of {counted(config.output_length, 'output')} by {counted(config.input_length, 'input')}, {name}. "
        "The numbers are in the table below."))
    st.caption(how.format(noun=pieces.noun(config)))


def _places(values: Floats) -> dict[str, Any]:
    _, outputs, inputs = values.shape
    return {"output": np.repeat(np.arange(outputs) + 1, inputs), "input": np.tile(np.arange(inputs) + 1, outputs)}


def _table(found: Dependence, ways: dict[str, Floats]) -> pd.DataFrame:
    table = influence_table(found)
    if "attention" in ways:
        table.insert(len(table.columns) - 1, "attention", ways["attention"].mean(axis=0).ravel())
    return table


# --- what the maps say -----------------------------------------------------------------------------


def finding(config: RunConfig, found: Dependence) -> str:
    """The input on which each output depends most, in a sentence or two of Markdown."""
    windows = len(found.influence)
    depends = is_moved(found).any(axis=0)  # (output_length,)
    if not depends.any():
        return ("**No input matters:** no replacement moves any output by more than 1 %. The network gives the same "
                "answer whatever it reads.")
    top = found.influence.argmax(axis=-1)  # (windows, output_length)
    main = {output: int(np.bincount(top[:, output]).argmax()) for output in np.flatnonzero(depends).tolist()}
    shares = {output: float((top[:, output] == place).mean()) for output, place in main.items()}
    often = {output: f" ({percent(share)} of sequences)" if windows > 1 else "" for output, share in shares.items()}
    lines = [f"output {output + 1}{' depends most' * (not k)} on input {place + 1}{often[output]}"
             for k, (output, place) in enumerate(main.items())]
    listed = pieces.joined([*lines[:_MOST_LISTED], *(["so on"] if len(lines) > _MOST_LISTED else [])])
    sentences = [f"{listed.capitalize()}."]
    if config.task != "pairs":
        repeats = {output: place for output, place, _ in sources(config)}
        asked = [output for output in main if output in repeats]
        right = sum(main[output] == repeats[output] for output in asked)
        if right == len(asked) == len(repeats):
            sentences.insert(0, "**Each output depends most on the very input that it must repeat.**")
        elif asked:
            sentences.append(f"At {right} of {counted(len(repeats), 'output')} it is the input that must be repeated.")
    if silent := [str(output + 1) for output in np.flatnonzero(~depends).tolist()]:
        sentences.append(f"No input moves {'output' if len(silent) == 1 else 'outputs'} "
                         f"{pieces.joined(silent[:_MOST_LISTED])}{' and others' * (len(silent) > _MOST_LISTED)}.")
    return " ".join(sentences)


def disagreement(found: Dependence, name: str) -> str:
    """How often, and where, gradient or attention names another input than replacing does, in Markdown.

    Cases in which no replacement moves an output are left out, as in `agreement_table`.
    """
    values: Floats = getattr(found, name)
    top, other = found.influence.argmax(axis=-1), values.argmax(axis=-1)  # (windows, output_length)
    counts = is_moved(found)
    differs = (top != other) & counts
    if not counts.any():
        return f"**{_SUBJECTS[name]}** cannot be compared: no replacement moves an output."
    if not differs.any():
        return (f"**{_SUBJECTS[name]}** agrees: it names the same input as replacing does, at every output"
                f"{' of every sequence' if len(top) > 1 else ''}.")
    share = differs.sum(axis=0) / np.maximum(1, counts.sum(axis=0))
    worst = [output for output in np.argsort(-share, kind="stable")[:3] if share[output] > 0]
    places = []
    for output in worst:
        pairs = np.stack([other[differs[:, output], output], top[differs[:, output], output]], axis=1)
        kinds, often = np.unique(pairs, axis=0, return_counts=True)
        named, best = kinds[often.argmax()] + 1
        how_often = f"{percent(share[output])}: " if len(top) > 1 else ""
        places.append(f"output {output + 1} ({how_often}input {named} in place of input {best})")
    total = f"in {percent(differs.sum() / counts.sum())} of the cases" if len(top) > 1 else \
        f"at {int(differs.sum())} of {counted(int(counts.sum()), 'output')}"
    return (f"**{_SUBJECTS[name]}** disagrees {total}: it names another input than replacing does, "
            f"{'most often ' if len(top) > 1 else ''}at {pieces.joined(places)}.")


# --- attention that looks elsewhere ----------------------------------------------------------------


def _look_elsewhere(look: Look) -> None:
    """Draw the controls of attention, and the answer to the window at hand with it and without it."""
    config, session = look.config, st.session_state
    own = inside(look)
    assert own.attention is not None
    st.markdown("**Make it look elsewhere**")
    st.markdown("At each output, attention picks the inputs that the decoder takes in. Pick for it, and see what "
                "becomes of the answer to the window at hand.")
    readable = [place + 1 for place in np.flatnonzero(look.window < config.vocab_size).tolist()]
    chosen = {output: place for output, place in session.get(_LOOKS, {}).items()
              if output <= config.output_length and place in (_EVENLY, *readable)}
    _controls(look, chosen, readable)
    edited = elsewhere(own.attention[0], chosen, look.window < config.vocab_size)
    changed = look_inside(config, look.weights, look.window[None], attention=edited)
    before, after = (read_off(config, each.logits).predicted[0] for each in (own, changed))
    table = _answers(look, edited, chosen, before.tolist(), after.tolist())
    moved = int((before != after).sum())
    if chosen:
        now, by_itself = _right(table["Answer now"]), _right(table["By itself"])
        st.markdown(f"**{moved} of {counted(config.output_length, 'answer')} changed**: {now} right now, {by_itself} "
                    "where it looks by itself." if moved else "**No answer changed**, although it looks elsewhere.")
    st.dataframe(table, hide_index=True, key="dependence_answers")


def elsewhere(own: Floats, chosen: dict[int, int], present: np.ndarray[Any, np.dtype[np.bool_]]) -> Floats:
    """Attention weights, (output_length, input_length), with the rows that were chosen looking elsewhere.

    Args:
        chosen: Output from 1 -> input from 1, or 0 for all inputs evenly.
        present: Inputs that are no gaps.
    """
    edited = own.copy()
    for output, place in chosen.items():
        edited[output - 1] = present / present.sum() if place == _EVENLY else np.arange(len(present)) == place - 1
    return edited


def _controls(look: Look, chosen: dict[int, int], readable: list[int]) -> None:
    config, session, names = look.config, st.session_state, pieces.names_of(look.config)
    words = {_MIXED: "here and there", _AS_IT_DOES: "as it does by itself", _EVENLY: "at all inputs evenly"} | {
        place: f"at input {place}: {names[look.window[place - 1]]}" for place in readable}
    if session.get(_OUTPUT, _EVERY) > config.output_length:
        session[_OUTPUT] = _EVERY
    output = session.get(_OUTPUT, _EVERY)
    places = {chosen.get(each, _AS_IT_DOES) for each in ([output] if output else range(1, config.output_length + 1))}
    session[_PLACE] = places.pop() if len(places) == 1 else _MIXED
    options = [place for place in words if place != _MIXED or session[_PLACE] == _MIXED]
    with st.container(horizontal=True, vertical_alignment="bottom", key="dependence_controls"):
        st.selectbox("Output", range(config.output_length + 1), key=_OUTPUT, width=150,
                     format_func=lambda number: f"output {number}" if number else "every output")
        st.selectbox("Looks", options, key=_PLACE, format_func=words.__getitem__, width=240, on_change=_choose,
                     args=(chosen, config.output_length))
        st.button("Reset", key="dependence_reset", icon=":material/restart_alt:", disabled=not chosen, on_click=_reset)


def _choose(chosen: dict[int, int], outputs: int) -> None:
    session = st.session_state
    output, place = session[_OUTPUT], session[_PLACE]
    if place == _MIXED:
        return
    changed = [output] if output else range(1, outputs + 1)
    kept = {each: where for each, where in chosen.items() if each not in changed}
    session[_LOOKS] = kept if place == _AS_IT_DOES else kept | dict.fromkeys(changed, place)


def _reset() -> None:
    st.session_state[_LOOKS] = {}


def _answers(look: Look, edited: Floats, chosen: dict[int, int], before: list[int], after: list[int]) -> pd.DataFrame:
    """A row for each output: where it looks most, and the answers with ✓ or ✗ where the right one is known."""
    config, names = look.config, pieces.names_of(look.config)
    known = expected_answer(config, look.window)
    expected = [config.vocab_size] * config.output_length if known is None else known.tolist()

    def marked(said: int, right: int) -> str:
        return names[said] if right == config.vocab_size else f"{names[said]} {'✓' if said == right else '✗'}"

    rows = []
    for output, (weights, right) in enumerate(zip(edited, expected, strict=True)):
        place = int(weights.argmax())
        is_even = chosen.get(output + 1) == _EVENLY
        rows.append({"Output": output + 1, "Looks at": "all evenly" if is_even else
                     f"input {place + 1}: {names[look.window[place]]} ({whole_percent(weights[place])})",
                     "Answer now": marked(after[output], right), "By itself": marked(before[output], right),
                     "Expected": "" if right == config.vocab_size else names[right]})
    return pd.DataFrame(rows)


def _right(answers: "pd.Series[str]") -> int:
    return int(answers.str.endswith("✓").sum())
