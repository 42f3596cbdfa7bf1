"""Model descriptions that would run code, import modules, read files or reach the network when a loader obeyed them."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.hostile.files import HostileFile, dumped_lambda, payload
from tests.hostile.sound import keras_archive, whole_hdf5
from tests.models.files import Json, functional, layer, small_config, with_option

_FOREIGN = ("custom-layer", "custom-function", "unsafe-layer", "unsafe-config", "subclassed-model", "bad-config")


def code(marker: Path) -> Iterator[HostileFile]:
    """Every description, in a Keras archive and in an HDF5 file."""
    for name, config, codes in _descriptions(marker):
        yield HostileFile(f"{name}.keras", keras_archive(config), codes=codes)
        yield HostileFile(f"{name}.h5", whole_hdf5(config), codes=codes)
    for name, config in _never_looked_at(marker):
        yield HostileFile(f"{name}.keras", keras_archive(config), harmless=True)
        yield HostileFile(f"{name}.h5", whole_hdf5(config), harmless=True)


def keras2_lambda(marker: Path) -> Json:
    """A Sequential model with a Lambda, in the notation of Keras 2."""
    options = {"name": "scale", "function": dumped_lambda(marker), "function_type": "lambda", "module": "m"}
    options |= {"output_shape": None, "output_shape_type": "raw", "output_shape_module": None, "arguments": {}}
    start = {"class_name": "InputLayer", "config": {"batch_input_shape": [None, 3], "name": "x", "dtype": "float32"}}
    layers = [start, {"class_name": "Lambda", "config": options}]
    return {"class_name": "Sequential", "config": {"name": "m", "layers": layers}}


def _with_layer(kind: str, module: str | None = "keras.layers", registered: str | None = None, **options: Any) -> Json:
    start = layer("InputLayer", "x", [], batch_shape=[None, 3], dtype="float32")
    last = layer(kind, "scale", ["x"], module, **options)
    last["registered_name"] = registered
    return functional(start, last)


def _called_with(value: Any) -> Json:
    config = small_config()
    config["config"]["layers"][-1]["inbound_nodes"][0]["kwargs"] = {"mask": value}
    return config


def _keras2_function(function: str, *arguments: Any) -> Json:
    start = {
        "class_name": "InputLayer",
        "name": "x",
        "inbound_nodes": [],
        "config": {"batch_input_shape": [None, 3], "name": "x", "dtype": "float32"},
    }
    call = ["_CONSTANT_VALUE", -1, arguments[0], {"contents": arguments[1]}]
    operation = {
        "class_name": "TFOpLambda",
        "name": "op",
        "inbound_nodes": [call],
        "config": {"name": "op", "function": function, "dtype": "float32"},
    }
    inside = {"name": "m", "layers": [start, operation], "input_layers": [["x", 0, 0]], "output_layers": [["op", 0, 0]]}
    return {"class_name": "Functional", "config": inside}


def _descriptions(marker: Path) -> Iterator[tuple[str, Json, tuple[str, ...]]]:
    shell = f"touch {marker}"
    encoded, defaults, closure = dumped_lambda(marker)
    function = {"class_name": "__lambda__", "config": {"code": encoded, "defaults": defaults, "closure": closure}}
    named = {"module": "os", "class_name": "function", "config": "system", "registered_name": "system"}
    evil = {"module": "builtins", "class_name": "exec", "config": {"source": payload(marker)}, "registered_name": None}
    popen = {"module": "subprocess", "class_name": "Popen", "config": {"args": shell, "shell": True}}
    inner = layer("Lambda", "scale", [], function=function)
    nested = functional(layer("InputLayer", "z", [], batch_shape=[None, 3]), layer("Lambda", "s", ["z"], function=[]))

    unsafe = ("unsafe-layer",)
    yield "lambda", _with_layer("Lambda", function=function, arguments={}), unsafe
    yield "lambda-of-keras-2", keras2_lambda(marker), unsafe
    yield "lambda-under-another-module", _with_layer("Lambda", "keras.src.layers.core", function=function), unsafe
    yield "lambda-inside-a-wrapper", _with_layer("TimeDistributed", layer=inner), unsafe
    yield (
        "lambda-inside-a-model",
        functional(
            layer("InputLayer", "x", [], batch_shape=[None, 3]),
            {**nested, "name": "model_1", "inbound_nodes": small_config()["config"]["layers"][1]["inbound_nodes"]},
        ),
        unsafe,
    )
    yield "lambda-as-the-model", {**inner, "module": "keras.layers"}, ("subclassed-model",)
    yield "lambda-as-activation", with_option("activation", function), ("custom-function",)
    for kind in ("TFSMLayer", "JaxLayer", "FlaxLayer", "TorchModuleWrapper"):
        yield f"layer-{kind}", _with_layer(kind, filepath=str(marker), module=evil), unsafe
    for module, kind in (("os", "system"), ("builtins", "exec"), ("subprocess", "Popen"), ("importlib", "reload")):
        yield f"layer-from-{module}", _with_layer(kind, module, command=shell, args=shell), _FOREIGN
        yield f"model-from-{module}", {"module": module, "class_name": kind, "config": {"command": shell}}, _FOREIGN
    yield "layer-of-a-package", _with_layer("Dense", "keras.layers", "evil>Dense", units=2), ("custom-layer",)
    yield "layer-without-a-module", _with_layer("Dense", None, units=2), ("custom-layer",)
    yield "layer-of-a-made-up-module", _with_layer("Dense", "keras_evil.layers", units=2), ("custom-layer",)
    yield "layer-of-the-reader", _with_layer("Dense", "optimizers.tf.layers", "paretoscope>exec", units=2), _FOREIGN
    for name, value in (("function", named), ("object", evil), ("process", popen)):
        yield f"activation-is-a-{name}", with_option("activation", value), ("custom-function",)
        yield f"constraint-is-a-{name}", with_option("kernel_constraint", value), ("custom-function",)
        yield f"regularizer-is-a-{name}", with_option("kernel_regularizer", value), ("custom-function",)
        yield f"dtype-is-a-{name}", with_option("dtype", value), ("bad-value",)
        yield f"unit-is-a-{name}", with_option("units", value), ("bad-value",)
        yield f"argument-is-a-{name}", _called_with(value), _FOREIGN
    yield "activation-by-path", with_option("activation", "os.system"), ("custom-function",)
    yield "activation-that-is-code", with_option("activation", payload(marker)), ("custom-function",)
    lookups = (("StringLookup", "vocabulary"), ("IntegerLookup", "vocabulary"), ("TextVectorization", "vocabulary"))
    for kind, option in lookups:
        yield f"{kind}-of-a-file", _with_layer(kind, **{option: "/etc/passwd"}), ("unsupported-layer",)
    yield "weights-from-the-network", with_option("weights", "https://example.invalid/w.h5"), ("unsupported-option",)
    for symbol in ("io.write_file", "io.read_file", "py_function", "numpy_function", "raw_ops.WriteFile", "os.system"):
        yield f"function-{symbol}", _keras2_function(symbol, str(marker), "x"), ("unsupported-op",)
    yield "name-that-climbs", _named("../../../evil"), ()
    yield "name-with-terminal-codes", _named("\x1b[2Jcleared"), ("bad-value",)
    yield "name-with-markup", _named("<script>alert(1)</script>é"), ("bad-value",)
    yield "name-of-two-lines", _named("a\nb"), ("bad-value",)
    yield "name-without-end", _named("a" * 100_000), ("bad-value",)


def _named(name: str) -> Json:
    config = small_config()
    last = config["config"]["layers"][-1]
    last["name"] = last["config"]["name"] = name
    return config


def _never_looked_at(marker: Path) -> Iterator[tuple[str, Json]]:
    """Objects in places that only training would need: they are skipped unread."""
    evil = {"module": "os", "class_name": "system", "config": {"command": f"touch {marker}"}, "registered_name": None}
    for option in ("kernel_initializer", "bias_initializer", "seed", "build_config", "lora_rank"):
        yield f"object-as-{option}", with_option(option, evil)
    for key in ("compile_config", "build_config", "optimizer_config"):
        config = copy.deepcopy(small_config())
        config[key] = {"optimizer": evil, "loss": evil, "input_shape": [None, 3]}
        yield f"object-in-{key}", config
