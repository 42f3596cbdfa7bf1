"""The history: runs and measurements in any SQL database that SQLAlchemy reaches (SQLite in WAL mode by default)."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import make_url

from optimizers.errors import UnknownName, Unreachable, UserError
from optimizers.history import tables
from optimizers.history.tables import replace
from optimizers.records import SHARED, Difference, Failure, Measurement, Run, RunState, Verdict, now

UNFINISHED: tuple[RunState, ...] = ("queued", "running", "interrupted")


class History:
    """Reads and writes runs and measurements. Safe to use from several threads and processes."""

    def __init__(self, url: str) -> None:
        try:
            parsed = make_url(url)
        except sa.exc.ArgumentError:
            raise UserError("PARETOSCOPE_HISTORY is no SQLAlchemy URL; write one or leave it out.") from None
        if parsed.get_backend_name() == "sqlite" and parsed.database:
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        shown = parsed.render_as_string(hide_password=True)
        try:
            self.engine = sa.create_engine(url, pool_pre_ping=parsed.get_backend_name() != "sqlite")
        except (ImportError, sa.exc.ArgumentError) as problem:
            raise UserError(
                f"Nothing that is installed opens the history {shown} ({problem}); install requirements-scale.txt, or "
                "correct PARETOSCOPE_HISTORY."
            ) from None
        if parsed.get_backend_name() == "sqlite":
            sa.event.listen(self.engine, "connect", _prepare_sqlite)
        try:
            tables.prepare(self.engine, words_of)
        except sa.exc.DBAPIError as problem:
            if not away(problem):
                raise
            raise Unreachable(f"The history {shown} does not answer; start its server, or correct its URL.") from None
        self.changes = 0
        """Grows with everything that is written through this object; what others write it does not see."""
        sa.event.listen(self.engine, "commit", self._changed)

    def _changed(self, _: sa.Connection) -> None:
        self.changes += 1

    def ping(self) -> None:
        """Raises what the database raises when it cannot be asked."""
        with self.engine.connect() as connection:
            connection.execute(sa.select(sa.literal(1)))

    def close(self) -> None:
        """Gives the database connections back."""
        self.engine.dispose()

    # runs ---------------------------------------------------------------------------------------------------------

    def add(self, runs: Iterable[Run]) -> None:
        """Stores new runs."""
        rows = [_run_row(run) for run in runs]
        with self.engine.begin() as connection:
            connection.execute(sa.insert(tables.runs), rows)

    def update(self, run_id: str, *, only_from: Sequence[RunState] | None = None, **changes: Any) -> Run | None:
        """The run with some fields changed, or None when its state is not one of ``only_from``."""
        with self.engine.begin() as connection:
            # Writing first takes the write lock, so that nobody else changes the run between reading and writing it.
            connection.execute(sa.update(tables.runs).where(tables.runs.c.id == run_id).values(id=run_id))
            run = self._get(connection, run_id)
            if only_from is not None and run.state not in only_from:
                return None
            run = Run.model_validate({**run.model_dump(), **changes})
            row = _run_row(run)
            query = sa.update(tables.runs).where(tables.runs.c.id == run_id)
            connection.execute(query.values({n: row[n] for n in ("scope", "state", "search", "study", "record")}))
            return run

    def finish(self, run_id: str, state: RunState, failure: Failure | None = None, **changes: Any) -> None:
        """Ends a run, unless it has ended already."""
        self.update(run_id, only_from=UNFINISHED, state=state, failure=failure, finished_at=now(), **changes)

    def run(self, run_id: str) -> Run:
        """One run. Raises `UnknownName`."""
        with self.engine.connect() as connection:
            return self._get(connection, run_id)

    def runs(
        self,
        ids: Sequence[str] | None = None,
        *,
        scopes: Sequence[str] | None = None,
        states: Sequence[RunState] | None = None,
        also: Sequence[str] = (),
        text: str = "",
        study: str | None = "",
        limit: int | None = None,
    ) -> list[Run]:
        """Runs that match everything asked for, newest first. Unknown ids, and runs that were deleted, are left out.

        Args:
            ids, states: Only these.
            scopes: Only these, and runs whose ids are in ``also``.
            also: See ``scopes``.
            text: Words that all occur in recipe, model, data, tags or note.
            study: Trials of that search only; by default none of any, unless they are asked for by id; None for all.
            limit: Most runs.
        """
        query = sa.select(tables.runs.c.record).where(_matching(ids, scopes, states, also, text, study))
        query = query.order_by(tables.runs.c.created_at.desc(), tables.runs.c.id)
        with self.engine.connect() as connection:
            found = connection.execute(query if limit is None else query.limit(limit))
            return [Run.model_validate(record) for (record,) in found]

    def counts(
        self,
        ids: Sequence[str] | None = None,
        *,
        scopes: Sequence[str] | None = None,
        also: Sequence[str] = (),
        text: str = "",
        study: str | None = "",
    ) -> Counter[RunState]:
        """How many runs are in each state, of those that match as in `runs`."""
        column = tables.runs.c.state
        query = (
            sa.select(column, sa.func.count().label("n"))
            .where(_matching(ids, scopes, None, also, text, study))
            .group_by(column)
        )
        with self.engine.connect() as connection:
            return Counter({row.state: row.n for row in connection.execute(query)})

    def annotate(self, run_id: str, *, tags: Sequence[str], note: str) -> Run:
        """Gives a run tags and a note, by which it can be found. Raises `UnknownName`."""
        clean = dict.fromkeys(" ".join(tag.split())[:_LONGEST_TAG] for tag in tags)
        kept = tuple(tag for tag in clean if tag)[:_MOST_TAGS]
        run = self.update(run_id, tags=kept, note=note.strip()[:_LONGEST_NOTE])
        assert run is not None, "no state was asked for"
        return run

    def delete(self, ids: Sequence[str]) -> list[str]:
        """Takes ended runs out of sight, to be swept up later; gives back which. Files and measurements stay."""
        ended = sa.and_(tables.runs.c.id.in_(list(ids)), tables.runs.c.state.not_in(UNFINISHED), ~tables.runs.c.deleted)
        with self.engine.begin() as connection:
            found = [row.id for row in connection.execute(sa.select(tables.runs.c.id).where(ended))]
            connection.execute(sa.update(tables.runs).where(tables.runs.c.id.in_(found)).values(deleted=True))
        return found

    def restore(self, ids: Sequence[str]) -> None:
        """Brings runs back that were deleted and not yet swept up."""
        with self.engine.begin() as connection:
            connection.execute(sa.update(tables.runs).where(tables.runs.c.id.in_(list(ids))).values(deleted=False))

    def sweep(self) -> int:
        """Forgets deleted runs for good; gives back how many."""
        with self.engine.begin() as connection:
            return int(connection.execute(sa.delete(tables.runs).where(tables.runs.c.deleted)).rowcount)

    def raw_rows(self, table: sa.Table) -> list[tuple[dict[str, Any], Any]]:
        """Key and record of every row of a table, deleted runs included, unread: a record may be damaged."""
        names = [column.name for column in table.primary_key]
        with self.engine.connect() as connection:
            rows = connection.execute(sa.select(*table.primary_key, sa.type_coerce(table.c.record, sa.Text)))
            return [(dict(zip(names, row[:-1], strict=True)), _parsed(row[-1])) for row in rows]

    def remove_rows(self, table: sa.Table, keys: Iterable[Mapping[str, Any]]) -> None:
        """Deletes the rows of a table that have these keys."""
        with self.engine.begin() as connection:
            for key in keys:
                where = [table.c[name] == value for name, value in key.items()]
                connection.execute(sa.delete(table).where(*where))

    def _get(self, connection: sa.Connection, run_id: str) -> Run:
        row = connection.execute(sa.select(tables.runs.c.record).where(tables.runs.c.id == run_id)).first()
        if row is None:
            raise UnknownName(f"There is no run {run_id!r} in this history.")
        return Run.model_validate(row[0])

    # measurements -------------------------------------------------------------------------------------------------

    def record(self, measurements: Iterable[Measurement], *, anew: bool = False) -> None:
        """Stores measurements; one of the same file, metric, data, device and thread count replaces the older one.

        Where they were taken ``anew``, older ones of the same file and place go even if there are no new ones for them.
        """
        measurements = list(measurements)
        with self.engine.begin() as connection:
            for place in {tuple(getattr(m, name) for name in _PLACE) for m in measurements if anew}:
                column = tables.measurements.c
                where = (column[name] == value for name, value in zip(_PLACE, place, strict=True))
                connection.execute(sa.delete(tables.measurements).where(*where))
            for m in sorted(measurements, key=lambda m: (m.artifact_digest, m.metric)):  # in one order: no deadlocks
                key = {name: getattr(m, name) for name in _MEASUREMENT_KEY}
                replace(connection, tables.measurements, key, {"record": m.model_dump(mode="json")})

    def forget(self, scope: str, device: str, artifact_digests: Sequence[str]) -> None:
        """Removes what one device measured on some files, in one scope."""
        where = (
            tables.measurements.c.scope == scope,
            tables.measurements.c.device == device,
            tables.measurements.c.artifact_digest.in_(list(artifact_digests)),
        )
        with self.engine.begin() as connection:
            connection.execute(sa.delete(tables.measurements).where(*where))

    def measurements(self, artifact_digests: Sequence[str], *, scopes: Sequence[str] = (SHARED,)) -> list[Measurement]:
        """All measurements of some files."""
        query = sa.select(tables.measurements.c.record).where(
            tables.measurements.c.artifact_digest.in_(list(artifact_digests)),
            tables.measurements.c.scope.in_(list(scopes)),
        )
        with self.engine.connect() as connection:
            return [Measurement.model_validate(record) for (record,) in connection.execute(query)]

    def measured_digests(self, metric: str = "") -> set[str]:
        """Files of which that metric (or any) was measured, in whatever scope."""
        column = tables.measurements.c
        query = sa.select(column.artifact_digest).distinct()
        with self.engine.connect() as connection:
            return set(connection.execute(query.where(column.metric == metric) if metric else query).scalars())

    def forget_files(self, artifact_digests: Sequence[str]) -> None:
        """Removes everything measured on some files, on all devices. Verdicts stay: the first one counts for ever."""
        with self.engine.begin() as connection:
            for digest in artifact_digests:
                for table in (tables.measurements, tables.differences):
                    connection.execute(sa.delete(table).where(table.c.artifact_digest == digest))

    def record_differences(self, differences: Iterable[Difference]) -> None:
        """Stores paired differences; one of the same two files, data and metric replaces the older one."""
        with self.engine.begin() as connection:
            for d in sorted(differences, key=lambda d: (d.artifact_digest, d.metric)):
                key = {name: getattr(d, name) for name in _DIFFERENCE_KEY}
                replace(connection, tables.differences, key, {"record": d.model_dump(mode="json")})

    def differences(self, artifact_digests: Sequence[str], *, scopes: Sequence[str] = (SHARED,)) -> list[Difference]:
        """All paired differences of some files, to whatever baseline and on whatever data."""
        query = sa.select(tables.differences.c.record).where(
            tables.differences.c.artifact_digest.in_(list(artifact_digests)),
            tables.differences.c.scope.in_(list(scopes)),
        )
        with self.engine.connect() as connection:
            return [Difference.model_validate(record) for (record,) in connection.execute(query)]

    def decide(self, verdict: Verdict) -> Verdict:
        """Stores a verdict unless there is one already for the same files, data and budget; gives back the first."""
        key = {name: getattr(verdict, name) for name in _VERDICT_KEY} | {"budget": f"{verdict.budget:.12g}"}
        where = sa.and_(*(tables.verdicts.c[name] == value for name, value in key.items()))
        with self.engine.connect() as connection:
            row = connection.execute(sa.select(tables.verdicts.c.record).where(where)).first()
        if row is not None:
            return Verdict.model_validate(row[0])
        try:
            with self.engine.begin() as connection:
                record = verdict.model_dump(mode="json")
                connection.execute(sa.insert(tables.verdicts).values({**key, "record": record}))
                return verdict
        except sa.exc.IntegrityError:  # somebody else was first
            return self.decide(verdict)

    def verdicts(self, dataset_digest: str, *, scopes: Sequence[str] = (SHARED,)) -> list[Verdict]:
        """Everything that was decided on a data set's test part, oldest first."""
        query = sa.select(tables.verdicts.c.record).where(
            tables.verdicts.c.dataset_digest == dataset_digest, tables.verdicts.c.scope.in_(list(scopes))
        )
        with self.engine.connect() as connection:
            found = [Verdict.model_validate(record) for (record,) in connection.execute(query)]
        return sorted(found, key=lambda v: v.decided_at)


def _matching(
    ids: Sequence[str] | None,
    scopes: Sequence[str] | None,
    states: Sequence[RunState] | None,
    also: Sequence[str],
    text: str,
    study: str | None,
) -> sa.ColumnElement[bool]:
    column, wanted = tables.runs.c, [~tables.runs.c.deleted]
    if ids is not None:
        wanted.append(column.id.in_(list(ids)))
    elif study is not None:
        wanted.append(column.study == study)
    if scopes is not None:
        wanted.append(sa.or_(column.scope.in_(list(scopes)), column.id.in_(list(also))))
    if states is not None:
        wanted.append(column.state.in_(list(states)))
    wanted += [column.search.contains(word, autoescape=True) for word in text.lower().split()]
    return sa.and_(*wanted)


def away(problem: BaseException) -> bool:
    """Whether an error means that the database server does not answer, so that the same may succeed later."""
    if not isinstance(problem, sa.exc.DBAPIError) or isinstance(problem.orig, sqlite3.Error):
        return False
    return problem.connection_invalidated or isinstance(problem, sa.exc.OperationalError | sa.exc.InterfaceError)


def words_of(record: Mapping[str, Any]) -> str:
    """What a run can be found by."""
    words = [record["recipe"], record["model"]["name"], record["dataset"]["name"]]
    return "\n".join([*words, *record.get("tags", ()), record.get("note", "")]).lower()


def _parsed(text: Any) -> Any:
    """A record from its column, as the database gives it; None where it is no JSON."""
    if not isinstance(text, str):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return None


_LONGEST_TAG, _MOST_TAGS, _LONGEST_NOTE = 40, 20, 2000
_VERDICT_KEY = ("scope", "artifact_digest", "baseline_digest", "dataset_digest", "metric")
_DIFFERENCE_KEY = ("scope", "artifact_digest", "baseline_digest", "dataset_digest", "metric", "version")
_PLACE = ("scope", "artifact_digest", "device", "threads")
_MEASUREMENT_KEY = ("scope", "artifact_digest", "metric", "version", "dataset_digest", "device", "threads")


def _prepare_sqlite(connection: Any, _: Any) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA busy_timeout=30000")
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.close()


def _run_row(run: Run) -> dict[str, Any]:
    record = run.model_dump(mode="json")
    created: datetime = run.created_at
    return {
        "id": run.id,
        "scope": run.scope,
        "state": run.state,
        "created_at": created.isoformat(),
        "search": words_of(record),
        "study": run.study,
        "record": record,
    }
