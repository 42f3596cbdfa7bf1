"""The charts of a search."""

from __future__ import annotations

import pandas as pd
import pytest

from optimizers.figures.search import tried
from tests.figures.conftest import comparison_row

GOOD = [("a", 0.95, 50_000.0), ("b", 0.94, 40_000.0), ("c", 0.955, 90_000.0)]


def chart(*trials, kept="abc"):
    rows = [comparison_row(), *(comparison_row(f"v{run}", run, "pruning", acc, size) for run, acc, size in trials)]
    return tried(pd.DataFrame(rows), "size_bytes", "accuracy", "a", set(kept))


def shown(figure, x, y):
    low, high = figure.layout.xaxis.range
    floor, ceiling = figure.layout.yaxis.range
    return low <= x <= high and floor <= y <= ceiling


def test_what_collapsed_does_not_squeeze_what_keeps_the_limits():
    figure = chart(*GOOD, ("d", 0.1, 20_000.0), ("e", 0.12, 30_000.0))
    for _, accuracy, size in GOOD:
        assert shown(figure, size / 1000, 100 * accuracy)
    assert shown(figure, 200, 95)
    assert not shown(figure, 20, 10)
    assert figure.layout.yaxis.range[1] - figure.layout.yaxis.range[0] < 10
    assert "2 files lie outside" in figure.layout.title.subtitle.text


@pytest.mark.parametrize(
    ("trials", "kept"),
    [
        ((*GOOD, ("d", 0.93, 30_000.0)), "abc"),  # all are near
        ((*GOOD, ("d", 0.1, 20_000.0)), ""),  # nothing is known to be good
        ((), ""),
    ],
)
def test_otherwise_everything_is_shown(trials, kept):
    figure = chart(*trials, kept=kept)
    assert "outside" not in figure.layout.title.subtitle.text
    assert all(shown(figure, size / 1000, 100 * accuracy) for _, accuracy, size in trials)
