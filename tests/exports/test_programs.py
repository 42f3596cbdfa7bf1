"""Programs are run where they can run here, and answer as the file does."""

from __future__ import annotations

import importlib.util
import os
import subprocess
from dataclasses import replace

import numpy as np
import pytest

from optimizers import registry
from optimizers.datasets import sample
from optimizers.engine.deploying import deployable
from optimizers.litert.interpreter import predict
from optimizers.recipe import parse
from tests.exports.programs import compiled, needs


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Writes exports of a file side by side into an empty folder, which becomes the working directory."""
    monkeypatch.chdir(tmp_path)

    def write(file, *names):
        paths = []
        for name in names:
            export = registry.export(name)
            paths.append(tmp_path / export.file_name(file))
            paths[-1].write_bytes(export.make(file))
        return paths

    return write


def loaded(path):
    """A program in Python as a module."""
    spec = importlib.util.spec_from_file_location("program", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def agrees(file, written, x):
    program = loaded(written(file, "tflite", "python")[1])
    expected = predict(file.content, x)
    got = np.stack([program.predict(example)[0] for example in x])
    np.testing.assert_allclose(got.reshape(expected.shape), expected, rtol=1e-6, atol=1e-6)
    return program


@pytest.mark.parametrize("name", ["int8", "pruned"])
def test_the_python_program_answers_as_the_file_does(queue, digits_runs, written, name):
    agrees(deployable(queue.driver, digits_runs[name]), written, sample.load("optdigits").test.x[:20])


def test_the_python_program_runs_by_itself(queue, digits_runs, written, tmp_path):
    _, program = written(deployable(queue.driver, digits_runs["int8"]), "tflite", "python")
    told = subprocess.run([os.sys.executable, program.name], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert told.stdout.split()[0] in "0123456789"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "data", "recipe"),
    [
        ("penguins_mlp", "penguins", "int8"),
        ("penguins_mlp", "penguins", "int8(io=int8)"),
        ("mpg_mlp", "auto_mpg", "float16"),
        ("occupancy_gru", "occupancy", "float32"),
        ("digits_lstm", "optdigits", "dynamic_range"),
        ("digits_transformer", "optdigits", "int8"),
        ("fashion_mobilenet", "fashion_mnist", "int8"),
    ],
)
def test_programs_of_other_samples_answer_as_their_files_do(queue, written, model, data, recipe):
    (run,) = queue.submit(f"sample:{model}", f"sample:{data}", [parse(recipe)])
    queue.wait([run.id])
    file, loaded_data = deployable(queue.driver, queue.history.run(run.id)), sample.load(data)
    x = loaded_data.test.x[:10]
    program = agrees(file, written, x if x.ndim == len(file.inputs[0].shape) else x[..., None])
    if file.features and "rows" in file.data.preview:
        titles = file.data.preview["columns"]
        rows = [dict(zip(titles, row, strict=False)) for row in file.data.preview["rows"]]
        encoded = np.stack([program.encode(row) for row in rows])
        assert any(np.allclose(encoded[0], example, atol=1e-4) for example in loaded_data.train.x)


@needs("gcc", "g++")
def test_the_c_array_holds_the_bytes(queue, digits_runs, written, tmp_path):
    file = deployable(queue.driver, digits_runs["int8"])
    (header,) = written(file, "c_array")
    main = (
        f'#include <stdio.h>\n#include "{header.name}"\n'
        f"int main(void) {{ return !fwrite({file.identifier}, {file.identifier}_len, 1, stdout); }}\n"
    )
    for compiler, source in (("gcc", "main.c"), ("g++", "main.cc")):
        (tmp_path / source).write_text(main)
        subprocess.run([compiler, "-Wall", "-Werror", source, "-o", "main"], cwd=tmp_path, check=True)
        assert subprocess.run([tmp_path / "main"], capture_output=True, check=True).stdout == file.content


@needs("g++")
@pytest.mark.parametrize("integer", [False, True])
def test_the_microcontroller_program_compiles(queue, digits_runs, tmp_path, integer):
    file = deployable(queue.driver, digits_runs["int8"])
    if integer:
        quantized = {"dtype": "int8", "scale": 0.0039, "zero": -128}
        file = replace(
            file,
            inputs=tuple(port.model_copy(update=quantized) for port in file.inputs),
            outputs=tuple(port.model_copy(update=quantized) for port in file.outputs),
            arena=12_345,
        )
    assert compiled(file, tmp_path)
