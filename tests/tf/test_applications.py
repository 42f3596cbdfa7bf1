"""Every model of ``keras.applications``, with random weights on small images, through the bridge. Needs up to 6 GB."""

from __future__ import annotations

import gc
import inspect
from pathlib import Path

import keras
import pytest
import tf_keras

from optimizers.models.reader import read
from optimizers.tf.build import build_keras3
from optimizers.tf.check import TOLERANCE, agreement_of, check_bridge, run
from optimizers.tf.probes import random_inputs

_FIXED_SIZE = {"NASNetLarge": 331, "NASNetMobile": 224}
_BEYOND_THE_LIMIT = {"ConvNeXtXLarge"}
"""Files of more than a GiB, which the reader refuses as too large."""
_SMALL = 75
"""The smallest size that Inception and Xception take."""
NAMES = sorted(
    name
    for name in dir(keras.applications)
    if inspect.isfunction(getattr(keras.applications, name)) and name[0].isupper()
)


def test_there_are_as_many_as_ever() -> None:
    assert len(NAMES) >= 38


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_application(name: str, tmp_path: Path) -> None:
    size = _FIXED_SIZE.get(name, _SMALL)
    build = getattr(keras.applications, name)
    if name in _BEYOND_THE_LIMIT:
        pytest.skip("the file is larger than LIMITS.file_bytes")
    model = build(weights=None, input_shape=(size, size, 3), classes=10)
    model.save(tmp_path / "model.keras")
    spec = read(tmp_path / "model.keras")
    inputs = random_inputs(spec, examples=1, seed=0, open_size=size, positive=True)
    expected = run(model, inputs)
    try:
        check_bridge(spec)  # raises where the two differ, in float64 as well
        assert agreement_of(expected, run(build_keras3(spec), inputs)).relative < TOLERANCE
    finally:
        del model
        keras.backend.clear_session()
        tf_keras.backend.clear_session()
        gc.collect()
