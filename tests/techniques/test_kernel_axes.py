"""Which axes of a kernel are its inputs, and which its outputs: groups of zeros and of shared values follow them."""

from __future__ import annotations

import numpy as np
import pytest
import tf_keras

from optimizers.declarations import Part, TrainingData
from optimizers.tf import masks, pruning
from optimizers.tf.build import load_working, save_working

L = tf_keras.layers


@pytest.mark.parametrize(
    ("shape", "layer", "axes"),
    [
        ((4, 4, 8), L.Conv2DTranspose(12, 3, name="a"), (3,)),
        ((8, 8), L.Conv1D(12, 3, name="query"), (1,)),
        ((5, 8), L.EinsumDense("abc,cde->abde", output_shape=(None, 2, 6), name="a"), (0,)),
        ((5, 2, 4), L.EinsumDense("abcd,cde->abe", output_shape=(None, 6), name="a"), (0, 1)),
    ],
)
def test_groups_of_zeros_lie_along_the_inputs(shape, layer, axes) -> None:
    inputs = tf_keras.Input(shape)
    model = tf_keras.Model(inputs, layer(inputs))
    form = masks.Shape("n_of_m")
    found = pruning.targets(model, "", form)
    (kernel,) = found.kernels[layer.name]
    rows = masks.pruned(kernel, 0.5, form)
    rows = np.moveaxis(rows, axes, range(rows.ndim - len(axes), rows.ndim))
    assert (rows.reshape(-1, 4).sum(axis=1) == 2).all()


def data(model, n: int = 64) -> TrainingData:
    x = np.random.default_rng(0).standard_normal((n, *model.input_shape[1:])).astype(np.float32)
    part = Part(x, (x.reshape(n, -1)[:, 0] > 0).astype(np.int64))
    return TrainingData(part, part, "classification", ("a", "b"))


def test_channels_before_negative_factors_keep_their_constraint(tmp_path, apply) -> None:
    inputs = tf_keras.Input((6, 6, 2))
    x = L.Conv2D(8, 3, kernel_constraint=tf_keras.constraints.NonNeg(), name="positive")(inputs)
    x = L.ReLU()(L.BatchNormalization(name="norm")(x))
    model = tf_keras.Model(inputs, L.Dense(2, name="out")(L.Flatten()(x)))
    layer, norm = model.get_layer("positive"), model.get_layer("norm")
    layer.kernel.assign(np.abs(layer.kernel) + 0.1)
    norm.gamma.assign(np.tile([-1.0, 1.0], 4))
    save_working(model, tmp_path / "m.keras")
    done = apply("weight_clustering", tmp_path / "m.keras", data(model), clusters=100, learning_rate=1e-6)
    after = load_working(done.main).get_layer("positive").kernel.numpy()
    assert np.abs(after - layer.kernel.numpy()).max() < 0.05


def test_each_output_channel_of_a_transposed_convolution_is_not_taken_for_an_input(tmp_path, apply) -> None:
    inputs = tf_keras.Input((6, 6, 2))
    x = L.Conv2DTranspose(8, 3, name="up")(inputs)
    model = tf_keras.Model(inputs, L.Dense(2, name="out")(L.Flatten()(x)))
    save_working(model, tmp_path / "m.keras")
    done = apply("weight_clustering", tmp_path / "m.keras", data(model), clusters=6, per_channel=True)
    kernel = load_working(done.main).get_layer("up").kernel.numpy()
    assert max(len(np.unique(kernel[:, :, channel])) for channel in range(8)) <= 6
    assert done.report.figures["layers"]["up"]["unique"] <= 6
