"""TensorFlow is loaded once in a process, whole, and without taking the process's stderr away."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

#: `echo_core.training` stands for TensorFlow: its import takes as long as a test likes, and may fail.
STAND_IN = """
import importlib.abc, importlib.machinery, os, sys, threading
from echo_core.workers import process
from echo_core.settings import Settings

imports, begun, go_on, error = [], threading.Event(), threading.Event(), None

class StandIn(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path, target=None):
        return importlib.machinery.ModuleSpec(name, self) if name == "echo_core.training" else None
    def exec_module(self, module):
        imports.append(threading.current_thread().name)
        begun.set()
        assert go_on.wait(20)
        if error:
            raise error

sys.meta_path.insert(0, StandIn())
"""


def run(script: str, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", STAND_IN + textwrap.dedent(script)], cwd=ROOT, capture_output=True,
                          text=True, timeout=60, env={**os.environ, "ECHO_XLA_CACHE": str(tmp_path / "xla")})


def test_a_thread_that_comes_while_tensorflow_is_loaded_waits_for_all_of_it(tmp_path: Path):
    done = run("""
        threads = [threading.Thread(target=process.load_training, args=[Settings()]) for _ in range(3)]
        for thread in threads:
            thread.start()
        assert begun.wait(20)
        assert not process.is_loaded() and all(thread.is_alive() for thread in threads)
        go_on.set()
        for thread in threads:
            thread.join(20)
        assert process.is_loaded()
        print(len(imports))
    """, tmp_path)
    assert (done.stdout, done.stderr) == ("1\n", "")


def test_a_process_in_which_loading_failed_says_so_ever_after_and_does_not_try_again(tmp_path: Path):
    done = run("""
        import pickle
        error = KeyError("Registering two gradient with name")
        go_on.set()
        for _ in range(2):
            try:
                process.load_training(Settings())
            except process.CannotTrain as refused:
                print(pickle.loads(pickle.dumps(refused)))
        print(process.is_loaded(), len(imports))
    """, tmp_path)
    said = ("TensorFlow could not be loaded in this process, which has to be replaced (KeyError: 'Registering two "
            "gradient with name')\n")
    assert (done.stdout, done.stderr) == (f"{said * 2}False 1\n", "")


def test_messages_of_other_threads_arrive_while_tensorflow_is_loaded(tmp_path: Path):
    done = run("""
        loading = threading.Thread(target=process.load_training, args=[Settings()])
        loading.start()
        assert begun.wait(20)
        os.write(2, b"from another thread\\n")
        print("and by Python", file=sys.stderr)
        sys.stderr.flush()
        os.kill(os.getpid(), 9)  # what is held back is lost
    """, tmp_path)
    assert done.stderr == "from another thread\nand by Python\n"


def test_a_process_opens_its_store_once_for_all_runs(tmp_path: Path):
    script = textwrap.dedent("""
        import sys
        from echo_core.config import RunConfig
        from echo_core.store import Store
        from echo_core.workers import worker

        class Counted(Store):
            opened = 0

            def __init__(self, *args, **kwargs):
                Counted.opened += 1
                super().__init__(*args, **kwargs)

        worker.Store, app = Counted, Store(sys.argv[1])
        for seed in range(3):
            app.queue.request(RunConfig(units=3, epochs=1, seed=seed))
            worker.execute(sys.argv[1], *app.queue.claim("a worker"), 60.0, 60.0)
        print(Counted.opened, *(run.state for run in app.runs.newest()))
    """)
    done = subprocess.run([sys.executable, "-c", script, f"sqlite:///{tmp_path / 'runs.db'}"], cwd=ROOT, check=True,
                          capture_output=True, text=True, env={**os.environ, "ECHO_XLA_CACHE": str(tmp_path / "xla")})
    assert done.stdout == "1 finished finished finished\n"


@pytest.mark.slow
def test_two_threads_that_load_tensorflow_at_once_can_both_train(tmp_path: Path):
    script = textwrap.dedent("""
        import threading
        from echo_core.workers.process import load_training
        from echo_core.settings import Settings

        def train():
            load_training(Settings())
            from echo_core import models
            from echo_core.config import RunConfig
            from echo_core.training import train
            print([each.epoch for each in train(RunConfig(units=3, epochs=1))])

        threads = [threading.Thread(target=train) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    """)
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True,
                          env={**os.environ, "ECHO_XLA_CACHE": str(tmp_path / "xla")})
    assert done.stdout == "[0, 1]\n" * 2
