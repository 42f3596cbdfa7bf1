"""A pool whose window is one longer than its input has no output, and TensorFlow's kernel for it ends the process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tf_keras

from optimizers.errors import ModelRefused, NotApplicable
from optimizers.tf.shapes import with_input_shape
from optimizers.tf.summary import summarize
from tests.models.files import archive, functional, layer


def pooled(path: Path, size: int | None, window: int, last: str = "GlobalMaxPooling2D", **options: Any) -> Path:
    return archive(
        path,
        functional(
            layer("InputLayer", "x", [], batch_shape=[None, size, size, 3]),
            layer("MaxPooling2D", "pool", ["x"], pool_size=[window, window], strides=[1, 1], padding="valid"),
            layer(last, "all", ["pool"], **options),
        ),
    )


@pytest.mark.parametrize(
    ("last", "options"), [("GlobalMaxPooling2D", {}), ("AdaptiveMaxPooling2D", {"output_size": 1})]
)
def test_it_is_refused_by_name_where_the_shape_is_fixed(last: str, options: dict[str, int], tmp_path: Path) -> None:
    with pytest.raises(ModelRefused, match=r"Layer 'pool' ") as caught:
        summarize(pooled(tmp_path / "a.keras", 3, 4, last, **options))
    assert caught.value.code == "bad-graph"


@pytest.mark.parametrize("window", [17, 33])
def test_with_open_dimensions_larger_inputs_are_tried(window: int, tmp_path: Path) -> None:
    assert summarize(pooled(tmp_path / "a.keras", None, window)).kind == "keras"


def test_with_open_dimensions_and_a_window_larger_than_any_trial_it_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelRefused, match="cannot be run on random inputs"):
        summarize(pooled(tmp_path / "a.keras", None, 225))


def test_a_model_is_not_fixed_to_a_shape_that_leaves_a_pool_empty() -> None:
    start = tf_keras.Input((None, None, 3))
    model = tf_keras.Model(start, tf_keras.layers.GlobalMaxPooling2D()(tf_keras.layers.MaxPooling2D(4, 1)(start)))
    with pytest.raises(NotApplicable, match=r"cannot be fixed to examples of shape \(3, 3, 3\)"):
        with_input_shape(model, (3, 3, 3))
    assert np.asarray(with_input_shape(model, (4, 4, 3))(np.ones((1, 4, 4, 3)))).shape == (1, 3)
