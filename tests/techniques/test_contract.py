"""What every technique promises, on every small network. A new technique is found here by itself."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from optimizers import registry
from optimizers.declarations import Rehearsal, Technique
from optimizers.errors import NotApplicable
from optimizers.litert.interpreter import predict
from optimizers.params import fields, resolve
from tests.techniques.conftest import Applied
from tests.techniques.networks import NETWORKS, held_out

ROOT = Path(__file__).resolve().parents[2]
TECHNIQUES = registry.techniques()
FROM_KERAS = sorted(name for name, t in TECHNIQUES.items() if "keras" in t.accepts)
CELLS = ("gru", "lstm")
"""These take as long as all networks without a cell; tests of single techniques have them, too."""
EACH = [pytest.param(name, marks=pytest.mark.slow) if name in CELLS else name for name in sorted(NETWORKS)]


@pytest.mark.parametrize("name", sorted(TECHNIQUES))
def test_declarations_are_complete(name: str) -> None:
    technique = TECHNIQUES[name]
    assert name == name.lower()
    assert technique.summary.endswith(".")
    assert len(technique.summary.split()) >= 8
    assert technique.source, "where the method is described"
    assert technique.apply.__doc__
    assert resolve(name, technique.params, {}), "defaults are valid"
    for field in fields(technique.params):
        assert field.help.endswith("."), field.name
        bounded = field.low is not None and field.high is not None
        assert bounded or field.kind in ("choice", "bool", "layers", "model"), field.name


def test_declarations_load_without_tensorflow() -> None:
    code = (
        "import sys; from optimizers import registry; registry.techniques()\n"
        "assert not {'tensorflow', 'keras', 'tf_keras'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


Attempt = Callable[[str, str], tuple[Applied | None, str]]


@pytest.mark.parametrize("network", EACH)
@pytest.mark.parametrize("name", FROM_KERAS)
def test_it_does_what_it_declares_or_says_why_not(name: str, network: str, attempted: Attempt) -> None:
    technique = TECHNIQUES[name]
    done, refusal = attempted(name, network)
    if done is None:
        assert network != "dense", "every technique works on plain dense layers"
        assert refusal.endswith(".")
        assert "\n" not in refusal
        return
    assert done.main.is_file()
    json.dumps([dict(done.report.figures), dict(done.report.skipped), done.report.notes], allow_nan=False)
    assert done.steps, "it tells how far it is"
    assert done.steps == sorted(done.steps)
    assert done.steps[-1][0] == done.steps[-1][1]
    x = held_out().x[:5]
    if technique.produces == "tflite":
        scores = predict(done.main, x)
    else:
        build = importlib.import_module("optimizers.tf.build")
        model = build.load_working(done.main)
        names = {layer.name for layer in model.submodules if hasattr(layer, "get_config")}
        assert set(done.report.skipped) <= names
        scores = np.asarray(model(x, training=False))
    assert scores.shape == (5, 10)
    assert np.isfinite(scores).all()


def rehearsed(technique: Technique, model: Any, params: Any) -> tuple[Rehearsal | None, str]:
    assert technique.rehearse is not None, "every technique can be rehearsed"
    try:
        return technique.rehearse(model, params, frozenset()), ""
    except NotApplicable as error:
        return None, error.message


@pytest.mark.parametrize("network", EACH)
@pytest.mark.parametrize("name", FROM_KERAS)
def test_a_rehearsal_foretells_what_happens(
    name: str, network: str, sources: Callable[[str], Path], attempted: Attempt
) -> None:
    technique = TECHNIQUES[name]
    build = importlib.import_module("optimizers.tf.build")
    model = build.load_working(sources(network))
    before = [weight.copy() for weight in model.get_weights()]
    params = resolve(name, technique.params, {})
    done, refusal = attempted(name, network)
    told, doubt = rehearsed(technique, model, params)
    assert told is not None or refusal, f"it worked, although the rehearsal said: {doubt}"
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    if done is None or told is None:
        return
    measured = any("measur" in note for note in told.notes)  # then layers are decided on when there are data
    assert measured or dict(told.skipped) == dict(done.report.skipped)
    if technique.produces == "keras":
        result = build.load_working(done.main)
        assert measured or told.model.count_params() == result.count_params()
        assert told.rounds >= 1
        assert told.touched


@pytest.mark.parametrize("name", FROM_KERAS)
def test_the_same_seed_gives_the_same_result(
    name: str, sources: Callable[[str], Path], apply: Callable[..., Applied], attempted: Attempt
) -> None:
    one, other = attempted(name, "dense")[0], apply(name, sources("dense"))
    assert one is not None
    assert one.report == other.report
    assert one.main.read_bytes() == other.main.read_bytes()
