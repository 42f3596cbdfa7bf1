"""Steps that train work on models with several inputs and with several outputs, and are judged by each of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from optimizers import registry
from optimizers.datasets.several import arrays_of, joined
from optimizers.declarations import Part, StageContext, Technique, TrainingData
from optimizers.errors import NotApplicable
from optimizers.litert.interpreter import predict
from optimizers.techniques._training import TrainingParams
from tests.techniques.conftest import Applied
from tests.techniques.networks import digits

TRAINING = sorted(n for n, t in registry.techniques().items() if "train" in t.needs)
OTHERS = sorted(n for n, t in registry.techniques().items() if "keras" in t.accepts and n not in TRAINING)
WIDTHS = (10, 1, 8)


def halves(part: Part) -> np.ndarray:
    """The upper half as an image, the lower one as 32 whole numbers from 0 to 16."""
    return joined([part.x[:, :4], (part.x[:, 4:] * 16).astype(np.int32).reshape(-1, 32)], ("upper", "lower"))


@cache
def halved() -> TrainingData:
    data = digits()
    train, validation = (Part(halves(part), part.y) for part in (data.train, data.validation))
    return TrainingData(train, validation, data.task, data.classes)


@cache
def networks() -> dict[str, Any]:
    """``inputs`` takes two, ``outputs`` gives a digit, whether it is odd, and how much ink is in each column."""
    import tf_keras

    layers, data = tf_keras.layers, digits()
    tf_keras.utils.set_random_seed(5)
    upper, lower = tf_keras.Input((4, 8, 1), name="upper"), tf_keras.Input((32,), dtype="int32", name="lower")
    x = layers.Conv2D(16, 3, padding="same", activation="relu", name="conv")(upper)
    x = layers.Flatten(name="flat")(x)
    y = layers.GlobalAveragePooling1D(name="pool")(layers.Embedding(17, 24, name="table")(lower))
    x = layers.Dense(48, activation="relu", name="hidden")(layers.Concatenate(name="both")([x, y]))
    inputs = tf_keras.Model([upper, lower], layers.Dense(10, activation="softmax", name="digit")(x), name="inputs")
    inputs.compile("adam", "sparse_categorical_crossentropy", jit_compile=False)
    inputs.fit(arrays_of(halved().train.x), data.train.y, epochs=8, batch_size=16, verbose=0)
    image = tf_keras.Input((8, 8, 1), name="image")
    x = layers.Conv2D(16, 3, strides=2, padding="same", activation="relu", name="conv")(image)
    x = layers.Dense(64, activation="relu", name="hidden")(layers.Flatten(name="flat")(x))
    heads = [
        layers.Dense(10, activation="softmax", name="digit")(x),
        layers.Dense(1, activation="sigmoid", name="odd")(x),
        layers.Dense(8, name="ink")(x),
    ]
    outputs = tf_keras.Model(image, heads, name="outputs")
    truth = [data.train.y, data.train.y % 2, data.train.x.sum(axis=(1, 3))]
    outputs.compile("adam", ["sparse_categorical_crossentropy", "binary_crossentropy", "mse"], jit_compile=False)
    outputs.fit(data.train.x, truth, epochs=10, verbose=0)
    return {"inputs": inputs, "outputs": outputs}


@cache
def answered() -> TrainingData:
    """The digits with what the network with several outputs answers for labels, as the engine makes them."""
    from optimizers.tf.outputs import outputs

    data, model = digits(), networks()["outputs"]
    train, validation = (Part(part.x, outputs(model, part.x)) for part in (data.train, data.validation))
    return TrainingData(train, validation, "regression", ())


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    from optimizers.tf.build import save_working

    folder = tmp_path_factory.mktemp("several")
    paths = {name: folder / f"{name}.keras" for name in networks()}
    for name, model in networks().items():
        save_working(model, paths[name])
    return paths


def data_of(network: str) -> TrainingData:
    return halved() if network == "inputs" else answered()


def answers(done: Applied, technique: str, x: np.ndarray) -> np.ndarray:
    if registry.technique(technique).produces == "tflite":
        return predict(done.main, x).reshape(len(x), -1)
    from optimizers.tf.build import load_working
    from optimizers.tf.outputs import outputs

    return outputs(load_working(done.main), x)


def check(name: str, network: str, done: Applied) -> None:
    data = data_of(network)
    found = answers(done, name, data.validation.x)
    if network == "inputs":
        assert found.shape == (300, 10)
        assert (found.argmax(axis=1) == data.validation.y).mean() > 0.75
        return
    assert found.shape == data.validation.y.shape
    ends = np.cumsum(WIDTHS)[:-1]
    for wanted, given in zip(np.split(data.validation.y, ends, 1), np.split(found, ends, 1), strict=True):
        assert np.abs(wanted - given).mean() < 0.5 * wanted.std(), "every output is learned"


def _trains(technique: Technique) -> bool:
    return issubclass(technique.params, TrainingParams)


PARAMS = {"distillation": {"epochs": 8, "width": 0.5}}


USUAL = [(name, ("inputs", "outputs")[number % 2]) for number, name in enumerate(TRAINING)]
SLOW = [
    pytest.param(name, network, marks=pytest.mark.slow)
    for name in TRAINING
    for network in ("inputs", "outputs")
    if (name, network) not in USUAL
]


@pytest.mark.parametrize(("name", "network"), [*USUAL, *SLOW])
def test_training_steps(name: str, network: str, files: dict[str, Path], apply: Callable[..., Applied]) -> None:
    technique = registry.technique(name)
    given = {"batch_size": 16, "learning_rate": 2e-3, **PARAMS.get(name, {})} if _trains(technique) else {}
    done = apply(name, files[network], data_of(network), **given)
    check(name, network, done)
    if network == "outputs" and given:
        assert any("All 3 outputs learned from what the original answers" in note for note in done.report.notes)
        assert done.report.figures["history"]["val_output_change"][-1] < 0.5


@pytest.mark.slow
@pytest.mark.parametrize("network", ["inputs", "outputs"])
@pytest.mark.parametrize("name", OTHERS)
def test_steps_that_do_not_train(
    name: str, network: str, files: dict[str, Path], apply: Callable[..., Applied]
) -> None:
    check(name, network, apply(name, files[network], data_of(network)))


@pytest.mark.slow
@pytest.mark.parametrize(
    "given",
    [
        {"learn_from": "original", "augmentation": "shift"},
        {"learn_from": "both", "augmentation": "noise", "patience": 2},
        {"learn_from": "labels", "class_weights": "none", "monitor": "val_metric", "patience": 1},
    ],
)
@pytest.mark.parametrize("network", ["inputs", "outputs"])
def test_every_way_to_train(
    network: str, given: dict[str, Any], files: dict[str, Path], apply: Callable[..., Applied]
) -> None:
    done = apply("magnitude_pruning", files[network], data_of(network), learning_rate=2e-3, batch_size=16, **given)
    check("magnitude_pruning", network, done)


@pytest.mark.parametrize("network", ["inputs", pytest.param("outputs", marks=pytest.mark.slow)])
def test_channels_go_by_their_share_in_the_loss(
    network: str, files: dict[str, Path], apply: Callable[..., Applied]
) -> None:
    done = apply("structured_pruning", files[network], data_of(network), criterion="taylor", learning_rate=2e-3)
    assert done.report.figures["macs"]["after"] < done.report.figures["macs"]["before"]


def test_inputs_are_varied_each_in_its_way() -> None:
    from optimizers.tf.feeding import augmentation

    data, random = halved(), np.random.default_rng(0)
    for kind in ("noise", "shift"):
        varied = augmentation(kind, data)(data.train.x[:50], random)
        assert varied.dtype == data.train.x.dtype
        assert (varied["upper"] != data.train.x["upper"][:50]).any()
        np.testing.assert_array_equal(varied["lower"], data.train.x["lower"][:50])
    words = TrainingData(Part(data.train.x[["lower"]], data.train.y), data.validation, data.task, data.classes)
    with pytest.raises(NotApplicable, match="only be added to decimal numbers"):
        augmentation("noise", words)


def test_the_loss_of_several_outputs_is_least_where_all_are_right() -> None:
    import tensorflow as tf

    from optimizers.tf.losses import SideBySide, outputs_of

    data = answered()
    each = outputs_of(networks()["outputs"], data.train.x, data.train.y)
    assert [(one.kind, one.width) for one in each] == [("softmax", 10), ("sigmoid", 1), ("values", 8)]
    loss, y = SideBySide(each), tf.constant(data.train.y[:100])
    assert abs(float(loss(y, y))) < 1e-5
    from_one = [np.concatenate([y[:, :end], np.roll(y[:, end:], 1, axis=0)], axis=1) for end in (18, 11, 10, 0)]
    rising = [float(loss(y, tf.constant(other))) for other in from_one]
    assert rising == sorted(rising)
    assert rising[1] > 0.2


def test_open_dimensions_of_an_output_are_counted_in_the_data(tmp_path: Path) -> None:
    import tf_keras

    from optimizers.tf.objective import objective

    steps = tf_keras.Input((None, 3))
    model = tf_keras.Model(steps, tf_keras.layers.Dense(2)(steps))
    x = np.zeros((20, 5, 3), np.float32)
    part = Part(x, np.zeros((20, 10), np.float32))
    data = TrainingData(part, part, "regression", ())
    context = StageContext(tmp_path, tmp_path, lambda: data, 0, lambda *a, **k: None, lambda text: None)
    assert objective(model, context, TrainingParams()).train_targets.shape == (20, 10)
