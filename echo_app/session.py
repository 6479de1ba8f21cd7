"""All that a visitor's session keeps, and what all sessions share: every key in one place.

Keys of `st.session_state`: each field of `RunConfig` by its name (its widget's key), those
named below, and those of `faults`. The text is the exception: under its name stands what somebody types, and what of
it serves the settings is under `SETTLED_TEXT`. Nothing is kept in modules, which all visitors would share.
"""

import math
import re
import time
import uuid
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

import streamlit as st
from pydantic import ValidationError

from echo_app import store_outages
from echo_app.store_outages import careful, refuse
from echo_app.web import focus
from echo_app.web.browser import browser_name
from echo_core.config import RunConfig, check_text
from echo_core.config.presets import PRESETS
from echo_core.config.repair import explain, following, mend, settings_from_json
from echo_core.engine import Engine
from echo_core.records import State
from echo_core.store import EVERYBODY, RunRow, Store, Wanted, longer
from echo_core.store.errors import public_reason
from echo_core.text import files
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
SESSION = "session_id"     # there once the session is ready
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
REFUSED = "This file cannot be used:"
MENDED = "Some settings of this file were not accepted:"
#: So many are few visitors. What more of them see of a run may be so many seconds old.
FEW_SESSIONS, _SHARED_SECONDS = 5, 0.5
#: Seconds for which a page shows that the store has lost its runs.
_LOSS_SECONDS = 60.0
#: Seeds of one press.
NUM_SEEDS = 5
MOST_SEEDS = 2**31
#: In a link to several seeds: the first of them, where another one's run is shown.
FIRST_SEED = "first_seed"

#: Characters of a packed text that a link may carry.
LONGEST_LINKED_TEXT = 1536
SAMPLE_WORDS = "to be or not to be that is the question"

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


def stretch(seconds: float) -> int:
    """Which stretch of so many seconds it is now: an argument of what is read once in that time for everybody.

    Not `ttl`, with which a page fails where an entry runs out after Streamlit has found it and before it takes it.
    """
    return int(time.monotonic() / seconds)


@st.cache_resource(max_entries=64, show_spinner=False)
def stored_row(run_id: str, stretch: int) -> RunRow | None:
    """A run as the store has it, read once for all of a crowd who look at it at about the same time."""
    return store().run(run_id)


@st.cache_resource(scope="session", on_release=_Presence.leave, show_spinner=False)
def _presence(holder: str) -> _Presence:
    return _Presence(engine(), holder)


def loss() -> str | None:
    """The message about runs lost with their store: for a minute, in sessions that were open when it happened."""
    state, said = st.session_state, engine().loss
    known, since = state.setdefault(LOSS, (said, -math.inf))
    if said != known:
        state[LOSS] = known, since = said, time.monotonic()
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
    return store().name_of(run_id, visitor())


def begin() -> None:
    """Called at the top of each run of the script: fill in what a new session lacks.

    Raises:
        StoreError: If the store cannot be opened.
        pydantic.ValidationError: If a setting of this host is not valid.
    """
    state = st.session_state
    if SESSION not in state:
        engine()  # first, as it may raise, and the link is opened once
        session = uuid.uuid4().hex
        state[HOLDER] = browser_name() or session
        state[MINE], state[NOTES], state[RUN], state[BEFORE] = [], [], None, {}
        state[PLAYING], state[SLOW], state[REPLAY_AT] = False, False, None
        state[SEEDS], state[SELECTED], state[DELETED] = (), [], []
        _open_link({name: st.query_params.get_all(name) for name in st.query_params})
        state[SESSION] = session  # last, as the link asks the store
    for key in _TYPED:  # or what is typed on one page would be gone after a look at another
        if key in state:
            state[key] = state[key]
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
    state[UPLOAD_NOTES], state[FILE_ERRORS] = (), {}


def _put(config: RunConfig) -> None:
    """All but what is typed as a text, which stays as it was typed."""
    state, values = st.session_state, config.model_dump()
    state[SETTLED_TEXT], state[TASK] = values.pop("text"), config.task
    state.update(values)
    state[PRESET] = _preset_of(config)


def task_changed() -> None:
    """Callback of the task control: pairs have settings of their own, and so has what was there before."""
    state, before, after = st.session_state, st.session_state[TASK], st.session_state["task"]
    state["lag"] = max(1, state["lag"]) if after == "lag" else 0  # with a lag of 0 it would be whole echo
    if "pairs" not in (before, after):
        return
    state[BEFORE][before] = RunConfig(**{**{name: state[name] for name in FIELDS}, "task": before,
                                         "text": state[SETTLED_TEXT]})
    known = PRESETS["pairs"].config if after == "pairs" else RunConfig()
    restored = state[BEFORE].get(after) or mend({**known.model_dump(), "task": after})[0]
    load(restored)


def text_bytes() -> int:
    """Bytes of a typed text in its normal form, or as typed if it is too long to be normalised."""
    text = str(st.session_state.get("text") or "")
    return len((texts.normalise(text) if len(text) <= texts.MAX_CHARACTERS else text).encode(errors="replace"))


def own_words_changed() -> None:
    """Callback of the switch for one's own words: something to begin with, and away with it."""
    st.session_state["text"] = SAMPLE_WORDS if st.session_state[OWN_WORDS] else ""


def take_upload() -> None:
    """Callback of the upload: a file's text replaces what is typed."""
    file, state = st.session_state.get(UPLOAD), st.session_state
    text_changed()
    if file is None:
        return
    try:
        state["text"], state[UPLOAD_NOTES] = files.read_pairs(file.getvalue())
    except ValueError as error:
        state[FILE_ERRORS] = {UPLOAD: (REFUSED, [str(error)])}


def text_changed() -> None:
    """Callback of the pairs: remove the notes about an uploaded file, as the text now differs from it."""
    st.session_state[UPLOAD_NOTES], st.session_state[FILE_ERRORS] = (), {}


def load_preset() -> None:
    """Callback of the preset control: its settings replace those of the controls."""
    name = st.session_state[PRESET]
    if name in PRESETS:
        load(PRESETS[name].config)


@careful
def train() -> None:
    """Callback of Train: ask for the run of these settings, or join it, or show it."""
    _settle()  # a changed control and the click may arrive together
    _ask_for([config()])


@careful
def train_seeds() -> None:
    """Callback of Run 5 seeds: the same settings with this seed and the next ones."""
    _settle()
    _ask_for(_with_seeds(config(), NUM_SEEDS))


@careful
def extend(run_id: str) -> None:
    """Callback of Train longer: go on with a run as one with `MORE` epochs more."""
    focus.follow("stop")
    run = store().run(run_id)
    if run is None:
        return
    try:
        wanted = longer(run, run.config.epochs + st.session_state[MORE])
    except ValueError as error:
        refuse("; ".join(explain(error)) if isinstance(error, ValidationError) else str(error))
        return
    if _ask_for([wanted]):
        load(wanted)


@careful
def resume(run_id: str, again: bool = False) -> None:
    """Callback of Go on, and of Train again: the shown run with its settings, whatever the controls say."""
    focus.follow("stop")
    shared = wanted().shared
    if engine().settings.hosted and not again and run_id not in shared and not store().is_of(run_id, visitor()):
        refuse("This run is another visitor's. Press Train to train its settings yourself.")
    elif (run := store().run(run_id)) and _ask_for([run.config], again):
        load(run.config)


def _ask_for(configs: list[RunConfig], again: bool = False) -> bool:
    """Submit runs and show them, as far as this host allows; whether there is something to show."""
    state, run_ids = st.session_state, []
    refused = None
    for wanted in configs:
        try:
            run_ids.append(engine().submit(wanted, None, state[HOLDER], again))
        except ValueError as error:  # a limit of this host; it says which
            refused = str(error)
            break
    stored_row.clear()
    if run_ids:
        state[MINE] += [run_id for run_id in run_ids if run_id not in state[MINE]]
        state[PRESSED] = True
        show(run_ids[0], configs[0], configs if len(configs) > 1 else ())
    if refused and run_ids:
        refused = f"{len(run_ids)} of the {len(configs)} seeds were asked for, and then: {refused}"
    refuse(refused)
    return bool(run_ids)


def _with_seeds(config: RunConfig, number: int) -> list[RunConfig]:
    """These settings with their seed and the next ones; the last ones that there are, where it is near the end."""
    first = min(config.seed, MOST_SEEDS - number)
    return [config.model_copy(update={"seed": seed}) for seed in range(first, first + number)]


def show(run_id: str, config: RunConfig, seeds: Sequence[RunConfig] = ()) -> None:
    """Make a run the one that this page shows, in the address as well, or several seeds of it together."""
    state = st.session_state
    state[RUN], state[SEEDS] = run_id, tuple(seeds)
    state[PLAYING], state[REPLAY_AT] = False, None
    refuse(None)
    st.query_params.from_dict(_address(config, run_id))


def put_address_back() -> None:
    """After a look at another page, which has an address of its own: that of the shown run."""
    if "run" not in st.query_params and (run := shown_run()):
        st.query_params.from_dict(_address(run.config, run.run_id))


def _address(config: RunConfig, run_id: str) -> dict[str, str]:
    query, seeds = _link(config, run_id), st.session_state[SEEDS]
    if seeds:
        query["seeds"] = str(len(seeds))
        if seeds[0].seed != config.seed:
            query[FIRST_SEED] = str(seeds[0].seed)
    return query


def links(config: RunConfig, run: RunRow | None) -> tuple[str | None, str | None]:
    """A link to settings, every field of them, and one to a run; None where a text is too long for a link."""
    base = str(st.context.url or "").split("?")[0].rstrip("/") + "/"
    settings = config.to_query()
    fits = len(settings["text"]) <= LONGEST_LINKED_TEXT
    return (f"{base}?{urlencode(settings)}" if fits else None,
            f"{base}?{urlencode(_address(run.config, run.run_id))}" if run else None)


def _link(config: RunConfig, run_id: str) -> dict[str, str]:
    """The address of a run with its settings; with the run alone where the text is too long for a link."""
    query = {name: value for name, value in config.to_query().items() if value}
    return {"run": run_id} if len(query.get("text", "")) > LONGEST_LINKED_TEXT else {**query, "run": run_id}


def show_other(run: RunRow) -> None:
    """Callback: show another of one's own runs, with its settings."""
    load(run.config)
    show(run.run_id, run.config)


@careful
def show_seed(run_id: str) -> None:
    """Callback of a row of seeds: show its run below them. The controls stay, as they are those of all of them."""
    seeds = st.session_state[SEEDS]
    if (run := store().run(run_id)) and run.config in seeds:
        show(run_id, run.config, seeds)


def take_config() -> None:
    """Callback of the import: settings from a file that Share has made."""
    file, state = st.session_state.get(IMPORT), st.session_state
    state[FILE_ERRORS] = {}
    if file is None:
        return
    try:
        settings, notes = mend(settings_from_json(file.getvalue()))
    except ValueError as error:
        state[FILE_ERRORS] = {IMPORT: (REFUSED, [str(error)])}
    else:
        load(settings)
        state[FILE_ERRORS] = {IMPORT: (MENDED, notes)} if notes else {}


@careful
def stop(run_id: str) -> None:
    """Callback of Stop."""
    focus.follow("go_on", "extend", "train_again")
    stopped = engine().stop(run_id, holder=st.session_state[HOLDER])
    stored_row.clear()
    if not stopped:
        refuse("Somebody else pressed Train for this run: it goes on until they stop it or have been away for a while."
               if engine().settings.hosted else
               "Somebody else who pressed Train is here, so the run goes on for them. Press Stop again to stop it for "
               "everybody.")


@careful
def stop_seeds() -> None:
    """Callback of Stop all: of the seeds shown together, stop this visitor's own that are under way."""
    runs = [run for seed in st.session_state[SEEDS] if (run := store().run(seed.run_id)) and run.state.is_active]
    # Queued runs first: otherwise one of them would start in place of a stopped one.
    runs.sort(key=lambda run: run.state is not State.QUEUED)
    going_on = sum(not engine().stop(run.run_id, holder=st.session_state[HOLDER]) for run in runs)
    stored_row.clear()
    if going_on:
        goes = "goes" if going_on == 1 else "go"
        refuse(f"{going_on} of {len(runs)} {goes} on for somebody else who pressed Train too.")


def shown_run() -> RunRow | None:
    """The run that this page shows, as the store has it now; while that cannot be asked, as it was seen last."""
    state = st.session_state
    if not state[RUN]:
        return None
    if not store_outages.is_away():
        try:
            shared = store_outages.is_alone() and not is_quiet_here()
            state[SEEN] = stored_row(state[RUN], stretch(_SHARED_SECONDS)) if shared else store().run(state[RUN])
        except store_outages.FAULTS as error:
            store_outages.note(error)
    return seen_run()


def seen_run() -> RunRow | None:
    """The run that this page shows, as `shown_run` has seen it last: for the parts of one page."""
    seen: RunRow | None = st.session_state.get(SEEN)
    return seen if seen and seen.run_id == st.session_state[RUN] else None


def _open_link(given: dict[str, list[str]]) -> None:
    """Settings and run from the address. Damaged links give notes and a page that works."""
    query = {name: values[0] for name, values in given.items() if len(values) == 1}
    run_id, seeds, first_seed = query.pop("run", None), query.pop("seeds", None), query.pop(FIRST_SEED, "")
    run = store().run(run_id) if run_id and re.fullmatch("[0-9a-f]{16}", run_id) else None
    if run:
        st.session_state[RUN] = run.run_id
        if seeds and re.fullmatch("[2-9]", seeds):
            first = int(first_seed) if re.fullmatch("[0-9]{1,10}", first_seed) else run.config.seed
            together = _with_seeds(run.config.model_copy(update={"seed": first}), int(seeds))
            st.session_state[SEEDS] = tuple(together) if run.config in together else ()
        load(run.config)
        return
    name = query.pop(PRESET, None)
    preset = PRESETS.get(name or "")
    wanted: dict[str, Any] = {**(preset.config.to_query() if preset else {}), **query}
    settings, notes = mend(wanted)
    notes += [f"{name[:40]} must be given once; received {len(values)} of it, so none of them counts."
              for name, values in given.items() if len(values) > 1]
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
