"""All that a visitor's session keeps, and what all sessions share: every key in one place.

Keys of `st.session_state`: each field of `RunConfig` by its name (its widget's key), and those
named below. The text is the exception: under its name stands what somebody types, and what of it serves the
settings is under `SETTLED_TEXT`. Nothing is kept in modules, which all visitors would share.
"""

import math
import re
import uuid
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import streamlit as st

from echo_app.browser import browser_name
from echo_core import tables
from echo_core import text as texts
from echo_core.config import RunConfig, check_text
from echo_core.engine import Engine
from echo_core.mending import following, mend
from echo_core.presets import PRESETS
from echo_core.records import Floats, Snapshot
from echo_core.store import RunRow, Store

PRESET = "preset"          # name of the preset that the settings equal, or OWN
RUN = "run_id"             # the run that is shown
MINE = "my_runs"           # runs for which this session pressed Train, oldest first
NOTES = "notes"            # lines about what was not accepted or had to follow
ERROR = "error"            # why the last Train or Stop was not done
SETTLED_TEXT = "settled_text"  # the text of the settings
TEXT_ERROR = "text_error"  # why what is typed as a text does not serve
OWN_WORDS = "own_words"    # echo and reverse are asked of one's own words
UPLOAD = "upload"          # a file with a text
BEFORE = "before_task"     # for each task the settings that its controls had, to come back to
TASK = "task_was"          # the task that the controls had before
SESSION = "session_id"     # for the queue's fairness
HOLDER = "holder"          # who holds a run: the browser, so that a reload goes on holding it
REPLAY = "replay"          # epoch of the snapshot that is shown
PRESSED = "pressed_train"  # Train was pressed in this run of the script
DRAWN = "drawn"            # the untrained network of which run and attempt was drawn
PLAYING = "playing"
NEXT_AT = "next_at"        # when the next picture of the replay is due
SLOW = "slow"

OWN = "own"

#: Characters of a packed text that a link may carry.
LONGEST_LINKED_TEXT = 1536
SAMPLE_WORDS = "to be or not to be that is the question"

FIELDS = tuple(RunConfig.model_fields)


class _Presence:
    """One open page of a browser: while it lives, its runs are watched."""

    def __init__(self, engine: Engine, holder: str) -> None:
        self._engine, self._holder = engine, holder
        engine.connect(holder)

    def leave(self) -> None:
        self._engine.disconnect(self._holder)


@st.cache_resource(show_spinner=False)
def engine() -> Engine:
    """The engine that every session of this server shares. Starts in the background."""
    return Engine()


@st.cache_resource(scope="session", on_release=_Presence.leave, show_spinner=False)
def _presence(holder: str) -> _Presence:
    return _Presence(engine(), holder)


def store() -> Store:
    """Where runs are kept."""
    return engine().store


@st.cache_resource(ttl=1.0, show_spinner=False)
def _forecast() -> dict[str, tables.Wait]:
    """One for all sessions, however many wait."""
    return tables.forecast(store())


def wait_of(run_id: str) -> tables.Wait:
    """How long a queued run still waits."""
    known = _forecast().get(run_id)
    return known or tables.Wait(store().place(run_id) or 0, math.nan)  # it was queued only just now


@dataclass(frozen=True)
class Look:
    """What pages draw of a run as it stood at one moment: read once for all who look at it.

    Attributes:
        loss, accuracy: Arrow tables of the curves, with the columns epoch and loss, or accuracy.
        speed: Epochs a second; NaN before there is one.
        snapshots: All of a run that has ended, and the newest of one under way.
    """

    loss: Any
    accuracy: Any
    speed: float
    snapshots: list[Snapshot]

    @property
    def has_begun(self) -> bool:
        """Whether there is a point to draw."""
        return len(self.loss) > 0


def look(run: RunRow) -> Look:
    """The records of a run up to the epoch of its row."""
    read = _look_at_live if run.state.is_active else _look_at_ended
    return read(run.run_id, run.attempt, run.epoch, run.seconds)


@st.cache_resource(max_entries=16, show_spinner=False)
def _look_at_live(run_id: str, attempt: int, epoch: int, seconds: float) -> Look:
    return _look(run_id, newest=1)


@st.cache_resource(max_entries=32, show_spinner=False)
def _look_at_ended(run_id: str, attempt: int, epoch: int, seconds: float) -> Look:
    return _look(run_id, newest=None)


def _look(run_id: str, newest: int | None) -> Look:
    history = store().history(run_id)
    curve = tables.curve(history)
    loss, accuracy = (curve[["epoch", name]] for name in ("loss", "accuracy"))
    return Look(pa.Table.from_pandas(loss), pa.Table.from_pandas(accuracy), tables.speed(history),
                store().snapshots(run_id, newest))


def answers(run: RunRow) -> tuple[str, str]:
    """What a run that has ended answers in the end: all as CSV, and expected and predicted between tabs."""
    return _answers(run.run_id, run.attempt, run.epoch)


@st.cache_resource(max_entries=32, show_spinner=False)
def _answers(run_id: str, attempt: int, epoch: int) -> tuple[str, str]:
    run, (newest,) = store().run(run_id), store().snapshots(run_id, newest=1)
    assert run is not None
    table = tables.answers(run.config, newest)
    columns = [name for name in table if str(name).startswith(("window", "expected", "predicted"))]
    return table.to_csv(index=False), table[columns].to_csv(index=False, sep="\t")


def weights(run: RunRow) -> tuple[Floats, ...] | None:
    """The weights of a run as they stand in the store; None before there are some."""
    return None if run.state.is_active else _weights(run.run_id, run.attempt, run.epoch)


@st.cache_resource(max_entries=8, show_spinner=False)
def _weights(run_id: str, attempt: int, epoch: int) -> tuple[Floats, ...] | None:
    checkpoint = store().checkpoint(run_id)
    return checkpoint.weights if checkpoint else None


@st.cache_resource(ttl=2.0, show_spinner=False)
def _newest_finished() -> list[RunRow]:
    return tables.newest_finished(store())


def estimate_seconds(config: RunConfig) -> float:
    """About how long a run will train on this machine."""
    return tables.estimate_seconds(config, _newest_finished())


def begin() -> None:
    """Called at the top of each run of the script: fill in what a new session lacks.

    Raises:
        StoreError: If the store cannot be opened.
        pydantic.ValidationError: If a setting of this host is not valid.
    """
    state = st.session_state
    if SESSION not in state:
        engine()  # first, as it may raise, and the link is opened once
        state[SESSION] = uuid.uuid4().hex
        state[HOLDER] = browser_name() or state[SESSION]
        state[MINE], state[NOTES], state[ERROR], state[RUN], state[BEFORE] = [], [], None, None, {}
        state[PLAYING] = state[SLOW] = False
        _open_link(st.query_params.to_dict())
    _presence(state[HOLDER])
    _settle()


def config() -> RunConfig:
    """The settings as the controls stand; `begin` has made them fit."""
    return RunConfig(**{**{name: st.session_state[name] for name in FIELDS}, "text": st.session_state[SETTLED_TEXT]})


def load(config: RunConfig) -> None:
    """Put settings into the controls."""
    _put(config)
    state = st.session_state
    state["text"], state[OWN_WORDS], state[TEXT_ERROR] = config.text, config.task != "pairs" and bool(config.text), None


def _put(config: RunConfig) -> None:
    """All but what is typed as a text, which stays as it was typed."""
    state, values = st.session_state, config.model_dump()
    state[SETTLED_TEXT], state[TASK] = values.pop("text"), config.task
    state.update(values)
    state[PRESET] = _preset_of(config)


def task_changed() -> None:
    """Callback of the task control: pairs have settings of their own, and so has what was there before."""
    state, before, after = st.session_state, st.session_state[TASK], st.session_state["task"]
    if "pairs" not in (before, after):
        return
    state[BEFORE][before] = RunConfig(**{**{name: state[name] for name in FIELDS}, "task": before,
                                         "text": state[SETTLED_TEXT]})
    known = PRESETS["pairs"].config if after == "pairs" else RunConfig()
    restored = state[BEFORE].get(after) or mend({**known.model_dump(), "task": after})[0]
    load(restored)


def own_words_changed() -> None:
    """Callback of the switch for one's own words: something to begin with, and away with it."""
    st.session_state["text"] = SAMPLE_WORDS if st.session_state[OWN_WORDS] else ""


def take_upload() -> None:
    """Callback of the upload: a file's text replaces what is typed."""
    file, state = st.session_state.get(UPLOAD), st.session_state
    if file is None:
        return
    try:
        text = file.getvalue().decode("utf-8-sig")
        state["text"] = texts.from_csv(text) if file.name.lower().endswith(".csv") else text
    except UnicodeDecodeError:
        state[ERROR] = "The file must be text in UTF-8; this one is not. Save it as UTF-8 and try again."
    except ValueError:  # which names what was in the file, and the page says nothing of that
        state[ERROR] = "The file must be a table of two columns, question and answer; this one cannot be read."


def load_preset() -> None:
    """Callback of the preset control: its settings replace those of the controls."""
    name = st.session_state[PRESET]
    if name in PRESETS:
        load(PRESETS[name].config)


def train() -> None:
    """Callback of Train: ask for the run of these settings, or join it, or show it."""
    _settle()  # a changed control and the click may arrive together
    wanted = config()
    try:
        run_id = engine().submit(wanted, session=st.session_state[SESSION], holder=st.session_state[HOLDER])
    except ValueError as error:  # a limit of this host; it says which
        st.session_state[ERROR] = str(error)
        return
    if run_id not in st.session_state[MINE]:
        st.session_state[MINE].append(run_id)
    st.session_state[PRESSED] = True
    show(run_id, wanted)


def show(run_id: str, config: RunConfig) -> None:
    """Make a run the one that this page shows, in the address as well."""
    st.session_state[RUN], st.session_state[ERROR], st.session_state[PLAYING] = run_id, None, False
    st.session_state.pop(REPLAY, None)
    st.query_params.from_dict(_link(config, run_id))


def _link(config: RunConfig, run_id: str) -> dict[str, str]:
    """The address of a run with its settings; with the run alone where the text is too long for a link."""
    query = {name: value for name, value in config.to_query().items() if value}
    return {"run": run_id} if len(query.get("text", "")) > LONGEST_LINKED_TEXT else {**query, "run": run_id}


def show_other(run: RunRow) -> None:
    """Callback: show another of one's own runs, with its settings."""
    load(run.config)
    show(run.run_id, run.config)


def stop(run_id: str) -> None:
    """Callback of Stop."""
    if not engine().stop(run_id, holder=st.session_state[HOLDER]):
        again = "" if engine().settings.hosted else " Press Stop again to stop it for everybody."
        st.session_state[ERROR] = f"Somebody else who pressed Train is here, so the run goes on for them.{again}"


def shown_run() -> RunRow | None:
    """The run that this page shows, as the store has it now."""
    run_id = st.session_state[RUN]
    return store().run(run_id) if run_id else None


def _open_link(query: dict[str, str]) -> None:
    """Settings and run from the address. Damaged links give notes and a page that works."""
    run_id = query.pop("run", None)
    run = store().run(run_id) if run_id and re.fullmatch("[0-9a-f]{16}", run_id) else None
    if run:
        st.session_state[RUN] = run.run_id
        load(run.config)
        return
    name = query.pop(PRESET, None)
    preset = PRESETS.get(name or "")
    wanted: dict[str, Any] = {**(preset.config.to_query() if preset else {}), **query}
    settings, notes = mend(wanted)
    if name and not preset:
        notes.insert(0, f"preset must be one of {', '.join(PRESETS)}; received {name[:40]}.")
    if run_id:
        notes.insert(0, "The run of this link is not known here. Press Train to train it again." if query else
                        "The run of this link is not known here, and the link has no settings.")
    st.session_state[NOTES] = notes
    load(settings)


def _settle() -> None:
    """Make the settings fit one another, as one control's change may ask of the others."""
    state = st.session_state
    wanted = {name: state.get(name) for name in FIELDS}
    wanted["text"] = text = _text_that_serves(str(wanted["task"]))
    for name in following(wanted):  # without a word
        if name != "batch_size" or len(texts.pairs(text)) % state["batch_size"]:
            del wanted[name]
    settled, notes = mend(wanted)
    if notes or any(state.get(name) != value for name, value in settled.model_dump(exclude={"text"}).items()):
        state[NOTES] = notes
    _put(settled)


def _text_that_serves(task: str) -> str:
    """What is typed, if it can be learnt, and what could be before it else; `TEXT_ERROR` says why."""
    state = st.session_state
    state[TEXT_ERROR] = None
    if task != "pairs" and not state.get(OWN_WORDS):
        return ""
    try:
        text = texts.read(str(state.get("text") or ""))
        check_text(task, text)
    except ValueError as error:
        state[TEXT_ERROR] = str(error)
        return str(state[SETTLED_TEXT])
    return text


def _preset_of(config: RunConfig) -> str:
    same = (name for name, preset in PRESETS.items() if preset.config == config)
    return next(same, OWN)
