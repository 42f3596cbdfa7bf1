"""Charts of declared tables: what is drawn is what the rows say."""

from __future__ import annotations

import pytest

from optimizers.figures import theme
from optimizers.figures.findings import chart
from optimizers.figures.format import bounds, cell, share, unbroken
from optimizers.findings import Chart, Column, Table

COLUMNS = (
    Column(name="layer", title="Layer"),
    Column(name="kind", title="Kind"),
    Column(name="bytes", title="Bytes", unit="B", better="lower"),
    Column(name="low", title="Low", unit="B"),
    Column(name="high", title="High", unit="B"),
)
ROWS = (
    {"layer": "a", "kind": "x", "bytes": 2000, "low": 1500, "high": 2600},
    {"layer": "b", "kind": "x", "bytes": None, "low": None, "high": None},
    {"layer": "a", "kind": "y", "bytes": 500, "low": 400, "high": 600},
)


def drawn(kind, rows=ROWS, **more):
    told = Chart(kind=kind, x="layer", y=("bytes",), **more)
    return chart(Table(name="t", title="Bytes by layer", columns=COLUMNS, rows=rows, chart=told))


def test_bars_show_values_in_one_unit_with_intervals():
    figure = drawn("bars", low="low", high="high")
    assert figure.data[0].x[0] == 2.0
    assert figure.layout.xaxis.title.text == "Bytes (KB)"
    assert figure.data[0].error_x.array[0] == pytest.approx(0.6)
    assert "Lower is better" in figure.layout.title.subtitle.text


def test_where_a_bar_has_no_length_its_end_is_seen_as_well():
    figure = drawn("bars", rows=({"layer": "a", "bytes": 0, "low": -10, "high": 10},), low="low", high="high")
    assert [(trace.type, *trace.x) for trace in figure.data] == [("bar", 0.0), ("scatter", 0.0)]


def test_an_axis_says_what_it_shows():
    columns = (*COLUMNS, Column(name="reference", title="Before", unit="B"))
    for kind in ("bars", "lines"):
        told = Chart(kind=kind, x="layer", y=("bytes", "reference"), axis="Size")
        figure = chart(Table(name="t", title="T", columns=columns, rows=ROWS, chart=told))
        axis = figure.layout.xaxis if kind == "bars" else figure.layout.yaxis
        assert axis.title.text == "Size (KB)"


def test_what_a_file_is_compared_with_is_grey():
    columns = (Column(name="x", title="X"), *(Column(name=n, title=n, unit="count") for n in ("own", "reference", "c")))
    rows = ({"x": "a", "own": 3, "reference": 2, "c": 1},)
    for kind in ("bars", "lines"):
        told = Chart(kind=kind, x="x", y=("own", "reference", "c"))
        figure = chart(Table(name="t", title="T", columns=columns, rows=rows, chart=told))
        colours = [(trace.marker if kind == "bars" else trace.line).color for trace in figure.data]
        assert colours[1] == theme.NEUTRAL
        assert len(set(colours)) == 3


@pytest.mark.parametrize(
    ("top", "stacked", "step"), [(3, False, 1), (12, False, 2), (12, True, 5), (4000, False, None)]
)
def test_few_things_are_counted_in_whole_steps(top, stacked, step):
    columns = (Column(name="x", title="X"), *(Column(name=n, title=n, unit="count") for n in ("a", "b")))
    told = Chart(kind="bars", x="x", y=("a", "b"), stacked=stacked)
    table = Table(name="t", title="T", columns=columns, rows=({"x": "z", "a": top, "b": 9},), chart=told)
    assert chart(table).layout.xaxis.dtick == step


def test_lines_are_split_by_a_column():
    figure = drawn("lines", by="kind")
    assert [trace.name for trace in figure.data] == ["x", "y"]
    assert list(figure.data[1].y) == [0.5]


def test_a_matrix_has_a_cell_for_every_pair():
    figure = drawn("matrix", by="kind")
    assert figure.data[0].z.shape == (2, 2)
    assert figure.data[0].z[1, 0] == 500


BINS = (Column(name="layer", title="Layer"), Column(name="from", title="From"), Column(name="own", title="Own"))


def test_a_histogram_shows_a_bin_that_stands_alone():
    """A share between two empty bins, on a logarithmic scale: a line without a lower edge would leave it out."""
    shares = [None, 0.4, None, None, 0.6, None]
    rows = tuple({"layer": "a", "from": i, "own": share} for i, share in enumerate(shares))
    told = Chart(kind="histogram", x="from", y=("own",), panels="layer", log=True)
    figure = chart(Table(name="t", title="T", columns=BINS, rows=rows, chart=told))
    assert list(figure.data[0].y) == [0.2, 0.4, 0.2, 0.2, 0.6, 0.2, 0.2]
    assert list(figure.data[0].customdata) == [0, 0.4, 0, 0, 0.6, 0, 0]
    assert figure.data[0].x[-1] == 6, "the last bin has a width"
    assert 10 ** figure.layout.yaxis.range[0] == pytest.approx(0.2)


def test_every_group_has_its_panel_and_one_legend():
    figure = drawn("lines", panels="kind", low="low", high="high")
    assert [annotation.text for annotation in figure.layout.annotations] == ["x", "y"]
    assert [trace.xaxis for trace in figure.data] == ["x", "x2"]
    assert list(figure.data[0].error_y.array) == pytest.approx([0.6, 0.0])


def test_a_waterfall_adds_up_and_colours_what_is_worse():
    rows = (
        {"layer": "before", "bytes": 5000},
        {"layer": "int8", "bytes": 1400},
        {"layer": "more", "bytes": 1500},
    )
    bars = drawn("waterfall", rows=rows).data[0]
    assert list(bars.measure) == ["absolute", "relative", "relative", "total"]
    assert list(bars.x[:-1]) == pytest.approx([5, -3.6, 0.1])
    assert list(bars.text) == ["5.00 KB", "−3.60 KB", "+100 bytes", "1.50 KB"]
    assert bars.increasing.marker.color != bars.decreasing.marker.color


def test_a_direction_is_told_where_all_that_is_drawn_has_the_same():
    columns = (*COLUMNS, Column(name="gained", title="Gained", unit="B", better="higher"))
    told = Chart(kind="bars", x="layer", y=("bytes", "gained"))
    figure = chart(Table(name="t", title="T", columns=columns, rows=ROWS, chart=told))
    assert figure.layout.title.subtitle.text is None


def test_nothing_is_drawn_without_rows():
    assert drawn("bars", rows=()) is None


def test_cells_say_their_unit():
    assert cell(None) == "–"
    assert cell(float("nan"), "ms") == "–"
    assert cell(0.000123, "J") == "123 µJ"
    assert cell(3.2, "bits") == "3.20 bits"
    assert cell(True) == "yes"
    assert cell(12, "count") == "12"
    assert cell(0.5, "fraction") == "50.0%"
    assert cell(-0.0213, "points") == "−2.1 points"
    assert bounds(-0.0213, 0.01, "points") == "−2.1 to +1.0 points"
    assert bounds(0.9, 0.955, "fraction") == "90.0% to 95.5%"
    assert bounds(900, 1100, "B") == "900 bytes to 1.10 KB"
    assert bounds(None, 1.0, "ms") == "– to 1.00 ms"
    assert [share(x) for x in (0.0, 0.123, 0.00021)] == ["0.0%", "12.3%", "0.02%"]


def test_an_interval_in_a_narrow_column_stays_in_one_line():
    assert unbroken("21.9 to 22.1 µs") == "21.9\u2060–\u206022.1\u00a0µs"
    assert unbroken("−0.3 to +0.2") == "−0.3\u00a0to\u00a0+0.2"


def test_numbers_over_orders_of_magnitude_are_spaced_evenly_and_marked():
    rows = [{"low": n, "bytes": 5 * n} for n in (8, 1, 64)]
    told = Chart(kind="lines", x="low", y=("bytes",), log_x=True)
    figure = chart(Table(name="t", title="Bytes", columns=COLUMNS, rows=tuple(rows), chart=told))
    assert figure.layout.xaxis.type == "log"
    assert list(figure.layout.xaxis.ticktext) == ["1", "8", "64"]


def test_a_very_wide_interval_does_not_flatten_the_lines():
    rows = tuple(row | {"high": 90_000} for row in ROWS if row["bytes"])
    assert drawn("lines", rows=rows, by="kind", low="low", high="high").layout.yaxis.range[1] == 3.0
    assert drawn("lines", by="kind", low="low", high="high").layout.yaxis.range is None


def test_energies_share_one_unit():
    columns = (Column(name="x", title="X"), Column(name="e", title="Energy", unit="J"))
    rows = ({"x": "a", "e": 3e-6}, {"x": "b", "e": 4e-8})
    figure = chart(Table(name="t", title="T", columns=columns, rows=rows, chart=Chart(kind="bars", x="x", y=("e",))))
    assert figure.layout.xaxis.title.text == "Energy (µJ)"
    assert list(figure.data[0].x) == pytest.approx([3.0, 0.04])
