"""Work is told from shapes before it is done, for both Kerases alike, and not far from the exact count."""

from __future__ import annotations

from pathlib import Path

import keras
import pytest

from optimizers.errors import ModelRefused
from optimizers.models.reader import read
from optimizers.tf import budget, cost
from optimizers.tf.build import build_tf_keras
from optimizers.tf.dialects import Keras2, Keras3
from optimizers.tf.emit import Emitter
from tests.models.files import Json, archive, functional, layer
from tests.tf.topologies import TOPOLOGIES


@pytest.mark.parametrize("name", TOPOLOGIES)
def test_the_estimate_is_not_below_the_exact_count_and_less_than_twice_it(name: str, tmp_path: Path) -> None:
    TOPOLOGIES[name]().save(tmp_path / "model.keras")
    spec = read(tmp_path / "model.keras")
    counts, exact = [], 0
    for dialect in (Keras2(), Keras3()):
        emitter = Emitter(dialect)
        model = emitter.build(spec.root)
        counts.append(emitter.work[spec.root])
        exact = exact or cost.macs(model)
    assert counts[0] == counts[1]
    assert exact <= counts[0] < 2 * exact


def test_a_nested_model_counts_at_every_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start = keras.Input((4,))
    block = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4), keras.layers.Dense(4)])
    keras.Model(start, block(block(block(start)))).save(tmp_path / "model.keras")
    spec = read(tmp_path / "model.keras")
    for most, refused in ((95, True), (96, False)):  # 3 calls of 2 layers of 16
        monkeypatch.setattr(budget, "LIMITS", budget.LIMITS.__class__(macs=most))
        if refused:
            with pytest.raises(ModelRefused, match="more than 95 multiplications") as caught:
                build_tf_keras(spec)
            assert caught.value.code == "too-large"
        else:
            build_tf_keras(spec)


def test_a_chain_longer_than_pythons_usual_recursion_is_built(tmp_path: Path) -> None:
    chain = [layer("InputLayer", "l0", [], batch_shape=[None, 3])]
    chain += [layer("ReLU", f"l{i}", [f"l{i - 1}"]) for i in range(1, 1100)]
    model = build_tf_keras(read(archive(tmp_path / "a.keras", functional(*chain))))
    assert len(model.layers) == 1100


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("Tile", {"repeats": [2, 1]}),
        ("Tile", {"repeats": [1, 1, 2]}),
        ("Repeat", {"repeats": 2, "axis": -2}),
        ("Repeat", {"repeats": 2, "axis": None}),
        ("Pad", {"pad_width": [[0, 2], [0, 0]]}),
    ],
)
def test_operations_that_make_more_examples_are_refused(kind: str, options: Json, tmp_path: Path) -> None:
    start = layer("InputLayer", "x", [], batch_shape=[None, 3])
    config = functional(start, layer(kind, "op", ["x"], "keras.src.ops.numpy", **options))
    with pytest.raises(ModelRefused, match="changes the number of examples"):
        build_tf_keras(read(archive(tmp_path / "a.keras", config)))
