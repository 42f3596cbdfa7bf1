"""What tests of several folders share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from optimizers.engine.queue import JobQueue
from optimizers.recipe import parse
from optimizers.records import Run
from optimizers.settings import Settings
from tests.postgres import Server, postgres

DIGITS = {
    "float32": "float32",
    "int8": "int8",
    "pruned": "magnitude_pruning(target_sparsity=0.8, epochs=1)+dynamic_range",
}


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    """A PostgreSQL server; tests that want one are skipped where it is not installed."""
    with postgres() as server:
        yield server


@pytest.fixture(scope="module")
def queue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JobQueue]:
    """A queue with real worker processes and an empty home."""
    patch = pytest.MonkeyPatch()
    patch.setenv("PARETOSCOPE_HOME", str(tmp_path_factory.mktemp("home")))
    patch.setenv("PARETOSCOPE_TIMING_SECONDS", "0.2")  # nothing here depends on a narrow interval
    queue = JobQueue(Settings())
    yield queue
    queue.close()
    patch.undo()


@pytest.fixture(scope="session")
def digits_queue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JobQueue]:
    """One queue for all tests that look at finished runs, so that runs and reports are made once."""
    queue = JobQueue(Settings(home=tmp_path_factory.mktemp("digits"), timing_seconds=0.2))
    yield queue
    queue.close()


@pytest.fixture(scope="session")
def digits_runs(digits_queue: JobQueue) -> dict[str, Run]:
    """Finished runs of digits_cnn: ``float32``, the baseline's own, ``int8``, and ``pruned``."""
    submitted = digits_queue.submit("sample:digits_cnn", "sample:optdigits", [parse(text) for text in DIGITS.values()])
    digits_queue.wait([run.id for run in submitted])
    found = {run.id: run for run in digits_queue.history.runs([run.id for run in submitted])}
    finished = [found[run.id] for run in submitted]
    assert [run.state for run in finished] == ["done"] * len(DIGITS)
    return dict(zip(DIGITS, finished, strict=True))
