"""All figures as a table: bars in cells, differences to the baseline, limits kept; checked rows are looked at."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from optimizers import registry
from optimizers.declarations import INSIDE
from optimizers.engine.queue import JobQueue
from optimizers.figures import theme
from optimizers.figures.cells import Column, cells
from optimizers.figures.tradeoff import identities
from optimizers.history.frames import leading, metric_columns
from optimizers.qualifying import Judgement
from optimizers.records import Run
from pages.components import selection
from pages.components.losses import last_losses

_KEY, _IDS = "table", "table_ids"
_DRAWN = "compare_table_drawn"
_MOST_DIMMED = 100
"""Rows up to which those that miss a limit are grey; colouring cells takes long for more."""


def table(queue: JobQueue, frame: pd.DataFrame, runs: list[Run], judgement: Judgement | None) -> None:
    """Draws the table; its checked rows and what is looked at are the same."""
    known, columns = registry.metrics(), metric_columns(frame)
    every = st.toggle("Every metric", key="every_metric", bind="query-params")
    limited = {v.limit.metric for j in judgement.files.values() for v in j.verdicts} if judgement else set()
    shown = [name for name in columns if every or known[name].rank < INSIDE or name in limited]
    lead = leading(frame)
    shown.sort(key=lambda name: (name not in lead, name not in limited, known[name].needs == "predictions"))
    data, told = cells(frame, shown, judgement)
    losses = last_losses(queue, runs)
    config: dict[str, Any] = {name: _column(column) for name, column in told.items()}
    if losses:
        data["Training"] = [losses.get(str(run_id)) for run_id in frame["run_id"]]
        config["Training"] = st.column_config.LineChartColumn(help="Loss by epoch of the last step that trained.")
    st.session_state[_IDS] = ids = identities(frame)
    rows = [ids.index(i) for i in selection.looked_at()]
    st.session_state[_KEY] = {"selection": {"rows": rows}}
    st.session_state[_DRAWN] = rows
    st.dataframe(
        _dimmed(data, judgement), hide_index=True, key=_KEY, on_select=_checked, selection_mode="multi-row",
        column_config=config, placeholder="–", alt="All measurements",
    )  # fmt: skip
    st.caption("Check up to four rows to put them side by side. Bars start at zero.")


def _column(column: Column) -> Any:
    if column.kind == "text":
        return st.column_config.TextColumn(help=column.help or None, pinned=column.pinned)
    if column.kind == "bar":
        return st.column_config.ProgressColumn(
            help=column.help or None, format=column.format, min_value=0.0, max_value=column.top
        )
    return st.column_config.NumberColumn(help=column.help or None, format=column.format)


def _dimmed(data: pd.DataFrame, judgement: Judgement | None) -> Any:
    if judgement is None or len(data) > _MOST_DIMMED:
        return data
    grey = [
        f"color: {theme.NEUTRAL}" if judgement.files[p].state in ("not met", "not measured") else "" for p in data.index
    ]
    return data.style.apply(lambda column: grey, axis=0)


def _checked() -> None:
    rows = st.session_state[_KEY].selection.rows
    if rows == st.session_state.get(_DRAWN):
        return  # the browser tells the rows that it was given, also when something else was changed
    if rows:
        selection.look_at([st.session_state[_IDS][row] for row in rows])
