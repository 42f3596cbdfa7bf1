"""The graph of a model: every layer once, below what feeds it."""

from __future__ import annotations

import pytest

from optimizers.figures.architecture import architecture, parts
from optimizers.records import LayerRow


def row(name, *inputs, parameters=0, macs=None, path=""):
    return LayerRow(
        name=name, kind="Dense", output_shape=(4,), parameters=parameters, inputs=inputs, macs=macs, path=path
    )


RESIDUAL = (row("in"), row("a", 0, parameters=100, macs=10), row("b", 1, parameters=10), row("add", 2, 0))


def nodes(figure):
    """Places of the layers by name."""
    return {
        text: (x, y)
        for trace in figure.data
        if trace.mode == "markers+text"
        for text, x, y in zip(trace.text, trace.x, trace.y, strict=True)
    }


def test_every_layer_stands_below_what_feeds_it():
    places = nodes(architecture(RESIDUAL))
    assert set(places) == {"in", "a", "b", "add"}
    assert [places[name][1] for name in ("in", "a", "b", "add")] == [0, 1, 2, 3]


def test_a_line_that_passes_layers_by_bows_around_them():
    figure = architecture(RESIDUAL)
    lines = next(trace for trace in figure.data if trace.mode == "lines")
    assert min(x for x in lines.x if x is not None) < -0.2


def test_branches_lie_side_by_side():
    places = nodes(architecture((row("in"), row("left", 0), row("right", 0), row("out", 1, 2))))
    assert places["left"][1] == places["right"][1]
    assert places["left"][0] != places["right"][0]


@pytest.mark.parametrize("measure", ["parameters", "macs"])
def test_colour_tells_the_measure_and_grey_that_there_is_none(measure):
    figure = architecture(RESIDUAL, measure)
    coloured = {name for trace in figure.data if trace.marker.colorscale for name in trace.text}
    assert coloured == ({"a", "b"} if measure == "parameters" else {"a"})


def test_nested_models_are_parts_of_their_own():
    layers = (row("in"), row("inner", 0), row("x", path="inner"), row("y", 2, path="inner"))
    assert parts(layers) == ["", "inner"]
    assert set(nodes(architecture(layers, path="inner"))) == {"x", "y"}


def test_a_layer_that_is_called_on_its_own_output_is_drawn():
    assert set(nodes(architecture((row("in"), row("loop", 0, 1), row("out", 1))))) == {"in", "loop", "out"}


def test_names_are_no_markup():
    figure = architecture((row("<b>in</b>"), row("out", 0)))
    told = [text for trace in figure.data if trace.hovertext for text in trace.hovertext]
    assert any("&lt;b&gt;in" in text for text in told)


def test_without_joins_there_is_no_graph():
    figure = architecture((row("a"), row("b")))
    assert "not known" in figure.layout.annotations[0].text
