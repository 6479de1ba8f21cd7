"""What pages read of the store, once for everybody who looks at the same moment."""

from collections.abc import Callable
from itertools import count

import numpy as np
import pytest
import streamlit as st
from streamlit.runtime.caching import cache_utils

from echo_app import cached_reads, state
from echo_core.records import Snapshot
from echo_core.store import Store
from tests.helpers.samples import TINY, progress


@pytest.fixture(autouse=True)
def pages_read(store: Store, monkeypatch: pytest.MonkeyPatch):
    """Pages read this store, and keep nothing of another test."""
    for module in (cached_reads, state):
        monkeypatch.setattr(module, "store", lambda: store)
    st.cache_resource.clear()
    yield
    st.cache_resource.clear()


@pytest.fixture
def run(store: Store):
    """A run under way."""
    store.queue.request(TINY, "me", "my browser")
    store.queue.claim("a worker")
    return store.runs.get(TINY.run_id)


@pytest.mark.parametrize("read", [
    lambda run: cached_reads.estimate_seconds(run.config),
    lambda run: cached_reads.wait_of(run.run_id),
    lambda run: state.stored_row(run.run_id, state.time_bucket(0.5)),
], ids=["estimate", "forecast", "row"])
def test_what_is_shared_for_a_while_may_run_out_between_any_two_moments(run, read: Callable, monkeypatch):
    """Streamlit looks twice whether an entry with a `ttl` is still there, and fails if it ran out in between."""
    clock = count(step=0.13)
    monkeypatch.setattr(cache_utils, "TTLCACHE_TIMER", lambda: next(clock))
    for _ in range(40):
        read(run)


def test_runs_that_only_wait_do_not_push_trained_ones_out_of_the_list(store: Store):
    trained = store.queue.take(TINY, "a worker")
    store.attempts.append(trained, progress(3))
    for seed in range(1, 60):
        store.queue.request(TINY.model_copy(update={"seed": seed}), "me")
    assert [run.run_id for run in cached_reads.runs_to_open()] == [trained.run_id]


def test_answers_that_were_deleted_are_no_table(run):
    assert cached_reads.answers_as_text(run) == ("", "")


def test_grid_is_that_of_the_answers_whichever_were_seen_at_this_epoch_before():
    """Trained again on another kind of machine, a run may give others."""
    shape = (TINY.windows_per_sequence, TINY.output_length)
    snapshots = [Snapshot(4, np.full(shape, answer, np.int32), np.full(shape, 0.5, np.float32)) for answer in (1, 2, 1)]
    grids = [cached_reads.windows_html(TINY, snapshot) for snapshot in snapshots]
    assert grids[0] == grids[2] != grids[1]
