"""The layers of a model, as a table and as a graph."""

from __future__ import annotations

from typing import cast

import pandas as pd
import streamlit as st

from optimizers.figures import architecture as figures
from optimizers.figures.architecture import Measure
from optimizers.figures.theme import CONFIG
from optimizers.records import ModelSummary

_MEASURES = {"parameters": "Parameters", "macs": "Multiply-accumulates"}
_WINDOW = 560


def architecture(summary: ModelSummary) -> None:
    """The table, or where it is known how layers are joined, a choice between table and graph."""
    parts = figures.parts(summary.layers)
    if not parts:
        _table(summary)
        return
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        shown = st.segmented_control("Show", ["Graph", "Table"], default="Graph", required=True, key="layers_as")
        if shown == "Graph":
            known = [name for name in _MEASURES if name == "parameters" or any(row.macs for row in summary.layers)]
            measure = st.segmented_control(
                "Colour", known, default=known[0], required=True, key="layers_by", format_func=_MEASURES.__getitem__,
            )  # fmt: skip
            path = st.selectbox("Part", parts, key="layers_part", format_func=_part) if len(parts) > 1 else parts[0]
    if shown == "Table":
        _table(summary)
        return
    figure = figures.architecture(summary.layers, cast(Measure, measure or "parameters"), path)
    tall = figure.layout.height > _WINDOW
    with st.container(height=_WINDOW if tall else "content", border=tall):
        st.plotly_chart(figure, config=CONFIG | {"scrollZoom": False}, key="layers_graph", alt="Layers as a graph")


def _part(path: str) -> str:
    return path or "The whole model"


def _table(summary: ModelSummary) -> None:
    rows = [
        {
            "Layer": f"{layer.path}/{layer.name}" if layer.path else layer.name,
            "Kind": layer.kind,
            "Output": " × ".join("any" if size is None else str(size) for size in layer.output_shape),
            "Parameters": layer.parameters,
            "Multiply-accumulates": layer.macs,
        }
        for layer in summary.layers
    ]
    frame = pd.DataFrame(rows)
    if frame["Multiply-accumulates"].isna().all():
        frame = frame.drop(columns="Multiply-accumulates")
    bars = {
        name: st.column_config.ProgressColumn(
            format="localized", min_value=0, max_value=max(1, int(frame[name].max(skipna=True)))
        )
        for name in ("Parameters", "Multiply-accumulates")
        if name in frame
    }
    st.dataframe(frame, hide_index=True, column_config=bars, alt="Layers of the model")
