"""What survived: zeros, distinct values and types of every layer after every step and in the final file."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from optimizers import registry
from optimizers.engine.queue import JobQueue
from optimizers.ledger import Stage, losses, merged, stages_of
from optimizers.records import Run
from pages.components.text import escaped


def ledger(queue: JobQueue, run: Run) -> None:
    """The survival ledger of a run, and what was destroyed on the way; nothing where no survey was kept."""
    artifacts = [queue.store.get(stage.key) for stage in run.stages]
    stages = stages_of([artifact.report for artifact in artifacts if artifact is not None])
    if not stages:
        return
    lost = losses(stages)
    title = f"What survived ({len(lost)} lost)" if lost else "What survived"
    with st.expander(title, key="ledger", icon=":material/warning:" if lost else ":material/verified:"):
        for loss in lost:
            st.markdown(f":orange[:material/warning:] {escaped(loss.sentence)}")
        st.dataframe(
            table(stages), alt="Zeros, distinct values and types of every layer after every step", row_height=28
        )
        st.caption(
            "Share of zeros, number of distinct values and type of each layer's weights. The last columns are read "
            "from the file that would be deployed."
        )


def table(stages: tuple[Stage, ...]) -> pd.DataFrame:
    """One row per layer of the final file and of what came before; one group of columns per stage."""
    columns: dict[tuple[str, str], dict[str, object]] = {}
    for stage in stages:
        name = registry.technique(stage.technique).title if stage.technique else "Original"
        for layer, row in merged(stage.rows).items():
            columns.setdefault((name, "zeros"), {})[layer] = f"{row.sparsity:.0%}"
            columns.setdefault((name, "values"), {})[layer] = f"{row.unique:,}"
            columns.setdefault((name, "type"), {})[layer] = row.dtype
    order = dict.fromkeys(layer for stage in stages for layer in merged(stage.rows))
    return pd.DataFrame(columns).reindex(list(order))
