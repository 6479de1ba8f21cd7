"""Many rows at once are the rows one by one."""

import sqlite3

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import (
    Boolean,
    Column,
    Double,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    delete,
    func,
    insert,
    literal,
    select,
)

from echo_core.store.database import Database, all_rows
from echo_core.store.schema import Measured

THINGS = Table(
    "things", MetaData(), Column("number", Integer, primary_key=True), Column("double", Double),
    Column("measured", Measured), Column("truth", Boolean), Column("text", Text), Column("data", LargeBinary))

#: What PostgreSQL keeps: no NUL in texts, and no lone halves of a character.
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
#: Times, losses and shares. Of numbers beyond 1e100 SQLite writes the last digit wrong.
DOUBLES = st.floats(-1e30, 1e30, allow_subnormal=False).filter(lambda number: number == 0 or abs(number) > 1e-30)
VALUES = st.fixed_dictionaries({
    "number": st.integers(-2**31, 2**31 - 1), "double": st.none() | DOUBLES, "measured": st.none() | DOUBLES,
    "truth": st.none() | st.booleans(), "text": st.none() | TEXTS, "data": st.none() | st.binary(max_size=20)})


@pytest.fixture
def database(fresh_url):
    """One with a table of everything that a column may hold."""
    database = Database(fresh_url)
    with database.write() as connection:
        THINGS.create(connection)
    yield database
    database.close()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(VALUES, max_size=8, unique_by=lambda values: values["number"]))
def test_they_are_the_same_to_the_last_bit_and_in_the_same_order(database, rows):
    wanted = select(THINGS, func.coalesce(THINGS.c.truth, False).label("at_all"), literal("a b").label("said"))
    with database.write() as connection:
        connection.execute(delete(THINGS))
        if rows:
            connection.execute(insert(THINGS), rows)
        for query in (wanted.order_by(THINGS.c.number), wanted.order_by(THINGS.c.number.desc()).limit(3)):
            expected, found = connection.execute(query).all(), all_rows(connection, query)
            assert repr([tuple(row) for row in found]) == repr([tuple(row) for row in expected])
            assert [row._mapping for row in found] == [row._mapping for row in expected]


def test_sqlite_hands_over_a_single_row(tmp_path):
    """Python's lock is given up for each, and a busy app has it back 5 ms later."""
    database, handed_over = Database(f"sqlite:///{tmp_path / 'runs.db'}"), []
    with database.write() as connection:
        THINGS.create(connection)
        connection.execute(insert(THINGS), [{"number": number} for number in range(300)])
    with database.read() as connection:
        raw = connection.connection.dbapi_connection
        assert isinstance(raw, sqlite3.Connection)
        raw.row_factory = lambda _, row: handed_over.append(row) or row
        assert len(all_rows(connection, select(THINGS))) == 300
        raw.row_factory = None
    assert len(handed_over) == 1
    database.close()
