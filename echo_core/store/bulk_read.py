"""Many rows of a database at once.

SQLite's driver gives up Python's lock for each row that it fetches. In an app whose pages are busy each row then costs
5 ms and more until the lock is had again: four hundred took seconds (decision 0024). So they are fetched as one.
"""

import json
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Boolean, ColumnElement, Connection, Double, LargeBinary, Row, Select, case, func, select
from sqlalchemy.engine import IteratorResult
from sqlalchemy.engine.result import SimpleResultMetaData

from echo_core.store.database import Measured


def all_rows(connection: Connection, wanted: Select[Any]) -> Sequence[Row[Any]]:
    """All rows of a query, in its order and to the last bit, as `connection.execute(wanted).all()` gives them.

    Columns may be numbers (not beyond 1e100), booleans, texts and bytes.
    """
    if connection.dialect.name != "sqlite":
        return connection.execute(wanted).all()
    columns = wanted.subquery().c
    packed = connection.scalar(select(func.json_group_array(func.json_array(*map(_pack, columns)))))
    unpack = [_unpacker(column) for column in columns]
    rows = (tuple(one(value) for one, value in zip(unpack, row, strict=True)) for row in json.loads(packed or "[]"))
    result: IteratorResult[Any] = IteratorResult(SimpleResultMetaData(columns.keys()), rows)
    return result.all()


def _pack(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """A value as JSON can hold it: a double as its seventeen digits, as SQLite by itself writes fifteen."""
    if isinstance(column.type, LargeBinary):
        return case((column.is_not(None), func.hex(column)))
    if isinstance(column.type, Double | Measured):
        return case((column.is_not(None), func.printf("%!.17g", column)))
    return column


def _unpacker(column: ColumnElement[Any]) -> Callable[[Any], Any]:
    kind = (float if isinstance(column.type, Double | Measured) else bool if isinstance(column.type, Boolean) else
            bytes.fromhex if isinstance(column.type, LargeBinary) else None)
    return lambda value: value if value is None or kind is None else kind(value)
