"""Tables of the history, and how a database of an earlier version becomes one of this."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from optimizers.errors import UserError

SCHEMA_VERSION = 3

tables = sa.MetaData()

runs = sa.Table(
    "runs",
    tables,
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column("scope", sa.String(80), nullable=False, index=True),
    sa.Column("state", sa.String(16), nullable=False, index=True),
    sa.Column("created_at", sa.String(40), nullable=False, index=True),
    sa.Column("deleted", sa.Boolean, nullable=False, default=False, server_default=sa.false()),
    sa.Column("search", sa.Text, nullable=False, default="", server_default=""),
    sa.Column("study", sa.String(40), nullable=False, default="", server_default="", index=True),
    sa.Column("record", sa.JSON, nullable=False),
)
"""``search`` has the words by which a run can be found, in small letters; ``deleted`` ones come back until swept up.
``study`` is the id of the search that a run is a trial of, empty for all that people asked for themselves."""

studies = sa.Table(
    "searches",
    tables,
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column("scope", sa.String(80), nullable=False, index=True),
    sa.Column("state", sa.String(16), nullable=False, index=True),
    sa.Column("created_at", sa.String(40), nullable=False, index=True),
    sa.Column("record", sa.JSON, nullable=False),
)

trials = sa.Table(
    "search_trials",
    tables,
    sa.Column("study", sa.String(40), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("record", sa.JSON, nullable=False),
)

measurements = sa.Table(
    "measurements",
    tables,
    sa.Column("scope", sa.String(80), primary_key=True),
    sa.Column("artifact_digest", sa.String(64), primary_key=True),
    sa.Column("metric", sa.String(60), primary_key=True),
    sa.Column("version", sa.String(20), primary_key=True),
    sa.Column("dataset_digest", sa.String(64), primary_key=True),
    sa.Column("device", sa.String(200), primary_key=True),
    sa.Column("threads", sa.Integer, primary_key=True),
    sa.Column("record", sa.JSON, nullable=False),
)

differences = sa.Table(
    "differences",
    tables,
    sa.Column("scope", sa.String(80), primary_key=True),
    sa.Column("artifact_digest", sa.String(64), primary_key=True),
    sa.Column("baseline_digest", sa.String(64), primary_key=True),
    sa.Column("dataset_digest", sa.String(64), primary_key=True),
    sa.Column("metric", sa.String(60), primary_key=True),
    sa.Column("version", sa.String(20), primary_key=True),
    sa.Column("record", sa.JSON, nullable=False),
)

verdicts = sa.Table(
    "verdicts",
    tables,
    sa.Column("scope", sa.String(80), primary_key=True),
    sa.Column("artifact_digest", sa.String(64), primary_key=True),
    sa.Column("baseline_digest", sa.String(64), primary_key=True),
    sa.Column("dataset_digest", sa.String(64), primary_key=True),
    sa.Column("metric", sa.String(60), primary_key=True),
    sa.Column("budget", sa.String(40), primary_key=True),
    sa.Column("record", sa.JSON, nullable=False),
)

leases = sa.Table(
    "leases",
    tables,
    sa.Column("name", sa.String(120), primary_key=True),
    sa.Column("holder", sa.String(64), nullable=False, index=True),
    sa.Column("expires", sa.Double, nullable=False),
)
"""Locks between hosts, see `optimizers.engine.locks`; ``expires`` is in seconds of the database's clock."""

meta = sa.Table("meta", tables, sa.Column("key", sa.String(40), primary_key=True), sa.Column("value", sa.String(200)))


def prepare(engine: sa.Engine, words: Callable[[dict[str, Any]], str]) -> None:
    """Makes the tables, or adds what an earlier version lacked. Several processes may do so at once.

    Args:
        engine: Of the database.
        words: From a run's record to what it can be found by.
    """
    _create(engine)
    with engine.connect() as connection:
        known = connection.execute(sa.select(meta.c.value).where(meta.c.key == "schema")).scalar()
    if known is not None and int(known) > SCHEMA_VERSION:
        raise UserError(
            f"This history was written by a newer version of the app (schema {known}, this one knows "
            f"{SCHEMA_VERSION}); update the app, or choose another PARETOSCOPE_HOME."
        )
    if known is None or int(known) < SCHEMA_VERSION:
        _add_columns(engine, words)
    with engine.begin() as connection:
        replace(connection, meta, {"key": "schema"}, {"value": str(SCHEMA_VERSION)})


def _create(engine: sa.Engine, attempts: int = 5) -> None:
    """Makes the tables that are missing. They are looked for and then made, so somebody else may be first."""
    try:
        tables.create_all(engine)
    except sa.exc.DBAPIError:
        if attempts == 1:
            raise
        time.sleep(0.05)
        _create(engine, attempts - 1)


def _add_columns(engine: sa.Engine, words: Callable[[dict[str, Any]], str]) -> None:
    """Version 2: runs can be found by words and deleted. Version 3: they can be trials of a search."""
    for column in (runs.c.deleted, runs.c.search, runs.c.study):
        if column.name in {found["name"] for found in sa.inspect(engine).get_columns("runs")}:
            continue
        declared = sa.schema.CreateColumn(column).compile(dialect=engine.dialect)
        try:
            with engine.begin() as connection:
                connection.execute(sa.text(f"ALTER TABLE runs ADD COLUMN {declared}"))
        except sa.exc.DBAPIError:  # somebody else was first
            if column.name not in {found["name"] for found in sa.inspect(engine).get_columns("runs")}:
                raise
    for index in runs.indexes:
        with contextlib.suppress(sa.exc.DBAPIError):  # somebody else was first
            index.create(engine, checkfirst=True)
    with engine.begin() as connection:
        for run_id, record in connection.execute(sa.select(runs.c.id, runs.c.record)).all():
            told = json.loads(record) if isinstance(record, str) else record
            connection.execute(sa.update(runs).where(runs.c.id == run_id).values(search=words(told)))


def replace(connection: sa.Connection, table: sa.Table, key: dict[str, Any], values: dict[str, Any]) -> None:
    """Writes the row of that key, whether or not there is one, also when somebody else does so at the same time."""
    insert: Any = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}.get(connection.dialect.name)
    if insert is not None:
        row = insert(table).values({**key, **values})
        connection.execute(row.on_conflict_do_update(index_elements=list(key), set_=values))
        return
    where = sa.and_(*(table.c[name] == value for name, value in key.items()))
    if connection.execute(sa.update(table).where(where).values(values)).rowcount == 0:
        connection.execute(sa.insert(table).values({**key, **values}))
