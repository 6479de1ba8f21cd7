"""Studies: what was asked, by whom, and who wants it trained now. Its runs are runs like any other.

Whoever asks for a study has it in their list until they take it out, and it is trained while one of them wants that. So
nobody can pause or remove the study of another, and two who ask the same share its runs.
"""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, delete, insert, select, update

from echo_core.store.database import Database, all_rows
from echo_core.store.schema import STUDIES, STUDY_ASKERS, now


@dataclass(frozen=True)
class StudyRow:
    """A study as the store has it at one moment. Times are seconds since 1970.

    Attributes:
        spec: JSON, as `studies.Study` writes it.
        visitors: Everybody who asked for it and has it in their list, in the order in which they last asked.
        holders: Of these, who want it trained now; nobody while it is paused, and when it is done.
    """

    study_id: str
    spec: str
    created_at: float
    visitors: tuple[str, ...] = ()
    holders: tuple[str, ...] = ()

    @property
    def is_wanted(self) -> bool:
        """Whether anybody wants it trained."""
        return bool(self.holders)


class Studies:
    """All studies; see the module."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def ask(self, study_id: str, spec: str, visitor: str) -> None:
        """Have a study trained, whether it is new, paused or done. It is then in this visitor's list, too."""
        mine = (STUDY_ASKERS.c.study_id == study_id) & (STUDY_ASKERS.c.visitor == visitor)
        with self._database.write(exclusive=True) as connection:
            if not connection.execute(select(STUDIES.c.study_id).where(STUDIES.c.study_id == study_id)).first():
                connection.execute(insert(STUDIES).values(study_id=study_id, spec=spec, created_at=now()))
            connection.execute(delete(STUDY_ASKERS).where(mine))
            connection.execute(insert(STUDY_ASKERS).values(
                study_id=study_id, visitor=visitor, asked_at=now(), wants=True))

    def rest(self, study_id: str, visitor: str | None = None) -> None:
        """Note that a visitor does not want it trained any more; for None nobody does, as when it is done."""
        with self._database.write() as connection:
            connection.execute(update(STUDY_ASKERS).where(_asked(study_id, visitor)).values(wants=False))

    def forget(self, study_id: str, visitor: str | None = None) -> None:
        """Take a study out of a visitor's list, or for None out of all; it goes with the last one. Its runs stay."""
        with self._database.write(exclusive=True) as connection:
            connection.execute(delete(STUDY_ASKERS).where(_asked(study_id, visitor)))
            left = select(STUDY_ASKERS.c.study_id).where(STUDY_ASKERS.c.study_id == study_id)
            connection.execute(delete(STUDIES).where(STUDIES.c.study_id == study_id, ~left.exists()))

    def get(self, study_id: str) -> StudyRow | None:
        """One study; None if it is unknown."""
        with self._database.read(consistent=True) as connection:
            return next(iter(_rows(connection, STUDIES.c.study_id == study_id, 1)), None)

    def newest(self, visitor: str | None = None, limit: int = 50) -> list[StudyRow]:
        """Studies, newest first: those that a visitor asked for, or all for None."""
        mine = select(STUDY_ASKERS.c.study_id).where(STUDY_ASKERS.c.visitor == visitor)
        with self._database.read(consistent=True) as connection:
            return _rows(connection, STUDIES.c.study_id.in_(mine) if visitor is not None else None, limit)

    def held(self, holders: Collection[str]) -> list[StudyRow]:
        """Studies that one of these holders wants trained now, in the order in which they asked."""
        wanted = select(STUDY_ASKERS.c.study_id).where(STUDY_ASKERS.c.visitor.in_(holders), STUDY_ASKERS.c.wants)
        with self._database.read(consistent=True) as connection:
            asked = wanted.order_by(STUDY_ASKERS.c.asked_at, STUDY_ASKERS.c.study_id)
            order = list(dict.fromkeys(row.study_id for row in all_rows(connection, asked)))
            return sorted(_rows(connection, STUDIES.c.study_id.in_(order)), key=lambda row: order.index(row.study_id))


def _asked(study_id: str, visitor: str | None) -> ColumnElement[bool]:
    of_study = STUDY_ASKERS.c.study_id == study_id
    return of_study if visitor is None else of_study & (STUDY_ASKERS.c.visitor == visitor)


def _rows(connection: Connection, which: ColumnElement[bool] | None = None, limit: int | None = None) -> list[StudyRow]:
    wanted = select(STUDIES).order_by(STUDIES.c.created_at.desc(), STUDIES.c.study_id).limit(limit)
    found = all_rows(connection, wanted if which is None else wanted.where(which))
    askers: dict[str, list[tuple[str, bool]]] = {row.study_id: [] for row in found}
    by_time = select(STUDY_ASKERS).order_by(STUDY_ASKERS.c.asked_at, STUDY_ASKERS.c.visitor)
    for row in all_rows(connection, by_time.where(STUDY_ASKERS.c.study_id.in_(askers))):
        askers[row.study_id].append((row.visitor, row.wants))
    return [StudyRow(row.study_id, row.spec, row.created_at, tuple(visitor for visitor, _ in askers[row.study_id]),
                     tuple(visitor for visitor, wants in askers[row.study_id] if wants)) for row in found]
