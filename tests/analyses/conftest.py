"""Finished runs of one sample that analyses look into."""

from __future__ import annotations

import pytest

from optimizers.engine.queue import JobQueue
from optimizers.recipe import parse
from optimizers.settings import Settings

RECIPES = ("float32", "int8", "magnitude_pruning(target_sparsity=0.8, epochs=1)+dynamic_range")


@pytest.fixture(scope="session")
def queue(tmp_path_factory):
    """One queue for all tests in this folder, so that runs and reports are made once."""
    queue = JobQueue(Settings(home=tmp_path_factory.mktemp("analyses"), timing_seconds=0.2))
    yield queue
    queue.close()


@pytest.fixture(scope="session")
def runs(queue):
    """Finished runs of digits_cnn by recipe: the baseline's own, int8, and a pruned one."""
    submitted = queue.submit("sample:digits_cnn", "sample:optdigits", [parse(text) for text in RECIPES])
    queue.wait([run.id for run in submitted])
    found = {run.id: run for run in queue.history.runs([run.id for run in submitted])}
    finished = [found[run.id] for run in submitted]
    assert [run.state for run in finished] == ["done"] * 3
    return dict(zip(("float32", "int8", "pruned"), finished, strict=True))
