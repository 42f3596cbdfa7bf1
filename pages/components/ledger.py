"""What survived: zeros, distinct values and types of every layer after every step and in the final file."""

from __future__ import annotations

from collections import Counter

import pandas as pd
import streamlit as st

from optimizers import registry
from optimizers.engine.queue import JobQueue
from optimizers.figures.tradeoff import identities
from optimizers.ledger import Stage, losses, merged, stages_of
from optimizers.records import Run
from pages.components.links import CHOSEN
from pages.components.text import code, escaped


def ledger(queue: JobQueue, frame: pd.DataFrame, runs: list[Run]) -> None:
    """The survival ledger of the chosen file, and what was destroyed on the way; nothing where no survey was kept."""
    row = frame.iloc[identities(frame).index(st.session_state[CHOSEN])]
    run = next((run for run in runs if run.id == row["run_id"]), None)
    artifacts = [queue.store.get(stage.key) for stage in run.stages] if run is not None else []
    stages = stages_of([artifact.report for artifact in artifacts if artifact is not None])
    if not stages:
        return
    st.subheader("What survived", anchor=False)
    st.markdown(
        f"Every layer of {code(str(row['variant']))} after every step: share of zeros, number of distinct values and "
        "type of its weights. The last columns are read from the file that would be deployed."
    )
    lost = losses(stages)
    for loss in lost:
        st.markdown(f":orange[:material/warning:] {escaped(loss.sentence)}")
    if not lost:
        st.markdown(":green[:material/check_circle:] No step destroyed what an earlier one had achieved.")
    st.dataframe(table(stages), alt="Zeros, distinct values and types of every layer after every step", key="ledger")


def table(stages: tuple[Stage, ...]) -> pd.DataFrame:
    """One row per layer of the final file and of what came before; one group of columns per stage."""
    columns: dict[tuple[str, str], dict[str, object]] = {}
    kernels: dict[str, int] = {}
    for stage in stages:
        name = registry.technique(stage.technique).title if stage.technique else "Original"
        parts_of = Counter(row.layer for row in stage.rows)
        for layer, row in merged(stage.rows).items():
            columns.setdefault((name, "zeros"), {})[layer] = f"{row.sparsity:.0%}"
            parts = parts_of[layer]
            split = parts > kernels.setdefault(layer, parts)  # such as an LSTM's, which has one for each gate in a file
            columns.setdefault((name, "values"), {})[layer] = f"{row.unique:,}" + (
                f" in each of {parts}" if split else ""
            )
            columns.setdefault((name, "type"), {})[layer] = row.dtype
    order = dict.fromkeys(layer for stage in stages for layer in merged(stage.rows))
    return pd.DataFrame(columns).reindex(list(order)).fillna("–")
