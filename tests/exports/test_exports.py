"""What holds for every export, found by its folder, and for names that strangers chose."""

from __future__ import annotations

import ast
import inspect
import json
import subprocess
from dataclasses import replace

import pytest

from optimizers import registry
from optimizers.engine.deploying import deployable
from optimizers.errors import NotApplicable
from tests.exports.programs import compiled, needs

NASTY = [
    '"',
    "'",
    '"""',
    "\\",
    "*/",
    "//",
    "${x}",
    "$x",
    "\\(x)",
    "a\nb",
    "\u2028",
    "{{ x }}",
    "%s",
    "ä\u202e",
    "?" * 3,
]


@pytest.fixture(scope="module")
def files(queue, digits_runs):
    made = [deployable(queue.driver, run) for run in digits_runs.values()]
    return [*made, deployable(queue.driver, digits_runs["int8"], of_baseline=True)]


@pytest.fixture(scope="module")
def nasty(files):
    """A file whose classes and notes are bent."""
    data = files[1].data.model_copy(update={"classes": tuple(NASTY), "notes": tuple(NASTY)})
    return replace(files[1], data=data, model='x"\n*/ y.keras', recipe='int8(a=\'"""\')')


@pytest.mark.parametrize("name", registry.exports())
def test_every_export_suits_these_files(files, name):
    export = registry.export(name)
    assert export.title
    assert export.summary.endswith(".")
    assert not inspect.getdoc(export.make) or export.make.__module__
    for file in files:
        assert export.make(file) == export.make(file)
        assert export.file_name(file).startswith("digits_cnn-")
        assert "/" not in export.file_name(file)
    assert (export.kind == "program") == bool(export.language)


def test_metadata_tell_what_was_measured(files):
    told = json.loads(registry.export("metadata").make(files[1]))
    assert told["file"]["bytes"] == len(registry.export("tflite").make(files[1])) == len(files[1].content)
    assert told["inputs"][0]["shape"] == [1, 8, 8, 1]
    assert told["classes"] == [str(digit) for digit in range(10)]
    assert told["measurements"]["size_bytes"]["value"] == len(files[1].content)
    assert told["recipe"]["text"] == "int8"


def test_open_sizes_and_unknown_operators_are_told(files):
    port = files[0].inputs[0].model_copy(update={"shape": (1, -1, 8, 1)})
    with pytest.raises(NotApplicable, match="is open in this file"):
        registry.export("kotlin").make(replace(files[0], inputs=(port,)))
    with pytest.raises(NotApplicable, match="has no ERF"):
        registry.export("cpp_micro").make(replace(files[0], operators=("ERF",)))
    with pytest.raises(NotApplicable, match="int64"):
        registry.export("javascript").make(
            replace(files[0], outputs=(port.model_copy(update={"dtype": "int64", "shape": (1, 10)}),))
        )


def test_bent_names_end_no_string_in_python(nasty):
    tree = ast.parse(registry.export("python").make(nasty))
    classes = next(n for n in tree.body if isinstance(n, ast.Assign) and n.targets[0].id == "CLASSES")
    assert len(ast.literal_eval(classes.value)) == len(NASTY)
    assert ast.literal_eval(classes.value)[:6] == NASTY[:6]


@needs("node")
def test_bent_names_end_no_string_in_javascript(nasty, tmp_path):
    (tmp_path / "program.mjs").write_bytes(registry.export("javascript").make(nasty))
    subprocess.run(["node", "--check", tmp_path / "program.mjs"], check=True, capture_output=True)


def test_bent_names_end_no_string_in_kotlin_and_swift(nasty):
    kotlin = registry.export("kotlin").make(nasty).decode()
    line = next(line for line in kotlin.splitlines() if "CLASSES" in line)
    assert r'"\${x}", "\$x"' in line
    swift = registry.export("swift").make(nasty).decode()
    assert r'"\\(x)"' in next(line for line in swift.splitlines() if "static let classes" in line)


@needs("g++")
def test_bent_names_end_no_string_in_cpp(nasty, tmp_path):
    assert compiled(nasty, tmp_path)
