"""What a host decides, by environment alone."""


import os

import pytest
from pydantic import ValidationError

from echo_core import machine
from echo_core.config import RunConfig
from echo_core.config.presets import PRESETS
from echo_core.config.repair import explain
from echo_core.settings import APP_MB, PROJECT_ROOT, LimitExceeded, Limits, QueueFull, Settings, host_and_port


@pytest.fixture
def bare(monkeypatch):
    """An environment that says nothing; a test that trained in this process has left its settings there."""
    for name in ("DATABASE_URL", "DASK_SCHEDULER_ADDRESS", *(name for name in os.environ if name.startswith("ECHO_"))):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def test_without_any_setting_runs_are_kept_in_the_project_wherever_it_is_started_from(bare, tmp_path):
    bare.chdir(tmp_path)
    settings = Settings()
    assert settings.database_url == f"sqlite:///{PROJECT_ROOT}/.echo/runs.db"
    assert settings.xla_cache == PROJECT_ROOT / ".echo" / "xla"
    assert settings.dask_scheduler_address is None
    assert settings.unwatched_seconds == 300
    assert not settings.hosted


def test_settings_of_other_projects_keep_their_own_names(bare):
    bare.setenv("DATABASE_URL", "postgresql+psycopg://somewhere/runs")
    bare.setenv("DASK_SCHEDULER_ADDRESS", "tcp://127.0.0.1:8786")
    assert Settings().database_url == "postgresql+psycopg://somewhere/runs"
    assert Settings().dask_scheduler_address == "tcp://127.0.0.1:8786"


def test_echos_own_settings_begin_with_its_name(bare):
    bare.setenv("ECHO_THREADS", "1")
    bare.setenv("ECHO_WORKERS", "3")
    bare.setenv("ECHO_UNWATCHED_SECONDS", "2.5")
    bare.setenv("ECHO_HOSTED", "true")
    settings = Settings()
    assert (settings.threads, settings.num_workers, settings.unwatched_seconds, settings.hosted) == (1, 3, 2.5, True)


def test_a_setting_left_empty_is_as_good_as_none(bare):
    # Compose files and hosts' forms hand on empty ones.
    for name in ("DATABASE_URL", "DASK_SCHEDULER_ADDRESS", "ECHO_THREADS", "ECHO_MAX_UNITS"):
        bare.setenv(name, "")
    assert Settings().database_url.startswith("sqlite:///")
    assert Settings().dask_scheduler_address is None
    assert Limits().max_units == 1024


@pytest.mark.parametrize(("cores", "threads", "workers"), [(1, 1, 1), (2, 2, 1), (8, 2, 4)])
def test_workers_and_their_threads_fill_the_cores(bare, cores, threads, workers):
    bare.setattr(machine, "cores", lambda: cores)
    bare.setattr(machine, "memory_bytes", lambda: 64 * 2**30)
    assert (Settings().threads, Settings().num_workers) == (threads, workers)


@pytest.mark.parametrize(("memory_mb", "workers", "recycle_mb", "has_spare_memory"), [
    (700, 1, 144, False), (1024, 1, 468, False), (2700, 1, 900, True), (2765, 2, 900, True), (16_000, 8, 900, True),
])
def test_workers_and_what_they_keep_fit_into_the_memory(bare, memory_mb, workers, recycle_mb, has_spare_memory):
    bare.setattr(machine, "cores", lambda: 16)
    bare.setattr(machine, "memory_bytes", lambda: memory_mb * 2**20)
    settings = Settings()
    assert (settings.num_workers, settings.recycle_mb, settings.has_spare_memory) == (
        workers, recycle_mb, has_spare_memory)
    assert APP_MB + workers * settings.share_mb <= memory_mb


def test_a_host_may_say_how_much_memory_there_is_and_how_many_workers(bare):
    bare.setenv("ECHO_MEMORY_MB", "3000")
    bare.setenv("ECHO_WORKERS", "2")
    assert (Settings().num_workers, Settings().share_mb) == (2, 1372)


HUGE = RunConfig(variant="encoder_decoder", stateful=False, units=1024, vocab_size=1000, sequence_length=1000,
                 sequences_per_epoch=4, input_length=100, output_length=100, batch_size=3604)


def test_a_network_that_does_not_fit_into_a_workers_memory_is_refused_with_one_that_does():
    with pytest.raises(LimitExceeded) as refused:
        Limits().within(16_000).check(HUGE)
    assert str(refused.value) == (
        "batch_size, units, vocab_size and lengths must fit into 16,000 MB of memory on this host "
        "(ECHO_MAX_MEMORY_MB); batch_size=3604 with units=1024 needs about 40,920 MB. "
        "Try batch_size=901, or run your own copy on a larger machine.")
    Limits().within(16_000).check(HUGE.model_copy(update={"batch_size": 901}))
    Limits().check(HUGE)  # where nobody knows the memory
    with pytest.raises(LimitExceeded, match="Try fewer units"):
        Limits().within(900).check(HUGE)


def test_a_hosts_own_limit_of_memory_holds_whatever_a_worker_has(bare):
    bare.setenv("ECHO_MAX_MEMORY_MB", "1000")
    with pytest.raises(LimitExceeded, match="must fit into 1,000 MB"):
        Limits().within(64_000).check(HUGE)


def test_every_preset_can_be_trained_in_one_gigabyte_beside_the_app():
    for preset in PRESETS.values():
        Limits().within(Settings(memory_mb=1024).share_mb).check(preset.config)


def test_more_threads_than_cores_still_leave_one_worker(bare):
    bare.setattr(machine, "cores", lambda: 2)
    bare.setenv("ECHO_THREADS", "8")
    assert Settings().num_workers == 1


def test_settings_that_cannot_be_are_refused_at_the_start(bare):
    for name, value in {"ECHO_THREADS": "0", "ECHO_MAX_UNITS": "many", "ECHO_UNWATCHED_SECONDS": "-1"}.items():
        with bare.context() as patch:
            patch.setenv(name, value)
            with pytest.raises(ValidationError, match=name.removeprefix("ECHO_").lower()):
                (Limits if "MAX" in name else Settings)()


@pytest.mark.parametrize("address", ["9100", ":9100", "127.0.0.1", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:65536",
                                     "127.0.0.1:http", "127.0.0.1:-1", "::1:9100", "[::1:9100", "http://127.0.0.1:9100"])
def test_address_of_the_health_that_cannot_be_is_refused_with_one_that_can(bare, address):
    bare.setenv("ECHO_HEALTH_ADDRESS", address)
    with pytest.raises(ValidationError) as refused:
        Settings()
    assert explain(refused.value) == [
        "ECHO_HEALTH_ADDRESS must be a host and a port from 1 to 65535 with a colon between them; "
        f"received '{address}'. Try 127.0.0.1:9100."]


def test_address_of_the_health_may_name_a_host_or_be_of_either_version_of_ip(bare):
    assert Settings().health_address is None
    for address, *parts in (("127.0.0.1:9100", "127.0.0.1", 9100), ("[::1]:80", "::1", 80), ("echo:1", "echo", 1)):
        bare.setenv("ECHO_HEALTH_ADDRESS", f" {address} ")
        assert Settings().health_address == address
        assert host_and_port(address) == tuple(parts)


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_within_the_default_limits(name):
    Limits().check(PRESETS[name].config)


@pytest.mark.parametrize(("settings", "line"), [
    ({"units": 1025}, "units must be at most 1024 on this host (ECHO_MAX_UNITS); received 1025. "
                      "Try units=1024, or run your own copy."),
    ({"epochs": 100_001}, "epochs must be at most 100000 on this host (ECHO_MAX_EPOCHS); received 100001. "
                          "Try epochs=100000, or run your own copy."),
    ({"vocab_size": 1001}, "vocab_size must be at most 1000 on this host (ECHO_MAX_VOCAB_SIZE); received 1001. "
                           "Try vocab_size=1000, or run your own copy."),
    ({"sequence_length": 1001, "batch_size": 1},
     "sequence_length must be at most 1000 on this host (ECHO_MAX_SEQUENCE_LENGTH); received 1001. "
     "Try sequence_length=1000, or run your own copy."),
    ({"sequence_length": 101, "input_length": 101, "output_length": 101, "batch_size": 1},
     "input_length must be at most 100 on this host (ECHO_MAX_INPUT_LENGTH); received 101. "
     "Try input_length=100, or run your own copy."),
    ({"stateful": False, "sequences_per_epoch": 196},
     "windows must be at most 4096 on this host (ECHO_MAX_WINDOWS); received 4116. "
     "Try fewer sequences_per_epoch, or run your own copy."),
])
def test_what_a_host_does_not_allow_is_refused_with_limit_value_and_a_way_out(settings, line):
    with pytest.raises(LimitExceeded) as refused:
        Limits().check(RunConfig(**settings))
    assert str(refused.value) == line


def test_lowering_a_limit_leaves_history_readable(bare):
    written = RunConfig(units=512).model_dump_json()
    bare.setenv("ECHO_MAX_UNITS", "256")
    with pytest.raises(LimitExceeded, match="at most 256"):
        Limits().check(RunConfig.model_validate_json(written))


def test_a_full_queue_is_a_limit_too():
    assert issubclass(QueueFull, LimitExceeded)
    assert issubclass(LimitExceeded, ValueError)


def test_a_standby_trains_on_a_free_core_unless_the_host_has_set_the_workers(monkeypatch):
    monkeypatch.setattr(machine, "cores", lambda: 2)
    enough = {"threads": 2, "memory_mb": 100_000}
    assert Settings(**enough).num_at_once == 2
    assert Settings(**enough, standby=False).num_at_once == 1
    assert Settings(**enough, workers=1).num_at_once == 1
    assert Settings(**{**enough, "memory_mb": 2700}).num_at_once == 1  # too little for another process
    monkeypatch.setattr(machine, "cores", lambda: 1)
    assert Settings(**{**enough, "threads": 1}).num_at_once == 1


@pytest.mark.parametrize(("variables", "said"), [
    ({"ECHO_MEMORY_MB": "700"}, "Echo Lab needs 1,000 MB of memory, and may take 700 MB here"),
    ({"ECHO_HOSTED": "true"}, "they are gone at the next restart: set DATABASE_URL"),
    ({"ECHO_MEMORY_MB": "700", "DASK_SCHEDULER_ADDRESS": "tls://scheduler:8786"}, None),  # others train
    ({"ECHO_HOSTED": "true", "DATABASE_URL": "postgresql://host/runs"}, None), ({"ECHO_MEMORY_MB": "1000"}, None)])
def test_a_host_reads_what_is_missing_in_one_line(bare, variables: dict[str, str], said: str | None):
    bare.setenv("ECHO_MEMORY_MB", "4000")
    for name, value in variables.items():
        bare.setenv(name, value)
    notices = Settings().notices
    assert len(notices) == (said is not None)
    assert said is None or said in notices[0]


@pytest.mark.parametrize(("own", "spins"), [
    ({"workers": 1}, True), ({"workers": 2}, False), ({"workers": 2, "threads": 1}, True),
    ({"workers": 1, "hosted": True}, False), ({"workers": 2, "spin": True}, True),
    ({"workers": 1, "spin": False}, False),
])
def test_threads_of_workers_spin_where_each_has_a_core_and_nobody_else_visits(monkeypatch, own, spins):
    monkeypatch.setattr(machine, "cores", lambda: 2)
    assert Settings(**{"threads": 2, **own}).workers_spin is spins
