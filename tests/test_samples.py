"""Every sample model goes through every technique and leaves a measured file, or is refused with a reason."""

from __future__ import annotations

import numpy as np
import pytest

from optimizers import registry
from optimizers.history.frames import measurements_of
from optimizers.litert import interpreter
from optimizers.models.sample import manifest
from optimizers.params import fields
from optimizers.recipe import parse

SAMPLES = manifest()
QUICK = ("penguins_mlp",)
"""The others take minutes each and run with ``-m slow``; several other tests run them through single techniques."""

FLOAT_SIZE = {"float32": 1.0, "float16": 0.75, "dynamic_range": 0.75, "int8": 0.75, "int16x8": 0.8}


def each(wanted):
    """Names of samples to go through, all but a few marked as slow."""
    quick = {name for name, sample in SAMPLES.items() if {name, sample.is_variant_of} & set(QUICK)}
    return [name if name in quick else pytest.param(name, marks=pytest.mark.slow)
            for name, sample in SAMPLES.items() if wanted(sample)]  # fmt: skip


def is_original(sample):
    return sample.is_variant_of is None


def short(technique):
    """The technique as a recipe; one that trains does so for one epoch, however few steps that are."""
    trains = any(field.name == "epochs" for field in fields(technique.params))
    return parse(f"{technique.name}(epochs=1, min_steps=0)" if trains else technique.name)


@pytest.fixture(scope="module")
def results(queue):
    """For each sample, its finished runs by technique."""
    found = {}

    def of(name):
        if name not in found:
            techniques = registry.techniques().values()
            if SAMPLES[name].is_variant_of is not None:  # the same weights in another format
                techniques = [t for t in techniques if t.name in ("float32", "int8")]
            recipes = [short(technique) for technique in techniques]
            runs = queue.submit(f"sample:{name}", SAMPLES[name].dataset, recipes)
            queue.wait([r.id for r in runs])
            ended = [queue.history.run(r.id) for r in runs]
            found[name] = dict(zip([t.name for t in techniques], ended, strict=True))
        return found[name]

    return of


@pytest.mark.parametrize("name", each(lambda sample: True))
def test_every_technique_works_or_says_why_not(name, queue, results):
    for technique, run in results(name).items():
        if run.state != "done":
            assert run.state == "failed"
            assert run.failure.code == "not-applicable", run.failure
            assert run.failure.message.endswith(".")
            continue
        measured = measurements_of(queue.history, run)
        assert {"size_bytes", "compressed_bytes", "latency_ms", "latency_p90_ms"} <= set(measured), technique
        for m in measured.values():
            assert np.isfinite(m.value)
            assert m.low is None or m.low <= m.value + 1e-9
            assert m.high is None or m.high >= m.value - 1e-9


@pytest.mark.parametrize("name", each(is_original))
def test_the_baseline_agrees_with_the_manifest(name, queue, results):
    sample, run = SAMPLES[name], results(name)["float32"]
    assert run.state == "done", run.failure
    measured = measurements_of(queue.history, run)
    for figure in sample.figures:
        if figure.name in measured:
            assert measured[figure.name].value == pytest.approx(figure.value, abs=2e-3), figure.name
            assert measured[figure.name].n == figure.n
    assert sample.baseline.name in measured


@pytest.mark.parametrize("name", each(lambda sample: not is_original(sample)))
def test_formats_of_one_model_give_the_same_file(name, queue, results):
    original = SAMPLES[name].is_variant_of
    for technique in ("float32", "int8"):
        ours, theirs = results(name)[technique], results(original)[technique]
        a, b = (queue.store.path(queue.store.get(run.artifact_key)) for run in (ours, theirs))
        assert abs(a.stat().st_size - b.stat().st_size) <= 512  # names of tensors differ
        scores = [measurements_of(queue.history, run) for run in (ours, theirs)]
        headline = SAMPLES[name].baseline.name
        assert scores[0][headline].value == pytest.approx(scores[1][headline].value, abs=1e-6)


@pytest.mark.parametrize("name", each(lambda sample: is_original(sample) and sample.parameters >= 20_000))
def test_quantized_files_of_larger_models_are_smaller_or_say_that_nothing_was_quantized(name, queue, results):
    runs = results(name)
    baseline = measurements_of(queue.history, runs["float32"])["size_bytes"].value
    for technique, most in FLOAT_SIZE.items():
        if runs[technique].state == "done":
            size = measurements_of(queue.history, runs[technique])["size_bytes"].value
            notes = queue.store.get(runs[technique].artifact_key).report["notes"]
            nothing = any("No weight was quantized" in note for note in notes)
            assert size <= most * baseline or (nothing and name == "digits_lstm"), technique


def test_recurrent_models_get_int8_and_the_fused_form_is_refused_where_it_would_crash(queue):
    lstm = queue.submit("sample:digits_lstm", SAMPLES["digits_lstm"].dataset, [parse("int8")])
    recipes = [parse("int8"), parse("int8(recurrent=fused)")]
    runs = queue.submit("sample:occupancy_gru", SAMPLES["occupancy_gru"].dataset, recipes)
    queue.wait([run.id for run in (*lstm, *runs)])
    for run in (lstm[0], runs[0]):
        assert queue.history.run(run.id).state == "done", queue.history.run(run.id).failure
    failure = queue.history.run(runs[1].id).failure
    assert failure.code == "not-applicable"
    assert "unrolled" in failure.message


def test_int8_files_take_and_give_integers_when_asked(queue):
    run = queue.submit("sample:digits_cnn", "sample:optdigits", [parse("int8(io=int8)")])[0]
    queue.wait([run.id])
    run = queue.history.run(run.id)
    loaded = interpreter.load(queue.store.path(queue.store.get(run.artifact_key)))
    assert {d["dtype"] for d in (*loaded.get_input_details(), *loaded.get_output_details())} == {np.int8}
