"""Random inputs: what a URI says is what is drawn, always alike, and nonsense is refused in words."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizers.datasets import drawn
from optimizers.datasets.several import arrays_of
from optimizers.errors import UserError
from optimizers.records import InputRange, ModelSummary, TensorSpec


def summary(*shape: int | None, dtype: str = "float32", told: InputRange | None = None) -> ModelSummary:
    return summary_of((TensorSpec(name="x", shape=shape, dtype=dtype), told))


def summary_of(*inputs: tuple[TensorSpec, InputRange | None]) -> ModelSummary:
    return ModelSummary(
        format="", keras_version="", inputs=tuple(spec for spec, _ in inputs), outputs=(), layers=(), parameters=0,
        trainable_parameters=0, input_ranges=tuple(told for _, told in inputs),
    )  # fmt: skip


@given(
    st.lists(st.integers(1, 12), min_size=1, max_size=4).map(tuple),
    st.sampled_from(["float32", "int32"]),
    st.integers(-1000, 1000),
    st.integers(0, 1000),
)
def test_a_draw_survives_its_uri(shape: tuple[int, ...], dtype: str, low: int, width: int) -> None:
    draw = drawn.Draw(shape, dtype, low, low + width)
    other = drawn.Draw((5,), "int32", 0, 9)
    assert drawn.parse(str(draw)) == (draw,)
    assert drawn.parse(drawn.uri_of([draw, other, draw]).removeprefix("drawn:")) == (draw, other, draw)


@given(st.text(max_size=40))
def test_any_text_is_a_draw_or_refused(text: str) -> None:
    with suppress(UserError):
        assert drawn.parse(drawn.uri_of(drawn.parse(text)).removeprefix("drawn:"))


@pytest.mark.parametrize("rest", ["8x8/1..0", "0x8/0..1", "99999x99999x99/0..1", "8/0..1e300", "8/..", "8/--1..2",
                                  "8/0..1,", "8/0..1,x", ",".join(["8/0..1"] * 101)])  # fmt: skip
def test_impossible_draws(rest: str) -> None:
    with pytest.raises(UserError):
        drawn.parse(rest)


def test_inputs_lie_in_their_range_and_are_always_the_same() -> None:
    pixels, tokens = drawn.load("8x8x1/0..255"), drawn.load("20/int32/3..5")
    assert pixels.test.x.shape[1:] == (8, 8, 1)
    assert pixels.test.x.min() >= 0
    assert 250 < pixels.test.x.max() <= 255
    assert set(np.unique(tokens.train.x)) == {3, 4, 5}
    np.testing.assert_array_equal(pixels.train.x, drawn.load("8x8x1/0..255").train.x)
    assert not (pixels.train.x[:100] == pixels.test.x[:100]).all()
    assert pixels.summary.drawn


def test_a_model_tells_what_to_draw() -> None:
    assert drawn.for_model(summary(8, 8, 1)) == "drawn:8x8x1/0..1"
    assert drawn.for_model(summary(None, 3, told=InputRange(low=0, high=255))) == "drawn:32x3/0..255"
    words = summary(20, told=InputRange(low=0, high=999, whole=True))
    assert drawn.for_model(words) == "drawn:20/int32/0..999"
    assert drawn.for_model(words, high=9) == "drawn:20/int32/0..9"


def test_each_of_several_inputs_is_drawn_from_its_own_range() -> None:
    image, tokens = TensorSpec(name="i", shape=(8, 8, 1), dtype="float32"), TensorSpec(name="t", shape=(5,), dtype="i")
    uri = drawn.for_model(summary_of((image, None), (tokens, InputRange(low=0, high=9, whole=True))))
    assert uri == "drawn:8x8x1/0..1,5/int32/0..9"
    data = drawn.load(uri.removeprefix("drawn:"))
    pixels, words = arrays_of(data.train.x)
    assert (pixels.shape, pixels.dtype, words.shape, words.dtype) == ((500, 8, 8, 1), np.float32, (500, 5), np.int32)
    assert 0 <= pixels.min() < 0.01 < 0.99 < pixels.max() <= 1
    assert set(np.unique(words)) == set(range(10))
    assert [spec.shape for spec in data.summary.each_input] == [(8, 8, 1), (5,)]
    assert len(data.test) == 500
    np.testing.assert_array_equal(arrays_of(data.test.x[[3, 1]])[1], arrays_of(data.test.x)[1][[3, 1]])
    assert len(np.concatenate([data.train.x, data.test.x])) == 1000
