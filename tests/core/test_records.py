"""What training says and the store keeps."""

import hashlib
import io
import pickle
from dataclasses import replace

import numpy as np
import pytest

from echo_core.records import Checkpoint, Milestone, Progress, Snapshot, State


def checkpoint(num_arrays=12, moments=True):
    rng = np.random.default_rng(0)
    def arrays(count):
        return tuple(rng.normal(size=(3, index + 1)).astype(np.float32) for index in range(count))
    return Checkpoint(epoch=7, step=21, weights=arrays(num_arrays), moments=arrays(2 * num_arrays) if moments else ())


def assert_same(one, other):
    assert (one.epoch, one.step) == (other.epoch, other.step)
    for mine, yours in ((one.weights, other.weights), (one.moments, other.moments)):
        assert len(mine) == len(yours)
        for array, twin in zip(mine, yours, strict=True):
            np.testing.assert_array_equal(array, twin, strict=True)


@pytest.mark.parametrize("moments", [True, False])
def test_checkpoint_there_and_back_is_the_same_bit_for_bit_and_in_order(moments):
    # Twelve arrays, so that weight_10 does not come before weight_2.
    before = checkpoint(moments=moments)
    assert_same(Checkpoint.from_bytes(before.to_bytes()), before)


def test_checkpoint_keeps_what_is_no_ordinary_number():
    strange = Checkpoint(0, 0, (np.array([np.inf, -0.0, np.nan, 1e-45], np.float32),))
    after = Checkpoint.from_bytes(strange.to_bytes())
    assert after.weights[0].tobytes() == strange.weights[0].tobytes()


def test_pickled_objects_are_refused():
    class Harm:
        def __reduce__(self):
            return (pytest.fail, ("unpickled",))

    for data in (pickle.dumps(Harm()), _archive_of(np.array([Harm()], dtype=object))):
        with pytest.raises(ValueError, match="allow_pickle"):
            Checkpoint.from_bytes(data)


def test_fingerprint_is_sha256_over_the_weights_in_order():
    weights = (np.array([1, 2], np.float32), np.array([[3]], np.float32))
    expected = hashlib.sha256(np.array([1, 2, 3], "<f4").tobytes()).hexdigest()
    assert Checkpoint(1, 1, weights).fingerprint == expected
    assert Checkpoint(1, 1, weights[::-1]).fingerprint != expected


def test_fingerprint_tells_apart_the_last_bit():
    one = Checkpoint(1, 1, (np.array([1.0], np.float32),))
    other = Checkpoint(1, 1, (np.nextafter(np.array([1.0], np.float32), np.float32(2)),))
    assert one.fingerprint != other.fingerprint


def test_fingerprint_does_not_depend_on_memory_layout_or_moments():
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    plain = Checkpoint(1, 1, (array,), (array,))
    assert Checkpoint(1, 1, (np.asfortranarray(array),)).fingerprint == plain.fingerprint
    assert replace(plain, moments=()).fingerprint == plain.fingerprint


def test_finished_run_keeps_weights_and_no_moments():
    before = checkpoint()
    kept = replace(before, moments=())
    assert kept.moments == ()
    assert kept.weights is before.weights
    assert (kept.epoch, kept.step) == (7, 21)


def test_a_run_is_active_while_somebody_may_wait_for_it():
    assert [state for state in State if state.is_active] == [State.QUEUED, State.RUNNING]


def test_states_are_the_words_that_people_read():
    assert [str(state) for state in State] == ["queued", "running", "paused", "interrupted", "failed", "finished"]


def _archive_of(array):
    file = io.BytesIO()
    np.savez(file, epoch=np.int64(1), step=np.int64(1), weight_0=array)
    return file.getvalue()


def test_seconds_of_an_earlier_attempt_count_for_a_record_and_its_milestones():
    shown = Snapshot(1, np.zeros((2, 1), np.int32), np.ones((2, 1), np.float32))
    record = Progress(3, 2.0, 0.5, 4.0, (), checkpoint(), None, (Milestone(1, 3.0, 0.25, 2.5, shown),))
    later = record.after(10)
    assert (later.seconds, [each.seconds for each in later.milestones]) == (14.0, [12.5])
    assert replace(later, seconds=4.0, milestones=record.milestones).__dict__ == record.__dict__
