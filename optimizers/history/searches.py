"""Searches and their trials in the history. Written so that a search loses nothing when its process dies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from optimizers.errors import UnknownName
from optimizers.history import tables
from optimizers.history.database import History
from optimizers.history.tables import replace
from optimizers.search.records import Study, StudyState, Trial


class Searches:
    """Reads and writes searches. Safe to use from several threads and processes."""

    def __init__(self, history: History) -> None:
        self._engine = history.engine

    def add(self, study: Study) -> None:
        """Stores a new search."""
        with self._engine.begin() as connection:
            connection.execute(sa.insert(tables.studies), [_row(study)])

    def update(self, study_id: str, *, only_from: Sequence[StudyState] | None = None, **changes: Any) -> Study | None:
        """The search with some fields changed, or None when its state is not one of ``only_from``."""
        column = tables.studies.c
        with self._engine.begin() as connection:
            # Writing first takes the write lock, as in `History.update`.
            connection.execute(sa.update(tables.studies).where(column.id == study_id).values(id=study_id))
            study = self._get(connection, study_id)
            if only_from is not None and study.state not in only_from:
                return None
            study = Study.model_validate({**study.model_dump(), **changes})
            row = _row(study)
            where = sa.update(tables.studies).where(column.id == study_id)
            connection.execute(where.values(state=row["state"], record=row["record"]))
            return study

    def study(self, study_id: str) -> Study:
        """One search. Raises `UnknownName`."""
        with self._engine.connect() as connection:
            return self._get(connection, study_id)

    def studies(
        self,
        *,
        scopes: Sequence[str] | None = None,
        also: Sequence[str] = (),
        states: Sequence[StudyState] | None = None,
    ) -> list[Study]:
        """Searches of these scopes, and those whose ids are in ``also``; newest first."""
        column = tables.studies.c
        wanted: list[sa.ColumnElement[bool]] = [sa.true()]
        if scopes is not None:
            wanted.append(sa.or_(column.scope.in_(list(scopes)), column.id.in_(list(also))))
        if states is not None:
            wanted.append(column.state.in_(list(states)))
        query = sa.select(column.record).where(sa.and_(*wanted)).order_by(column.created_at.desc(), column.id)
        with self._engine.connect() as connection:
            return [Study.model_validate(record) for (record,) in connection.execute(query)]

    def keep(self, trial: Trial) -> Trial:
        """Stores a trial as it is now."""
        key = {"study": trial.study, "number": trial.number}
        with self._engine.begin() as connection:
            replace(connection, tables.trials, key, {"record": trial.model_dump(mode="json")})
        return trial

    def trials(self, study_id: str) -> list[Trial]:
        """All trials of a search, in order."""
        column = tables.trials.c
        query = sa.select(column.record).where(column.study == study_id).order_by(column.number)
        with self._engine.connect() as connection:
            return [Trial.model_validate(record) for (record,) in connection.execute(query)]

    def _get(self, connection: sa.Connection, study_id: str) -> Study:
        query = sa.select(tables.studies.c.record).where(tables.studies.c.id == study_id)
        row = connection.execute(query).first()
        if row is None:
            raise UnknownName(f"There is no search {study_id!r} in this history.")
        return Study.model_validate(row[0])


def _row(study: Study) -> dict[str, Any]:
    return {
        "id": study.id,
        "scope": study.scope,
        "state": study.state,
        "created_at": study.created_at.isoformat(),
        "record": study.model_dump(mode="json"),
    }
