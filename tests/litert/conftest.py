from __future__ import annotations

from pathlib import Path

import pytest

from tests.techniques.networks import built, digits


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Files of every kind that the interpreter treats differently."""
    from optimizers.tf.convert import convert

    folder = tmp_path_factory.mktemp("files")
    calibration = digits().train.x[:50]
    wanted = {
        "float": convert(built("conv"), "float32"),
        "int8": convert(built("conv"), "int8", representative=calibration, io="int8"),
        "fused_lstm": convert(built("lstm"), "float32"),
        "loop_gru": convert(built("gru"), "float32"),
    }
    for name, conversion in wanted.items():
        (folder / f"{name}.tflite").write_bytes(conversion.file)
    return {name: folder / f"{name}.tflite" for name in wanted}
