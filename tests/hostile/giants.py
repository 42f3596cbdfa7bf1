"""Small files that describe large work: shapes, depths, repetitions and calls without end."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.hostile.files import HostileFile
from tests.hostile.sound import keras_archive, whole_hdf5
from tests.models.files import Json, functional, layer, small_config, with_option

_CONFINED = ("repeat",)
_TOO_MUCH = (
    *("too-large", "bad-value", "bad-json", "bad-config", "bad-graph", "weights-mismatch", "memory"),
    "unsupported-option",
)


def giants(marker: Path) -> Iterator[HostileFile]:
    """Every description, in a Keras archive and in an HDF5 file."""
    for name, config in _descriptions():
        yield HostileFile(
            f"{name}.keras",
            keras_archive(config),
            codes=_TOO_MUCH,
            harmless=name == "repeat",
            confined=name in _CONFINED,
        )
        if not isinstance(config, bytes) or config.isascii():  # HDF5's texts are UTF-8
            yield HostileFile(
                f"{name}.h5", whole_hdf5(config), codes=_TOO_MUCH, harmless=name == "repeat", confined=name in _CONFINED
            )


def _descriptions() -> Iterator[tuple[str, Json | bytes]]:
    for size in (1 << 24, 1 << 31, 1 << 40, 10**30, -1, 0, 1.5, True, "9" * 4000):
        yield f"units-{str(size)[:20]}", with_option("units", size)
    yield "number-of-5000-digits", json.dumps(small_config()).replace('"units": 2', f'"units": {"9" * 5000}').encode()
    for shape in (
        [None, 1 << 24],
        [None, 1 << 40],
        [None, 4096, 4096, 4096],
        [None] + [2] * 40,
        [1 << 30, 3],
        [None, 0],
    ):
        yield f"input-{len(shape)}-{shape[-1]}", _input(shape)
    yield "repeat", _chain(layer("RepeatVector", "big", ["x"], n=1 << 24))
    yield "upsampling", _picture(layer("UpSampling2D", "big", ["x"], size=[65536, 65536]))
    yield "padding", _picture(layer("ZeroPadding2D", "big", ["x"], padding=1 << 20))
    yield "resizing", _picture(layer("Resizing", "big", ["x"], height=1 << 24, width=1 << 24))
    yield "embedding", _chain(layer("Embedding", "big", ["x"], input_dim=1 << 24, output_dim=1 << 24))
    yield (
        "dense-on-dense",
        _chain(*(layer("Dense", f"d{i}", [f"d{i - 1}" if i else "x"], units=20_000) for i in range(9))),
    )
    yield "convolution", _picture(layer("Conv2D", "big", ["x"], filters=1 << 24, kernel_size=[65536, 65536]))
    yield "attention", _sequence(layer("MultiHeadAttention", "big", ["x", "x"], num_heads=1 << 20, key_dim=1 << 20), 64)
    for kind in ("Attention", "AdditiveAttention"):
        yield f"scores-of-{kind}", _sequence(_of_a_list(layer(kind, "big", ["x", "x"])), 1 << 17)
    for kind, unroll in (("SimpleRNN", True), ("LSTM", True), ("GRU", False), ("LSTM", False)):
        last = layer(kind, "big", ["x"], units=2, unroll=unroll)
        yield f"steps-of-{kind}-{unroll}", _sequence(last, 1 << 16)
    last = layer("Bidirectional", "big", ["x"], layer=layer("LSTM", "inner", [], units=2, unroll=True))
    yield "steps-of-Bidirectional", _sequence(last, 1 << 16)
    yield (
        "steps-of-TimeDistributed",
        _sequence(layer("TimeDistributed", "big", ["x"], layer=layer("Dense", "inner", [], units=2)), 1 << 16),
    )
    yield "cells", _sequence(layer("RNN", "big", ["x"], cell=_cells(1000)), 8)
    for kind, options in (("Tile", {"repeats": [1 << 20, 1 << 20]}), ("Repeat", {"repeats": 1 << 40, "axis": 1})):
        yield f"operation-{kind}", _chain(_operation(kind, ["x"], **options))
    for kind, options in (("OneHot", {"num_classes": 1 << 40}), ("BroadcastTo", {"shape": [1 << 20, 1 << 20, 3]})):
        yield f"operation-{kind}", _chain(_operation(kind, ["x"], **options))
    yield "operation-Pad", _chain(_operation("Pad", ["x"], pad_width=[[0, 0], [0, 1 << 40]]))
    yield "operation-Einsum", _chain(_einsum(25))
    yield (
        "power-iterations",
        _chain(
            layer("SpectralNormalization", "s", ["x"], power_iterations=1 << 24, layer=layer("Dense", "d", [], units=2))
        ),
    )
    yield "wrapped-300-deep", _chain(_wrapped(300))
    yield "models-in-models", _nested(30, calls=1)
    yield "models-called-by-models", _nested(7, calls=12)
    yield "calls-without-end", _called(layers=3, calls=4000)
    yield "many-layers", _chain(*(layer("Dense", f"d{i}", [f"d{i - 1}" if i else "x"], units=1) for i in range(2500)))
    yield "circle", _circle()
    yield "deep-lists", b"[" * 100_000 + b"]" * 100_000
    yield "deep-objects", b'{"a":' * 50_000 + b"1" + b"}" * 50_000
    yield "deep-constant", with_option("units", _deep(60))
    yield "many-values", json.dumps(with_option("units", [0] * 3_000_000)).encode()
    yield "long-constant", json.dumps(_constant([1] * 1_500_000)).encode()
    yield "not-a-number", json.dumps(with_option("units", float("nan"))).encode()
    yield "infinite", json.dumps(small_config()).replace('"units": 2', '"units": 1e999').encode()
    yield "repeated-key", json.dumps(small_config()).replace('"units": 2', '"units": 2, "units": 3').encode()
    yield "not-utf-8", b"\xff\xfe" + json.dumps(small_config()).encode()
    yield "utf-16", json.dumps(with_option("units", 10**30)).encode("utf-16")
    for name, value in (("nothing", None), ("number", 3), ("text", "Dense"), ("list", []), ("empty", {})):
        yield f"description-is-{name}", json.dumps(value).encode()


def _input(shape: list[int | None]) -> Json:
    config = small_config()
    config["config"]["layers"][0]["config"]["batch_shape"] = shape
    return config


def _from(shape: list[int | None], *rest: Json) -> Json:
    return functional(layer("InputLayer", "x", [], batch_shape=shape, dtype="float32"), *rest)


def _chain(*rest: Json) -> Json:
    return _from([None, 3], *rest)


def _picture(*rest: Json) -> Json:
    return _from([None, 32, 32, 3], *rest)


def _sequence(last: Json, length: int) -> Json:
    return _from([None, length, 4], last)


def _of_a_list(item: Json) -> Json:
    """The same layer, called with one list of tensors."""
    node = item["inbound_nodes"][0]
    node["args"] = [node["args"]]
    return item


def _operation(kind: str, inputs: list[str], **options: Any) -> Json:
    return layer(kind, "op", inputs, "keras.src.ops.numpy", **options)


def _einsum(letters: int) -> Json:
    """A product over so many different indices that its result has that many dimensions."""
    names = "abcdefghijklmnopqrstuvwxy"[:letters]
    terms = ",".join(f"z{name}" for name in names)
    return _operation("Einsum", ["x"] * letters, subscripts=f"{terms}->{names}")


def _cells(count: int) -> Json:
    return layer("StackedRNNCells", "cells", [], cells=[layer("LSTMCell", f"c{i}", [], units=8) for i in range(count)])


def _wrapped(depth: int) -> Json:
    inner = layer("Dense", "dense", [], units=2)
    for i in range(depth):
        inner = layer("TimeDistributed", f"t{i}", [], layer=inner)
    inner["inbound_nodes"] = layer("Dense", "d", ["x"])["inbound_nodes"]
    return inner


def _nested(depth: int, calls: int) -> Json:
    """Models inside models, each called several times by the one around it: the work grows exponentially."""
    model = small_model = functional(
        layer("InputLayer", "x", [], batch_shape=[None, 3], dtype="float32"),
        layer("Activation", "a", ["x"], activation="relu"),
    )
    for level in range(depth):
        inner = {**model, "name": f"m{level}", "config": {**model["config"], "name": f"m{level}"}}
        inner["inbound_nodes"] = [_call("x", 0), *(_call(f"m{level}", i) for i in range(calls - 1))]
        model = functional(small_model["config"]["layers"][0], inner)
        model["config"]["output_layers"] = [f"m{level}", calls - 1, 0]
        model["registered_name"] = None
    return model


def _call(source: str, number: int) -> Json:
    tensor = {"class_name": "__keras_tensor__", "config": {"keras_history": [source, number, 0]}}
    return {"args": [tensor], "kwargs": {}}


def _called(layers: int, calls: int) -> Json:
    """Layers that are called again and again, each time with what they gave before."""
    config = _chain(*(layer("Activation", f"a{i}", ["x"], activation="relu") for i in range(layers)))
    for i, item in enumerate(config["config"]["layers"][1:]):
        first = _call("x", 0) if i == 0 else _call(f"a{i - 1}", calls - 1)
        item["inbound_nodes"] = [first, *(_call(f"a{i}", number) for number in range(calls - 1))]
    config["config"]["output_layers"] = [f"a{layers - 1}", calls - 1, 0]
    return config


def _circle() -> Json:
    return _chain(
        layer("Activation", "a", ["b"], activation="relu"), layer("Activation", "b", ["a"], activation="relu")
    )


def _deep(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = {"class_name": "__tuple__", "items": [value], "config": {"value": [value]}} if depth < 12 else [value]
    return value


def _constant(values: list[int]) -> Json:
    config = small_config()
    array = {"class_name": "__numpy__", "config": {"value": values, "dtype": "float32"}}
    config["config"]["layers"][-1]["inbound_nodes"][0]["kwargs"] = {"mask": array}
    return config
