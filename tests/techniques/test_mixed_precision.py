"""The target is kept, bits go where they are needed, and what was measured can be measured again."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tf_keras
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import entropy

from optimizers.declarations import Part, TrainingData
from optimizers.errors import NotApplicable
from optimizers.litert.interpreter import predict
from optimizers.litert.weights import weights
from optimizers.params import resolve
from optimizers.techniques import _precision, mixed_precision
from optimizers.tf.build import save_working
from tests.techniques.conftest import Applied
from tests.techniques.networks import built, digits

Apply = Callable[..., Applied]
Sources = Callable[[str], Path]


def rehearsed(network: str, **given: Any) -> Any:
    params = resolve("mixed_precision", mixed_precision.MixedPrecisionParams, given)
    return mixed_precision.rehearse(built(network), params, frozenset())


def answers(file: Path) -> np.ndarray:
    return predict(file, digits().validation.x).astype(np.float64)


def divergence(file: Path, base: Path) -> float:
    """Mean Kullback-Leibler divergence of a file's answers from another's on the validation part."""
    return float(np.mean(entropy(answers(base), np.maximum(answers(file), 1e-7), axis=1)))


def test_a_smaller_target_takes_bits_where_they_hurt_least(sources: Sources, apply: Apply) -> None:
    base = apply("float32", sources("conv"))
    size = base.main.stat().st_size
    done = {target: apply("mixed_precision", sources("conv"), target=target) for target in (0.55, 0.4, 0.3)}
    for target, stage in done.items():
        figures = stage.report.figures
        assert figures["float32_bytes"] == size
        assert stage.main.stat().st_size == figures["size_bytes"] <= target * size
        assert figures["predicted_bytes"] == pytest.approx(figures["size_bytes"], rel=0.03)
        assert figures["loss"]["part"] == "validation"
        assert figures["loss"]["examples"] == len(digits().validation)
    widths = [stage.report.figures["mean_bits"] for stage in done.values()]
    assert widths == sorted(widths, reverse=True)
    assert widths[-1] < widths[0]
    alike = apply("low_bit", sources("conv"), bits="int4", granularity="per_tensor")
    assert divergence(done[0.55].main, base.main) < divergence(alike.main, base.main)


def test_bits_and_damage_of_each_layer_are_those_of_the_file(sources: Sources, apply: Apply) -> None:
    done = apply("mixed_precision", sources("dense"), target=0.25)
    layers = done.report.figures["layers"]
    found = {w.name.split("/")[1]: w for w in weights(done.main) if w.kernel}
    assert {name: told["bits"] for name, told in layers.items()} == {name: w.bits for name, w in found.items()}
    base = apply("float32", sources("dense"))
    for name, told in layers.items():
        if told["bits"] not in (4.0, 8.0):
            continue
        per = "per_tensor" if len(found[name].scales) == 1 else "per_channel"
        alone = apply("low_bit", sources("dense"), bits=f"int{told['bits']:.0f}", granularity=per, layers=name)
        assert told["damage"] == pytest.approx(divergence(alone.main, base.main), rel=1e-3)


def test_layers_that_stay_float_are_told_with_the_reason(sources: Sources, apply: Apply) -> None:
    done = apply("mixed_precision", sources("dense"), target=0.9)
    kept = [name for name, told in done.report.figures["layers"].items() if told["bits"] == 32]
    assert kept
    assert done.report.skipped == dict.fromkeys(kept, "it stays in float32, the target is met without it")
    chosen = apply("mixed_precision", sources("dense"), target=0.6, layers="hidden*")
    assert chosen.report.skipped["digit"] == "it is not among the chosen layers"
    assert "digit" not in chosen.report.figures["layers"]


def test_a_target_out_of_reach_is_refused_with_one_that_is_not(sources: Sources, apply: Apply) -> None:
    with pytest.raises(NotApplicable, match=r"No file of this model can be as small as") as refusal:
        apply("mixed_precision", sources("lstm"), target=0.1)
    advised = float(re.search(r"at least (\d\.\d\d)", refusal.value.message)[1])  # type: ignore[index]
    assert f"{100 * advised:.0f}% of the float32 file" in refusal.value.message
    done = apply("mixed_precision", sources("lstm"), target=advised, examples=32)
    assert done.main.stat().st_size <= done.report.figures["target_bytes"]
    with pytest.raises(NotApplicable, match="all layers but lstm at the fewest bits"):
        rehearsed("lstm", target=0.1, recurrent="fused")


def test_the_fewest_bits_and_those_of_convolutions_are_kept(sources: Sources, apply: Apply) -> None:
    done = apply("mixed_precision", sources("conv"), target=0.3, lowest_bits="int2", convolutions="int8", examples=64)
    for weight in weights(done.main):
        if weight.kernel:
            assert weight.bits >= (8 if weight.kinds == ("CONV_2D",) else 2)
    eight = apply("mixed_precision", sources("conv"), target=0.5, lowest_bits="int8", examples=64)
    assert min(w.bits for w in weights(eight.main) if w.kernel) == 8


def test_without_validation_examples_training_examples_are_measured_on(sources: Sources, apply: Apply) -> None:
    data = digits()
    none = Part(data.validation.x[:0], data.validation.y[:0])
    bare = TrainingData(data.train, none, data.task, data.classes)
    done = apply("mixed_precision", sources("dense"), bare, examples=64)
    assert done.report.figures["loss"]["part"] == "train"
    assert done.report.figures["loss"]["examples"] == 64


def test_large_models_are_measured_on_fewer_examples(
    sources: Sources, apply: Apply, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_precision, "_MOST_MACS", 1e6)
    done = apply("mixed_precision", sources("dense"))
    assert done.report.notes[0] == "The model is large, so each layer was measured on 64 examples instead of 300."


@pytest.mark.parametrize(("task", "activation"), [("regression", None), ("binary", "sigmoid"), ("binary", None)])
def test_other_tasks_have_their_own_loss(task: Any, activation: str | None, tmp_path: Path, apply: Apply) -> None:
    rng = np.random.default_rng(0)
    tf_keras.utils.set_random_seed(0)
    inputs = tf_keras.Input((16,))
    x = tf_keras.layers.Dense(32, activation="relu", name="hidden")(inputs)
    model = tf_keras.Model(inputs, tf_keras.layers.Dense(1, activation=activation, name="out")(x))
    save_working(model, tmp_path / "model.keras")
    x = rng.standard_normal((80, 16)).astype(np.float32)
    truth = (x[:, 0] > 0).astype(np.int64) if task == "binary" else x[:, 0]
    part = Part(x, truth)
    data = TrainingData(part, part, task, ("no", "yes") if task == "binary" else ())
    done = apply("mixed_precision", tmp_path / "model.keras", data, target=0.6)
    scores = np.asarray(model(x))[:, 0].astype(np.float64)
    chance = 1 / (1 + np.exp(-scores)) if activation is None else scores
    by_hand = np.square(scores - truth) if task == "regression" else -np.log(np.where(truth == 1, chance, 1 - chance))
    assert done.report.figures["loss"]["float32"] == pytest.approx(by_hand.mean(), rel=1e-4)
    assert all(told["damage"] >= 0 for told in done.report.figures["layers"].values())


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 5), st.integers(0, 1000))
def test_divergence_is_that_of_the_textbook(width: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    one, other = rng.standard_normal((2, 7, width))

    def measured(output: str, a: np.ndarray, b: np.ndarray) -> float:
        return _precision.Probe(np.zeros((7, 1)), [], "validation", lambda y: 0.0, output).divergence(a, b)

    full = (np.concatenate([np.zeros((7, 1)), v], axis=1) if width == 1 else v for v in (one, other))
    first, second = (np.exp(v) / np.exp(v).sum(axis=1, keepdims=True) for v in full)
    want = float(np.mean(entropy(second, first, axis=1)))
    assert measured("logits", one, other) == pytest.approx(want, rel=1e-9)
    shown = (first[:, 1:], second[:, 1:]) if width == 1 else (first, second)
    assert measured("probabilities", *shown) == pytest.approx(want, rel=1e-9)
    assert measured("values", one, other) == pytest.approx(np.square(one - other).sum(axis=1).mean())
    assert measured("values", one, one) == measured("logits", one, one) == 0


def test_a_rehearsal_shows_all_layers_alike_and_within_the_target(sources: Sources, apply: Apply) -> None:
    base = apply("float32", sources("conv")).main.stat().st_size
    wide, narrow = rehearsed("conv", target=0.6), rehearsed("conv", target=0.3)
    assert wide.notes[0].startswith("Bits are chosen by measuring each layer")
    assert max(wide.bits.values()) > max(narrow.bits.values())
    done = apply("low_bit", sources("conv"), bits="int4", granularity="per_tensor")
    assert done.main.stat().st_size <= 0.3 * base, "what it shows at four bits can be had"
    assert set(narrow.bits.values()) == {4.0}
    assert set(narrow.touched) == set(narrow.bits) == {"conv1", "conv2", "digit"}
    assert narrow.model is built("conv")
