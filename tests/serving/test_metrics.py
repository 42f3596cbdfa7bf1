"""What the metrics tell of worker processes."""

from __future__ import annotations

import pytest

from optimizers.engine.worker import Worker
from optimizers.operation.metrics import _workers
from optimizers.settings import Settings


@pytest.mark.parametrize("behind", [False, True])
def test_worker_processes_are_counted_by_their_pool(tmp_path, behind):
    store = f"file://{tmp_path / 'far'}" if behind else ""
    worker = Worker("reader", Settings(home=tmp_path / "home", store=store), 10)
    try:
        pools = {sample.labels["pool"] for family in _workers() for sample in family.samples if sample.labels}
        assert "reader" in pools
        assert pools <= {"tensorflow", "light", "reader"}
    finally:
        worker.kill()
