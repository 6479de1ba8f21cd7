"""All that a visitor's session keeps, and what all sessions share: every key in one place.

Keys of `st.session_state`: each field of `RunConfig` by its name (its widget's key), those
named below, and those of `store_outages`. The text is the exception: under its name stands what somebody types, and
what of it serves the settings is under `SETTLED_TEXT`. Nothing is kept in modules, which all visitors would share.
"""

import math
import time
import uuid
from typing import Any

import streamlit as st

from echo_app import store_outages
from echo_app.web.browser import browser_name
from echo_core.config import RunConfig, check_text
from echo_core.config.presets import PRESETS
from echo_core.config.repair import following, mend
from echo_core.engine import Engine
from echo_core.store import EVERYBODY, RunRow, Store, Wanted
from echo_core.store.errors import public_reason
from echo_core.text import words as texts

PRESET = "preset"          # name of the preset that the settings equal, or OWN
RUN = "run_id"             # the run that is shown
SEEN = "run_as_seen"       # as it was when the store was last asked
LOOKED = "last_look"       # its run_id, and what was drawn of it last
MINE = "my_runs"           # runs for which this session pressed Train, oldest first
NOTES = "notes"            # lines about what was not accepted or had to follow
SETTLED_TEXT = "settled_text"  # the text of the settings
TEXT_ERROR = "text_error"  # why what is typed as a text does not serve
OWN_WORDS = "own_words"    # echo and reverse are asked of one's own words
UPLOAD = "upload"          # a file with a text
FILE_ERRORS = "file_errors"  # for an uploader what is wrong with its file: a heading, and lines below it
UPLOAD_NOTES = "upload_notes"  # what of that file was left out
BEFORE = "before_task"     # for each task the settings that its controls had, to come back to
TASK = "task_was"          # the task that the controls had before
READY = "session_is_ready"  # set once a new session has its settings
HOLDER = "holder"          # who holds a run and waits in the queue: the browser, so that a reload goes on holding it
REPLAY = "replay"          # the slider of the replay
REPLAY_AT = "replay_at"    # epoch of the snapshot at which this visitor holds the replay; None follows the newest
MORE = "more_epochs"       # how much longer Train longer trains
PRESSED = "pressed_train"  # Train was pressed in this run of the script
DRAWN = "drawn"            # of which run and attempt the untrained network, or that it stops, was drawn
ELSEWHERE = "elsewhere"    # what the page showed outside of its settings when it was drawn last
PLAYING = "playing"
NEXT_AT = "next_at"        # when the next picture of the replay is due
SLOW = "slow"
SEEDS = "seeds_shown"      # configs of the seeds that are shown together, in order; not all of them need be runs
SELECTED = "selected"      # runs picked on the history page, in the order in which they were
LOSS = "store_loss"        # the message about runs lost with their store, and when this session got it
DELETED = "deleted_runs"   # run_ids of the last deletion, which can be undone
IMPORT = "import_config"   # a file with settings

OWN = "own"
#: Up to FEW_SESSIONS sessions read the store at every refresh; above that, rows are shared for _SHARED_SECONDS.
FEW_SESSIONS, _SHARED_SECONDS = 5, 0.5
#: Seconds for which a page shows that the store has lost its runs.
_LOSS_SECONDS = 60.0

FIELDS = tuple(RunConfig.model_fields)
_TYPED = ("text", OWN_WORDS)


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


def is_quiet_here() -> bool:
    """Whether so few visitors are here that each may have more of this machine than a poll now and then."""
    return engine().num_connected <= FEW_SESSIONS


def time_bucket(seconds: float) -> int:
    """The number of the current interval of that length: an argument of cached functions that expire with it.

    A `ttl` would fail in pages: an entry can expire between Streamlit's check that it exists and the read.
    """
    return int(time.monotonic() / seconds)


@st.cache_resource(max_entries=64, show_spinner=False)
def stored_row(run_id: str, time_bucket: int) -> RunRow | None:
    """A run as the store has it, read once per time bucket for all sessions."""
    return store().runs.get(run_id)


@st.cache_resource(scope="session", on_release=_Presence.leave, show_spinner=False)
def _presence(holder: str) -> _Presence:
    return _Presence(engine(), holder)


def loss() -> str | None:
    """The message about runs lost with their store: for a minute, in sessions that were open when it happened."""
    session, said = st.session_state, engine().loss
    known, since = session.setdefault(LOSS, (said, -math.inf))
    if said != known:
        session[LOSS] = known, since = said, time.monotonic()
    return known if time.monotonic() - since < _LOSS_SECONDS else None


def store() -> Store:
    """Where runs are kept."""
    return engine().store


def workers_status() -> str:
    """`Engine.status`; on a hosted copy without its addresses and exceptions."""
    status = engine().status()
    known = status in ("starting", "warming", "ready")
    return status if known or not engine().settings.hosted else (
        "The workers of this copy cannot be reached at the moment. Your run waits for them")


def public(reason: str) -> str:
    """Why a run stands as it does, as far as visitors of this copy may know it."""
    return public_reason(reason) if engine().settings.hosted else reason


def visitor() -> str:
    """Whose names and lists count: on a copy of one's own all visitors are one."""
    return str(st.session_state[HOLDER]) if engine().settings.hosted else EVERYBODY


def wanted(**which: Any) -> Wanted:
    """Which runs the history page lists: on a hosted copy a visitor's own and the presets'."""
    hosted = engine().settings.hosted
    shared = [preset.config.run_id for preset in PRESETS.values()] if hosted else ()
    return Wanted(visitor=visitor(), only_own=hosted, shared=shared, **which)


def name_of(run_id: str) -> str | None:
    """What this visitor calls a run."""
    return store().runs.name_of(run_id, visitor())


def fill_in() -> None:
    """Give a new session the value that each key has before anything is pressed."""
    session = st.session_state
    session[HOLDER] = browser_name() or uuid.uuid4().hex
    session[MINE], session[NOTES], session[RUN], session[BEFORE] = [], [], None, {}
    session[PLAYING], session[SLOW], session[REPLAY_AT] = False, False, None
    session[SEEDS], session[SELECTED], session[DELETED] = (), [], []


def keep() -> None:
    """Called in each run of the script: keep typed texts, connect the browser, make the settings fit one another."""
    session = st.session_state
    for key in _TYPED:
        if key in session:  # Streamlit drops the value of a widget that the other page does not draw
            session[key] = session[key]
    _presence(session[HOLDER])
    settle()


def config() -> RunConfig:
    """The settings as the controls stand; `keep` has made them fit."""
    return RunConfig(**{**{name: st.session_state[name] for name in FIELDS}, "text": st.session_state[SETTLED_TEXT]})


def load(config: RunConfig) -> None:
    """Put settings into the controls."""
    _put(config)
    session = st.session_state
    session["text"], session[OWN_WORDS] = config.text, config.task != "pairs" and bool(config.text)
    session[TEXT_ERROR], session[UPLOAD_NOTES], session[FILE_ERRORS] = None, (), {}


def _put(config: RunConfig) -> None:
    """All but what is typed as a text, which stays as it was typed."""
    session, values = st.session_state, config.model_dump()
    session[SETTLED_TEXT], session[TASK] = values.pop("text"), config.task
    session.update(values)
    session[PRESET] = _preset_of(config)


def text_bytes() -> int:
    """Bytes of a typed text in its normal form, or as typed if it is too long to be normalised."""
    text = str(st.session_state.get("text") or "")
    return len((texts.normalise(text) if len(text) <= texts.MAX_CHARACTERS else text).encode(errors="replace"))


def shown_run() -> RunRow | None:
    """The run that this page shows, as the store has it now; while that cannot be asked, as it was seen last."""
    session = st.session_state
    if not session[RUN]:
        return None
    if not store_outages.is_away():
        try:
            shared = store_outages.is_alone() and not is_quiet_here()
            run_id = session[RUN]
            session[SEEN] = stored_row(run_id, time_bucket(_SHARED_SECONDS)) if shared else store().runs.get(run_id)
        except store_outages.FAULTS as error:
            store_outages.note(error)
    return seen_run()


def seen_run() -> RunRow | None:
    """The run that this page shows, as `shown_run` has seen it last: for the parts of one page."""
    seen: RunRow | None = st.session_state.get(SEEN)
    return seen if seen and seen.run_id == st.session_state[RUN] else None


def settle() -> None:
    """Make the settings fit one another, as one control's change may ask of the others."""
    session = st.session_state
    wanted = {name: session.get(name) for name in FIELDS}
    wanted["text"] = text = _text_that_serves(str(wanted["task"]))
    for name in following(wanted):  # without a word
        if name != "batch_size" or len(texts.pairs(text)) % session["batch_size"]:
            del wanted[name]
    settled, notes = mend(wanted)
    if notes or any(session.get(name) != value for name, value in settled.model_dump(exclude={"text"}).items()):
        session[NOTES] = notes
    _put(settled)


def _text_that_serves(task: str) -> str:
    """What is typed, if it can be learnt, and what could be before it else; `TEXT_ERROR` says why."""
    session = st.session_state
    session[TEXT_ERROR] = None
    if task != "pairs" and not session.get(OWN_WORDS):
        return ""
    try:
        text = texts.read(str(session.get("text") or ""))
        check_text(task, text)
    except ValueError as error:
        session[TEXT_ERROR] = str(error)
        return str(session[SETTLED_TEXT])
    return text


def _preset_of(config: RunConfig) -> str:
    same = (name for name, preset in PRESETS.items() if preset.config == config)
    return next(same, OWN)
