"""What is asked in a race: a drawing, a picture, a row of numbers, or an example of the data."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from optimizers.datasets.formats import csv_table
from optimizers.datasets.shaping import COLOURS, is_plain_image
from optimizers.engine import racing
from optimizers.engine.queue import JobQueue
from optimizers.engine.racing import Racer
from optimizers.errors import DataRefused
from optimizers.live.examples import encoding_of
from optimizers.live.given import MOST_PICTURE_BYTES, SIDE, Drawing, Given, Numbered, Picture, Row
from optimizers.records import DatasetSummary
from pages.components.text import escaped

_ASSETS = Path("pages/assets/race")
_WAY, _NUMBER, _PICTURE = "ask", "example", "race_picture"
_TITLES = {"draw": "Draw", "upload": "Picture", "row": "Row", "test": "Example"}
_MOST_FEATURES, _MOST_CSV_BYTES = 60, 1_000_000
_MANY, _TALL = 10, 520


@st.cache_resource
def _pad() -> Callable[..., Any]:
    """Registered once: Streamlit complains about a second time."""
    sources = {kind: (_ASSETS / f"pad.{kind}").read_text(encoding="utf-8") for kind in ("html", "css", "js")}
    return st.components.v2.component("race_pad", **sources)


def ask(queue: JobQueue, racers: Sequence[Racer], data: DatasetSummary, *, own: bool) -> Given | None:
    """Draws the choice and what belongs to it; None where nothing was given so far.

    Args:
        racers: Who will answer.
        data: What they were made for.
        own: Whether the visitor may see examples of the data.
    """
    ways = _ways(data, own=own)
    if not ways:
        st.info("Whoever brought these data can race their examples; you can look at the results on Compare.")
        return None
    way = _way(ways)
    if data.n_test and not own:
        st.caption("Only whoever brought these data can race their examples.")
    if way == "draw":
        ink = _pad()(key="race_pad", data={}, on_ink_change=lambda: None).ink
        return Drawing(ink=ink) if isinstance(ink, str) and len(ink) == 2 * SIDE * SIDE else None
    if way == "upload":
        return _uploaded(queue)
    if way == "row":
        return _row(data, own=own)
    return _numbered(queue, racers, data)


def _ways(data: DatasetSummary, *, own: bool) -> list[str]:
    shape = data.input_shape
    if data.inputs:
        found = []
    elif (len(shape) == 3 and shape[-1] in COLOURS) or is_plain_image(shape):
        found = ["draw", "upload"]
    elif len(shape) == 1 and shape[0] <= _MOST_FEATURES and not data.input_dtype.startswith(("int", "uint")):
        found = ["row"]
    else:
        found = []
    return [*found, *(["test"] if own and data.n_test else [])]


def _way(ways: list[str]) -> str:
    """The chosen way, which is part of the address."""
    if st.session_state.get(_WAY) not in ways:
        asked = st.query_params.get(_WAY, "")
        st.session_state[_WAY] = asked if asked in ways else ways[0]
    chosen = st.pills("What is asked", ways, required=True, key=_WAY, format_func=_TITLES.__getitem__)
    chosen = chosen or ways[0]
    st.query_params[_WAY] = chosen
    return chosen


def _uploaded(queue: JobQueue) -> Given | None:
    file = st.file_uploader(
        "A picture", type=["png", "jpg", "jpeg", "webp", "bmp", "gif"], max_upload_size=MOST_PICTURE_BYTES // 10**6,
        key="race_file", help="Its middle is cut out in the proportions of the model's input.",
    )  # fmt: skip
    if file is None:
        return None
    inverted = st.toggle("Swap light and dark", help="For data that are light on dark, when the picture is not.")
    content = file.getvalue()
    known = st.session_state.get(_PICTURE)
    digest = hashlib.sha256(content).hexdigest()
    if known is None or known[0] != digest:
        with st.spinner("Opening the picture …"):
            known = digest, racing.picture(queue.driver, content, file.name)
        st.session_state[_PICTURE] = known
    picture: Picture = known[1]
    return picture.model_copy(update={"inverted": inverted})


def _numbered(queue: JobQueue, racers: Sequence[Racer], data: DatasetSummary) -> Given:
    last = data.n_test - 1
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.button("Any", icon=":material/casino:", on_click=lambda: _show(secrets.randbelow(data.n_test)))
        number = st.number_input("Number in the test part", 0, last, key=_NUMBER, bind="query-params", width=180)
    differ = racing.disagreements(queue.driver, racers)
    if differ:
        following = next((i for i in differ if i > number), differ[0])
        st.button(
            f"Next of {len(differ):,} on which they differ", icon=":material/compare_arrows:",
            on_click=_show, args=(following,),
        )  # fmt: skip
    st.caption("Test examples are for looking; choose nothing by single ones.")
    return Numbered(number=int(number))


def _show(number: int) -> None:
    st.session_state[_NUMBER] = number


def _row(data: DatasetSummary, *, own: bool) -> Given | None:
    encoding = encoding_of(data)
    columns = list(dict.fromkeys(str(feature["column"]) for feature in encoding))
    file = st.file_uploader("A row from a CSV file, or type it below", type=["csv"], max_upload_size=1, key="race_row")
    first = _first_of(file.getvalue(), columns) if file is not None else _example(data, columns) if own else {}
    values: dict[str, Any] = {}
    wrong: list[str] = []
    with st.container(height=_TALL if len(columns) > _MANY else "content", border=False):
        for column in columns:
            options = [str(f["category"]) for f in encoding if f["column"] == column and "category" in f]
            key, start = f"race_cell:{column}:{file.file_id if file else ''}", first.get(column)
            if options:
                place = options.index(str(start)) if str(start) in options else None
                if place is None and start is not None:
                    wrong.append(f"{column} is one of {', '.join(options[:8])}, not {start}")
                values[column] = st.selectbox(escaped(column), options, place, key=key)
            else:
                number = float(start) if isinstance(start, int | float) else None
                if number is None and start is not None:
                    wrong.append(f"{column} is a number, not {start}")
                values[column] = st.number_input(escaped(column), value=number, key=key, format="%g", step=None)
    if wrong:
        st.warning(f"Of the file's row: {escaped('; '.join(wrong[:5]))}.", icon=":material/warning:")
    empty = [column for column, value in values.items() if value is None]
    if empty:
        st.caption(f"Still empty: {escaped(', '.join(empty[:5]))}.")
        return None
    return Row(values=values)


def _example(data: DatasetSummary, columns: list[str]) -> dict[str, Any]:
    """The first row that the data set shows of itself."""
    preview = data.preview
    if preview.get("kind") != "table" or not preview.get("rows"):
        return dict.fromkeys(columns, 0.0)
    return {name: v for name, v in zip(preview["columns"], preview["rows"][0], strict=False) if name in columns}


def _first_of(content: bytes, columns: list[str]) -> dict[str, Any]:
    """The first row of a table, read as data files are. Raises `DataRefused`."""
    found = csv_table.first_row(content[:_MOST_CSV_BYTES], "The file")
    missing = [column for column in columns if column not in found]
    if missing:
        raise DataRefused(f"The first row of the file has no value for {', '.join(missing[:5])}.")
    return {column: found[column] for column in columns}
