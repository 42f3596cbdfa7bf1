"""Every analysis on every sample model, and on models without labels, with several inputs, or brought as a file."""

from __future__ import annotations

import numpy as np
import pytest

from optimizers import registry
from optimizers.datasets import drawn
from optimizers.engine.analysing import Question
from optimizers.models.sample import manifest
from optimizers.recipe import parse
from tests.analyses.test_contract import check

SAMPLES = {name: sample for name, sample in manifest().items() if sample.is_variant_of is None}
QUICK = ("penguins_mlp",)
INSIDE = ("flips", "corruptions", "weights", "activations", "sensitivity")
"""What each sample's int8 file has a report of; confusions only where there are classes."""
BY_ITSELF = [name for name, declared in registry.analyses().items() if not declared.alone]


def finished(queue, model, data, *recipes):
    """Runs that left a file; others say that a step does not apply."""
    submitted = queue.submit(model, data, [parse(text) for text in recipes])
    queue.wait([run.id for run in submitted])
    found = [queue.history.run(run.id) for run in submitted]
    assert all(run.failure is None or run.failure.code == "not-applicable" for run in found), found
    return [run for run in found if run.failure is None]


def reports(queue, run, names):
    return {name: check(queue, Question(run, name, {})) for name in names}


@pytest.mark.parametrize("name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in SAMPLES])
def test_what_changed_inside_is_told_for_every_sample(queue, name):
    (run,) = finished(queue, f"sample:{name}", SAMPLES[name].dataset, "int8")
    found = reports(queue, run, (*INSIDE, "confusion"))
    assert all(found[analysis] for analysis in INSIDE)
    assert (found["confusion"] is None) == (name == "mpg_mlp")


@pytest.mark.slow
@pytest.mark.parametrize("name", SAMPLES)
def test_every_analysis_gives_a_report_or_a_reason(queue, name):
    trained = "magnitude_pruning(epochs=1, min_steps=0)+weight_clustering(epochs=1, min_steps=0)+int8"
    found = finished(
        queue, f"sample:{name}", SAMPLES[name].dataset,
        "int8", "low_bit", trained, "distillation(epochs=1, min_steps=0)", "low_rank(epochs=1, min_steps=0)",
    )  # fmt: skip
    for run in found:
        reports(queue, run, registry.analyses() if run is found[0] else BY_ITSELF)


def test_without_labels_answers_are_held_against_the_original(queue):
    data = drawn.for_model(queue.driver.inspect_model("sample:digits_cnn")[1])
    (run,) = finished(queue, "sample:digits_cnn", data, "int8")
    found = reports(queue, run, (*INSIDE, "confusion"))
    assert all(found[name] for name in INSIDE)
    assert found["confusion"] is None
    assert "nobody knows" in found["flips"].sentences[0].advice
    assert found["sensitivity"].table("totals").rows[0]["quality"] <= 1


@pytest.mark.slow
def test_what_is_given_back_has_an_error_example_by_example(queue, tmp_path):
    import keras

    random = np.random.default_rng(3)
    x = (random.standard_normal((200, 3)) @ random.standard_normal((3, 12))).astype("float32")
    model = keras.Sequential([keras.Input((12,)), keras.layers.Dense(3), keras.layers.Dense(12)])
    model.save(tmp_path / "autoencoder.keras")
    np.savez(tmp_path / "signals.npz", x=x)
    (run,) = finished(queue, str(tmp_path / "autoencoder.keras"), str(tmp_path / "signals.npz"), "int8")
    found = reports(queue, run, BY_ITSELF)
    assert all(found[name] for name in INSIDE)
    assert "mean absolute error" in found["flips"].sentences[0].text


@pytest.mark.slow
def test_several_inputs_and_outputs(queue, tmp_path):
    import keras
    from keras import layers

    image, words = keras.Input((8, 8, 1), name="image"), keras.Input((5,), dtype="int32", name="words")
    seen = layers.Flatten()(layers.Conv2D(8, 3, activation="relu")(image))
    both = layers.Concatenate()([seen, layers.Flatten()(layers.Embedding(50, 8)(words))])
    heads = [layers.Dense(4, activation="softmax", name="kind")(both), layers.Dense(2, name="place")(both)]
    keras.Model([image, words], heads).save(tmp_path / "both.keras")
    model = str(tmp_path / "both.keras")
    (run,) = finished(queue, model, drawn.for_model(queue.driver.inspect_model(model)[1]), "int8")
    found = reports(queue, run, BY_ITSELF)
    assert all(found[name] for name in INSIDE if name != "corruptions")
    assert found["corruptions"] is None
    assert [row["layer"] for row in found["activations"].table("activations").rows].count("output") == 2


@pytest.mark.slow
def test_a_file_that_was_brought(queue, runs, tmp_path):
    brought = tmp_path / "brought.tflite"
    brought.write_bytes(queue.store.path(queue.store.get(runs["float32"].artifact_key)).read_bytes())
    (run,) = finished(queue, str(brought), "sample:optdigits", "low_bit(bits=int8)")
    found = reports(queue, run, BY_ITSELF)
    assert all(found[name] for name in (*INSIDE, "confusion"))
