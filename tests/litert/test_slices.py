"""Cutting files into operators: what a slice answers is what the operator answers inside the model."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from optimizers.litert.delegation import delegation
from optimizers.litert.interpreter import load
from optimizers.litert.profile import fill, profiles, values_inside
from optimizers.litert.slices import Cutter, smallest
from optimizers.models.sample import manifest
from tests.techniques.networks import built, digits

KINDS = ("float", "int8", "fused_lstm", "loop_gru")


@pytest.fixture(scope="module")
def parts(files):
    """By kind: the cutter of a file, an interpreter that kept all its tensors, and their shapes."""
    found = {}
    for kind in KINDS:
        content = files[kind].read_bytes()
        inside = values_inside(content, digits().validation.x[:1])
        found[kind] = Cutter(content), inside, {int(d["index"]): d["shape"] for d in inside.get_tensor_details()}
    return found


def plain(content):
    """An interpreter with the same kernels as `values_inside` uses, so that results are equal to the last bit."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(
        model_content=content,
        num_threads=1,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    interpreter.allocate_tensors()
    return interpreter


def same(piece, inside):
    interpreter = plain(piece.content)
    fill(interpreter, piece, inside)
    interpreter.invoke()
    for tensor in piece.outputs:
        np.testing.assert_array_equal(interpreter.get_tensor(piece.places[tensor]), inside.get_tensor(tensor))


@pytest.mark.parametrize("kind", KINDS)
def test_each_operator_answers_as_inside_the_model(parts, kind):
    cutter, inside, shapes = parts[kind]
    assert len(cutter.kinds) > 3
    for number in range(len(cutter.kinds)):
        piece = cutter.cut([number], shapes)
        assert piece.outputs
        same(piece, inside)
        load(piece.content)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_stretch_of_operators_answers_as_inside_the_model(parts, data):
    cutter, inside, shapes = parts[data.draw(st.sampled_from(KINDS))]
    first = data.draw(st.integers(0, len(cutter.kinds) - 1))
    last = data.draw(st.integers(first, len(cutter.kinds) - 1))
    same(cutter.cut(range(first, last + 1), shapes), inside)


def test_weights_that_are_unpacked_at_load_come_along():
    from optimizers.tf.convert import convert

    content = convert(built("conv"), "float16").file
    cutter = Cutter(content)
    inside = values_inside(content, digits().validation.x[:1])
    assert {cutter.kinds[number] for number in cutter.at_load} == {"DEQUANTIZE"}
    assert len(cutter.at_load) == cutter.kinds.count("DEQUANTIZE")
    convolution = cutter.kinds.index("CONV_2D")
    piece = cutter.cut([convolution])
    assert len(piece.inputs) == 1
    same(piece, inside)


def test_delegate_takes_what_a_file_of_that_operator_alone_shows(files):
    for kind in ("float", "int8"):
        content = files[kind].read_bytes()
        cutter, whole = Cutter(content), delegation(content)
        assert whole.total == len(cutter.kinds)
        for number in range(len(cutter.kinds)):
            alone = delegation(cutter.cut([number]).content)
            assert (number in whole.operators) == bool(alone.operators), cutter.kinds[number]


def test_fused_cells_and_loops_are_outside_the_delegate(files):
    for kind, operator in (("fused_lstm", "UNIDIRECTIONAL_SEQUENCE_LSTM"), ("loop_gru", "WHILE")):
        content = files[kind].read_bytes()
        assert Cutter(content).kinds.index(operator) not in delegation(content).operators


def test_profile_names_every_operator_and_times_it_as_often_as_the_whole(files):
    contents = [files[kind].read_bytes() for kind in ("int8", "float")]
    found = profiles(contents, digits().validation.x[:1], seconds=0.05)
    for content, profile in zip(contents, found, strict=True):
        assert tuple(piece.kind for piece in profile.pieces) == Cutter(content).kinds
        assert all(len(piece.ms) == len(profile.whole_ms) == len(profile.call_ms) for piece in profile.pieces)
        assert all(piece.names and not piece.problem for piece in profile.pieces)
    assert any(piece.floating for piece in found[1].pieces)
    assert not any(piece.floating for piece in found[0].pieces)
    assert found[0].neighbours == {}, "inputs and outputs are integers"


def test_the_smallest_files_can_be_called():
    load(smallest()).invoke()
    interpreter = load(smallest(adds=True))
    interpreter.set_tensor(0, np.float32([1.5]))
    interpreter.invoke()
    assert interpreter.get_tensor(1) == 3.0


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["float32", "int8"])
@pytest.mark.parametrize("name", manifest())
def test_every_sample_can_be_taken_apart(name, mode):
    from optimizers.engine import origins
    from optimizers.tf.build import load_working
    from optimizers.tf.convert import convert

    path, _ = origins.resolve_model(f"sample:{name}")
    data = origins.load_dataset(manifest()[name].dataset).for_training()
    recurrent = "unrolled" if mode == "int8" else "fused"
    content = convert(
        load_working(path), mode, representative=data.train.x[:20], examples=data.validation.x[:8], recurrent=recurrent
    ).file
    cutter, inside = Cutter(content), values_inside(content, data.validation.x[:1])
    shapes = {int(d["index"]): d["shape"] for d in inside.get_tensor_details()}
    for number in range(len(cutter.kinds)):
        piece = cutter.cut([number], shapes)
        same(piece, inside)
        load(piece.content)
