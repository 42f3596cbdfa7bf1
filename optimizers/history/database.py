"""The history: runs and measurements in any SQL database that SQLAlchemy reaches (SQLite in WAL mode by default)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import make_url

from optimizers.errors import UnknownName
from optimizers.records import SHARED, Difference, Failure, Measurement, Run, RunState, Verdict, now

SCHEMA_VERSION = 1
UNFINISHED: tuple[RunState, ...] = ("queued", "running", "interrupted")

_tables = sa.MetaData()

_runs = sa.Table(
    "runs",
    _tables,
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column("scope", sa.String(80), nullable=False, index=True),
    sa.Column("state", sa.String(16), nullable=False, index=True),
    sa.Column("created_at", sa.String(40), nullable=False, index=True),
    sa.Column("record", sa.JSON, nullable=False),
)

_measurements = sa.Table(
    "measurements",
    _tables,
    sa.Column("scope", sa.String(80), primary_key=True),
    sa.Column("artifact_digest", sa.String(64), primary_key=True),
    sa.Column("metric", sa.String(60), primary_key=True),
    sa.Column("version", sa.String(20), primary_key=True),
    sa.Column("dataset_digest", sa.String(64), primary_key=True),
    sa.Column("device", sa.String(200), primary_key=True),
    sa.Column("threads", sa.Integer, primary_key=True),
    sa.Column("record", sa.JSON, nullable=False),
)

_differences = sa.Table(
    "differences",
    _tables,
    sa.Column("scope", sa.String(80), primary_key=True),
    sa.Column("artifact_digest", sa.String(64), primary_key=True),
    sa.Column("baseline_digest", sa.String(64), primary_key=True),
    sa.Column("dataset_digest", sa.String(64), primary_key=True),
    sa.Column("metric", sa.String(60), primary_key=True),
    sa.Column("version", sa.String(20), primary_key=True),
    sa.Column("record", sa.JSON, nullable=False),
)

_verdicts = sa.Table(
    "verdicts",
    _tables,
    sa.Column("scope", sa.String(80), primary_key=True),
    sa.Column("artifact_digest", sa.String(64), primary_key=True),
    sa.Column("baseline_digest", sa.String(64), primary_key=True),
    sa.Column("dataset_digest", sa.String(64), primary_key=True),
    sa.Column("metric", sa.String(60), primary_key=True),
    sa.Column("budget", sa.String(40), primary_key=True),
    sa.Column("record", sa.JSON, nullable=False),
)

_meta = sa.Table("meta", _tables, sa.Column("key", sa.String(40), primary_key=True), sa.Column("value", sa.String(200)))


class History:
    """Reads and writes runs and measurements. Safe to use from several threads and processes."""

    def __init__(self, url: str) -> None:
        parsed = make_url(url)
        if parsed.get_backend_name() == "sqlite" and parsed.database:
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        self.engine = sa.create_engine(url)
        if parsed.get_backend_name() == "sqlite":
            sa.event.listen(self.engine, "connect", _prepare_sqlite)
        _tables.create_all(self.engine)
        with self.engine.begin() as connection:
            if connection.execute(sa.select(_meta.c.value).where(_meta.c.key == "schema")).first() is None:
                _replace(connection, _meta, {"key": "schema"}, {"value": str(SCHEMA_VERSION)})

    def close(self) -> None:
        """Gives the database connections back."""
        self.engine.dispose()

    # runs ---------------------------------------------------------------------------------------------------------

    def add(self, runs: Iterable[Run]) -> None:
        """Stores new runs."""
        rows = [_run_row(run) for run in runs]
        with self.engine.begin() as connection:
            connection.execute(sa.insert(_runs), rows)

    def update(self, run_id: str, *, only_from: Sequence[RunState] | None = None, **changes: Any) -> Run | None:
        """The run with some fields changed, or None when its state is not one of ``only_from``."""
        with self.engine.begin() as connection:
            # Writing first takes the write lock, so that nobody else changes the run between reading and writing it.
            connection.execute(sa.update(_runs).where(_runs.c.id == run_id).values(id=run_id))
            run = self._get(connection, run_id)
            if only_from is not None and run.state not in only_from:
                return None
            run = Run.model_validate({**run.model_dump(), **changes})
            row = _run_row(run)
            query = sa.update(_runs).where(_runs.c.id == run_id)
            connection.execute(query.values({name: row[name] for name in ("scope", "state", "record")}))
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
        limit: int | None = None,
    ) -> list[Run]:
        """Runs that match everything asked for, newest first. Unknown ids are left out."""
        query = sa.select(_runs.c.record).order_by(_runs.c.created_at.desc(), _runs.c.id)
        if ids is not None:
            query = query.where(_runs.c.id.in_(list(ids)))
        if scopes is not None:
            query = query.where(_runs.c.scope.in_(list(scopes)))
        if states is not None:
            query = query.where(_runs.c.state.in_(list(states)))
        if limit is not None:
            query = query.limit(limit)
        with self.engine.connect() as connection:
            return [Run.model_validate(record) for (record,) in connection.execute(query)]

    def _get(self, connection: sa.Connection, run_id: str) -> Run:
        row = connection.execute(sa.select(_runs.c.record).where(_runs.c.id == run_id)).first()
        if row is None:
            raise UnknownName(f"There is no run {run_id!r} in this history.")
        return Run.model_validate(row[0])

    # measurements -------------------------------------------------------------------------------------------------

    def record(self, measurements: Iterable[Measurement]) -> None:
        """Stores measurements; one of the same file, metric, data, device and thread count replaces the older one."""
        with self.engine.begin() as connection:
            for m in measurements:
                key = {name: getattr(m, name) for name in _MEASUREMENT_KEY}
                _replace(connection, _measurements, key, {"record": m.model_dump(mode="json")})

    def forget(self, scope: str, device: str, artifact_digests: Sequence[str]) -> None:
        """Removes what one device measured on some files, in one scope."""
        where = (
            _measurements.c.scope == scope,
            _measurements.c.device == device,
            _measurements.c.artifact_digest.in_(list(artifact_digests)),
        )
        with self.engine.begin() as connection:
            connection.execute(sa.delete(_measurements).where(*where))

    def measurements(self, artifact_digests: Sequence[str], *, scopes: Sequence[str] = (SHARED,)) -> list[Measurement]:
        """All measurements of some files."""
        query = sa.select(_measurements.c.record).where(
            _measurements.c.artifact_digest.in_(list(artifact_digests)), _measurements.c.scope.in_(list(scopes))
        )
        with self.engine.connect() as connection:
            return [Measurement.model_validate(record) for (record,) in connection.execute(query)]

    def record_differences(self, differences: Iterable[Difference]) -> None:
        """Stores paired differences; one of the same two files, data and metric replaces the older one."""
        with self.engine.begin() as connection:
            for d in differences:
                key = {name: getattr(d, name) for name in _DIFFERENCE_KEY}
                _replace(connection, _differences, key, {"record": d.model_dump(mode="json")})

    def differences(self, artifact_digests: Sequence[str], *, scopes: Sequence[str] = (SHARED,)) -> list[Difference]:
        """All paired differences of some files, to whatever baseline and on whatever data."""
        query = sa.select(_differences.c.record).where(
            _differences.c.artifact_digest.in_(list(artifact_digests)), _differences.c.scope.in_(list(scopes))
        )
        with self.engine.connect() as connection:
            return [Difference.model_validate(record) for (record,) in connection.execute(query)]

    def decide(self, verdict: Verdict) -> Verdict:
        """Stores a verdict unless there is one already for the same files, data and budget; gives back the first."""
        key = {name: getattr(verdict, name) for name in _VERDICT_KEY} | {"budget": f"{verdict.budget:.12g}"}
        where = sa.and_(*(_verdicts.c[name] == value for name, value in key.items()))
        try:
            with self.engine.begin() as connection:
                row = connection.execute(sa.select(_verdicts.c.record).where(where)).first()
                if row is None:
                    record = verdict.model_dump(mode="json")
                    connection.execute(sa.insert(_verdicts).values({**key, "record": record}))
                    return verdict
                return Verdict.model_validate(row[0])
        except sa.exc.IntegrityError:  # somebody else was first
            return self.decide(verdict)

    def verdicts(self, dataset_digest: str, *, scopes: Sequence[str] = (SHARED,)) -> list[Verdict]:
        """Everything that was decided on a data set's test part, oldest first."""
        query = sa.select(_verdicts.c.record).where(
            _verdicts.c.dataset_digest == dataset_digest, _verdicts.c.scope.in_(list(scopes))
        )
        with self.engine.connect() as connection:
            found = [Verdict.model_validate(record) for (record,) in connection.execute(query)]
        return sorted(found, key=lambda v: v.decided_at)


_VERDICT_KEY = ("scope", "artifact_digest", "baseline_digest", "dataset_digest", "metric")
_DIFFERENCE_KEY = ("scope", "artifact_digest", "baseline_digest", "dataset_digest", "metric", "version")
_MEASUREMENT_KEY = ("scope", "artifact_digest", "metric", "version", "dataset_digest", "device", "threads")


def _prepare_sqlite(connection: Any, _: Any) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA busy_timeout=30000")
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.close()


def _replace(connection: sa.Connection, table: sa.Table, key: dict[str, Any], values: dict[str, Any]) -> None:
    where = sa.and_(*(table.c[name] == value for name, value in key.items()))
    if connection.execute(sa.update(table).where(where).values(values)).rowcount == 0:
        connection.execute(sa.insert(table).values({**key, **values}))


def _run_row(run: Run) -> dict[str, Any]:
    record = run.model_dump(mode="json")
    created: datetime = run.created_at
    return {
        "id": run.id,
        "scope": run.scope,
        "state": run.state,
        "created_at": created.isoformat(),
        "record": record,
    }
