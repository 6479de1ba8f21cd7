"""Errors of the store, what visitors read about them, and the removal of secrets from messages.

    StoreError           the store cannot be opened or used
    ├── StoreAway        … at the moment
    └── Superseded       a worker writes about an attempt that is no longer the current one

SQLAlchemy raises what the databases refuse. `OUTAGES` are the errors that pass by themselves or that an operator can
end: trying again makes sense. `FAULTS` are all errors with which a store can answer. Databases' errors are told apart
by their codes, as servers speak many languages: `error_code` reads SQLite's name or the SQLSTATE.

The host's operator reads the errors, in the log or on the command line. Visitors read a `Trouble`, or the `public`
sentence of a `StoreError`: neither contains a path, an address or the text of an exception.
"""

import re
from typing import NamedTuple

from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError, InterfaceError, InternalError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnectionFree


class StoreError(Exception):
    """The store cannot be opened or used. Its message is one line for the host's operator.

    Attributes:
        public: The message for visitors.
    """

    public = "The store of the runs cannot be used as this copy is set up. Its log says why."


class StoreAway(StoreError):
    """The store cannot be opened at the moment; one of `OUTAGES`."""

    public = "The store of the runs cannot be used at the moment. Try again in a moment."


class Superseded(StoreError):
    """A newer attempt has begun, or the run is no longer running. The worker quits, as nothing is wrong."""


#: The database cannot be reached or written to at the moment: it restarts, another program has locked it, its disk is
#: full, or its file is read-only.
OUTAGES = (OperationalError, InterfaceError, InternalError, NoConnectionFree, StoreAway)
#: All errors of a database and of the store.
FAULTS = (DBAPIError, NoConnectionFree, StoreError)


class Trouble(NamedTuple):
    """What is wrong with a database, in words for visitors: half a sentence, and what to do about it."""

    cause: str
    remedy: str


FULL = Trouble("its disk is full", "Make room on that disk, then try again.")
_LOCKED = Trouble("another program has locked it", "Try again when that program is done.")
_READ_ONLY = Trouble("it can only be read", "Allow writing to it, then try again.")
_CROWDED = Trouble("too many ask it at once", "Try again in a moment.")
_CLOSED = Trouble("its file cannot be opened", "Allow this program to open it, then try again.")
_DAMAGED = Trouble("its file is damaged", "Put a good copy in its place, or take it away: a new one is made by itself.")
_DISK = Trouble("its disk cannot be read or written to", "See to that disk, then try again.")
_FORBIDDEN = Trouble("its database does not allow it", "Give its user the right to, then try again.")
_NO_ANSWER = Trouble("it does not answer", "Try again in a moment.")
_OTHER = Trouble("it refuses, and the server's log says why", "Try again in a moment.")

#: Beginnings of SQLite's names of errors, and SQLSTATEs. A connection that PostgreSQL refuses has none: libpq passes on
#: its words alone. So an unknown database and too many connections both count as no answer.
_TROUBLES = {
    "SQLITE_BUSY": _LOCKED, "SQLITE_LOCKED": _LOCKED, "SQLITE_FULL": FULL, "SQLITE_READONLY": _READ_ONLY,
    "SQLITE_PERM": _CLOSED, "SQLITE_AUTH": _CLOSED, "SQLITE_CANTOPEN": _CLOSED, "SQLITE_CORRUPT": _DAMAGED,
    "SQLITE_NOTADB": _DAMAGED, "SQLITE_IOERR": _DISK,
    "53100": FULL, "25006": _READ_ONLY, "55P03": _LOCKED, "42501": _FORBIDDEN, "58030": _DISK, "XX001": _DAMAGED,
    "XX002": _DAMAGED,
}


def trouble_of(error: BaseException) -> Trouble:
    """What is wrong, in words for visitors, for one of `FAULTS`."""
    if isinstance(error, NoConnectionFree):
        return _CROWDED
    if isinstance(error, StoreAway) and isinstance(error.__cause__, DBAPIError):
        error = error.__cause__
    code = error_code(error)
    known = (trouble for beginning, trouble in _TROUBLES.items() if code.startswith(beginning))
    return next(known, _NO_ANSWER if isinstance(error, OUTAGES) else _OTHER)


def one_line(error: BaseException) -> str:
    """The message of an error on one line, without secrets and without the statement that SQLAlchemy repeats."""
    return without_secrets(" ".join(str(getattr(error, "orig", None) or error).split()))


def error_code(error: BaseException) -> str:
    """The database's code of an error, such as `SQLITE_BUSY_SNAPSHOT` or a SQLSTATE; empty if it has none."""
    original = getattr(error, "orig", None) or error
    return str(getattr(original, "sqlite_errorname", None) or getattr(original, "sqlstate", None) or "")


#: The beginning of a reason that is an exception: `ValueError: …`, as `attempt.reason_of` writes it.
_EXCEPTION = re.compile(r"(?:\w+\.)*([A-Z]\w+): ")


def public_reason(reason: str) -> str:
    """Why a run failed, for visitors: only the name of an exception, as its text may contain a path or an address."""
    found = _EXCEPTION.match(reason)
    return f"An error ended it ({found[1]}). The log of this copy says more." if found else reason


# --- passwords -------------------------------------------------------------------------------------------------------

#: The credentials between `://` and a host, and the value after the name of a secret in a URL or connection string.
_CREDENTIALS = re.compile(r"(?<=://)[^\s'\"]*@")
_SECRETS = re.compile(r"(\w*(?:password|passfile|passwd|pwd|secret)\w*\s*=\s*)('(?:[^'\\]|\\.)*'|[^\s&'\"]+)",
                      re.IGNORECASE)


class StoreUrl(str):
    """The URL of a store, whose repr leaves out the password."""

    __slots__ = ()

    def __repr__(self) -> str:
        return repr(without_secrets(self))


def masked(url: URL) -> str:
    """A database's URL for messages: without the password, and without the options, which may contain one."""
    return url.set(query={}).render_as_string(hide_password=True) + ("?…" if url.query else "")


def without_secrets(text: str) -> str:
    """A text with `***` in place of the credentials of an address and of named secrets."""
    return _SECRETS.sub(r"\1***", _CREDENTIALS.sub("***@", text))
