"""Charts: the data step on its own, the drawing on its own, and the empty case of each."""

from __future__ import annotations

import json
import math

import pandas as pd
import pytest

from optimizers.figures import examples, theme
from optimizers.figures.bars import bar_data, bars
from optimizers.figures.curves import history_data, live_loss, training_loss
from optimizers.figures.highlights import best
from optimizers.figures.names import short_names
from optimizers.figures.placement import in_lines, place_labels
from optimizers.figures.repeats import repeats, repeats_data
from optimizers.figures.tradeoff import tradeoff, tradeoff_data
from optimizers.repeats import Repeats, ranking
from tests.figures.conftest import comparison_row

EMPTY = pd.DataFrame()


def texts(figure):
    return json.dumps(figure.to_plotly_json(), default=str, ensure_ascii=False)


def test_tradeoff_data_are_in_axis_units_with_the_front_marked(frame):
    data = tradeoff_data(frame, "size_bytes", "accuracy")
    assert data["x"].tolist() == [200.0, 50.0, 200.0, 60.0]
    assert data["y"].round(6).tolist() == [95.0, 95.0, 96.0, 90.0]
    assert data["y_minus"].round(6).tolist() == [1.0] * 4
    assert data["x_minus"].tolist() == [0.0] * 4
    assert data["front"].tolist() == [False, True, True, False]
    assert data["id"].tolist() == ["baseline:key-float32", "a", "b", "c"]


def test_marker_area_follows_the_third_metric_and_its_absence_is_the_smallest(frame):
    sizes = tradeoff_data(frame, "size_bytes", "accuracy")["size"]
    assert sizes[0] == sizes[2] > sizes[1] > sizes[3]
    assert tradeoff_data(frame, "size_bytes", "accuracy", size=None)["size"].nunique() == 1


def test_what_was_not_measured_is_no_point(frame):
    assert tradeoff_data(frame, "latency_ms", "accuracy")["id"].tolist() == ["baseline:key-float32", "a", "b"]


@pytest.mark.parametrize("rows", [0, 1, 4])
def test_every_chart_has_title_units_and_direction(frame, rows):
    figure = tradeoff(frame.head(rows), "size_bytes", "accuracy", chosen="a")
    assert "Accuracy against file size" in figure.layout.title.text
    if rows:
        assert figure.layout.xaxis.title.text == "File size (KB) · lower is better"
        assert figure.layout.yaxis.title.text == "Accuracy (%) · higher is better"
    else:
        assert "No file has both metrics measured yet" in texts(figure)


def test_a_click_gives_the_file_back(frame):
    figure = tradeoff(frame, "size_bytes", "accuracy")
    clickable = [trace for trace in figure.data if trace.customdata is not None]
    assert sorted(i for trace in clickable for (i,) in trace.customdata) == ["a", "b", "baseline:key-float32", "c"]


def test_hover_text_has_intervals_and_differences(frame):
    hover = tradeoff_data(frame, "size_bytes", "accuracy")["hover"][1]
    assert "Accuracy: 95.0% (94.0% to 96.0%), ±0.0 points" in hover
    assert "File size: 50.0 KB, 4.0x smaller" in hover
    assert "2.5x faster" in hover
    assert "Latency (median): not measured" in tradeoff_data(frame, "size_bytes", "accuracy")["hover"][3]


def test_bars_keep_a_row_for_what_was_not_measured(frame):
    data = bar_data(frame, "latency_ms")
    assert data["text"].tolist()[3] == "not measured"
    assert math.isnan(data["value"][3])
    assert "not measured" in texts(bars(frame, "latency_ms"))


def test_bars_start_at_zero_and_close_values_are_points_instead(frame):
    assert bars(frame, "size_bytes").data[0].type == "bar"
    assert bars(frame, "size_bytes").layout.xaxis.range[0] == 0
    assert bars(frame, "accuracy").data[0].type == "scatter"
    assert bars(frame, "accuracy").layout.xaxis.range[0] > 50


def test_figures_stand_beside_bars_that_go_to_the_left(frame):
    frame["r2"] = -frame["accuracy"]
    assert min(bars(frame, "r2").data[1].x) == 0


def test_bars_without_anything_to_draw(frame):
    assert "Not measured" in texts(bars(EMPTY, "size_bytes"))
    assert "Not measured" in texts(bars(frame, "mae"))


def test_the_line_of_the_baseline_needs_exactly_one_baseline(frame):
    assert len(bars(frame, "size_bytes").layout.shapes) == 1
    two = pd.concat([frame, pd.DataFrame([comparison_row(model="other")])], ignore_index=True)
    assert len(bars(two, "size_bytes").layout.shapes) == 0


def test_families_look_different_and_alike_everywhere(frame):
    looks = list(theme.FAMILIES.values())
    assert len({look.colour for look in looks}) == len({look.symbol for look in looks}) == len(looks)
    assert bars(frame, "size_bytes").data[0].marker.color[1] == theme.FAMILIES["quantization"].colour
    assert theme.look("unheard of") is theme.OTHER


def test_short_names_tell_variants_apart():
    assert short_names(["int8", "magnitude_pruning(target_sparsity=0.8)+int8"]) == ["int8", "magnitude_pruning+int8"]
    assert short_names(["p(a=0.8)+int8", "p(a=0.5)+int8"]) == ["p(0.8)+int8", "p(0.5)+int8"]
    assert short_names(["p(a=0.8, b=2)+q(a=1)", "p(a=0.5, b=2)+q(a=0.8)"]) == ["p(0.8)+q(1)", "p(0.5)+q(0.8)"]
    assert short_names(["p(a=1, b=2)", "p(a=1, b=2)", "p(a=3, b=2)"]) == ["p(1)", "p(1)", "p(3)"]
    assert short_names(["p(a=1)", "p(b=1)"]) == ["p(a=1)", "p(b=1)"]
    assert short_names(["int8", "int8(io=int8)"]) == ["int8", "int8(io=int8)"]
    assert len(short_names(["x" * 90])[0]) == 40
    assert short_names([]) == []


def test_labels_do_not_cover_each_other():
    data = pd.DataFrame({"x": [1.0, 1.0, 1.0], "y": [1.0, 1.0, 5.0], "label": ["one", "two", "three"]})
    data["size"], data["front"] = 10.0, True
    places = place_labels(data, (0, 10), (0, 10))
    assert places[0] != places[1]
    assert len(places) == 3
    crowd = pd.DataFrame(
        {"x": [5.0] * 12, "y": [5.0] * 12, "label": ["a long name"] * 12, "size": 10.0, "front": False}
    )
    places = place_labels(crowd, (0, 10), (0, 10))
    assert None in places
    assert places[0] is not None, "what comes first is always named"
    beside = data.assign(label=["one", "", ""], x=[1.0, 1.8, 5.0], y=[5.0, 5.0, 5.0])
    assert place_labels(beside, (0, 10), (0, 10))[0] != "middle right", "a mark without a name is in the way"


def test_long_recipes_are_broken_and_what_found_no_place_is_tried_first():
    assert in_lines("int8") == "int8"
    assert in_lines("magnitude_pruning+int8") == "magnitude_pruning<br>+int8"
    assert in_lines("magnitude_pruning+weight_clustering+int8") == "magnitude_pruning<br>+weight_clustering<br>+int8"
    assert in_lines("low_rank+int8+float16") == "low_rank+int8<br>+float16"
    data = pd.DataFrame(
        {"x": [184.0, 55, 95, 55], "y": [99.50, 99.39, 99.50, 99.55], "size": [24.0, 24, 20, 11], "front": False}
    )
    data["label"] = ["baseline", "int8", "float16", "magnitude_pruning<br>+int8"]
    data["y_minus"], data["y_plus"] = 0.45, 0.25
    assert None not in place_labels(data, (0, 215), (98.8, 99.9))


def test_training_curves_and_their_absence():
    history = {"loss": [1.0, 0.5], "val_loss": [1.1, 0.7], "accuracy": [0.5, 0.9], "epochs": 2}
    assert len(history_data(history)) == 6
    assert [trace.name for trace in training_loss(history).data] == ["training", "validation"]
    mixed = [trace.name for trace in training_loss(history, learned_from="both").data]
    assert mixed == ["training, to labels and original", "validation, to the labels"]
    assert "did not train" in texts(training_loss({}))
    live = live_loss([(1, 0.5), (2, 0.4)], [(2, 0.9)], "val_accuracy")
    assert live_loss(()).layout.height == live.layout.height
    assert [trace.name for trace in live.data] == ["loss", "validation accuracy"]


def test_sequences_and_their_absence():
    preview = {"columns": ["co2", "light"], "windows": [[[1, 2], [3, 4]]], "labels": ["empty"]}
    assert len(examples.sequences(preview).data) == 2
    assert "no example" in texts(examples.sequences({}))


def test_repeats_show_every_seed_and_the_mean():
    ranked = ranking(
        [Repeats("int8", {0: 0.90, 1: 0.92, 2: 0.94}), Repeats("baseline", {0: 0.95}, chance=False)],
        lower_is_better=False,
    )
    data = repeats_data(ranked, "accuracy", {"int8": "quantization"})
    assert list(data["label"]) == ["baseline", "int8"]
    assert list(data["family"]) == ["baseline", "quantization"]
    assert list(data["values"]) == [[], pytest.approx([90, 92, 94])]
    assert data["mean"].tolist() == pytest.approx([95, 92])
    assert data["plus"].tolist() == pytest.approx([0, 4.303 * 2 / 3**0.5], rel=1e-3)
    assert list(data["place"]) == ["1–2", "1–2"]
    figure = repeats(ranked, "accuracy", {})
    assert sum(len(trace.x) for trace in figure.data) == 3 + 2
    assert not repeats(ranking([], lower_is_better=True), "accuracy", {}).data


def test_the_fastest_is_proven_to_be_faster_by_times_taken_in_turn():
    frame = pd.DataFrame(
        {
            "is_baseline": [True, False, False],
            "size_bytes": [9.0, 4.0, 5.0],
            "latency_ms": [1.0, 0.7, 0.8],  # the first one was timed while the machine was quick
            "speedup": [1.0, 0.97, 1.2],
            "speedup_low": [1.0, 0.95, 1.1],
        },
        index=["base", "a", "b"],
    )
    assert list(best(frame, None)) == [("Smallest", "size_bytes", "a"), ("Fastest", "latency_ms", "b")]
    assert [word for word, *_ in best(frame.drop("b"), None)] == ["Smallest"]
    two = frame.assign(model=["one", "one", "other"])
    assert [word for word, *_ in best(two, None)] == ["Smallest", "Largest speed-up"], "each has its own baseline"
