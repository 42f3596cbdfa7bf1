from __future__ import annotations

from pathlib import Path

import pytest

from optimizers.history.database import History
from optimizers.records import DatasetRef, ModelRef, Run
from tests.techniques.networks import built


@pytest.fixture(scope="session")
def float_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from optimizers.tf.convert import convert

    file = tmp_path_factory.mktemp("file") / "conv.tflite"
    file.write_bytes(convert(built("conv"), "float32").file)
    return file


@pytest.fixture
def history(tmp_path):
    history = History(f"sqlite:///{tmp_path / 'history.db'}")
    yield history
    history.close()


@pytest.fixture
def run(history):
    """A finished run in the history; its file is ``bbb…``, its baseline ``aaa…``."""
    run = Run(
        id="r1", scope="shared", model=ModelRef(uri="sample:m", name="m", digest="0" * 64), recipe="int8", steps=(),
        dataset=DatasetRef(uri="sample:d", name="d", digest="1" * 64), seed=0, state="done",
        artifact_digest="b" * 64, baseline_digest="a" * 64,
    )  # fmt: skip
    history.add([run])
    return run
