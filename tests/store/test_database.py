"""A store opens, migrates and refuses."""

import logging
import subprocess
import sys
import textwrap
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, select, text
from sqlalchemy.exc import InternalError, OperationalError, ProgrammingError

from echo_core.store import Store, migrations
from echo_core.store.database import Database
from echo_core.store.errors import StoreError, trouble_of
from echo_core.store.schema import HANDSHAKES, HEAD, METADATA, RUNS
from tests.helpers import faults
from tests.helpers.samples import TINY, config


@pytest.fixture
def database(fresh_url):
    opened = Database(fresh_url)
    yield opened
    opened.close()


def test_fresh_store_is_at_the_newest_revision(database):
    with database.read() as connection:
        assert connection.scalar(text("SELECT version_num FROM alembic_version")) == HEAD


@pytest.mark.parametrize("fresh_url", ["sqlite"], indirect=True)
def test_file_is_in_wal_mode_and_waits_for_others(database):
    with database.read() as connection:
        assert connection.scalar(text("PRAGMA journal_mode")) == "wal"
        assert connection.scalar(text("PRAGMA synchronous")) == 1
        assert connection.scalar(text("PRAGMA foreign_keys")) == 1
        assert connection.scalar(text("PRAGMA busy_timeout")) >= 10_000


def test_head_is_the_newest_migration():
    assert ScriptDirectory(str(Path(migrations.__file__).parent)).get_current_head() == HEAD


def test_migrations_make_the_tables_that_the_code_speaks_of(database):
    with database.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_server_default": True})
        assert compare_metadata(context, METADATA) == []


def test_many_processes_open_a_fresh_store_at_once(fresh_url):
    script = textwrap.dedent("""
        import sys, time
        from echo_core.store.database import Database
        time.sleep(max(0, float(sys.argv[2]) - time.time()))
        Database(sys.argv[1]).close()
    """)
    together = str(time.time() + 2.0)
    processes = [subprocess.Popen([sys.executable, "-c", script, fresh_url, together], stderr=subprocess.PIPE)
                 for _ in range(5)]
    assert [process.communicate()[1].decode() for process in processes] == [""] * 5
    with closing(Database(fresh_url)) as database, database.read() as connection:
        assert connection.execute(text("SELECT version_num FROM alembic_version")).all() == [(HEAD,)]


def test_opening_a_known_store_imports_no_alembic_and_migrating_leaves_logging_alone(fresh_url):
    logger = logging.getLogger("somebody.else")
    before = (logging.root.level, list(logging.root.handlers), logger.disabled)
    Database(fresh_url).close()
    assert (logging.root.level, list(logging.root.handlers), logger.disabled) == before
    script = ("import sys; import echo_core.store.database as d; d.Database(sys.argv[1]); "
              "assert 'alembic' not in sys.modules")
    subprocess.run([sys.executable, "-c", script, fresh_url], check=True)


def test_store_of_a_newer_version_is_refused_in_one_line_and_left_as_it_is(fresh_url):
    database = Database(fresh_url)
    with database.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    database.close()
    with pytest.raises(StoreError, match="of revision 9999, which a newer Echo Lab wrote; this one knows") as caught:
        Database(fresh_url)
    assert "\n" not in str(caught.value)
    with pytest.raises(StoreError, match="9999"):
        Database(fresh_url)


@pytest.mark.parametrize(("url", "said"), [
    ("nonsense", "DATABASE_URL is not a database's URL. Try sqlite:////"),
    ("sqlite://", "must be a file, because worker processes open it too"),
    ("sqlite:///:memory:", "must be a file, because worker processes open it too"),
    ("mysql://somebody:secret@host/name", "must be SQLite or PostgreSQL; received"),
    ("postgresql://somebody:secret@127.0.0.1:1/name", "cannot be opened: "),
    ("sqlite:////proc/nowhere/runs.db", "cannot be created: No such file or directory. Set DATABASE_URL to a file"),
])
def test_url_that_cannot_be_says_so_without_the_password(url, said):
    with pytest.raises(StoreError) as caught:
        Database(url)
    assert said in str(caught.value)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_file_on_a_disk_that_is_read_only_says_what_to_set(tmp_path):
    with faults.small_disk(tmp_path) as folder:
        Database(f"sqlite:///{folder / 'runs.db'}").close()
        subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
        with pytest.raises(StoreError, match=r"its folder is read-only\. Set DATABASE_URL to a file in a folder that"):
            Database(f"sqlite:///{folder / 'runs.db'}")


def test_file_that_is_no_database_is_refused(tmp_path):
    (tmp_path / "runs.db").write_text("a letter to my aunt, long enough to be taken for a header" * 20)
    with pytest.raises(StoreError, match="cannot be opened: file is not a database"):
        Database(f"sqlite:///{tmp_path / 'runs.db'}")


def test_store_that_is_not_there_is_not_made_where_only_looking(tmp_path):
    with pytest.raises(StoreError, match="there is no store at"):
        Database(f"sqlite:///{tmp_path / 'folder' / 'runs.db'}", create=False)
    assert list(tmp_path.iterdir()) == []


def test_transaction_that_raises_leaves_nothing(database):
    row = {"run_id": "a", "config": "{}", "training_version": 1, "state": "queued", "session": "", "created_at": 0.0,
           "queued_at": 0.0}
    with pytest.raises(ZeroDivisionError), database.write() as connection:  # noqa: PT012
        connection.execute(RUNS.insert().values(**row))
        _ = 1 / 0
    with database.read() as connection:
        assert connection.execute(RUNS.select()).all() == []


@pytest.mark.parametrize("fresh_url", ["sqlite"], indirect=True)
def test_only_a_consistent_reader_begins_a_transaction(database):
    """While other threads compute, each call of the driver costs milliseconds."""
    sent: list[str] = []
    for consistent in (False, True):
        with database.read(consistent) as connection:
            raw = connection.connection.dbapi_connection
            raw.set_trace_callback(sent.append)
            connection.execute(select(RUNS.c.run_id).where(RUNS.c.run_id == "unknown")).all()
        raw.set_trace_callback(None)
        words = [statement.split()[0] for statement in sent]
        assert words == (["BEGIN", "SELECT", "ROLLBACK"] if consistent else ["SELECT"])
        sent.clear()


def test_consistent_reader_sees_one_moment_throughout(database):
    row = {"token": "a", "made_at": 0.0}
    with database.read(consistent=True) as connection:
        assert connection.execute(HANDSHAKES.select()).all() == []
        with database.write() as other:
            other.execute(HANDSHAKES.insert().values(**row))
        assert connection.execute(HANDSHAKES.select()).all() == []
    with database.read() as connection:
        assert len(connection.execute(HANDSHAKES.select()).all()) == 1


def test_exclusive_writers_are_one_at_a_time(database):
    """Each reads before it writes, so that of several at once all but one would go by what is old."""
    def count_up():
        for _ in range(20):
            with database.write(exclusive=True) as connection:
                made_at = connection.scalar(select(HANDSHAKES.c.made_at)) or 0.0
                connection.execute(HANDSHAKES.delete())
                connection.execute(HANDSHAKES.insert().values(token="a", made_at=made_at + 1))

    threads = [threading.Thread(target=count_up) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.read() as connection:
        assert connection.scalar(select(HANDSHAKES.c.made_at)) == 80


def test_downgrade_removes_every_table(database):
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    with database.write(exclusive=True) as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
        assert inspect(connection).get_table_names() == ["alembic_version"]


def test_a_locked_file_is_waited_for_as_long_as_whoever_asks_has_patience(tmp_path):
    url = f"sqlite:///{tmp_path / 'runs.db'}"
    with closing(Store(url)) as patient, closing(Store(url, patience=0.2)) as hurried, faults.locked(patient):
        began = time.monotonic()
        with pytest.raises(OperationalError) as caught:
            hurried.queue.request(TINY)
        assert 0.2 <= time.monotonic() - began < 5
        assert hurried.runs.get(TINY.run_id) is None  # reading waits for nobody
    assert trouble_of(caught.value).cause == "another program has locked it"


def fill(store):
    for seed in range(100):
        store.queue.request(config(seed))


@pytest.mark.parametrize(("fault", "cause"), [(faults.full, "its disk is full"),
                                              (faults.read_only, "it can only be read")])
def test_what_a_file_suffers_from_is_said_in_words(tmp_path, fault, cause):
    with closing(Store(f"sqlite:///{tmp_path / 'runs.db'}")) as store:
        with fault(store), pytest.raises(OperationalError) as caught:
            fill(store)
        assert trouble_of(caught.value).cause == cause
        assert store.database.shortage() is None


def test_a_full_disk_is_noticed_before_a_write_fails(tmp_path):
    with faults.small_disk(tmp_path, megabytes=8) as folder, closing(Store(f"sqlite:///{folder / 'runs.db'}")) as store:
        assert store.database.shortage() is None
        with faults.filled(folder):
            assert store.database.shortage().cause == "its disk is full"


def test_what_a_server_suffers_from_is_said_in_words(postgres_server, migrated):
    with postgres_server.database(migrated) as url, closing(Store(url)) as store:
        with faults.crashed(postgres_server), pytest.raises(OperationalError) as caught:
            store.queue.request(TINY)
        assert trouble_of(caught.value).cause == "it does not answer"
        with store.database.read() as connection, pytest.raises(InternalError) as caught:
            connection.execute(RUNS.delete())
        assert trouble_of(caught.value).cause == "it can only be read"
        assert store.database.shortage() is None
    bug = ProgrammingError("SELECT", None, Exception('relation "runs" does not exist'))
    assert trouble_of(bug).cause == "it refuses, and the server's log says why"
