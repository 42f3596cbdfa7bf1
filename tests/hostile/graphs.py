"""SavedModels whose graphs read, write and call Python, and damaged ``.tflite`` files."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path

from tests.hostile.files import HostileFile
from tests.hostile.giants import _nested
from tests.hostile.sound import saved_model_members, tarred, tflite, zipped

_OPS = ("ReadFile", "WriteFile", "PyFunc", "EagerPyFunc", "PyFuncStateless", "SaveV2", "RestoreV2", "PrintV2")


def saved_models(marker: Path) -> Iterator[HostileFile]:
    """Packed SavedModels, written by hand as protocol buffers."""
    plain = dict(saved_model_members())
    bare = {name: data for name, data in plain.items() if name != "keras_metadata.pb"}
    for op in _OPS:
        evil = graph_with(op, marker)
        yield HostileFile(f"{op}.zip", zipped({**bare, "saved_model.pb": evil}), codes=("no-keras-metadata",))
        yield HostileFile(f"{op}.tar.gz", tarred({**bare, "saved_model.pb": evil}), codes=("no-keras-metadata",))
        beside = {**plain, "saved_model.pb": plain["saved_model.pb"] + evil}
        yield HostileFile(f"{op}-beside-a-description.zip", zipped(beside), harmless=True)
    for name, metadata in _metadata(marker).items():
        yield HostileFile(f"{name}.zip", zipped({**plain, "keras_metadata.pb": metadata}))
    for name in ("variables/variables.index", "variables/variables.data-00000-of-00001"):
        without = {other: data for other, data in plain.items() if other != name}
        short = name.rsplit(".", 1)[-1]
        yield HostileFile(f"without-{short}.zip", zipped(without), codes=("bad-file",))
        for i, data in enumerate((b"", b"\0" * 200, plain[name][: len(plain[name]) // 2], plain[name][::-1])):
            yield HostileFile(
                f"bad-{short}-{i}.zip", zipped({**plain, name: data}), codes=("bad-file", "weights-mismatch")
            )
    yield HostileFile("two-models.zip", zipped({**plain, "b/saved_model.pb": b""}), codes=("unknown-format",))
    for i, graph in enumerate((b"", b"\xff" * 20, b"\x0a\xff\xff\xff\xff\x0f", b"\x12\x02\x3a\x00", b"\x0b" * 5000)):
        codes = ("bad-file", "no-keras-metadata")
        yield HostileFile(f"bad-graph-{i}.zip", zipped({**bare, "saved_model.pb": graph}), codes=codes)
    yield HostileFile(
        "circle.zip", zipped({**bare, "saved_model.pb": _circle()}), codes=("too-large", "no-keras-metadata")
    )
    yield HostileFile("assets.zip", zipped({**plain, "assets/run.sh": f"touch {marker}".encode()}), harmless=True)


def graph_with(op: str, marker: Path) -> bytes:
    """A SavedModel (field 2: meta graphs) with one node (graph_def, 2: node, 1) of an operation, run when it is loaded.

    Source: ``tensorflow/core/protobuf/saved_model.proto`` and the files that it names.
    """
    name = field(1, b"filename") + field(2, b"Const") + field(5, _attribute(b"value", _text_tensor(str(marker))))
    node = field(1, b"evil") + field(2, op.encode()) + field(3, b"filename") + field(3, b"filename")
    node += field(5, _attribute(b"token", field(2, b"pyfunc_0")))
    graph = field(1, name) + field(1, node)
    start = field(1, b"__saved_model_init_op") + field(2, field(3, field(1, b"evil")))
    return b"\x08\x01" + field(2, field(1, field(4, b"serve")) + field(2, graph) + field(4, start))


def field(number: int, data: bytes) -> bytes:
    """A length-delimited field of a protocol buffer."""
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    found = b""
    while value > 127:
        found += bytes([value & 127 | 128])
        value >>= 7
    return found + bytes([value])


def _attribute(key: bytes, value: bytes) -> bytes:
    return field(1, key) + field(2, value)


def _text_tensor(text: str) -> bytes:
    return field(8, b"\x08\x07" + field(8, text.encode()))


def _metadata(marker: Path) -> dict[str, bytes]:
    """Keras' own descriptions, spoiled."""

    def root(description: object) -> bytes:
        return field(1, field(3, b"root") + field(5, json.dumps(description).encode()))

    evil = {"class_name": "system", "config": {"command": f"touch {marker}"}}
    start = {"class_name": "InputLayer", "config": {"batch_input_shape": [None, 3], "name": "x"}}
    inside = {"name": "m", "layers": [start, {"class_name": "Lambda", "config": {"name": "s", "function": []}}]}
    return {
        "metadata-is-empty": b"",
        "metadata-is-noise": b"\xfe" * 100,
        "metadata-without-json": field(1, field(3, b"root") + field(5, b"{")),
        "metadata-without-config": root({"class_name": "Sequential"}),
        "metadata-of-a-list": root([]),
        "metadata-of-an-object": root({"class_name": "Sequential", "config": evil}),
        "metadata-of-code": root(evil),
        "metadata-with-lambda": root({"class_name": "Sequential", "config": inside}),
        "metadata-subclassed": root({"class_name": "Evil", "config": {}}),
        "metadata-deep": root({"class_name": "Functional", "config": _nested(30, 1)["config"]}),
        "metadata-not-utf-8": field(1, field(3, b"\xff\xfe") + field(5, b"\xff")),
        "metadata-of-60000-nodes": field(1, field(3, b"a")) * 60_000,
    }


def _circle() -> bytes:
    """Objects that are their own children, many times over."""
    child = field(1, b"\x08\x00" + field(2, b"layer"))
    return field(2, field(7, field(1, child * 50)))


def flatbuffers(marker: Path) -> Iterator[HostileFile]:
    """``.tflite`` files with offsets, sizes and indices that lead nowhere."""
    whole = tflite()
    yield HostileFile("name-alone.tflite", b"\x1c\0\0\0TFL3")
    yield HostileFile("zeros.tflite", b"\x1c\0\0\0TFL3" + bytes(64))
    yield HostileFile("root-outside.tflite", struct.pack("<I", 1 << 31) + whole[4:])
    yield HostileFile("root-at-the-end.tflite", struct.pack("<I", len(whole) - 1) + whole[4:])
    yield HostileFile("root-is-itself.tflite", struct.pack("<I", 0) + whole[4:])
    yield HostileFile("ones.tflite", whole[:8] + b"\xff" * 400)
    for place in range(8, len(whole) - 4, 4):  # every number of the file in turn
        for value in (0x7FFFFFFF, 0xFFFFFFFF):
            content = whole[:place] + struct.pack("<I", value) + whole[place + 4 :]
            yield HostileFile(f"word-{place}-{value:x}.tflite", content, harmless=True)
    yield HostileFile("named-keras.keras", whole, harmless=True)
    yield HostileFile("as-data.npz", whole, "data")
