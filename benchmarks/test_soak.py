"""The verdict of a soak names what has grown or is lost, and lets pass what has settled."""

from dataclasses import replace

import pytest

from benchmarks.soak import Sample, verdict

STEADY = Sample(share=0.0, app=200, workers=(300, 400), handles=60, threads=20, worker_handles=20, worker_threads=30,
                store=1000, finished=0)


def samples(**late):
    """Samples of a steady soak that differ in the last quarter."""
    return [replace(STEADY, share=i / 40, **(late if i >= 30 else {})) for i in range(41)]


def failed(found):
    return [words.partition(":")[0] for holds, words in found if not holds]


def test_soak_that_is_steady_passes():
    assert failed(verdict(samples(), [], [])) == []
    assert failed(verdict(samples(app=219, workers=(10, 430), handles=70, threads=25, store=5000), [], [])) == []


@pytest.mark.parametrize(("late", "named"), [
    ({"app": 221}, "memory of the app, MB"), ({"workers": (450,)}, "most memory of a worker, MB"),
    ({"handles": 80}, "file handles of the app"), ({"threads": 35}, "threads of the app"),
    ({"worker_handles": 35}, "most file handles of a worker"), ({"worker_threads": 45}, "most threads of a worker")])
def test_soak_names_what_has_grown(late, named):
    assert failed(verdict(samples(**late), [], [])) == [named]


def test_soak_names_lost_runs_and_errors_and_is_no_soak_without_late_samples():
    assert failed(verdict(samples(), ["a1b2 paused"], ["TimeoutError"])) == ["lost runs", "errors that visitors met"]
    assert "memory of the app, MB" in failed(verdict(samples()[:20], [], []))


def test_memory_after_a_quarter_is_what_counts():
    warming = [replace(each, app=100) if each.share < 0.2 else each for each in samples()]
    assert failed(verdict(warming, [], [])) == []
