"""What a visitor's session holds, and the resources that all sessions share.

Keys of `st.session_state`: the name of each `RunConfig` field (the key of its widget), the names below, and those of
`store_outages` and `web.focus`. The field `text` is an exception: its key holds what is typed, which may be invalid,
and `SETTLED_TEXT` holds the text of the settings. Modules hold no state, as all visitors share them.
"""

import math
import time
import uuid
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import streamlit as st
from threadpoolctl import threadpool_limits

from echo_app import store_outages
from echo_app.web.browser import browser_name
from echo_app.web.shared_cache import shared_cache
from echo_core.config import RunConfig, check_text
from echo_core.config.presets import PRESETS
from echo_core.config.repair import following, repair_settings
from echo_core.engine import Engine
from echo_core.machine import allow_files, give_back_arrays
from echo_core.settings import Settings
from echo_core.store import EVERYBODY, RunRow, Store, Wanted
from echo_core.store.errors import public_reason
from echo_core.studies.running import Runner
from echo_core.text import words as texts

if TYPE_CHECKING:
    from echo_core.health import Server

PRESET = "preset"          # name of the preset that the settings equal, or OWN
RUN = "run_id"             # the run on the page
SEEN = "run_as_seen"       # its row, as it was read last
RECORDS = "last_records"   # its run_id, and the records that were drawn last
PRESSED_RUNS = "my_runs"           # runs for which this session pressed Train, oldest first
NOTES = "notes"            # lines about settings that were not accepted or had to follow others
UNKNOWN_RUN = "unknown_run"  # what to do about a link's run that the store does not have
SETTLED_TEXT = "settled_text"  # the text of the settings
TEXT_ERROR = "text_error"  # why the typed text is not accepted
OWN_WORDS = "own_words"    # the visitor types the words of echo and reverse
UPLOAD = "upload"          # a file of pairs
FILE_ERRORS = "file_errors"  # uploader -> what is wrong with its file: a heading, and lines below it
UPLOAD_NOTES = "upload_notes"  # parts of the file of pairs that were left out
LOADED = "loaded"          # when settings were loaded last, and the controls' values before and after that
BEFORE = "before_task"     # task -> settings that the controls had for it, to come back to
TASK = "task_was"          # the task before the task control was changed
READY = "session_is_ready"  # set once a new session has its settings
HOLDER = "holder"          # who holds runs and waits in the queue: the browser, so that a reload keeps its holds
REPLAY = "replay"          # the slider of the replay
REPLAY_AT = "replay_at"    # epoch of the snapshot that the visitor has picked; None follows the newest
PLAYING = "playing"        # the replay is being played
NEXT_AT = "next_at"        # when the replay's next picture is due, by the monotonic clock
SLOW = "slow"              # the replay is slow
TRAINED_BEFORE = "trained_before"  # the run on the page, if it was finished when this visitor pressed Train for it
MORE = "more_epochs"       # by how many epochs Train longer extends
PRESSED = "pressed_train"  # Train was pressed in this run of the script
OUTSIDE = "outside"        # `_outside_key` of the Train page when the whole page was drawn last
SEEDS = "seeds_shown"      # configs of the seeds on the page, in order; some may have no run
SELECTED = "selected"      # runs picked on the history page, in the order of picking
LOSS = "store_loss"        # the message about lost runs, and when this session got it
DELETED = "deleted_runs"   # run_ids of the last deletion, which can be undone
IMPORT = "import_config"   # a file of settings
ASKED = "asked"            # what the visitor asks the network, as it is typed
WINDOW = "asked_window"    # run_id and the last question that its network could read, as integers
STUDY = "study"            # the study on the Studies page
MOMENT = "moment"          # epoch of the moment that the Inside page looks at; None is the newest

OWN = "own"
#: Up to FEW_SESSIONS sessions read the store at every refresh; above that, rows are shared for _SHARED_SECONDS.
FEW_SESSIONS, _SHARED_SECONDS = 5, 0.5
#: Seconds for which a page shows that the store has lost its runs.
_LOSS_SECONDS = 60.0
#: Seconds after settings were loaded in which a busy browser may still send the controls as they were before.
_STALE_SECONDS = 3.0

FIELDS = tuple(RunConfig.model_fields)


@st.cache_resource(show_spinner=False)
def engine() -> Engine:
    """The engine of this server, which starts in the background; once, so NumPy's thread and memory are set here."""
    threadpool_limits(1, user_api="blas")  # two that wait for each other take ten times as long while a worker trains
    give_back_arrays()
    allow_files()
    watched = health()
    made = Engine()
    if watched is not None:
        made.on_close(watched.close)
    return made


@st.cache_resource(show_spinner=False)
def health() -> "Server | None":
    """What serves the health of this server at `ECHO_HEALTH_ADDRESS`, if that is set; it starts the engine, too.

    Raises:
        pydantic.ValidationError: If a setting of this host is not valid.
    """
    address = Settings().health_address
    if address is None:
        return None
    from echo_core.health import serve  # late, as few hosts ask for it, and its library takes 60 ms

    return serve(address, engine)


@st.cache_resource(show_spinner=False)
def runner() -> Runner:
    """The thread that trains the studies of connected visitors, which ends with the engine."""
    return Runner(engine())


def has_few_sessions() -> bool:
    """Whether at most FEW_SESSIONS sessions are connected, so that each may poll often and compile ahead."""
    return engine().num_connected <= FEW_SESSIONS


def time_bucket(seconds: float) -> int:
    """The number of the current interval of that length: an argument of cached functions that expire with it.

    A `ttl` would fail in pages: an entry can expire between Streamlit's check that it exists and the read.
    """
    return int(time.monotonic() / seconds)


@shared_cache(max_entries=64)
def stored_row(run_id: str, time_bucket: int) -> RunRow | None:
    """A run as the store has it, read once per time bucket for all sessions."""
    return store().runs.get(run_id)


@st.cache_resource(scope="session", on_release=lambda leave: leave(), show_spinner=False)
def _connect(holder: str) -> Callable[[], None]:
    """Count the browser as connected, which keeps its holds, until its session ends and calls what this returns."""
    known = engine()
    known.connect(holder)
    return partial(known.disconnect, holder)


def loss() -> str | None:
    """The message about runs lost with their store: for a minute, in sessions that were open when it happened."""
    session, message = st.session_state, engine().loss
    known, since = session.setdefault(LOSS, (message, -math.inf))
    if message != known:
        session[LOSS] = known, since = message, time.monotonic()
    return known if time.monotonic() - since < _LOSS_SECONDS else None


def store() -> Store:
    """The store of the runs."""
    return engine().store


def workers_status() -> str:
    """`Engine.status`; on a hosted copy without addresses and exceptions."""
    status = engine().status()
    known = status in ("starting", "warming", "ready")
    return status if known or not engine().settings.hosted else (
        "The workers of this copy cannot be reached at the moment. Your run waits for them")


def public(reason: str) -> str:
    """The reason of a run's state, as far as visitors of this copy may read it."""
    return public_reason(reason) if engine().settings.hosted else reason


def visitor() -> str:
    """Whose names and hidden runs count: the browser's on a hosted copy, everybody's on a local one."""
    return str(st.session_state[HOLDER]) if engine().settings.hosted else EVERYBODY


def wanted(**which: Any) -> Wanted:
    """The query of the history page: on a hosted copy it finds the visitor's own runs and the presets' only."""
    hosted = engine().settings.hosted
    shared = [preset.config.run_id for preset in PRESETS.values()] if hosted else ()
    return Wanted(visitor=visitor(), only_own=hosted, shared=shared, **which)


def name_of(run_id: str) -> str | None:
    """This visitor's name for a run."""
    return store().runs.name_of(run_id, visitor())


def set_defaults() -> None:
    """Give the keys of a new session their values."""
    session = st.session_state
    session[HOLDER] = browser_name() or uuid.uuid4().hex
    session[PRESSED_RUNS], session[NOTES], session[RUN], session[BEFORE] = [], [], None, {}
    session[UNKNOWN_RUN], session[TRAINED_BEFORE] = None, None
    session[PLAYING], session[SLOW], session[REPLAY_AT] = False, False, None
    session[SEEDS], session[SELECTED], session[DELETED] = (), [], []
    session[WINDOW], session[MOMENT], session[STUDY] = None, None, None


def refresh() -> None:
    """Called in each run of the script: connect the browser, and make the settings fit one another."""
    _connect(st.session_state[HOLDER])
    settle()


def config() -> RunConfig:
    """The settings as the controls stand; `refresh` has made them fit."""
    return RunConfig(**{**{name: st.session_state[name] for name in FIELDS}, "text": st.session_state[SETTLED_TEXT]})


def load(config: RunConfig) -> None:
    """Put settings into the controls, their text included."""
    session, before = st.session_state, _controls()
    _put(config)
    session[LOADED] = time.monotonic(), before, _controls()
    session["text"], session[OWN_WORDS] = config.text, config.task != "pairs" and bool(config.text)
    session[TEXT_ERROR], session[UPLOAD_NOTES], session[FILE_ERRORS] = None, (), {}


def _controls() -> dict[str, Any]:
    """The values of the controls, except the text."""
    return {name: st.session_state.get(name) for name in (PRESET, *FIELDS) if name != "text"}


def restore_loaded() -> bool:
    """Put the loaded settings back if the browser has sent its controls as they were before it got them.

    A timer of a fragment sends every control. Nobody sets two of them back in that time.
    """
    loaded_at, before, after = st.session_state.get(LOADED, (-math.inf, {}, {}))
    is_recent = time.monotonic() - loaded_at < _STALE_SECONDS
    found = _controls()
    if not is_recent or sum(found[name] == before[name] != after[name] for name in before) < 2:
        return False
    st.session_state.update(after)
    return True


def _put(config: RunConfig) -> None:
    """Put settings into the controls, except the text, which stays as it was typed."""
    session, values = st.session_state, config.model_dump()
    session[SETTLED_TEXT], session[TASK] = values.pop("text"), config.task
    session.update(values)
    session[PRESET] = next((name for name, preset in PRESETS.items() if preset.config == config), OWN)


def text_bytes() -> int:
    """Bytes of the typed text in its normal form; of one too long to be normalised, as it was typed."""
    text = str(st.session_state.get("text") or "")
    return len((texts.normalise(text) if len(text) <= texts.MAX_CHARACTERS else text).encode(errors="replace"))


def shown_run() -> RunRow | None:
    """The run on the page, read from the store; while the store fails, as it was read last."""
    session = st.session_state
    if not session[RUN]:
        return None
    if not store_outages.is_store_down():
        try:
            shared = store_outages.is_fragment_rerun() and not has_few_sessions()
            run_id = session[RUN]
            session[SEEN] = stored_row(run_id, time_bucket(_SHARED_SECONDS)) if shared else store().runs.get(run_id)
        except store_outages.FAULTS as error:
            store_outages.report(error)
    return seen_run()


def seen_run() -> RunRow | None:
    """The run on the page, as `shown_run` has read it last."""
    seen: RunRow | None = st.session_state.get(SEEN)
    return seen if seen and seen.run_id == st.session_state[RUN] else None


def frame_seconds() -> float:
    """Seconds for which a replay shows one snapshot."""
    return 0.6 if st.session_state[SLOW] else 0.15


def settle() -> None:
    """Make the settings fit one another after a change of some of them; `NOTES` says what had to follow."""
    session = st.session_state
    restore_loaded()
    wanted = {name: session.get(name) for name in FIELDS}
    wanted["text"] = text = _accepted_text(str(wanted["task"]))
    for name in following(wanted):  # these follow from others, and need no note
        if name != "batch_size" or len(texts.pairs(text)) % session["batch_size"]:
            del wanted[name]
    settled, notes = repair_settings(wanted)
    if notes or any(session.get(name) != value for name, value in settled.model_dump(exclude={"text"}).items()):
        session[NOTES] = notes
    _put(settled)


def _accepted_text(task: str) -> str:
    """The typed text in its normal form. If it is not accepted, the text before it, and `TEXT_ERROR` says why."""
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
