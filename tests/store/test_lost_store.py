"""A store whose file or database is taken away, emptied or replaced while it is open: the tables are made again."""

import shutil
import sqlite3
import stat
from contextlib import closing
from unittest.mock import Mock

import pytest
from sqlalchemy import text

from echo_core import engine
from echo_core.settings import Settings, sqlite_url
from echo_core.store import Store, Superseded
from echo_core.store.errors import OUTAGES
from tests.helpers import waiting
from tests.helpers.samples import EVALUATION, checkpoint, config, progress


def delete(path):
    path.unlink()


def delete_folder(path):
    shutil.rmtree(path.parent)


def delete_all(path):
    for file in path.parent.glob("runs.db*"):
        file.unlink()


def empty(path):
    path.write_bytes(b"")


def put_an_empty_one_in_its_place(path):
    other = path.with_name("other.db")
    other.touch()
    other.replace(path)


def put_a_database_without_tables_in_its_place(path):
    other = path.with_name("other.db")
    with closing(sqlite3.connect(other)) as connection:
        connection.execute("CREATE TABLE notes (note TEXT)")
        connection.commit()
    other.replace(path)


def drop_the_tables(path):
    with closing(sqlite3.connect(path)) as connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            connection.execute(f"DROP TABLE {name}")
        connection.commit()


def use(store, number):
    """Ask for a run, as often as the store has to be asked until it is there again; at most twice."""
    try:
        return store.queue.request(config(number), "me", "me")
    except OUTAGES:
        return store.queue.request(config(number), "me", "me")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "folder" / "runs.db"


@pytest.mark.parametrize("befall", [delete, delete_all, delete_folder, empty, put_an_empty_one_in_its_place,
                                    put_a_database_without_tables_in_its_place, drop_the_tables])
def test_file_that_is_taken_away_is_made_again_and_all_who_have_it_open_find_the_new_one(path, befall):
    url = f"sqlite:///{path}"
    with closing(Store(url)) as app, closing(Store(url)) as other, closing(Store(url, create=False)) as worker:
        before = app.queue.request(config(1), "me", "me")
        ticket = app.queue.claim("w")
        worker.attempts.append(ticket, progress(3))
        assert worker.runs.get(before)
        assert other.runs.get(before)
        befall(path)
        after = use(app, 2)
        assert app.runs.get(before) is None
        assert other.runs.get(after) is not None
        assert worker.runs.get(after) is not None
        with pytest.raises(Superseded):
            worker.attempts.finish(ticket, checkpoint(60), EVALUATION)
        assert app.database.losses == 1
        assert other.queue.claim("w").run_id == after
        with closing(sqlite3.connect(path)) as raw:
            assert raw.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert raw.execute("SELECT count(*) FROM runs").fetchall() == [(1,)]


def test_older_copy_in_the_place_of_a_file_is_used_with_the_runs_that_it_has(path):
    with closing(Store(f"sqlite:///{path}")) as store:
        old = store.queue.request(config(1))
        with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(path.with_name("copy.db"))) as copy:
            source.backup(copy)
        new = store.queue.request(config(2))
        path.with_name("copy.db").replace(path)
        assert store.runs.get(old) is not None
        assert store.runs.get(new) is None
        assert store.database.losses == 1


def test_worker_makes_no_store_that_was_taken_away(path):
    with closing(Store(f"sqlite:///{path}")), closing(Store(f"sqlite:///{path}", create=False)) as worker:
        delete_all(path)
        with pytest.raises(OUTAGES, match="not there any more"):
            worker.runs.get("a")
        assert not path.exists()


def test_database_of_a_server_that_is_dropped_and_made_again_gets_its_tables(postgres_server):
    with postgres_server.database() as url, closing(Store(url)) as app, closing(Store(url, create=False)) as worker:
        name = url.rpartition("/")[2]
        before = app.queue.request(config(1))
        ticket = app.queue.claim("w")
        assert worker.runs.get(before)
        postgres_server.drop(name)
        with pytest.raises(OUTAGES):
            app.runs.get(before)
        postgres_server.create(name)
        after = app.queue.request(config(2))
        assert worker.runs.get(before) is None
        assert worker.runs.get(after) is not None
        with pytest.raises(Superseded):
            worker.attempts.finish(ticket, checkpoint(60), EVALUATION)
        assert app.database.losses == worker.database.losses == 1


def test_schema_of_a_server_that_is_dropped_under_open_connections_gets_its_tables(postgres_server):
    with postgres_server.database() as url, closing(Store(url)) as app:
        app.queue.request(config(1))
        with app.database.write() as connection:
            connection.execute(text("DROP SCHEMA public CASCADE"))
            connection.execute(text("CREATE SCHEMA public"))
        after = use(app, 2)
        assert [run.run_id for run in app.runs.newest()] == [after]
        assert app.database.losses == 1


@pytest.mark.parametrize("fresh_url", ["sqlite", "postgres"], indirect=True)
def test_store_that_is_left_alone_loses_nothing(fresh_url):
    with closing(Store(fresh_url)) as store, closing(Store(fresh_url)) as other:
        for number in range(3):
            store.queue.request(config(number))
            store.close()  # its connections, which are opened anew
        assert len(other.runs.newest()) == 3
        with other.database.read() as connection:
            raw = connection.connection.driver_connection
        if store.database.is_sqlite:
            raw.execute("VACUUM")
        assert len(store.runs.newest()) == 3
        assert store.database.losses == other.database.losses == 0


# --- who may read it ---------------------------------------------------------------------------


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_files_are_of_their_owner_alone_in_folders_of_their_owner_alone(tmp_path):
    path = tmp_path / ".echo" / "deeper" / "runs.db"
    with closing(Store(f"sqlite:///{path}")) as store:
        store.queue.request(config(1))
        assert sorted(file.name for file in path.parent.iterdir()) == ["runs.db", "runs.db-shm", "runs.db-wal"]
        assert {mode(file) for file in path.parent.iterdir()} == {0o600}
    assert {mode(path.parent), mode(path.parent.parent)} == {0o700}


def test_folder_that_was_there_stays_as_open_as_it_was_and_a_file_of_ours_is_closed(tmp_path):
    path = tmp_path / "shared" / "runs.db"
    path.parent.mkdir()
    path.parent.chmod(0o755)
    with closing(Store(f"sqlite:///{path}")) as store:
        store.queue.request(config(1))
        for file in path.parent.iterdir():
            file.chmod(0o644)
        with closing(Store(f"sqlite:///{path}", create=False)):
            assert {mode(file) for file in path.parent.iterdir()} == {0o600}
    assert mode(path.parent) == 0o755


def test_file_that_somebody_shares_with_a_group_stays_shared(tmp_path):
    path = tmp_path / "runs.db"
    Store(f"sqlite:///{path}").close()
    path.chmod(0o660)
    Store(f"sqlite:///{path}").close()
    assert mode(path) == 0o660


def test_worker_leaves_an_emptied_file_to_the_app(path):
    with closing(Store(f"sqlite:///{path}")) as app, closing(Store(f"sqlite:///{path}", create=False)) as worker:
        app.queue.request(config(1))
        assert len(worker.runs.newest()) == 1
        empty(path)
        with pytest.raises(OUTAGES):
            worker.runs.newest()
        assert app.runs.newest() == worker.runs.newest() == []


@pytest.fixture
def keeper(path, monkeypatch):
    """An engine without workers."""
    monkeypatch.setattr(engine, "Dispatcher", Mock())
    monkeypatch.setattr(engine, "SWEEP_SECONDS", 0.02)
    with engine.Engine(Settings(DATABASE_URL=sqlite_url(path), ECHO_WORKERS=1)) as opened:
        yield opened


def test_loss_of_a_store_is_told_once_and_says_what_is_gone(keeper, path, caplog):
    keeper.submit(config(1))
    assert keeper.loss == ""
    delete_all(path)
    waiting.until(lambda: keeper.loss)
    assert "The store was emptied while Echo Lab ran: the runs from before" in keeper.loss
    assert str(path.parent) not in keeper.loss
    keeper.submit(config(2))
    looked = keeper.store.database.losses
    waiting.until(lambda: keeper.trouble is None)
    assert [record.levelname for record in caplog.records if "was emptied" in record.message] == ["ERROR"]
    assert looked == 1
