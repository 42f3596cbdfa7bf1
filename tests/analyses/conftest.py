"""Finished runs of one sample that analyses look into."""

from __future__ import annotations

import pytest

from optimizers.recipe import parse

RECIPES = ("float32", "int8", "magnitude_pruning(target_sparsity=0.8, epochs=1)+dynamic_range")


@pytest.fixture(scope="module")
def runs(queue):
    """Finished runs of digits_cnn by recipe: the baseline's own, int8, and a pruned one."""
    submitted = queue.submit("sample:digits_cnn", "sample:optdigits", [parse(text) for text in RECIPES])
    queue.wait([run.id for run in submitted])
    found = {run.id: run for run in queue.history.runs([run.id for run in submitted])}
    finished = [found[run.id] for run in submitted]
    assert [run.state for run in finished] == ["done"] * 3
    return dict(zip(("float32", "int8", "pruned"), finished, strict=True))
