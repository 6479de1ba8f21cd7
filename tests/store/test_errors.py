"""Messages about a store that fails: they help, and contain no password."""

import logging
import pickle
import sqlite3

import pytest
from psycopg import errors
from sqlalchemy.exc import InternalError, OperationalError, ProgrammingError, TimeoutError

from echo_core.settings import Settings
from echo_core.store.database import Database
from echo_core.store.errors import FAULTS, StoreAway, StoreError, StoreUrl, error_code, trouble_of, without_secrets
from echo_core.workers.attempt import reason_of

#: URLs of a server that is not there, each with the password in another place.
WITH_PASSWORD = [
    "postgresql://somebody:hunter2@127.0.0.1:1/name",
    "postgresql+psycopg://somebody:hunter2@127.0.0.1:1/name?connect_timeout=1",
    "postgresql://127.0.0.1:1/name?user=somebody&password=hunter2",
    "postgresql:///name?host=127.0.0.1&port=1&user=somebody&password=hunter2",
    "postgres://somebody:%68unter2@127.0.0.1:1/name",
    "postgresql://somebody:hun%74er2@127.0.0.1:1/name",
    "postgresql://127.0.0.1:1/name?sslmode=require&sslpassword=hunter2",
    "postgresql://127.0.0.1:1/name?passfile=/home/hunter2",
    "postgresql://127.0.0.1:1/name?PASSWORD=hunter2",
    "postgresql://127.0.0.1:1/name?options=-c%20my.secret%3Dhunter2",
    "postgresql:///?service=somebodys&password=hunter2",
    "postgresql://somebody:p@hunter2@127.0.0.1:1/name",
    "postgresql://somebody:p/hunter2@127.0.0.1:1/name",
    "postgresql://somebody:12/hunter2@127.0.0.1:1/name",
    "postgresql://somebody:p?hunter2@127.0.0.1:1/name",
    "host=127.0.0.1 port=1 user=somebody password=hunter2",
    "mysql://somebody:hunter2@127.0.0.1/name?password=hunter2",
]


@pytest.mark.parametrize("url", WITH_PASSWORD)
def test_password_of_a_store_is_in_no_error_and_no_log(url, caplog):
    caplog.set_level(logging.DEBUG)
    with pytest.raises(StoreError) as caught:
        Database(url)
    logging.getLogger("test").error("it failed", exc_info=caught.value)
    told = f"{caught.value} {reason_of(caught.value)} {caught.value.public} {caplog.text}"
    for secret in ("hunter2", "%68unter2", "hun%74er2"):
        assert secret not in told


@pytest.mark.parametrize("text", [
    "tcp://somebody:hunter2@10.0.0.1:8786 does not answer",
    "connection to postgresql://somebody:p@hunter2@h/name failed",
    "missing option after host=h password=hunter2 user=u",
    "host=h password = 'hunter2 \\' hunter2' user=u",
    "postgresql://h/name?user=u&sslpassword=hunter2&sslmode=require",
])
def test_secrets_in_any_text_are_masked(text):
    assert "hunter2" not in without_secrets(text)
    assert "***" in without_secrets(text)


def test_text_without_secrets_stays_as_it_is():
    text = "ValueError: token_accuracy=0.5, mail me@example.org, see https://example.org/a?b=c"
    assert without_secrets(text) == text


def test_url_of_a_store_is_printed_without_password_and_kept_with_it(monkeypatch):
    url = StoreUrl("postgresql://u:hunter2@h/name?password=hunter2")
    assert "hunter2" not in repr((url,))
    assert pickle.loads(pickle.dumps(url)) == str(url) == "postgresql://u:hunter2@h/name?password=hunter2"
    monkeypatch.setenv("DATABASE_URL", str(url))
    monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", "tcp://u:hunter2@h:8786")
    assert "hunter2" not in repr(Settings())
    assert Settings().database_url == url


def sqlite_error(name):
    error = sqlite3.OperationalError("etwas ging schief")
    error.sqlite_errorname = name
    return OperationalError("SELECT", None, error)


@pytest.mark.parametrize(("error", "cause"), [
    (sqlite_error("SQLITE_BUSY"), "another program has locked it"),
    (sqlite_error("SQLITE_FULL"), "its disk is full"),
    (sqlite_error("SQLITE_READONLY_DBMOVED"), "it can only be read"),
    (sqlite_error("SQLITE_CANTOPEN"), "its file cannot be opened"),
    (sqlite_error("SQLITE_CORRUPT"), "its file is damaged"),
    (OperationalError("SELECT", None, errors.DiskFull("kein Platz")), "its disk is full"),
    (InternalError("SELECT", None, errors.ReadOnlySqlTransaction("nur lesen")), "it can only be read"),
    (TimeoutError("QueuePool limit of size 8 overflow 56 reached"), "too many ask it at once"),
    (OperationalError("SELECT", None, Exception("weg")), "it does not answer"),
    (ProgrammingError("SELECT", None, errors.UndefinedColumn("disk is full")),
     "it refuses, and the server's log says why"),
])
def test_trouble_is_told_by_code_whatever_language_the_database_speaks(error, cause):
    assert isinstance(error, FAULTS)
    assert trouble_of(error).cause == cause


def test_postgres_that_refuses_a_connection_counts_as_no_answer_as_it_sends_no_code(postgres_server):
    with pytest.raises(StoreAway) as caught:
        Database(postgres_server.url("a database that nobody made"))
    assert error_code(caught.value.__cause__) == ""
    assert trouble_of(caught.value).cause == "it does not answer"


def test_visitors_are_told_of_no_path_and_no_address(tmp_path):
    (tmp_path / "closed").write_text("")
    refused = []
    for url in ("postgresql://somebody:secret@127.0.0.1:1/name", f"sqlite:///{tmp_path}/closed/runs.db", "mysql://h/n",
                "nonsense"):
        with pytest.raises(StoreError) as caught:
            Database(url)
        refused.append(caught.value)
    assert isinstance(refused[0], StoreAway)
    for error in refused:
        told = f"{error.public} {trouble_of(error).cause} {trouble_of(error).remedy}"
        for word in (str(tmp_path), "127.0.0.1", "mysql", "Error", "DATABASE_URL", "secret"):
            assert word not in told
