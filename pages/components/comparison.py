"""The comparison as charts, highlights and a table; all of them share which file is looked at."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

import pandas as pd
import streamlit as st

from optimizers import registry
from optimizers.figures import format as fmt
from optimizers.figures import theme
from optimizers.figures.bars import bars
from optimizers.figures.names import names
from optimizers.figures.tradeoff import against, identity, speedup_of, tradeoff
from optimizers.history.frames import headline, metric_columns
from pages.components.links import CHOSEN, FILE

if TYPE_CHECKING:
    from pandas.io.formats.style import Styler

_FIRST_BARS = ("size_bytes", "compressed_bytes", "latency_ms")


def identities(frame: pd.DataFrame) -> list[str]:
    """What each row of a comparison is known by."""
    return [identity(row) for _, row in frame.iterrows()]


def settle_choice(frame: pd.DataFrame) -> None:
    """Makes sure that the file looked at is one of those compared; at first the one in the address or a variant."""
    ids = identities(frame)
    if st.session_state.get(CHOSEN) not in ids:
        asked = st.query_params.get(FILE, "")
        variants = [i for i, base in zip(ids, frame["is_baseline"], strict=True) if not base]
        st.session_state[CHOSEN] = asked if asked in ids else (variants or ids)[0]


def highlights(frame: pd.DataFrame) -> None:
    """The best variant in size, speed and quality, each with its difference to the baseline."""
    known, quality = registry.metrics(), headline(frame)
    variants = frame[~frame["is_baseline"].astype(bool)]
    wanted = [("Smallest", "size_bytes"), ("Fastest", "latency_ms"), ("Best " + _lower(quality), quality)]
    shown = [(word, name) for word, name in wanted if name and name in frame and variants[name].notna().any()]
    called = dict(zip(frame.index, names(frame), strict=True))
    if not shown or len(variants) < 2:
        return
    for place, (word, name) in zip(st.columns(len(shown)), shown, strict=True):
        metric = known[name]
        best = variants[name].idxmin() if metric.direction == "lower" else variants[name].idxmax()
        row = frame.loc[best]
        change = fmt.change(metric, row.get(f"{name}_change"), speedup_of(row))
        place.metric(
            f"{word}: {called[best]}", fmt.value(metric, row[name]), change or None, border=True,
            delta_color=_colour(metric.direction, row, name, change), delta_arrow="off",
        )  # fmt: skip


def _lower(name: str | None) -> str:
    title = registry.metrics()[name].title if name else ""
    return title if title[:2].isupper() else title.lower()


def _colour(direction: str, row: pd.Series, name: str, words: str) -> Any:
    change, low, high = (row.get(f"{name}_change{suffix}") for suffix in ("", "_low", "_high"))
    if change is None or fmt.missing(change) or change == 0 or words.startswith(("same", "±", fmt.INDISTINGUISHABLE)):
        return "off"
    if low is not None and high is not None and low <= 0 <= high:
        return "off"  # no difference is proven
    return "green" if (change < 0) == (direction == "lower") else "red"


def chart(frame: pd.DataFrame) -> None:
    """Two metrics against each other, to be chosen; a click on a point looks at that file."""
    known, columns = registry.metrics(), metric_columns(frame)
    quality = headline(frame)
    x, y, size = _axes(columns, quality)
    st.plotly_chart(
        tradeoff(frame, x, y, size=size, chosen=st.session_state.get(CHOSEN, "")),
        config=theme.CONFIG, key="tradeoff", on_select=_clicked, selection_mode="points",
        alt=f"{known[y].title} against {known[x].title.lower()}, one point per file, also in the table below",
    )  # fmt: skip
    st.caption("Click a point for its recipe, its steps and its file.")


def _axes(columns: list[str], quality: str | None) -> tuple[str, str, str | None]:
    known = registry.metrics()
    defaults = {"x": "size_bytes", "y": quality or columns[0]}
    chosen = {}
    for place, (axis, label) in zip(
        st.columns(3), (("x", "Across"), ("y", "Up"), ("size", "Marker size")), strict=True
    ):
        options: list[str | None] = list(columns) if axis != "size" else [None, *columns]
        default = defaults.get(axis, "latency_ms")
        index = options.index(default) if default in options else 0
        chosen[axis] = place.selectbox(
            label, options, index, key=axis, format_func=lambda n: known[n].title if n else "All alike",
            bind="query-params",
        )  # fmt: skip
    return str(chosen["x"]), str(chosen["y"]), chosen["size"]


def _clicked() -> None:
    points = st.session_state["tradeoff"].selection.points
    ids = [point["customdata"] for point in points if point.get("customdata")]
    if ids:
        first = ids[0]
        st.session_state[CHOSEN] = (
            first[0] if isinstance(first, list | tuple) else first["0"] if isinstance(first, dict) else first
        )


def bar_charts(frame: pd.DataFrame) -> None:
    """One chart per metric, two in a row."""
    known, columns = registry.metrics(), metric_columns(frame)
    first = [name for name in (headline(frame), *_FIRST_BARS) if name in columns]
    picked = st.pills(
        "Metrics",
        columns,
        selection_mode="multi",
        default=first,
        key="bar_metrics",
        format_func=lambda n: known[n].title,
    )
    for start in range(0, len(picked), 2):
        for place, name in zip(st.columns(2, gap="large"), picked[start : start + 2], strict=False):
            place.plotly_chart(
                bars(frame, name), config=theme.CONFIG | {"staticPlot": False}, key=f"bars-{name}",
                alt=f"{known[name].title} of every file, {theme.better(known[name])}",
            )  # fmt: skip
            place.caption(known[name].help)


def table(frame: pd.DataFrame) -> None:
    """All figures and differences, to be sorted; a click on a row looks at that file."""
    st.session_state["table_ids"] = identities(frame)
    st.dataframe(
        table_data(frame), hide_index=True, key="table", on_select=_row_clicked, selection_mode="single-row",
        column_config={"Variant": st.column_config.TextColumn(pinned=True)}, placeholder="–", alt="All measurements",
    )  # fmt: skip


def table_data(frame: pd.DataFrame) -> Styler:
    """Numbers that sort as numbers and read as sentences: values with units, differences like ``4.0x smaller``."""
    known = registry.metrics()
    shown = pd.DataFrame({"Variant": names(frame, full=True)}, index=frame.index)
    texts: dict[tuple[Hashable, str], str] = {}
    for name in metric_columns(frame):
        metric = known[name]
        beside = f"{metric.title} vs. baseline"
        shown[metric.title] = frame[name].astype(float)
        shown[beside] = frame[f"{name}_change"].astype(float).mask(frame["is_baseline"].astype(bool))
        for place, row in frame.iterrows():
            texts[place, metric.title] = fmt.value(metric, row[name])
            texts[place, beside] = "" if row["is_baseline"] else against(metric, row)
        if not any(texts[place, beside] for place in frame.index):
            shown = shown.drop(columns=beside)
    styled = shown.style
    for (place, column), text in texts.items():
        if column in shown and text and text != fmt.NOT_MEASURED:
            styled = styled.format(lambda _, words=text: words, subset=([place], [column]))
    return styled


def _row_clicked() -> None:
    rows = st.session_state["table"].selection.rows
    if rows:
        st.session_state[CHOSEN] = st.session_state["table_ids"][rows[0]]
