"""Loads our own, trusted files with their native loaders, as a reference that is independent of our reader."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from optimizers.datasets import sample as data
from optimizers.models import sample
from sample_models.specs import SPECS

training = pytest.importorskip("sample_models.training")

NAMES = tuple(SPECS)


@cache
def loaded(name):
    return training.load(sample.manifest()[name].path)


@pytest.mark.parametrize("name", NAMES)
def test_models_reach_the_figures_in_the_manifest(name):
    entry = sample.manifest()[name]
    figures = training.evaluate(loaded(name), data.load(SPECS[name].data))
    assert figures == pytest.approx({figure.name: figure.value for figure in entry.figures}, abs=1e-3)
    assert loaded(name).count_params() == entry.parameters


@pytest.mark.parametrize("name", NAMES)
def test_models_are_plain(name):
    model = loaded(name)
    assert (len(model.inputs), len(model.outputs)) == (1, 1)
    assert getattr(model, "optimizer", None) is None
    for layer in model.layers:
        assert type(layer).__module__.split(".")[0] in {"keras", "tf_keras"}
        assert type(layer).__name__ not in {"Lambda", "Rescaling", "Normalization", "RandomFlip", "Functional"}
        assert layer.name.replace("_", "").isalnum()
        assert len(layer.name) <= 20


@pytest.mark.parametrize("name", [name for name in NAMES if SPECS[name].variant_of])
def test_variants_answer_like_their_original(name):
    x = data.load(SPECS[name].data).test.x[:32]
    original = loaded(SPECS[name].variant_of)
    np.testing.assert_allclose(loaded(name).predict_on_batch(x), original.predict_on_batch(x), atol=1e-5)


@pytest.mark.parametrize("name", [pytest.param("digits_cnn", marks=pytest.mark.slow), "mpg_mlp"])
def test_training_twice_gives_the_same_bytes(name, tmp_path):
    examples = data.load(SPECS[name].data)
    few = replace(examples, train=replace(examples.train, x=examples.train.x[:100], y=examples.train.y[:100]))
    files = []
    for number in range(2):
        training.keras.backend.clear_session()
        training.deterministic()
        files.append(tmp_path / f"{number}.keras")
        training.save(training.train(replace(SPECS[name], epochs=1), few), files[-1])
    assert files[0].read_bytes() == files[1].read_bytes()
