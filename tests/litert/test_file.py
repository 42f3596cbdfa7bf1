"""A LiteRT file that somebody brings: what is read from it, what is refused, and that nothing of it does harm."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from optimizers.errors import ModelRefused
from optimizers.litert import file as module
from optimizers.litert.file import LiteRtFile, describe, is_litert
from optimizers.litert.interpreter import predict
from optimizers.models.reader import read
from optimizers.tf import cost
from tests.techniques.networks import built

Files = dict[str, Path]


def changed(source: Path, change: Callable[[Any], None]) -> bytes:
    """A file with something else in it, written as LiteRT's own schema writes it."""
    import flatbuffers

    model = schema.ModelT.InitFromPackedBuf(source.read_bytes(), 0)
    change(model)
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def refusal(content: bytes, folder: Path) -> ModelRefused:
    path = folder / "brought.tflite"
    path.write_bytes(content)
    with pytest.raises(ModelRefused) as caught:
        describe(path, "brought.tflite")
    assert caught.value.message.endswith(".")
    assert "\n" not in caught.value.message
    return caught.value


def test_a_float_file_is_described_layer_by_layer(files: Files) -> None:
    model, summary = built("conv"), describe(files["float"])
    assert summary.kind == "tflite"
    assert [(spec.shape, spec.dtype) for spec in summary.inputs] == [((8, 8, 1), "float32")]
    assert [(spec.shape, spec.dtype) for spec in summary.outputs] == [((10,), "float32")]
    assert summary.activation == "softmax"
    rows = {row.name: row for row in summary.layers}
    for name, kind in (("conv2", "CONV_2D (float32)"), ("digit", "FULLY_CONNECTED (float32)")):
        assert rows[name].kind == kind
        assert rows[name].parameters == model.get_layer(name).count_params()
    assert summary.parameters == sum(row.parameters for row in summary.layers)
    assert sum(row.macs for row in summary.layers) == cost.macs(model)
    assert [row.inputs for row in summary.layers[1:]] == [(number,) for number in range(len(summary.layers) - 1)]
    assert any(f"{files['float'].stat().st_size:,} bytes" in note for note in summary.notes)


@pytest.mark.parametrize("name", ["float", "fused_lstm"])
def test_a_file_costs_what_its_model_costs(name: str, files: Files) -> None:
    network = {"float": "conv", "fused_lstm": "lstm"}[name]
    assert LiteRtFile(files[name].read_bytes()).macs == cost.macs(built(network))


def test_an_integer_file_takes_and_gives_real_values(files: Files) -> None:
    summary = describe(files["int8"])
    assert summary.inputs[0].dtype == summary.outputs[0].dtype == "float32"
    told = summary.input_ranges[0]
    assert told is not None
    assert not told.whole
    ends = np.array([told.low, told.high], np.float32).reshape(2, 1, 1, 1) * np.ones((2, 8, 8, 1), np.float32)
    beyond = predict(files["int8"], 2 * ends - ends.mean())
    np.testing.assert_array_equal(predict(files["int8"], ends), beyond)  # it can hold no larger numbers
    assert any("stored as int8" in note for note in summary.notes)
    assert {row.kind for row in summary.layers if row.name == "conv2"} == {"CONV_2D (int8)"}


def test_what_needs_a_keras_model_says_so(files: Files) -> None:
    assert is_litert(files["float"])
    with pytest.raises(ModelRefused, match="cannot be trained or converted any more"):
        read(files["float"])


def custom_operator(model: Any) -> None:
    model.operatorCodes[0].builtinCode = schema.BuiltinOperator.CUSTOM
    model.operatorCodes[0].deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM
    model.operatorCodes[0].customCode = b"FlexWriteFile"


def variable(model: Any) -> None:
    model.operatorCodes[0].builtinCode = schema.BuiltinOperator.VAR_HANDLE


def batch_of_four(model: Any) -> None:
    graph = model.subgraphs[0]
    graph.tensors[graph.inputs[0]].shape = [4, 8, 8, 1]


def open_sides(model: Any) -> None:
    graph = model.subgraphs[0]
    graph.tensors[graph.inputs[0]].shapeSignature = [-1, -1, -1, 1]


def text_input(model: Any) -> None:
    graph = model.subgraphs[0]
    graph.tensors[graph.inputs[0]].type = schema.TensorType.STRING


def giant_tensor(model: Any) -> None:
    model.subgraphs[0].tensors[model.subgraphs[0].outputs[0]].shape = [1, 1 << 20, 1 << 20]


def tensor_out_of_range(model: Any) -> None:
    model.subgraphs[0].operators[1].inputs = [9999]


def weights_elsewhere(model: Any) -> None:
    group = schema.ExternalBufferGroupT()
    group.name = b"/etc/passwd"
    model.externalBufferGroups = [group]


def loop_that_runs_itself(model: Any) -> None:
    loops = [o for graph in model.subgraphs for o in graph.operators if isinstance(o.builtinOptions, _While)]
    loops[0].builtinOptions.bodySubgraphIndex = 0


_While = schema.WhileOptionsT


@pytest.mark.parametrize(
    ("source", "change", "code", "words"),
    [
        ("float", custom_operator, "unsupported-op", "'FlexWriteFile', which needs code"),
        ("float", variable, "unsupported-op", "keeps something from one answer to the next"),
        ("float", batch_of_four, "input-shape", "batch of one"),
        ("float", open_sides, "input-shape", "fixed ones"),
        ("float", text_input, "input-shape", "STRING, not plain numbers"),
        ("float", giant_tensor, "too-large", "smaller model"),
        ("float", tensor_out_of_range, "bad-file", "damaged"),
        ("float", weights_elsewhere, "unsafe-file", "other files"),
        ("loop_gru", loop_that_runs_itself, "bad-graph", "runs itself"),
    ],
)
def test_what_cannot_be_run_is_refused_in_words(
    source: str, change: Callable[[Any], None], code: str, words: str, files: Files, tmp_path: Path
) -> None:
    error = refusal(changed(files[source], change), tmp_path)
    assert (error.code, words in error.message) == (code, True), error.message


def test_a_file_that_crashes_litert_is_refused(files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "loads", lambda path, seconds: f"LiteRT ends with {signal.SIGSEGV.name} (crash)")
    error = refusal(files["float"].read_bytes(), tmp_path)
    assert error.code == "cannot-run"
    assert "SIGSEGV" in error.message


def test_a_file_that_litert_does_not_take_is_refused(files: Files, tmp_path: Path) -> None:
    def no_activation_function(model: Any) -> None:
        model.subgraphs[0].operators[-1].inputs = [model.subgraphs[0].operators[-1].outputs[0]]

    assert refusal(changed(files["float"], no_activation_function), tmp_path).code == "cannot-run"


def described_without_running(content: bytes, path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    path.write_bytes(content)
    monkeypatch.setattr(module, "loads", lambda path, seconds: "")
    try:
        describe(path)
    except ModelRefused as error:
        return error.code
    return ""


@pytest.mark.parametrize("name", ["float", "loop_gru"])
def test_truncated_files(name: str, files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = files[name].read_bytes()
    for percent in range(1, 100):
        cut = whole[: len(whole) * percent // 100]
        assert described_without_running(cut, tmp_path / "cut", monkeypatch) in ("bad-file", "damaged-tflite"), percent


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_no_other_exception_leaves_the_parser(
    files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: st.DataObject
) -> None:
    content = bytearray(files[data.draw(st.sampled_from(["float", "loop_gru", "fused_lstm"]))].read_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        near_end = data.draw(st.booleans())  # where tables and names lie, weights being in front
        place = data.draw(st.integers(max(0, len(content) - 6000) if near_end else 8, len(content) - 5))
        new = data.draw(st.sampled_from([b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0\0\0\x80", b"\0\0\0\0", b"\1"]))
        content[place : place + len(new)] = new
    described_without_running(bytes(content), tmp_path / "damaged", monkeypatch)
