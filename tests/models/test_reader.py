"""What the reader takes from a description, and what it refuses with which code and words."""

from __future__ import annotations

import copy
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from optimizers.errors import ModelRefused
from optimizers.models.reader import read
from optimizers.models.reader.containers import FolderContainer
from optimizers.models.reader.dialect import Numbering, dialect_of, snake_case
from optimizers.models.reader.operations import OPERATIONS, from_function
from optimizers.models.reader.spec import TensorRef
from optimizers.models.reader.templates import fill_template, write_template
from tests.models.files import archive, functional, layer, legacy, small_config, with_option


def refusal(path: Path) -> ModelRefused:
    with pytest.raises(ModelRefused) as caught:
        read(path)
    assert caught.value.message.endswith(".")
    assert "\n" not in caught.value.message
    return caught.value


def test_small_archive(tmp_path: Path) -> None:
    spec = read(archive(tmp_path / "a.keras"))
    assert (spec.format, spec.keras_version, spec.notes) == ("Keras 3 archive", "3.15.1", ())
    start, dense = spec.graph.layers
    assert start.options == {"batch_shape": (None, 3)}
    assert (dense.kind, dense.options, dense.archive_path) == (
        "Dense",
        {"units": 2, "activation": "relu"},
        "layers/dense",
    )
    assert dense.calls[0].args == [TensorRef("x", 0, 0)]
    assert spec.graph.order == [("x", 0), ("dense", 0)]


def test_reading_imports_no_framework(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.keras")
    code = (
        "import sys, pathlib; from optimizers.models.reader import read; "
        f"read(pathlib.Path({str(path)!r})); "
        "sys.exit(any(name in sys.modules for name in ('tensorflow', 'keras', 'tf_keras')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("kind", "module", "code"),
    [
        ("Lambda", "keras.layers", "unsafe-layer"),
        ("TFSMLayer", "keras.layers", "unsafe-layer"),
        ("StringLookup", "keras.layers", "unsupported-layer"),
        ("Mystery", "keras.layers", "unsupported-layer"),
        ("MyDense", "my_package.layers", "custom-layer"),
        ("Dense", "os", "custom-layer"),
        ("Dense", None, "custom-layer"),
        ("LayerScale", "keras.layers", "custom-layer"),
        ("Lambda", "keras.src.ops.numpy", "unsupported-op"),
        ("WriteFile", "keras.src.ops.numpy", "unsupported-op"),
    ],
)
def test_classes_that_are_not_on_the_list(kind: str, module: str | None, code: str, tmp_path: Path) -> None:
    config = small_config()
    config["config"]["layers"][1] |= {"class_name": kind, "module": module}
    error = refusal(archive(tmp_path / "a.keras", config))
    assert error.code == code
    assert "'dense'" in error.message


def test_lambda_in_hdf5(tmp_path: Path) -> None:
    config = small_config()
    config["config"]["layers"][1] |= {
        "class_name": "Lambda",
        "config": {"name": "trick", "function": ["4wE=", None, None]},
    }
    error = refusal(legacy(tmp_path / "a.h5", config))
    assert error.code == "unsafe-layer"
    assert "'trick'" in error.message


def test_registered_custom_layer(tmp_path: Path) -> None:
    config = small_config()
    config["config"]["layers"][1] |= {"module": "builtins", "class_name": "Mine", "registered_name": "pkg>Mine"}
    assert refusal(archive(tmp_path / "a.keras", config)).code == "custom-layer"


@pytest.mark.parametrize("graph", [True, False])
def test_subclassed_models(graph: bool, tmp_path: Path) -> None:
    config = small_config() | {"class_name": "MyModel", "module": "mine"}
    if not graph:
        config["config"] = {"units": 3}
    error = refusal(archive(tmp_path / "a.keras", config))
    assert error.code == "subclassed-model"
    assert ("keras.Model(model.inputs" in error.message) == graph


@pytest.mark.parametrize(
    ("option", "value", "code"),
    [
        ("units", -1, "bad-value"),
        ("units", 1 << 40, "bad-value"),
        ("units", True, "bad-value"),
        ("units", "4", "bad-value"),
        ("use_bias", "yes", "bad-value"),
        ("activation", "os.system", "custom-function"),
        ("activation", {"class_name": "function", "config": "mine>act"}, "custom-function"),
        ("activation", {"class_name": "Lambda", "config": {}}, "custom-function"),
        ("kernel_regularizer", {"class_name": "Mine", "config": {}}, "custom-function"),
        ("kernel_constraint", "Mine", "custom-function"),
        ("surprise", 1, "unsupported-option"),
        ("quantization_config", {"bits": 4}, "unsupported-option"),
        ("dtype", "string", "unsupported-layer"),
        ("dtype", {"class_name": "QuantizedDTypePolicy", "config": {}}, "already-quantized"),
        ("dtype", "int8_from_float32", "already-quantized"),
        ("dtype", "quaternion", "bad-value"),
        ("name", "a\nb", "bad-value"),
        ("name", "dense\u202eesned", "bad-value"),
        ("name", "a" * 300, "bad-value"),
    ],
)
def test_options_that_are_refused(option: str, value: Any, code: str, tmp_path: Path) -> None:
    assert refusal(archive(tmp_path / "a.keras", with_option(option, value))).code == code


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("kernel_initializer", {"module": "os", "class_name": "system", "config": {"command": "true"}}),
        ("quantization_config", None),
        ("lora_rank", None),
        ("kernel_regularizer", {"class_name": "L2", "config": {"l2": 0.1}}),
        ("activity_regularizer", {"class_name": "L1", "config": {"l1": 0.5}}),
        ("activation", {"class_name": "LeakyReLU", "config": {"name": "leaky", "negative_slope": 0.5}}),
    ],
)
def test_options_that_change_nothing_or_are_known(option: str, value: Any, tmp_path: Path) -> None:
    assert read(archive(tmp_path / "a.keras", with_option(option, value))).graph.layers[1].kind == "Dense"


def _broken_graphs() -> dict[str, tuple[Any, str]]:
    twice = small_config()
    twice["config"]["layers"].append(copy.deepcopy(twice["config"]["layers"][1]))
    cycle = functional(
        layer("InputLayer", "x", [], batch_shape=[None, 3]),
        layer("Add", "a", ["x", "b"]),
        layer("ReLU", "b", ["a"]),
    )
    missing = small_config()
    missing["config"]["layers"][1]["inbound_nodes"][0]["args"][0]["config"]["keras_history"][0] = "nowhere"
    late = small_config()
    late["config"]["output_layers"] = ["dense", 7, 0]
    no_layers = small_config()
    no_layers["config"]["layers"] = []
    no_shape = small_config()
    del no_shape["config"]["layers"][0]["config"]["batch_shape"]
    no_input = small_config()
    no_input["config"]["input_layers"] = ["dense", 0, 0]
    thing = small_config()
    thing["config"]["layers"][1]["inbound_nodes"][0]["kwargs"] = {"mask": {"class_name": "Popen", "config": {}}}
    return {
        "two layers of one name": (twice, "bad-graph"),
        "cycle": (cycle, "bad-graph"),
        "missing layer": (missing, "bad-graph"),
        "missing call": (late, "bad-graph"),
        "input is no input layer": (no_input, "bad-graph"),
        "object in the graph": (thing, "unsafe-config"),
        "no layers": (no_layers, "bad-config"),
        "no input shape": (no_shape, "no-input-shape"),
        "never built": (
            {"class_name": "Sequential", "config": {"name": "s", "layers": [layer("Dense", "d", [], units=1)]}},
            "no-input-shape",
        ),
        "only a layer": (layer("Dense", "d", [], units=1), "subclassed-model"),
        "a list": ([1, 2], "bad-config"),
        "nothing": (None, "bad-config"),
    }


@pytest.mark.parametrize("case", _broken_graphs())
def test_broken_graphs(case: str, tmp_path: Path) -> None:
    config, code = _broken_graphs()[case]
    path = archive(tmp_path / "a.keras", b"null" if config is None else config)
    assert refusal(path).code == code


def test_deep_nesting_is_refused(tmp_path: Path) -> None:
    config = small_config()
    for depth in range(12):
        config = functional(
            layer("InputLayer", "x", [], batch_shape=[None, 3]),
            layer("Dense", "unused", ["x"], units=1) | {**config, "name": f"m{depth}"},
        )
        config["config"]["layers"][1]["inbound_nodes"] = layer("Dense", "d", ["x"])["inbound_nodes"]
    assert refusal(archive(tmp_path / "a.keras", config)).code == "too-large"


def test_long_chains_do_not_exhaust_the_stack(tmp_path: Path) -> None:
    chain = [layer("InputLayer", "l0", [], batch_shape=[None, 3])]
    chain += [layer("ReLU", f"l{i}", [f"l{i - 1}"]) for i in range(1, 1190)]
    assert len(read(archive(tmp_path / "a.keras", functional(*chain))).graph.order) == 1190


def test_augmentation_becomes_an_identity_with_a_note(tmp_path: Path) -> None:
    spec = read(archive(tmp_path / "a.keras", with_option("factor", 0.5, kind="RandomRotation")))
    assert spec.graph.layers[1].kind == "Identity"
    assert "RandomRotation" in spec.notes[0]


def test_dialect_follows_the_content() -> None:
    assert dialect_of({"config": {"batch_input_shape": [1]}}, "3.1") == 2
    assert dialect_of({"config": {"batch_shape": [1]}}, "2.9") == 3
    assert (dialect_of({}, "3.0.1"), dialect_of({}, "2.1"), dialect_of([])) == (3, 2, 2)


def test_names_of_weight_folders() -> None:
    numbering = Numbering()
    names = [snake_case(kind) for kind in ("Conv2D", "LSTM", "DepthwiseConv2D", "Conv2D")]
    assert [numbering.unique(name) for name in names] == ["conv2d", "lstm", "depthwise_conv2d", "conv2d_1"]


def test_functions_of_tensorflow_become_operations() -> None:
    x = TensorRef("x", 0, 0)
    assert from_function("math.reduce_mean", [x], {"axis": [1], "keepdims": True}, "w") == (
        [x],
        {"axis": [1], "keepdims": True},
    )
    assert from_function("split", [x], {"num_or_size_splits": [2, 3, 1], "axis": 1}, "w")[1] == {
        "indices_or_sections": [2, 5],
        "axis": 1,
    }
    assert from_function("nn.gelu", [x], {"name": None}, "w") == ([x], {"approximate": False})
    with pytest.raises(ModelRefused, match="option 'seed'"):
        from_function("math.add", [x, x], {"seed": 3}, "w")


def test_operations_of_keras2_that_write_files_are_refused(tmp_path: Path) -> None:
    config = {
        "class_name": "Functional",
        "config": {
            "name": "m",
            "layers": [
                {
                    "class_name": "InputLayer",
                    "config": {"batch_input_shape": [None, 3], "name": "x"},
                    "name": "x",
                    "inbound_nodes": [],
                },
                {
                    "class_name": "TFOpLambda",
                    "config": {"name": "f", "function": "io.write_file"},
                    "name": "f",
                    "inbound_nodes": [["x", 0, 0, {"contents": "boo"}]],
                },
            ],
            "input_layers": [["x", 0, 0]],
            "output_layers": [["f", 0, 0]],
        },
    }
    error = refusal(legacy(tmp_path / "a.h5", config))
    assert error.code == "unsupported-op"
    assert "io.write_file" in error.message


def test_templates_round_trip() -> None:
    args = ["x", [1, slice(None, -1, 2), ...], {"a": np.array([[1, 2]], "int32")}, 2.5, None]
    text, tensors = write_template(args, {"axis": [0]}, lambda value: value == "x" if isinstance(value, str) else False)
    filled, options = fill_template(text, ["T"])
    assert tensors == ["x"]
    assert filled[:2] == ["T", args[1]]
    assert filled[2]["a"].dtype == np.int32
    assert (filled[3:], options) == ([2.5, None], {"axis": [0]})
    for broken in ("", "[]", '{"args": 1, "options": {}}', '{"args": [{"$tensor": 9}], "options": {}}'):
        with pytest.raises(ModelRefused):
            fill_template(broken, [])


def test_every_operation_has_lower_case_options() -> None:
    assert all(option.isidentifier() for options in OPERATIONS.values() for option in options)


def test_a_file_in_a_folder_takes_its_own_size_of_memory_and_not_all_that_it_might(tmp_path: Path) -> None:
    (tmp_path / "saved_model.pb").write_bytes(b"graph")
    folder = FolderContainer(tmp_path)
    tracemalloc.start()
    try:
        assert folder.read("saved_model.pb", 64 << 20) == b"graph"
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()
    with pytest.raises(ModelRefused, match="larger than 0 MiB"):
        folder.read("saved_model.pb", 4)


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.keras")
    path.write_bytes(path.read_bytes()[:-40])
    told = refusal(path)
    assert told.code == "bad-file"
    assert told.message.startswith("'a.keras' cannot be read: the ZIP file is damaged or incomplete")
    with pytest.raises(ModelRefused, match=r"^'mine' cannot be read"):
        read(path, "mine")
