"""The form of a question: what to begin with, what to vary, how often, and what that takes.

Keys of `st.session_state`: those of the widgets, `study_…`, and `_HELD`, the settings of a study that was put into the
form.
"""

from collections.abc import Sequence
from typing import Any

import streamlit as st

from echo_app import links, state, store_outages
from echo_app.formatting import duration, plain
from echo_app.panels.studies import acting, examples, reading
from echo_core.config import RunConfig
from echo_core.config.labels import TITLES, label_of, name_in_words
from echo_core.config.presets import PRESETS
from echo_core.studies.measures import MEASURES, Measure
from echo_core.studies.study import MAX_SEEDS, RATES, TUNING_SEEDS, Axis, Study, parse_axis
from echo_core.text.plurals import counted, shortened

BASE, SEEDS, LOOK_AT, TUNE = "study_base", "study_seeds", "study_look_at", "study_tune"
#: Keys of the two axes: the setting, and its values as they are typed and picked.
FIELD, TYPED, PICKED = "study_field_{}", "study_values_{}", "study_choices_{}"
_HELD = "study_held"
#: Values of `BASE` beside the names of presets: the controls of the Train page, and a study that was put into the form.
OWN, HELD = "own", "held"
NOTHING = ""
_AXES = (1, 2)
#: Characters of a list of values.
_LONGEST = 200


def prepare() -> None:
    """Give a new session the question of its link, or else the first one."""
    session = st.session_state
    if BASE not in session:
        ask(examples.FIRST)
        if study := reading.study_at(session[state.STUDY]):
            load(study)
        linked = st.query_params.get(links.LOOK_AT)
        session[LOOK_AT] = session[acting.MEASURE] = Measure(linked) if linked in list(Measure) else session[LOOK_AT]
        session[state.PRESSED] = bool(session[state.STUDY])  # on a telephone a linked study is below the form


def ask(name: str) -> None:
    """Callback of an example question: put it into the form."""
    example = examples.EXAMPLES[name]
    load(example.study)
    st.session_state[LOOK_AT] = example.measure


def load(study: Study) -> None:
    """Put a study into the form."""
    session = st.session_state
    base = study.base
    name = next((name for name, preset in PRESETS.items() if preset.config == base), HELD)
    session[BASE], session[_HELD] = name, base if name == HELD else None
    for place in _AXES:
        axis = study.over[place - 1] if place <= len(study.over) else None
        session[FIELD.format(place)] = axis.field if axis else NOTHING
        is_choice = axis is not None and examples.is_choice(axis.field)
        session[TYPED.format(place)] = examples.as_typed(axis.values) if axis and not is_choice else ""
        session[PICKED.format(place)] = list(axis.values) if axis and is_choice else []
    session[SEEDS], session[TUNE] = study.seeds, study.tune


def form() -> None:
    """Draw the form, what it takes, and Start."""
    with st.container(key="study_form_parts"):
        _parts()


def _parts() -> None:
    base = _base()
    fields = examples.fields(base)
    for place in _AXES:
        _axis(place, base, fields)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.number_input("Seeds", 1, MAX_SEEDS, key=SEEDS, persist_state="session", width=110,
                        help="Runs of each setting, which differ in their random start alone. More seeds tell smaller "
                        "differences.")
        st.selectbox("Look at", list(Measure), key=LOOK_AT, persist_state="session", width=240,
                     format_func=lambda measure: MEASURES[measure].title, help=measures_in_words())
    st.checkbox("Choose the learning rate for each first", key=TUNE, persist_state="session",
                help=f"Trains each setting with {len(RATES)} learning rates from {RATES[0]} to {RATES[-1]}, "
                f"{TUNING_SEEDS} seeds each, and takes the best. Networks that are compared at one rate are ranked by "
                "that rate (arXiv 2508.19029).")
    study, problem = read()
    if problem:
        st.error(plain(problem), icon=":material/block:")
    elif study:
        store_outages.draw_optional(_what_it_takes, study)
    _start(study)
    if study:
        _notes(study)
    store_outages.draw_refusal()


def _start(study: Study | None) -> None:
    st.button("Start", type="primary", key="study_start", icon=":material/play_arrow:", disabled=study is None,
              on_click=acting.start if study else None, args=(study, st.session_state[LOOK_AT]) if study else None)


def offer_examples() -> None:
    """Draw the example questions."""
    with st.container(horizontal=True, vertical_alignment="center", key="study_examples"):
        st.caption("Questions to begin with", width="content")
        for name, example in examples.EXAMPLES.items():
            st.button(example.words, key=f"study_ask_{name}", type="tertiary", icon=":material/help:",
                      on_click=ask, args=(name,))


def measures_in_words() -> str:
    """What each measure counts, as a list in Markdown."""
    return "\n".join(f"- **{traits.title}**: {traits.help}" for traits in MEASURES.values())


def _base() -> RunConfig:
    """Draw what to begin with, and return it."""
    session = st.session_state
    names = [*([HELD] if session.get(_HELD) else []), OWN, *PRESETS]
    if session[BASE] not in names:
        session[BASE] = next(iter(PRESETS))
    titles = {name: _base_in_words(name) for name in names}
    chosen = st.selectbox("Begin with", names, key=BASE, persist_state="session", format_func=titles.__getitem__,
                          help="The settings that do not vary; their seed is the first one. For others, such as other "
                          "epochs, set them on the Train page and choose **Train page** here.")
    return base_of(chosen)


def base_of(chosen: str) -> RunConfig:
    """The settings that the form begins with."""
    if chosen in PRESETS:
        return PRESETS[chosen].config
    return state.config() if chosen == OWN else st.session_state[_HELD]


def _base_in_words(name: str) -> str:
    if name in PRESETS:
        return PRESETS[name].title
    return f"{'Train page' if name == OWN else 'This question'}: {shortened(name_in_words(base_of(name)), 60)}"


def _axis(place: int, base: RunConfig, fields: Sequence[str]) -> None:
    """Draw a setting to vary and its values."""
    session, (field_key, typed, picked) = st.session_state, _keys(place)
    taken = session[FIELD.format(1)] if place == 2 else None
    options = [*([NOTHING] if place == 2 else []), *(field for field in fields if field != taken)]
    if session.get(field_key) not in options:  # it cannot vary with what the form begins with
        session[field_key] = options[0]
        field_changed(place)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        field = st.selectbox("Vary" if place == 1 else "and", options, key=field_key, persist_state="session",
                             format_func=lambda name: label_of(name) if name else "nothing else", width=150,
                             on_change=field_changed, args=(place,))
        if not field:
            return
        if examples.is_choice(field):
            offered = examples.choices(base, field)
            session[picked] = [value for value in session.get(picked) or [] if value in offered]
            st.multiselect("Values", offered, key=picked, persist_state="session", width="stretch",
                           format_func=lambda value: _choice(field, value), placeholder="pick two or more")
        else:
            st.text_input("Values", key=typed, persist_state="session", max_chars=_LONGEST, width="stretch",
                          placeholder="8, 16, 32", autocomplete="off",
                          help="With commas or spaces between them; `1-5` is each whole number from 1 to 5.")


def _keys(place: int) -> tuple[str, str, str]:
    return FIELD.format(place), TYPED.format(place), PICKED.format(place)


def _choice(field: str, value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return TITLES[field][value].split(":")[0]


def field_changed(place: int) -> None:
    """Callback of a setting to vary: give it values to begin with, and tune where networks are compared."""
    session, (field_key, typed, picked) = st.session_state, _keys(place)
    field, base = session[field_key], base_of(session[BASE])
    session[typed], session[picked] = "", []
    if field and examples.is_choice(field):
        session[picked] = examples.first_choices(base, field)
    elif field:
        session[typed] = examples.first_values(base, field)
    varied = {session[FIELD.format(each)] for each in _AXES}
    session[TUNE] = not varied.isdisjoint({"cell", "variant"}) and "learning_rate" not in varied


def read() -> tuple[Study | None, str | None]:
    """The study of the form as it stands, or what is wrong with it."""
    session = st.session_state
    try:
        study = Study(base_of(session[BASE]), tuple(_axes()), session[SEEDS], session[TUNE])
        acting.check_limits(study)
    except ValueError as error:  # `LimitExceeded` is one
        return None, str(error)
    return study, None


def _axes() -> list[Axis]:
    session, axes = st.session_state, []
    for place in _AXES:
        field_key, typed, picked = _keys(place)
        field = session[field_key]
        if not field:
            continue
        if examples.is_choice(field):
            if not session[picked]:
                raise ValueError(f"{label_of(field)} has no values yet. Pick two or more of them.")
            axes.append(Axis(field, tuple(session[picked])))
        else:
            if not session[typed].strip():
                raise ValueError(f"{label_of(field)} has no values yet. Try {examples.VALUES[field] or '1, 2'}.")
            values = session[typed].strip().removeprefix(f"{field}=")  # as messages write it
            axes.append(parse_axis(f"{field}={values}"))
    return axes


def _what_it_takes(study: Study) -> None:
    """Say how many runs a study has, how many of them are known, and how long the rest takes."""
    far, settings = reading.standing_of(study), len(study.settings)
    each = f"{counted(settings, 'setting')} × {counted(study.seeds, 'seed')}"
    if study.tune:
        each += f", and {len(RATES) * TUNING_SEEDS} trials of each for its learning rate"
    known = f" **{far.ended}** of them {'is' if far.ended == 1 else 'are'} trained already." if far.ended else ""
    workers = state.engine().num_workers
    left = ("Nothing is left to train: Start shows the answer." if far.is_done else
            f"About **{duration(max(1, round(far.seconds_left)))}** on {counted(workers, 'worker')} here. Whoever "
            "presses Train meanwhile goes first.")
    st.markdown(f"**{counted(far.total, 'run')}**: {each}.{known} {left}")


def _notes(study: Study) -> None:
    """Say what a study cannot tell, and which settings have to follow the varied ones."""
    if study.ranks_untuned:
        st.caption("All will have the same learning rate, and which network is best at one rate says little.")
    follow = dict.fromkeys(field for setting in study.settings
                           for field in study.config_of(setting, study.base.seed)[1])
    if follow:
        named = " and ".join(label_of(field).lower() for field in follow)
        st.caption(f"Where a value does not fit the other settings, {named} follow it; the table says how.")
