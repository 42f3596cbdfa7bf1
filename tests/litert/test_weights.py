"""What is read from a file is what the model has, what LiteRT computes with, and nothing where the file is damaged."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizers.errors import ModelRefused
from optimizers.litert import edge_quantizer, interpreter
from optimizers.litert.edge_quantizer import Storage
from optimizers.litert.layers import layer_of, layers_of
from optimizers.litert.packing import Sparse, dense, numbers
from optimizers.litert.weights import StoredWeight, weights
from optimizers.tf import kernels
from optimizers.tf.convert import convert
from tests.techniques.networks import built, digits

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = slice(0, 20)


@cache
def file(network: str, mode: str, recurrent: str = "fused") -> bytes:
    data = digits().train.x[EXAMPLES]
    return convert(built(network), mode, representative=data, recurrent=recurrent).file  # type: ignore[arg-type]


def kernel(found: tuple[StoredWeight, ...], layer: str) -> StoredWeight:
    return next(w for w in found if w.kernel and layer_of(w, [layer]) == layer)


def of_layer(network: str, layer: str) -> np.ndarray:
    """A Keras kernel of a dense or convolutional layer, outputs first as LiteRT has it."""
    return np.moveaxis(built(network).get_layer(layer).get_weights()[0], -1, 0)


def test_a_float_file_holds_the_kernels_of_the_model() -> None:
    found = weights(file("conv", "float32"))
    for layer in ("conv2", "digit"):
        stored = kernel(found, layer)
        np.testing.assert_array_equal(stored.dequantized, of_layer("conv", layer))
        assert stored.dtype == "FLOAT32"
        assert stored.bits == 32
        assert stored.stored_bytes == 4 * stored.values.size
        assert stored.axis is None
        assert not stored.scales.size
    norm = built("conv").get_layer("bn1")
    gamma, _, _, variance = norm.get_weights()
    folded = of_layer("conv", "conv1") * (gamma / np.sqrt(variance + norm.epsilon))[:, None, None, None]
    np.testing.assert_allclose(kernel(found, "conv1").dequantized, folded, rtol=1e-5)
    assert sum(w.bias for w in found) == 3
    assert not any(w.bias and w.kernel for w in found)
    assert kernel(found, "conv2").kinds == ("CONV_2D",)


@pytest.mark.parametrize(("mode", "dtype"), [("float16", "FLOAT16"), ("int8", "INT8"), ("int16x8", "INT8")])
def test_quantized_kernels_are_within_half_a_step(mode: str, dtype: str) -> None:
    found = weights(file("conv", mode))
    for layer in ("conv2", "digit"):
        stored, want = kernel(found, layer), of_layer("conv", layer)
        assert stored.dtype == dtype
        assert stored.stored_bytes == want.size * stored.bits // 8
        step = np.abs(want) * 2**-10 if mode == "float16" else stored.scales.reshape(-1, *[1] * (want.ndim - 1))
        assert (np.abs(stored.dequantized - want) <= step * 0.5001 + 1e-7).all()
        if dtype == "INT8":
            assert stored.axis == 0
            assert len(stored.scales) == len(want)
            assert stored.unique <= 255
        assert stored.kinds == (("CONV_2D",) if want.ndim > 2 else ("FULLY_CONNECTED",)), "behind what unpacks it"


def test_quantized_biases_stand_for_those_of_the_model() -> None:
    bias = built("conv").get_layer("digit").get_weights()[1]
    stored = next(w for w in weights(file("conv", "int8")) if w.bias and w.values.size == 10)
    assert stored.dtype == "INT32"
    np.testing.assert_allclose(stored.dequantized, bias, atol=2 * stored.scales.max())


@given(st.lists(st.integers(0, 255), min_size=1, max_size=40), st.sampled_from(["INT2", "INT4", "UINT4"]))
def test_packed_numbers_are_read_from_the_low_bits_up(raw: list[int], dtype: str) -> None:
    bits, per_byte = (2, 4) if dtype == "INT2" else (4, 2)
    want = []
    for byte in raw:
        for place in range(per_byte):
            value = (byte // 2 ** (bits * place)) % 2**bits
            want.append(value - 2**bits if dtype[0] == "I" and value >= 2 ** (bits - 1) else value)
    data = np.asarray(raw, np.uint8)
    assert numbers(data, dtype, None).tolist() == want
    assert numbers(data, dtype, len(want) - 1).tolist() == want[:-1], "the last byte may be filled up"
    with pytest.raises(ValueError, match="do not hold"):
        numbers(data, dtype, len(want) + 1)


@cache
def identity() -> tuple[bytes, tuple[StoredWeight, ...]]:
    """A dense layer of 64 inputs and 12 outputs without bias, as a float32 file."""
    tf_keras.utils.set_random_seed(3)
    inputs = tf_keras.Input((64,))
    model = tf_keras.Model(inputs, tf_keras.layers.Dense(12, use_bias=False, name="only")(inputs))
    content = convert(model, "float32").file
    return content, weights(content)


@pytest.mark.parametrize(
    "storage",
    [
        *(Storage(bits, per) for bits in (8, 4, 2) for per in ("channel", "tensor")),  # type: ignore[arg-type]
        Storage(16),
        Storage(4, "block", 32, integers=True),
        Storage(4, "block", 64, integers=True),
    ],
    ids=str,
)
def test_stored_numbers_are_those_that_litert_multiplies_by(storage: Storage) -> None:
    content, floats = identity()
    original = next(w for w in floats if w.kernel)
    packed = edge_quantizer.quantized(content, floats, {(0, original.name): storage})
    stored = next(w for w in weights(packed) if w.kernel)
    answers = interpreter.predict(packed, np.eye(64, dtype=np.float32))
    loose = np.abs(original.values).max() / 100 if storage.integers else 1e-7
    np.testing.assert_allclose(stored.dequantized, answers.T, atol=loose)
    assert stored.bits == storage.bits
    assert stored.block == storage.block
    assert stored.stored_bytes == original.values.size * storage.bits // 8
    assert stored.unique <= 2**storage.bits
    scales = {"channel": 12, "tensor": 1, "block": 12 * 64 // max(1, storage.block)}
    assert len(stored.scales) == (0 if storage.bits == 16 else scales[storage.per])
    assert sum(w.kernel for w in weights(packed)) == 1, "scales of blocks are no weights"


def sparse_file(kernel_value: np.ndarray) -> bytes:
    inputs = tf_keras.Input((kernel_value.shape[0],))
    layer = tf_keras.layers.Dense(kernel_value.shape[1], use_bias=False, name="sparse")
    model = tf_keras.Model(inputs, layer(inputs))
    layer.set_weights([kernel_value])
    call = tf.function(lambda x: model(x)).get_concrete_function(tf.TensorSpec([1, kernel_value.shape[0]]))
    converter = tf.lite.TFLiteConverter.from_concrete_functions([call], model)
    converter.optimizations = [tf.lite.Optimize.EXPERIMENTAL_SPARSITY]
    return bytes(converter.convert())


@pytest.mark.parametrize("block", [1, 4])
def test_zeros_that_a_file_leaves_out_are_filled_in(block: int) -> None:
    rng = np.random.default_rng(block)
    value = rng.standard_normal((32, 16)).astype(np.float32)
    blocks = rng.random((32 // block, 16)) < 0.85
    value[np.repeat(blocks, block, axis=0)] = 0
    stored = next(w for w in weights(sparse_file(value)) if w.kernel)
    assert stored.sparse
    assert stored.stored_bytes < 4 * value.size / 2
    np.testing.assert_array_equal(stored.dequantized, value.T)
    assert stored.sparsity == np.mean(value == 0)


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_a_sparse_layout_is_undone_whatever_its_order_and_blocks(data: st.DataObject) -> None:
    shape = tuple(data.draw(st.lists(st.sampled_from([2, 4, 6]), min_size=1, max_size=3)))
    block_map = tuple(data.draw(st.sets(st.integers(0, len(shape) - 1), max_size=2)))
    size = 2
    outer = [n // size if d in block_map else n for d, n in enumerate(shape)]
    order = tuple(data.draw(st.permutations(range(len(shape))))) + tuple(range(len(shape), len(shape) + len(block_map)))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    full = np.where(rng.random(shape) < 0.3, rng.integers(1, 100, shape), 0)
    split: list[int] = []
    for d, n in enumerate(outer):
        split += [n, size] if d in block_map else [n]
    places = {d: sum(2 if e in block_map else 1 for e in range(d)) for d in range(len(shape))}
    axes = [places[d] for d in range(len(shape))] + [places[d] + 1 for d in block_map]
    tree = full.reshape(split).transpose([axes[d] for d in order])
    compressed = data.draw(st.integers(0, len(shape) - 1))
    levels: list[Any] = list(tree.shape)
    flat = tree.reshape(int(np.prod(tree.shape[:compressed], dtype=int)), tree.shape[compressed], -1)
    kept = flat.any(axis=2)
    segments = np.concatenate([[0], kept.sum(axis=1).cumsum()])
    levels[compressed] = (segments, np.nonzero(kept)[1])
    found = dense(flat[kept].reshape(-1), shape, Sparse(order, block_map, tuple(levels)))
    np.testing.assert_array_equal(found, full)


def test_the_state_that_a_loop_starts_from_is_no_kernel() -> None:
    for network, sizes in (("gru", [8 * 72, 24 * 72, 24 * 10]), ("lstm", [8 * 32] * 4 + [32 * 32] * 4 + [320])):
        found = weights(file(network, "float16"))
        assert sorted(w.values.size for w in found if w.kernel) == sorted(sizes)


CASES = [
    *((name, mode, "fused") for name in ("conv", "depthwise", "attention") for mode in ("float32", "dynamic_range")),
    ("depthwise", "int8", "fused"),
    ("lstm", "float16", "fused"),
    ("gru", "float16", "fused"),
    ("lstm", "dynamic_range", "unrolled"),
    ("gru", "float32", "unrolled"),
]


@pytest.mark.parametrize(("network", "mode", "recurrent"), CASES)
def test_every_kernel_finds_its_layer_by_name_or_by_value(network: str, mode: str, recurrent: str) -> None:
    found = weights(file(network, mode, recurrent))
    arrays = {name: [np.asarray(v) for v in own] for name, own in kernels.by_layer(built(network)).items()}
    owners = layers_of(found, arrays)
    sizes: Counter[str] = Counter()
    for number, weight in enumerate(found):
        if weight.kernel:
            sizes[owners[number]] += weight.values.size
        assert not weight.bias or number in owners or "constant" in weight.name
    assert sizes == {name: sum(a.size for a in own) for name, own in arrays.items()}
    nameless = [
        replace(w, name="", consumers=tuple(replace(c, outputs=()) for c in w.consumers)) if w.kernel else w
        for w in found
    ]
    by_value = layers_of(nameless, arrays)
    assert {n: by_value[n] for n, w in enumerate(found) if w.kernel} == {
        n: owners[n] for n, w in enumerate(found) if w.kernel
    }


def test_merged_names_speak_of_the_layer_that_has_a_kernel() -> None:
    plain = next(w for w in identity()[1] if w.kernel)
    named: Callable[[str], str | None] = lambda name: layer_of(  # noqa: E731
        replace(plain, name=name, consumers=()), ["conv", "net", "dense"]
    )
    assert named("net/relu/Relu;net/bn/FusedBatchNormV3;net/conv/Conv2D") == "conv"
    assert named("net/block/dense/MatMul") == "dense"
    assert named("net/conv/Conv2D;net/dense/MatMul") is None
    assert named("arith.constant3") is None


def damaged(content: bytes) -> list[bytes]:
    rng = np.random.default_rng(0)
    found = [content[:n] for n in (0, 3, 7, 8, 20, *range(100, len(content), len(content) // 40))]
    for _ in range(250):
        broken = bytearray(content)
        # the structured part lies at the end: most damage goes there
        for place in rng.integers(max(8, len(content) - 6000), len(content), rng.integers(1, 6)):
            broken[place] = rng.integers(0, 256)
        found.append(bytes(broken))
    return found


@pytest.mark.parametrize("name", ["conv", "gru"])
def test_a_damaged_file_is_refused_or_read_but_never_crashes(name: str) -> None:
    refusals = []
    for content in damaged(file(name, "float16")):
        try:
            assert all(np.isfinite(w.sparsity) for w in weights(content))
        except ModelRefused as error:
            refusals.append(error.message)
    assert len(refusals) > 40
    assert all(message.endswith(".") for message in refusals)
    with pytest.raises(ModelRefused, match="damaged or no LiteRT file"):
        weights(b"PK\x03\x04" + bytes(100))


def test_reading_needs_no_tensorflow(tmp_path: Path) -> None:
    (tmp_path / "model.tflite").write_bytes(file("conv", "int8"))
    code = (
        "import sys; from pathlib import Path\n"
        "from optimizers.litert import weights, layers\n"
        "assert weights.weights(Path(sys.argv[1]))\n"
        "assert not {'tensorflow', 'keras', 'tf_keras', 'scipy'} & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "model.tflite")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
