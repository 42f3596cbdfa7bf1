"""What tests of several folders share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from optimizers.engine.queue import JobQueue
from optimizers.settings import Settings


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
