"""Studies: what was asked, by whom, and whether it is to be trained now. Its runs are runs like any other."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import delete, insert, select, update

from echo_core.store.database import Database, all_rows
from echo_core.store.schema import STUDIES, now


@dataclass(frozen=True)
class StudyRow:
    """A study as the store has it at one moment. Times are seconds since 1970.

    Attributes:
        spec: JSON, as `studies.Study` writes it.
        holder: Who wants it trained now; None while it is paused, and when it is done.
        visitor: Who asked for it first.
    """

    study_id: str
    spec: str
    created_at: float
    asked_at: float
    holder: str | None
    visitor: str


class Studies:
    """All studies; see the module."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def ask(self, study_id: str, spec: str, holder: str) -> None:
        """Have a study trained, whether it is new, paused or done. It is then this holder's."""
        with self._database.write(exclusive=True) as connection:
            known = update(STUDIES).where(STUDIES.c.study_id == study_id).values(holder=holder, asked_at=now())
            if connection.execute(known).rowcount == 0:
                connection.execute(insert(STUDIES).values(
                    study_id=study_id, spec=spec, created_at=now(), asked_at=now(), holder=holder, visitor=holder))

    def rest(self, study_id: str) -> None:
        """Ask for no more of its runs, because it is paused or done."""
        with self._database.write() as connection:
            connection.execute(update(STUDIES).where(STUDIES.c.study_id == study_id).values(holder=None))

    def forget(self, study_id: str) -> None:
        """Take a study out of the list. Its runs stay."""
        with self._database.write() as connection:
            connection.execute(delete(STUDIES).where(STUDIES.c.study_id == study_id))

    def get(self, study_id: str) -> StudyRow | None:
        """One study; None if it is unknown."""
        with self._database.read() as connection:
            row = connection.execute(select(STUDIES).where(STUDIES.c.study_id == study_id)).one_or_none()
        return StudyRow(**row._mapping) if row else None

    def newest(self, visitor: str | None = None, limit: int = 50) -> list[StudyRow]:
        """Studies, newest first: those that a visitor asked for, or all for None."""
        wanted = select(STUDIES).order_by(STUDIES.c.created_at.desc(), STUDIES.c.study_id).limit(limit)
        if visitor is not None:
            wanted = wanted.where(STUDIES.c.visitor == visitor)
        with self._database.read() as connection:
            return [StudyRow(**row._mapping) for row in all_rows(connection, wanted)]

    def held(self, holders: Collection[str]) -> list[StudyRow]:
        """Studies that these holders want trained now, in the order in which they asked."""
        wanted = select(STUDIES).where(STUDIES.c.holder.in_(holders)).order_by(STUDIES.c.asked_at, STUDIES.c.study_id)
        with self._database.read() as connection:
            return [StudyRow(**row._mapping) for row in all_rows(connection, wanted)]
