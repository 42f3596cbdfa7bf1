"""Zoo models on disk, saved once per session, and their outputs according to Keras itself."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from optimizers.models.reader import read
from optimizers.tf.check import run
from optimizers.tf.probes import random_inputs
from tests.tf.zoo import ZOO, randomized


@dataclass(frozen=True)
class Specimen:
    """A saved Keras 3 model: its files, inputs of three examples, and what the live model computed from them."""

    keras: Path
    h5: Path
    inputs: list[Any]
    outputs: list[np.ndarray]
    parameters: int


@pytest.fixture(scope="session")
def specimen(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Specimen]:
    folder = tmp_path_factory.mktemp("zoo")

    @cache
    def make(name: str) -> Specimen:
        model = randomized(ZOO[name]())
        keras_file, h5_file = folder / f"{name}.keras", folder / f"{name}.h5"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.save(keras_file)
            model.save(h5_file)
        inputs = random_inputs(read(keras_file), examples=3, seed=1, open_size=16)
        return Specimen(keras_file, h5_file, inputs, run(model, inputs), model.count_params())

    return make
