"""A process that trains: its environment, its threads' priorities, its memory, and TensorFlow loaded once and whole."""

import mmap
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from echo_core.settings import Settings
from echo_core.workers import process

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


def test_threads_of_a_worker_sleep_at_once_unless_it_is_told_that_they_may_spin(tmp_path):
    script = textwrap.dedent("""
        from echo_core.networks.backend import context, tf
        from echo_core.workers.process import prepare

        def list_logical_devices():
            print(context.context().config.experimental.disable_thread_spinning)
            return original()

        original, tf.config.list_logical_devices = tf.config.list_logical_devices, list_logical_devices
        prepare()
    """)
    said = [subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True,
                           env={**os.environ, "ECHO_XLA_CACHE": str(tmp_path / "xla"), "ECHO_SPIN": spin}).stdout
            for spin in ("true", "false", "")]
    assert said == ["False\n", "True\n", "True\n"]


def test_workers_whose_threads_spin_and_sleep_have_the_same_weights_and_kept_programs(tmp_path):
    script = textwrap.dedent("""
        from echo_core.workers.process import prepare
        prepare()
        from echo_core.config.presets import PRESETS
        from echo_core.training import train
        *_, end = train(PRESETS["quick"].config.model_copy(update={"epochs": 3}))
        print(end.checkpoint.fingerprint)
    """)
    said = {subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True,
                           env={**os.environ, "ECHO_XLA_CACHE": str(tmp_path / "xla"), "ECHO_SPIN": spin}).stdout
            for spin in ("true", "false")}
    assert len(said) == 1
    assert len(list((tmp_path / "xla").rglob("*.pb"))) == 1


def test_environment_has_the_threads_and_the_folder_of_programs(tmp_path):
    two = process.environment(Settings(threads=2, xla_cache=tmp_path / "a b"))
    names = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "ECHO_THREADS")
    assert {two[name] for name in names} == {"2"}
    assert two["OPENBLAS_NUM_THREADS"] == "1"
    assert two["ECHO_XLA_CACHE"] == str(tmp_path / "a b")


def test_environment_of_a_process_that_has_it_already_is_the_same(tmp_path, monkeypatch):
    settings = Settings(threads=2, xla_cache=tmp_path / "a b")
    monkeypatch.delenv("TF_XLA_FLAGS", raising=False)
    monkeypatch.delenv("XLA_FLAGS", raising=False)
    first = process.environment(settings)
    for name, value in first.items():
        monkeypatch.setenv(name, value)
    assert process.environment(settings) == first
    assert process.environment(Settings())["ECHO_XLA_CACHE"] == str(tmp_path / "a b")


def test_each_task_has_its_priority_to_itself():
    def priority_of_a_task():
        before = os.getpriority(os.PRIO_PROCESS, 0)
        process.give_way()
        process.give_way()
        return before, os.getpriority(os.PRIO_PROCESS, 0)

    mine = os.getpriority(os.PRIO_PROCESS, 0)
    assert [process.in_fresh_thread(priority_of_a_task) for _ in range(2)] == 2 * [(mine, process.NICENESS)]
    assert os.getpriority(os.PRIO_PROCESS, 0) == mine


WHO_IS_NICE = """
import os, psutil
from pathlib import Path
from echo_core.workers import worker
begun = {thread.id for thread in psutil.Process().threads()}
for step in range(2):
    worker.warm_up(step)
later = {thread.id for thread in psutil.Process().threads()} - begun
tensorflows = [each for each in later if Path(f"/proc/self/task/{each}/comm").read_text().startswith("tf_")]
print(os.getpriority(os.PRIO_PROCESS, 0), *{os.getpriority(os.PRIO_PROCESS, each) for each in tensorflows})
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows a process the priorities of its threads")
def test_tensorflows_threads_give_way_and_the_workers_own_does_not():
    done = subprocess.run([sys.executable, "-c", WHO_IS_NICE], check=True, capture_output=True, text=True)
    assert done.stdout.split() == [str(os.getpriority(os.PRIO_PROCESS, 0)), str(process.NICENESS)]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says which pages of a process are of files")
def test_pages_of_files_are_not_a_workers_own_memory(tmp_path):
    (tmp_path / "library").write_bytes(bytes(2**26))
    before = process.memory_left()
    with (tmp_path / "library").open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as pages:
        read = sum(pages[::mmap.PAGESIZE])
        own = np.ones(2**26, np.uint8)
        assert read == 0
        assert process.memory_left() - before == pytest.approx(own.nbytes, rel=0.2)


def test_error_of_a_task_comes_back():
    with pytest.raises(ZeroDivisionError):
        process.in_fresh_thread(divmod, 1, 0)
