"""What tests of several folders share."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from optimizers.engine.queue import JobQueue
from optimizers.recipe import parse
from optimizers.records import Run
from optimizers.settings import Settings
from tests.postgres import Server, postgres

os.environ.setdefault("PARETOSCOPE_TIMING_SECONDS", "0.2")  # no test depends on a narrow interval of times
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")  # several tests run side by side, on small networks

COMPARED = tuple(f"tests/browser/test_{name}.py" for name in ("main_job", "take_along", "compare"))
RUNS = (
    "tests/analyses/",
    "tests/report/",
    "tests/exports/",
    "tests/test_samples.py",
    "tests/hostile/test_front_door.py",
    *(
        f"tests/engine/test_{name}.py"
        for name in ("any_labels", "brought_files", "lattice", "several_tensors", "without_labels")
    ),
)
TOGETHER = {"the comparison": COMPARED, "browser": ("tests/browser/",), "runs": RUNS}
"""Files of tests that one process runs because they share what takes long to make; these begin first."""

DIGITS = {
    "float32": "float32",
    "int8": "int8",
    "pruned": "magnitude_pruning(target_sparsity=0.8, epochs=1)+dynamic_range",
}


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """With ``--dist loadfile`` files that share something expensive stay together."""
    if config.getvalue("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class Together(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return _together(nodeid) or super()._split_scope(nodeid)

    return Together(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest begins first, so that no process is left alone with it at the end."""
    order = [*TOGETHER, ""]
    items.sort(key=lambda item: order.index(_together(item.nodeid)))


def _together(nodeid: str) -> str:
    return next((name for name, files in TOGETHER.items() if nodeid.startswith(files)), "")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    """A PostgreSQL server; tests that want one are skipped where it is not installed."""
    with postgres() as server:
        yield server


@pytest.fixture(scope="session")
def queue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JobQueue]:
    """One queue with real workers for all tests of a process, so that these start once and nothing is run twice."""
    queue = JobQueue(Settings(home=tmp_path_factory.mktemp("home")))
    yield queue
    queue.close()


@pytest.fixture(scope="session")
def digits_runs(queue: JobQueue) -> dict[str, Run]:
    """Finished runs of digits_cnn: ``float32``, the baseline's own, ``int8``, and ``pruned``."""
    submitted = queue.submit("sample:digits_cnn", "sample:optdigits", [parse(text) for text in DIGITS.values()])
    queue.wait([run.id for run in submitted])
    found = {run.id: run for run in queue.history.runs([run.id for run in submitted])}
    finished = [found[run.id] for run in submitted]
    assert [run.state for run in finished] == ["done"] * len(DIGITS)
    return dict(zip(DIGITS, finished, strict=True))
