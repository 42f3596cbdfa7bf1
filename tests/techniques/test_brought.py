"""Techniques that work on a ``.tflite`` file, on files of every small network; and the recipes that they allow."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from optimizers import registry
from optimizers.errors import InvalidRecipe, NotApplicable
from optimizers.litert.file import LiteRtFile
from optimizers.litert.interpreter import predict
from optimizers.params import resolve
from optimizers.recipe import check_source, parse
from tests.techniques.conftest import Applied
from tests.techniques.networks import built, held_out

ON_FILES = sorted(name for name, t in registry.techniques().items() if "tflite" in t.accepts)
NETWORKS = ("conv", "lstm", "gru")
REFUSED = {("dynamic_range", "lstm"), ("mixed_precision", "lstm")}
"""The fused cell, nearly all of that model, has no version in fewer bits."""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    from optimizers.tf.convert import convert

    folder = tmp_path_factory.mktemp("brought")

    @cache
    def file(network: str) -> Path:
        path = folder / f"{network}.tflite"
        path.write_bytes(convert(built(network), "float32").file)
        return path

    return file


@pytest.mark.parametrize("network", ["conv", *(pytest.param(name, marks=pytest.mark.slow) for name in NETWORKS[1:])])
@pytest.mark.parametrize("name", ON_FILES)
def test_a_file_is_changed_as_was_foretold(
    name: str, network: str, file: Callable[[str], Path], apply: Callable[..., Applied]
) -> None:
    source, technique = file(network), registry.technique(name)
    before = source.read_bytes()
    if (name, network) in REFUSED:
        with pytest.raises(NotApplicable, match="unidirectional_sequence_lstm"):
            apply(name, source)
        return
    done = apply(name, source)
    assert source.read_bytes() == before
    assert done.steps[-1][0] == done.steps[-1][1]
    x = held_out().x[:20]
    wanted, got = predict(source, x), predict(done.main, x)
    assert got.shape == wanted.shape
    assert np.abs(got - wanted).max() < {"float32": 1e-12, "float16": 1e-2}.get(name, 0.3)
    size = done.main.stat().st_size
    assert (size == len(before)) if name == "float32" else (size < len(before))
    assert technique.rehearse is not None
    told = technique.rehearse(LiteRtFile(before), resolve(name, technique.params, {}), frozenset())
    if name != "mixed_precision":  # that one measures before it decides
        assert dict(told.skipped) == dict(done.report.skipped)
        assert told.model.content == done.main.read_bytes()


def test_what_is_converted_stays_converted() -> None:
    with pytest.raises(InvalidRecipe, match=r"step 1 \(float32\) produces a \.tflite file\. Keep only one"):
        parse("float32+low_bit")


@pytest.mark.parametrize("name", sorted(set(registry.techniques()) - set(ON_FILES)))
def test_all_others_ask_for_the_keras_model(name: str) -> None:
    with pytest.raises(NotApplicable, match="needs the Keras model") as caught:
        check_source(parse(name), "tflite")
    assert registry.technique(name).title in caught.value.message
    check_source(parse(name), "keras")
