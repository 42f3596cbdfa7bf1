"""Hypothesis bends sound files: whatever comes of them, they are read, or refused in one sentence of ours.

The quick runs look at a few dozen examples; those marked slow at thousands.
"""

from __future__ import annotations

import copy
import gzip
import json
import struct
import warnings
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from optimizers.errors import UserError
from optimizers.models.reader.parse import parse_model
from optimizers.models.reader.values import words
from tests.hostile import sound
from tests.hostile.code import keras2_lambda
from tests.hostile.doors import read
from tests.hostile.files import faults_of_sentence
from tests.hostile.giants import _cells, _chain, _einsum, _nested, _picture, _sequence, _wrapped
from tests.models.files import layer, small_config

pytestmark = pytest.mark.filterwarnings("ignore")

_CHECKS = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]
QUICK = settings(max_examples=15, deadline=None, suppress_health_check=_CHECKS)
LONG = settings(max_examples=1000, deadline=None, suppress_health_check=_CHECKS)
BUILT = settings(max_examples=200, deadline=None, suppress_health_check=_CHECKS)


def only_refuses(reading: Callable[[], object]) -> None:
    """Nothing but our own refusals leaves the readers, each in one sentence. Want of memory is told by the process."""
    message = ""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            reading()
    except UserError as error:
        message = error.message
    except MemoryError:
        return
    assert not message or not faults_of_sentence(message), message


def only_refused(content: bytes, kind: Any, folder: Path) -> None:
    """As `only_refuses`, for reading these bytes as a file."""
    path = folder / "bent"
    path.write_bytes(content)
    only_refuses(lambda: read(path, kind))


# bytes -----------------------------------------------------------------------------------------------------------

_SOUND: dict[str, tuple[str, Callable[[], bytes]]] = {
    "keras": ("model", sound.keras_archive),
    "stored keras": ("model", lambda: sound.zipped(sound.keras_members(), compression=0)),
    "h5": ("model", sound.whole_hdf5),
    "zip": ("model", lambda: sound.zipped(sound.saved_model_members(), compression=0)),
    "tar": ("model", lambda: sound.tarred(sound.saved_model_members(), compressed=False)),
    "tflite": ("model", sound.tflite),
    "npz": ("data", sound.npz),
    "csv": ("data", sound.csv),
}


@cache
def whole(name: str) -> bytes:
    return _SOUND[name][1]()


@st.composite
def bent(draw: st.DrawFn, name: str) -> bytes:
    """A sound file after one to six changes: of bits, bytes and numbers; pieces doubled, cut out or from elsewhere."""
    content = bytearray(whole(name))
    for _ in range(draw(st.integers(1, 6))):
        place = draw(st.integers(0, max(0, len(content) - 1)))
        length = draw(st.integers(1, 64))
        match draw(st.integers(0, 6)):
            case 0 if content:
                content[place] ^= 1 << draw(st.integers(0, 7))
            case 1:
                content[place : place + 1] = draw(st.binary(min_size=1, max_size=4))
            case 2:
                number = draw(st.sampled_from([0, 1, -1, 1 << 30, -(1 << 31), 0xFF, 0x7FFF]))
                content[place : place + 4] = struct.pack("<i", number)
            case 3:
                content[place:place] = content[place : place + length] * draw(st.integers(1, 20))
            case 4:
                del content[place : place + length]
            case 5:
                other = whole(draw(st.sampled_from(sorted(_SOUND))))
                start = draw(st.integers(0, len(other) - 1))
                content[place : place + length] = other[start : start + length]
            case _:
                del content[draw(st.integers(place, len(content))) :]
    return bytes(content)


def _bend(name: str, data: st.DataObject, folder: Path) -> None:
    content = data.draw(bent(name))
    if name == "tar":
        content = gzip.compress(content, 1)
    only_refused(content, _SOUND[name][0], folder)


@pytest.mark.parametrize("name", _SOUND)
@QUICK
@given(data=st.data())
def test_bent_files(name: str, data: st.DataObject, tmp_path: Path) -> None:
    _bend(name, data, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", _SOUND)
@LONG
@given(data=st.data())
def test_bent_files_for_minutes(name: str, data: st.DataObject, tmp_path: Path) -> None:
    _bend(name, data, tmp_path)


def _bent(content: bytes, data: st.DataObject) -> bytes:
    """The same with one to four bytes changed."""
    bent = bytearray(content)
    for _ in range(data.draw(st.integers(1, 4))):
        bent[data.draw(st.integers(0, len(bent) - 1))] = data.draw(st.integers(0, 255))
    return bytes(bent)


@pytest.mark.slow
@pytest.mark.parametrize("member", ["model.weights.h5", "config.json", "metadata.json"])
@LONG
@given(data=st.data())
def test_bent_members_of_a_whole_archive(member: str, data: st.DataObject, tmp_path: Path) -> None:
    members = dict(sound.keras_members())
    only_refused(sound.zipped({**members, member: _bent(members[member], data)}), "model", tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("member", ["keras_metadata.pb", "saved_model.pb", "variables/variables.index"])
@BUILT
@given(data=st.data())
def test_bent_members_of_a_whole_saved_model(member: str, data: st.DataObject, tmp_path: Path) -> None:
    members = dict(sound.saved_model_members())
    members |= {member: _bent(members[member], data)}
    if member == "saved_model.pb":
        del members["keras_metadata.pb"]
    only_refused(sound.zipped(members), "model", tmp_path)


# descriptions ----------------------------------------------------------------------------------------------------

_WORDS = words(
    "Functional Sequential Dense InputLayer Bidirectional LSTM Add Lambda x dense relu linear keras.layers keras "
    "TimeDistributed Reshape Concatenate MultiHeadAttention Conv2D BatchNormalization __tuple__ __numpy__ "
    "__keras_tensor__ DTypePolicy mixed_float16 int32 valid same channels_first TFOpLambda GetItem Split Einsum"
)
_KEYS = words(
    "class_name config name layers input_layers output_layers inbound_nodes module units args kwargs batch_shape "
    "activation layer keras_history shared_object_id registered_name cells kernel_size axis build_config dtype "
    "batch_input_shape trainable filters target_shape function items value"
)
_LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 1 << 40),
    st.sampled_from([0, -1, 1, 2, 10**30, 1 << 24, 1e308, -0.0, 1e-320]),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(_WORDS),
    st.text(max_size=5),
)
_JSON = st.recursive(
    _LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(_KEYS), inner, max_size=5)
)


def _seeds() -> list[Any]:
    """Descriptions to bend, of many kinds of layers and both notations."""
    dense = layer("Dense", "d", [], units=2)
    return [
        small_config(),
        keras2_lambda(Path("marker")),
        _picture(layer("Conv2D", "c", ["x"], filters=2, kernel_size=[3, 3], strides=[1, 1], padding="same")),
        _picture(layer("SeparableConv2D", "c", ["x"], filters=2, kernel_size=[3, 3]), layer("Flatten", "f", ["c"])),
        _sequence(layer("Bidirectional", "b", ["x"], layer=layer("LSTM", "l", [], units=2)), 5),
        _sequence(layer("RNN", "r", ["x"], cell=_cells(3)), 5),
        _sequence(layer("MultiHeadAttention", "m", ["x", "x"], num_heads=2, key_dim=2), 5),
        _sequence(layer("TimeDistributed", "t", ["x"], layer=dense), 5),
        _chain(layer("Dense", "a", ["x"], units=3), layer("Add", "s", ["a", "x"]), layer("ReLU", "r", ["s"])),
        _chain(layer("GetItem", "g", ["x"], "keras.src.ops.numpy"), layer("Reshape", "r", ["g"], target_shape=[3, 1])),
        _chain(_einsum(3)),
        _chain(_wrapped(3)),
        _nested(3, 2),
    ]


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inner:
        yield from _places(item, (*path, key))


def _at(value: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        value = value[key]
    return value


@st.composite
def bent_description(draw: st.DrawFn) -> Any:
    """A sound description with one to four parts replaced, taken out, doubled, swapped or moved elsewhere."""
    config = copy.deepcopy(draw(st.sampled_from(_seeds())))
    for _ in range(draw(st.integers(1, 4))):
        places = [place for place in _places(config) if place]
        if not places:
            return draw(_JSON)
        place = draw(st.sampled_from(places))
        holder, key = _at(config, place[:-1]), place[-1]
        match draw(st.integers(0, 4)):
            case 0:
                holder[key] = draw(_JSON)
            case 1:
                del holder[key]
            case 2 if isinstance(holder, list):
                holder.insert(key, copy.deepcopy(holder[key]))
            case 3:
                holder[key] = copy.deepcopy(_at(config, draw(st.sampled_from(places))))
            case _:
                holder[key] = draw(_LEAVES)
    return config


@QUICK
@given(config=_JSON | bent_description(), dialect=st.sampled_from([2, 3]))
def test_bent_descriptions(config: Any, dialect: int) -> None:
    only_refuses(lambda: parse_model(config, dialect))


@pytest.mark.slow
@settings(LONG, max_examples=5_000)
@given(config=_JSON | bent_description(), dialect=st.sampled_from([2, 3]))
def test_bent_descriptions_for_minutes(config: Any, dialect: int) -> None:
    only_refuses(lambda: parse_model(config, dialect))


@pytest.mark.slow
@BUILT
@given(config=bent_description())
def test_bent_descriptions_that_are_built(config: Any, tmp_path: Path) -> None:
    only_refused(sound.keras_archive(json.loads(json.dumps(config))), "model", tmp_path)
