"""What the weights of a file hold, against scipy, numpy and the compressors themselves."""

from __future__ import annotations

import gzip
import lzma
from pathlib import Path

import brotli
import numpy as np
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps
from scipy import stats

from optimizers.errors import ModelRefused
from optimizers.litert import compression
from optimizers.litert.anatomy import anatomy
from optimizers.litert.census import census, entropy, fewest_bytes, owners, value_counts
from optimizers.litert.file import LiteRtFile
from optimizers.litert.weights import weights
from tests.litert.test_file import changed
from tests.techniques.networks import built

Files = dict[str, Path]
NAMES = ("float", "int8", "fused_lstm", "loop_gru")


@settings(deadline=None)
@given(nps.arrays(np.int8, st.integers(1, 300)))
def test_entropy_and_counts_are_those_of_scipy_and_numpy(values: np.ndarray) -> None:
    found, counts = value_counts(values, 8)
    expected = np.unique(values, return_counts=True)
    np.testing.assert_array_equal(found, expected[0])
    np.testing.assert_array_equal(counts, expected[1])
    assert entropy(counts) == pytest.approx(stats.entropy(expected[1], base=2), abs=1e-9)


def test_fair_coins_cost_a_bit_each() -> None:
    counts = np.array([4000, 4000])
    assert entropy(counts) == pytest.approx(1.0)
    assert fewest_bytes(counts, 8) == pytest.approx(8000 / 8 + 2)  # and two values of a byte that must be told
    assert entropy(np.array([7])) == 0.0


@pytest.mark.parametrize("name", NAMES)
def test_every_byte_is_counted_once(name: str, files: Files) -> None:
    content = files[name].read_bytes()
    found = anatomy(LiteRtFile(content))
    assert sum(found.regions.values()) == found.size == len(content)
    stored = {weight.buffer: weight for weight in weights(content)}.values()
    for part, kernel in (("kernels", True), ("vectors", False)):
        assert found.of(part) == sum(weight.stored_bytes for weight in stored if weight.kernel == kernel)
    assert found.of("attached") == 0


def test_what_is_attached_behind_a_model_is_told(files: Files) -> None:
    content = files["float"].read_bytes()
    assert anatomy(LiteRtFile(content + b"PK\x03\x04" + bytes(10))).of("attached") == 14
    assert anatomy(LiteRtFile(content + bytes(16))).of("padding") >= 16


def test_scales_and_names_are_counted_where_they_are(files: Files) -> None:
    def longer(model: object) -> None:
        model.subgraphs[0].tensors[0].name += b"x" * 400  # type: ignore[attr-defined]

    plain, more = (anatomy(LiteRtFile(changed(files["int8"], change))) for change in (lambda _: None, longer))
    assert more.of("names") - plain.of("names") == 400
    scales = sum(len(weight.scales) for weight in weights(files["int8"]))
    assert plain.of("scales") >= scales * (4 + 8)  # a float and a 64-bit zero point each


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_damaged_files_are_refused_and_nothing_else(files: Files, data: st.DataObject) -> None:
    content = bytearray(files[data.draw(st.sampled_from(NAMES))].read_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        place = data.draw(st.integers(max(8, len(content) - 6000), len(content) - 5))
        content[place : place + 4] = data.draw(
            st.sampled_from([b"\xff" * 4, b"\xff\xff\xff\x7f", b"\0\0\0\x80", b"\0" * 4])
        )
    try:
        found = anatomy(LiteRtFile(bytes(content)))
    except ModelRefused:
        return
    assert sum(found.regions.values()) == len(content)


def test_a_float_file_holds_the_parameters_of_its_model(files: Files) -> None:
    """But for the normalization, of whose 64 numbers 16 are left as biases when it is folded into the kernels."""
    found = census(files["float"])
    assert found.parameters == built("conv").count_params() - (64 - 16)
    assert found.nonzero <= found.parameters


def test_zeros_and_distinct_values_are_counted(files: Files, tmp_path: Path) -> None:
    """A kernel of which three quarters are zero and the rest one of two values."""
    kernel = next(w for w in weights(files["float"]) if w.shape == (24, 3, 3, 16))
    values = np.zeros(kernel.values.size, np.float32)
    values[::4] = np.where(np.arange(values[::4].size) % 2, 0.5, -0.25)

    def pruned(model: object) -> None:
        model.buffers[kernel.buffer].data = np.frombuffer(values.tobytes(), np.uint8)  # type: ignore[attr-defined]

    path = tmp_path / "pruned.tflite"
    path.write_bytes(changed(files["float"], pruned))
    found = next(w for w in census(path).weights if w.name == kernel.name)
    assert (found.values, found.nonzero, found.unique) == (3456, 864, 3)
    assert found.entropy == pytest.approx(stats.entropy([0.75, 0.125, 0.125], base=2))
    assert found.bound == pytest.approx(3456 * found.entropy / 8, rel=0.03)
    whole = next(w for w in census(files["float"]).weights if w.name == kernel.name)
    assert whole.unique > 3000
    assert 0.75 * whole.stored_bytes < whole.bound < whole.stored_bytes  # signs and exponents are not evenly used


@pytest.mark.parametrize("name", NAMES)
def test_no_compressor_beats_the_bound_on_shuffled_weights(name: str, files: Files) -> None:
    """Where order tells nothing, an ideal code of single values is the best there is."""
    rng = np.random.default_rng(0)
    for weight in weights(files[name]):
        if weight.kernel and weight.bits == 8 and weight.values.size > 1000:
            told = next(w for w in census(files[name]).weights if w.name == weight.name)
            packed = compression.sizes(rng.permutation(weight.values.reshape(-1)).tobytes())
            assert min(packed.values()) >= told.bound * 0.98


def test_every_compressor_gives_the_file_back(files: Files) -> None:
    content = files["int8"].read_bytes()
    back = {
        "gzip -9": gzip.decompress,
        "zstd -19": zstandard.decompress,
        "brotli": brotli.decompress,
        "xz -9e": lzma.decompress,
    }
    told = compression.of_file(files["int8"])
    assert told.keys() == back.keys() == compression.COMPRESSORS.keys()
    for name, pack in compression.COMPRESSORS.items():
        packed = pack(content)
        assert back[name](packed) == content
        assert told[name] == len(packed) < len(content)


def test_biases_belong_to_the_layer_of_their_kernel(files: Files) -> None:
    found = census(files["int8"])
    survey = {weight.name: f"layer of {weight.values}" for weight in found.kernels}
    layers = owners(found, survey)
    for weight in found.weights:
        assert layers[weight.place].startswith("layer of ")
    assert len(set(layers.values())) == 3


def test_a_file_that_changes_is_counted_anew(files: Files, tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(files["float"].read_bytes())
    first = census(path).anatomy.size
    path.write_bytes(files["int8"].read_bytes())
    assert census(path).anatomy.size == files["int8"].stat().st_size != first
