"""Metrics that a file alone decides, on files whose numbers are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from optimizers import registry
from optimizers.declarations import Evidence, Value
from optimizers.errors import NotApplicable
from optimizers.figures import format as fmt
from optimizers.litert import compression
from optimizers.litert.rounds import Resident
from tests.litert.conftest import files

Files = dict[str, Path]
assert files, "a fixture"
SIDE_BY_SIDE = ("compressed_bytes", "best_compressed_bytes", "entropy_bytes")


def measure(name: str, file: Path, **evidence: object) -> Value:
    return registry.metric(name).measure(Evidence(file, **evidence))  # type: ignore[arg-type]


def test_a_dense_layer_by_hand(tmp_path: Path) -> None:
    """Three inputs, four outputs, half of the kernel zero and the rest one of two values, biases 1, 2, 3 and 4."""
    import tf_keras

    from optimizers.tf.convert import convert

    inputs = tf_keras.Input((3,))
    model = tf_keras.Model(inputs, tf_keras.layers.Dense(4)(inputs))
    kernel = np.array([[0, 0.5, 0, -1], [0.5, 0, -1, 0], [0, 0.5, 0, -1]], np.float32)
    model.set_weights([kernel, np.array([1, 2, 3, 4], np.float32)])
    file = tmp_path / "dense.tflite"
    file.write_bytes(convert(model, "float32").file)
    expected = {"parameters": 16, "nonzeros": 6 + 4, "unique_weights": 3, "macs": 12, "arena_bytes": 16 + 16}
    assert {name: measure(name, file).value for name in expected} == expected


@pytest.mark.parametrize("name", ["float", "int8"])
def test_compressed_sizes_and_bound_stand_in_order(name: str, files: Files) -> None:
    own = {metric: measure(metric, files[name]).value for metric in SIDE_BY_SIDE}
    assert own["best_compressed_bytes"] == min(compression.of_file(files[name]).values())
    assert own["entropy_bytes"] < own["best_compressed_bytes"] <= own["compressed_bytes"] < files[name].stat().st_size


def test_int8_has_fewer_distinct_weights_and_a_smaller_arena(files: Files) -> None:
    for metric in ("unique_weights", "arena_bytes", "entropy_bytes"):
        assert measure(metric, files["int8"]).value < 0.5 * measure(metric, files["float"]).value
    assert measure("macs", files["int8"]) == measure("macs", files["float"])


def test_peak_memory_is_the_median_of_processes(files: Files) -> None:
    looks = tuple(
        Resident(peak=50_000_000 + added, added=added) for added in (130000, 110000, 120000, 160000, 140000, 150000)
    )
    found = measure("peak_memory_bytes", files["float"], memory=looks)
    assert (found.value, found.n) == (135000, 6)
    assert 0 < found.low < 110000 < 160000 < found.high < 230000
    small = measure("peak_memory_bytes", files["float"], memory=(Resident(peak=50_000_000, added=20),))
    assert small.low == 0
    with pytest.raises(NotApplicable, match="Linux"):
        measure("peak_memory_bytes", files["float"])


def test_counts_are_told_as_counts() -> None:
    metric = registry.metric("parameters")
    assert fmt.value(metric, 45162) == "45,162"
    assert fmt.value(metric, 899) == "899"
    assert fmt.change(metric, -0.5) == "2.0x fewer"
    assert fmt.change(registry.metric("peak_memory_bytes"), -0.5, (0.9, 1.1)) == "2.0x smaller"


@pytest.mark.parametrize("name", ["parameters", "nonzeros", "unique_weights", "entropy_bytes", "macs", "arena_bytes"])
def test_a_damaged_file_has_no_such_numbers(name: str, files: Files, tmp_path: Path) -> None:
    file = tmp_path / "cut.tflite"
    file.write_bytes(files["float"].read_bytes()[:-200])
    with pytest.raises(NotApplicable, match=r"damaged.*\.$"):
        measure(name, file)
