"""The one clock of a store: its database's.

Apps and workers of several machines compare the times in it, and the clocks of machines differ by minutes. So every
time is written, and compared, by the database. A file is on one machine, whose clock is the database's.
"""

from typing import Any

from sqlalchemy import Double
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.expression import FunctionElement


class now(FunctionElement[float]):  # in statements it reads as a function
    """Seconds since 1970 by the database's clock; it goes on within a transaction."""

    type = Double()
    inherit_cache = True
    name = "now"


@compiles(now, "sqlite")
def _by_sqlite(_element: now, _compiler: Any, **_options: Any) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"  # 2440587.5 is 1970; it counts milliseconds


@compiles(now, "postgresql")
def _by_postgresql(_element: now, _compiler: Any, **_options: Any) -> str:
    return "CAST(extract(epoch FROM clock_timestamp()) AS double precision)"
