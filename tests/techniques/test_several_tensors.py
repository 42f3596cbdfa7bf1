"""Steps that train work on models with several inputs and with several outputs, and are judged by each of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from optimizers import registry
from optimizers.datasets.by_output import constant_loss
from optimizers.datasets.several import arrays_of, joined, named
from optimizers.declarations import Part, StageContext, Technique, TrainingData
from optimizers.errors import NotApplicable
from optimizers.litert.interpreter import predict
from optimizers.records import Target
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


@cache
def labelled() -> TrainingData:
    """The digits with labels for two outputs; the third has what the network answers, as the engine makes it."""
    data, targets = digits(), (
        Target(name="digit", task="classification", classes=tuple("0123456789"), output=(10,), activation="softmax"),
        Target(name="odd", task="binary", classes=("even", "odd"), output=(1,), activation="sigmoid"),
        Target(name="ink", task="fidelity", output=(8,), activation="linear"),
    )  # fmt: skip
    pairs = zip((data.train, data.validation), (answered().train, answered().validation), strict=True)
    train, validation = (
        Part(own.x, named({"digit": own.y, "odd": own.y % 2, "ink": told.y[:, 11:]})) for own, told in pairs
    )
    return TrainingData(train, validation, "several", (), targets)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    from optimizers.tf.build import save_working

    folder = tmp_path_factory.mktemp("several")
    paths = {name: folder / f"{name}.keras" for name in networks()}
    for name, model in networks().items():
        save_working(model, paths[name])
    return {**paths, "labelled": paths["outputs"]}


def data_of(network: str) -> TrainingData:
    return {"inputs": halved, "outputs": answered, "labelled": labelled}[network]()


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
    ends = np.cumsum(WIDTHS)[:-1]
    if network == "labelled":
        digit, odd, ink = np.split(found, ends, 1)
        assert (digit.argmax(axis=1) == data.validation.y["digit"]).mean() > 0.75
        assert ((odd[:, 0] > 0.5) == data.validation.y["odd"]).mean() > 0.75
        assert np.abs(ink - data.validation.y["ink"]).mean() < 0.5 * data.validation.y["ink"].std()
        return
    assert found.shape == data.validation.y.shape
    for wanted, given in zip(np.split(data.validation.y, ends, 1), np.split(found, ends, 1), strict=True):
        assert np.abs(wanted - given).mean() < 0.5 * wanted.std(), "every output is learned"


def _trains(technique: Technique) -> bool:
    return issubclass(technique.params, TrainingParams)


PARAMS = {"distillation": {"epochs": 8, "width": 0.5}}


NETWORKS = ("inputs", "outputs", "labelled")
USUAL = [(name, NETWORKS[number % 3]) for number, name in enumerate(TRAINING)]
SLOW = [
    pytest.param(name, network, marks=pytest.mark.slow)
    for name in TRAINING
    for network in NETWORKS
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
    if network == "labelled" and given:
        assert any("All 3 outputs learned together from" in note for note in done.report.notes)
        assert done.report.figures["history"]["val_relative_loss"][-1] < 0.5


@pytest.mark.slow
@pytest.mark.parametrize("network", NETWORKS)
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
        {"learn_from": "both", "class_weights": "balanced"},
    ],
)
@pytest.mark.parametrize("network", NETWORKS)
def test_every_way_to_train(
    network: str, given: dict[str, Any], files: dict[str, Path], apply: Callable[..., Applied]
) -> None:
    if network == "outputs" and given.get("class_weights") == "balanced":
        pytest.skip("what the original answers has no classes")
    done = apply("magnitude_pruning", files[network], data_of(network), learning_rate=2e-3, batch_size=16, **given)
    check("magnitude_pruning", network, done)


@pytest.mark.parametrize("network", ["labelled", *(pytest.param(n, marks=pytest.mark.slow) for n in NETWORKS[:2])])
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


def context_of(data: TrainingData, folder: Path, original: Path | None = None) -> StageContext:
    return StageContext(folder, folder, lambda: data, 0, lambda *a, **k: None, lambda text: None, original=original)


def test_the_loss_of_several_outputs_is_the_sum_of_their_own_over_that_of_the_best_constant(tmp_path: Path) -> None:
    from sklearn.metrics import log_loss

    from optimizers.tf.objective import objective
    from optimizers.tf.outputs import outputs

    data, model = labelled(), networks()["outputs"]
    goal = objective(model, context_of(data, tmp_path), TrainingParams())
    assert goal.validation_targets is not None
    given, y = outputs(model, data.validation.x), data.validation.y
    digit, odd, ink = np.split(given.astype(np.float64), np.cumsum(WIDTHS)[:-1], 1)
    digit /= digit.sum(axis=1, keepdims=True)
    change = np.square(ink - y["ink"]).mean() / np.var(data.train.y["ink"])
    expected = (
        log_loss(y["digit"], digit, labels=range(10)) / constant_loss(data.train.y["digit"], "classification")
        + log_loss(y["odd"], odd[:, 0]) / constant_loss(data.train.y["odd"], "binary")
        + change
    )
    assert float(goal.loss(goal.validation_targets, given)) == pytest.approx(expected, rel=1e-3)
    balanced = objective(model, context_of(data, tmp_path), TrainingParams(class_weights="balanced"))
    assert any("Rare classes of digit and odd counted" in note for note in balanced.notes)
    assert float(balanced.loss(balanced.validation_targets, given)) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("units", [1, 2])
def test_a_teacher_of_two_classes_is_followed_whatever_the_number_of_scores(units: int, tmp_path: Path) -> None:
    import tensorflow as tf
    import tf_keras

    from optimizers.tf.build import save_working
    from optimizers.tf.objective import objective

    tf_keras.utils.set_random_seed(1)
    last = "sigmoid" if units == 1 else "softmax"
    models = [tf_keras.Sequential([tf_keras.Input((3,)), tf_keras.layers.Dense(units, last)]) for _ in range(2)]
    save_working(models[0], tmp_path / "teacher.keras")
    x = np.random.default_rng(0).normal(size=(70, 3)).astype(np.float32)
    part = Part(x, (x[:, 0] > 0).astype(np.int64))
    data, student = TrainingData(part, part, "binary", ("a", "b")), models[1]
    told = context_of(data, tmp_path, tmp_path / "teacher.keras")
    goal = objective(student, told, TrainingParams(learn_from="original"))
    student.compile(tf_keras.optimizers.Adam(0.05), goal.loss)
    student.fit(x, goal.train_targets, epochs=40, verbose=0)  # 70 examples: the size of the last batch is unknown
    assert tf.reduce_max(tf.abs(student(x) - models[0](x))) < 0.1


def test_labels_at_positions_of_one_output_move_with_the_image(tmp_path: Path) -> None:
    from optimizers.tf.feeding import feed
    from optimizers.tf.objective import Objective

    x = np.random.default_rng(0).integers(0, 5, (40, 8, 8, 1)).astype(np.float32)
    y = named({"mask": x[..., 0].astype(np.uint8), "sum": x.sum(axis=(1, 2, 3))})
    targets = (Target(name="mask", task="segmentation", classes=tuple("01234"), label_shape=(8, 8), output=(8, 8, 5)),
               Target(name="sum", task="regression", output=(1,)))  # fmt: skip
    data = TrainingData(Part(x, y), Part(x, y), "several", (), targets)
    seen: list[np.ndarray] = []

    def targets_of(x: np.ndarray, picks: np.ndarray, labels: np.ndarray | None) -> np.ndarray:
        assert labels is not None
        np.testing.assert_array_equal(labels["mask"], x[..., 0])
        np.testing.assert_array_equal(labels["sum"], y["sum"][picks])
        seen.append(labels)
        return np.zeros(len(x))

    goal = Objective(None, [], "", "lower", np.zeros(0), None, targets_of)
    fed = feed(data, TrainingParams(augmentation="shift", batch_size=40), goal, 0)
    fed.x[0]
    assert len(seen) == 1
    assert (seen[0]["mask"] != y["mask"]).any()


def test_open_dimensions_of_an_output_are_counted_in_the_data(tmp_path: Path) -> None:
    import tf_keras

    from optimizers.tf.objective import objective

    steps = tf_keras.Input((None, 3))
    model = tf_keras.Model(steps, tf_keras.layers.Dense(2)(steps))
    x = np.zeros((20, 5, 3), np.float32)
    part = Part(x, np.zeros((20, 10), np.float32))
    data = TrainingData(part, part, "regression", ())
    assert objective(model, context_of(data, tmp_path), TrainingParams()).train_targets.shape == (20, 10)
