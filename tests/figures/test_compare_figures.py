"""Charts and tables of the page Compare: limits dim, the chosen are marked, and every view shows the same files."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest

from optimizers import registry
from optimizers.figures import theme
from optimizers.figures.beside import beside
from optimizers.figures.cells import LIMITS, cells
from optimizers.figures.parallel import parallel, parallel_data
from optimizers.figures.space import tradeoff_3d
from optimizers.figures.tradeoff import bounds, left_out, point_data, tradeoff
from optimizers.history.frames import pareto
from optimizers.ledger import Row, Stage
from optimizers.limits import parse
from optimizers.qualifying import judge
from optimizers.report import copied
from tests.figures.test_figures import texts

THREE = ["size_bytes", "latency_ms", "accuracy"]


@pytest.fixture
def limited(frame):
    return judge(frame, parse("size<=55KB"))


def drawings(frame, judgement=None, chosen=("a",)):
    """The same comparison in all three views."""
    return {
        "plane": tradeoff(frame, "size_bytes", "accuracy", chosen=chosen, judgement=judgement),
        "space": tradeoff_3d(frame, THREE, chosen=chosen, judgement=judgement),
        "many": parallel(frame, [*THREE, "speedup"], chosen=chosen, judgement=judgement),
    }


def drawn(figure):
    """Opacity by identity, of what stands for files."""
    return {
        str(told[0]): trace.opacity if trace.opacity is not None else 1.0
        for trace in figure.data
        if trace.customdata is not None
        for told in trace.customdata
    }


def test_what_misses_a_limit_is_dimmed_in_every_view(frame, limited):
    figures = drawings(frame, limited)
    assert drawn(figures["plane"]) == {"baseline:key-float32": 0.18, "a": 1.0, "b": 0.18, "c": 0.18}
    assert drawn(figures["space"]) == {"baseline:key-float32": 0.18, "a": 1.0, "b": 0.18}
    assert drawn(figures["many"]) == {"a": 1.0, "b": 0.18}
    for figure in drawings(frame).values():
        assert set(drawn(figure).values()) == {1.0}


def test_what_cannot_be_told_is_dimmed_less_than_what_is_missed(frame):
    shown = drawn(tradeoff(frame, "size_bytes", "accuracy", judgement=judge(frame, parse("accuracy>=94.5%"))))
    assert shown["b"] == 1.0
    assert shown["a"] == theme.OPACITY["within the uncertainty"] > shown["c"] == theme.OPACITY["not met"]


def test_the_best_is_named_in_bold(frame, limited):
    assert all("<b>int8</b>" in texts(figure) for name, figure in drawings(frame, limited).items() if name != "many")


def test_bounds_are_drawn_where_they_are_the_same_for_all(frame):
    judgement = judge(frame, parse("size<=55KB, size<=0.5x, accuracy>=-1pt, mae<=3"))
    found = dict.fromkeys(bounds(frame, judgement))
    assert [(name, round(bound, 6)) for name, bound in found] == [
        ("size_bytes", 55_000.0),
        ("size_bytes", 100_000.0),
        ("accuracy", 0.94),
    ]
    assert len(tradeoff(frame, "size_bytes", "accuracy", judgement=judgement).layout.shapes) == 3
    assert len(tradeoff(frame, "latency_ms", "speedup", judgement=judgement).layout.shapes) == 0
    two = pd.concat([frame, frame[frame["is_baseline"]].assign(model="other")], ignore_index=True)
    assert [name for name, _ in bounds(two, judge(two, parse("size<=55KB, size<=0.5x")))] == ["size_bytes"]


def test_the_front_is_that_of_the_dimensions_that_are_drawn(frame):
    two = point_data(frame, {"x": "size_bytes", "y": "accuracy"})
    three = point_data(frame.fillna({"latency_ms": 0.01}), {"x": "size_bytes", "y": "accuracy", "z": "latency_ms"})
    assert two["front"].tolist() == [False, True, True, False]
    assert three["front"].tolist() == [False, True, True, True]


def test_the_front_of_many_is_what_comparing_each_with_each_says():
    rng = np.random.default_rng(0)
    values = rng.integers(0, 12, (600, 2)).astype(float)
    frame = pd.DataFrame({"size_bytes": values[:, 0], "accuracy": values[:, 1]})
    frame.loc[7, "accuracy"] = np.nan
    told = pareto(frame, ["size_bytes", "accuracy"])
    points = [(s, -a) for s, a in frame.to_numpy()]
    for place in range(0, 600, 37):
        own = points[place]
        beaten = any(o[0] <= own[0] and o[1] <= own[1] and o != own for o in points if not np.isnan(o[1]))
        assert told[place] == (not beaten and not np.isnan(own[1]))
    assert not told[7]


def test_upwards_is_better_on_every_parallel_axis(frame):
    data = parallel_data(frame, ["size_bytes", "accuracy"])
    assert data["size_bytes_place"].tolist() == pytest.approx([0.0, 1.0, 0.0, 14 / 15])
    assert data["accuracy_place"].tolist() == pytest.approx([5 / 6, 5 / 6, 1.0, 0.0])
    assert data["accuracy_place_low"][2] == pytest.approx(1 - 1 / 6)
    alike = parallel_data(frame.assign(size_bytes=1.0), ["size_bytes", "accuracy"])
    assert set(alike["size_bytes_place"]) == {0.5}


def test_clicks_in_the_plane_and_on_lines_give_the_file_back(frame):
    figures = drawings(frame)
    assert set(drawn(figures["plane"])) == {"baseline:key-float32", "a", "b", "c"}
    lines = [trace for trace in figures["many"].data if trace.customdata is not None]
    assert all(len(line.x) == len(line.customdata) == len(line.y) for line in lines)


def test_several_can_be_chosen(frame):
    figure = tradeoff(frame, "size_bytes", "accuracy", chosen=["b", "a"])
    assert len([trace for trace in figure.data if trace.marker.symbol == "circle-open"]) == 2


@pytest.mark.parametrize("rows", [0, 1])
def test_every_view_of_nothing_and_of_one(frame, rows):
    for figure in drawings(frame.head(rows), judge(frame.head(rows), parse("size<=1KB")), chosen=()).values():
        assert figure.layout.title.text
    told, _ = cells(frame.head(rows), ["accuracy", "size_bytes"])
    assert len(told) == rows


def test_a_chart_is_saved_under_a_name_and_in_the_asked_format():
    config = theme.exported("digits", "svg")
    assert config["toImageButtonOptions"]["filename"] == "digits"
    assert config["toImageButtonOptions"]["format"] == "svg"
    assert config["modeBarButtons"] == [["toImage"]]


def test_cells_have_one_unit_per_column_and_what_changed(frame, limited):
    shown, columns = cells(frame, ["accuracy", "size_bytes", "latency_ms", "speedup"], limited)
    assert shown["File size (KB)"].tolist() == [200.0, 50.0, 200.0, 60.0]
    assert columns["File size (KB)"].kind == "bar"
    assert columns["File size (KB)"].top == 200.0
    assert shown["File size vs. baseline"].tolist()[1:] == pytest.approx([-75.0, 0.0, -70.0])
    assert shown["Accuracy vs. baseline"].tolist()[1:] == pytest.approx([0.0, 1.0, -5.0])
    assert "Latency (median) vs. baseline" not in shown
    assert shown["Speed"].fillna("").tolist() == ["", "2.50x faster", "indistinguishable", ""]
    assert shown[LIMITS].tolist() == ["✗ file size", "✓ all met", "✗ file size", "✗ file size"]
    assert np.isnan(shown["Latency (median) (µs)"][3])


def test_every_metric_has_a_cell(frame):
    for metric in registry.metrics().values():
        column = {metric.name: [1.5, 2.0, 3.0, 4.0], f"{metric.name}_change": 0.1}
        more = frame.assign(**column, speedup_low=1.0, speedup_high=2.0)
        shown, columns = cells(more, [metric.name])
        assert set(shown.columns) == set(columns)
        assert any(metric.title in heading for heading in shown)


def test_side_by_side_the_best_figure_is_bold_and_losses_are_told(frame, limited):
    before = Stage(
        "magnitude_pruning", (Row(layer="a", weight="k", values=100, sparsity=0.8, unique=20, dtype="float32"),)
    )
    after = Stage("int8", (Row(layer="a", weight="k", values=100, sparsity=0.1, unique=90, dtype="int8"),))
    told = beside(frame, [1, 3], ["int8", "both"], judgement=limited, stages={3: (before, after)})
    assert told.columns.tolist() == ["int8", "both"]
    assert told.loc["File size"].tolist() == ["**50.0 KB** 4.0x smaller", "60.0 KB 3.3x smaller"]
    assert told.loc["Limits"].tolist() == [
        "✓ File size 50.0 KB, 5.00 KB to spare",
        "✗ File size 60.0 KB, 5.00 KB too much",
    ]
    assert told.loc["Latency (median)", "both"] == "not measured"
    assert told.loc["Types of the layers"].tolist() == ["–", "1 int8"]
    assert "10% zeros instead of 80% after int8" in told.loc["Destroyed on the way", "both"]
    assert "Limits" not in beside(frame, [0, 1], ["a", "b"]).index


def test_what_is_copied_is_a_table_in_markdown_and_figures_in_csv(frame, limited):
    lines = copied.markdown(frame, ["accuracy", "size_bytes"], limited).splitlines()
    assert lines[0] == "| Variant | Limits | Accuracy | File size |"
    assert lines[3] == "| `int8` | ✓ all met | 95.0%, ±0.0 points | 50.0 KB, 4.0x smaller |"
    again = pd.read_csv(io.StringIO(copied.csv(frame, limited)))
    assert again["size_bytes"].tolist() == [200_000, 50_000, 200_000, 60_000]
    assert again["limits"].tolist() == ["not met", "met", "not met", "not met"]
    assert "limits" not in copied.csv(frame)


def test_files_that_a_chart_cannot_show_are_named_with_what_they_lack(frame):
    assert left_out(frame, ["size_bytes", "accuracy"]) == {}
    assert left_out(frame, ["latency_ms", "accuracy"]) == {"latency (median)": ["magnitude_pruning+int8"]}
    frame.loc[frame.index[:2], "accuracy"] = float("nan")
    told = left_out(frame, ["latency_ms", "accuracy"])
    assert told == {"accuracy": ["baseline", "int8"], "latency (median)": ["magnitude_pruning+int8"]}
    shown = set(point_data(frame, {"x": "latency_ms", "y": "accuracy"})["label"])
    assert shown.isdisjoint(name for files in told.values() for name in files)
