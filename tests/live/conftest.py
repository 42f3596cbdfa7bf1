"""A queue over an executor that needs no TensorFlow; races in it are real."""

from __future__ import annotations

import pytest

from optimizers.engine.queue import JobQueue
from optimizers.settings import Settings
from tests.engine.fake_executor import FakeExecutor


@pytest.fixture
def queue(tmp_path, monkeypatch):
    monkeypatch.setenv("PARETOSCOPE_HOME", str(tmp_path / "home"))
    settings = Settings()
    queue = JobQueue(settings, FakeExecutor(settings))
    yield queue
    queue.close()
