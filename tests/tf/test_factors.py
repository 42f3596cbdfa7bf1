"""Factors of kernels against plain linear algebra, and factored models against the kernels that they stand for."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tf_keras
from tf_keras import layers

from optimizers.tf import cost, decomposition, factors
from optimizers.tf.build import load_working, save_working
from optimizers.tf.graph import is_graph, rebuilt

SHAPES = {
    "svd": [(12, 7), (7, 12), (1, 1, 9, 6)],
    "channel": [(3, 3, 5, 8), (3, 3, 8, 5), (5, 4, 6)],
    "spatial": [(3, 3, 5, 8), (5, 3, 4, 4), (2, 7, 3, 5)],
    "tucker2": [(3, 3, 5, 8), (5, 3, 8, 4), (5, 4, 6), (1, 2, 9, 3)],
}
CASES = [(method, shape) for method, shapes in SHAPES.items() for shape in shapes]


def kernel_of(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize(("method", "shape"), CASES)
def test_the_foretold_error_is_the_error_at_every_rank(method: Any, shape: tuple[int, ...]) -> None:
    kernel = kernel_of(shape)
    decomposition_ = factors.decomposed(kernel, method)
    ranks = decomposition_.ranks(1)
    assert len(ranks) >= 4
    for rank in ranks:
        product = factors.product(method, decomposition_.parts(rank)).reshape(shape)
        assert factors.relative_error(kernel, product) == pytest.approx(decomposition_.error(rank), abs=1e-5)
    assert decomposition_.error(max(ranks)) == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize(("method", "shape"), CASES)
def test_a_kernel_of_low_rank_is_found_out(method: Any, shape: tuple[int, ...]) -> None:
    donor = factors.decomposed(kernel_of(shape, seed=1), method)
    rank = (2, 2) if method == "tucker2" else (2,)
    kernel = factors.product(method, donor.parts(rank)).reshape(shape)
    assert factors.decomposed(kernel, method).error(rank) < 1e-5


@pytest.mark.parametrize("method", ["svd", "channel", "spatial"])
def test_two_factors_are_the_best_ones_there_are(method: Any) -> None:
    shape = (40, 30) if method == "svd" else (3, 5, 8, 6)
    kernel = kernel_of(shape)
    unfolded = {
        "svd": kernel,
        "channel": kernel.reshape(-1, shape[-1]),
        "spatial": np.stack([kernel[h, :, i].reshape(-1) for h in range(3) for i in range(shape[-2])])
        if method == "spatial"
        else kernel,
    }[method]
    values = np.linalg.svd(unfolded, compute_uv=False)
    for rank in (1, 3, 5):
        least = np.sqrt(np.square(values[rank:]).sum() / np.square(values).sum())
        assert factors.decomposed(kernel, method).error((rank,)) == pytest.approx(least, rel=1e-5)


def test_tucker_keeps_to_its_bounds_and_sweeps_bring_it_closer() -> None:
    kernel = kernel_of((3, 3, 16, 24))
    plain = factors.decomposed(kernel, "tucker2")
    inputs = np.square(np.linalg.svd(np.moveaxis(kernel, 2, 0).reshape(16, -1), compute_uv=False))
    outputs = np.square(np.linalg.svd(kernel.reshape(-1, 24), compute_uv=False))
    whole = inputs.sum()
    for rank in ((4, 6), (8, 12), (12, 4)):
        tails = inputs[rank[0] :].sum() / whole, outputs[rank[1] :].sum() / whole
        squared = plain.error(rank) ** 2
        assert max(tails) - 1e-6 <= squared <= sum(tails) + 1e-6, "De Lathauwer et al. (2000), property 10"
        errors = [squared**0.5]
        for sweeps in (1, 2, 5):
            parts = factors.decomposed(kernel, "tucker2", sweeps).parts(rank)
            errors.append(factors.relative_error(kernel, factors.product("tucker2", parts)))
        assert all(after <= before + 1e-6 for before, after in pairwise(errors))
        assert errors[-1] < errors[0] - 1e-4
        assert errors[-1] ** 2 >= max(tails) - 1e-6


def test_more_rank_is_never_further_away() -> None:
    for method, shape in CASES:
        decomposition_ = factors.decomposed(kernel_of(shape), method)
        errors = {rank: decomposition_.error(rank) for rank in decomposition_.ranks(1)}
        for rank, error in errors.items():
            larger = [e for r, e in errors.items() if all(a >= b for a, b in zip(r, rank, strict=True))]
            assert error >= max(larger) - 1e-6


def test_ranks_are_multiples_and_never_many() -> None:
    assert factors.steps(40, 12) == [3, 6, 12, 24, 36, 40]
    assert factors.steps(5, 8) == [1, 2, 4, 5]
    assert factors.steps(9, 1) == list(range(1, 10))
    for round_to in (1, 3, 8, 16):
        many = factors.steps(4096, round_to)
        assert len(many) < 75
        assert all(rank % round_to == 0 for rank in many[:-1] if rank > round_to)
        assert many[-1] == 4096


@pytest.mark.parametrize(("method", "shape"), CASES)
def test_a_kernel_of_zeros_has_no_error(method: Any, shape: tuple[int, ...]) -> None:
    decomposition_ = factors.decomposed(np.zeros(shape, np.float32), method)
    assert {decomposition_.error(rank) for rank in decomposition_.ranks(1)} == {0.0}


# layers -------------------------------------------------------------------------------------------------------------


def randomized(model: Any, seed: int = 2) -> Any:
    rng = np.random.default_rng(seed)
    model.set_weights([rng.uniform(-0.5, 0.5, w.shape) for w in model.get_weights()])
    return model


def one_layer(layer: Any, *shape: int) -> Any:
    inputs = tf_keras.Input(shape)
    return randomized(tf_keras.Model(inputs, layer(inputs)))


LAYERS: dict[str, tuple[Callable[[], Any], tuple[int, ...]]] = {
    "dense": (lambda: layers.Dense(7, activation="relu"), (9,)),
    "dense on a sequence": (lambda: layers.Dense(7, use_bias=False), (4, 9)),
    "einsum": (lambda: layers.EinsumDense("abc,cd->abd", (4, 7), bias_axes="bd", activation="tanh"), (4, 9)),
    "einsum with dots": (lambda: layers.EinsumDense("...x,xy->...y", 7, bias_axes="y"), (9,)),
    "plain": (lambda: layers.Conv2D(8, 3, activation="relu"), (9, 8, 5)),
    "same with strides": (lambda: layers.Conv2D(8, 3, strides=2, padding="same"), (9, 8, 5)),
    "same, even window": (lambda: layers.Conv2D(8, (4, 2), strides=(3, 1), padding="same", use_bias=False), (9, 8, 5)),
    "uneven strides": (lambda: layers.Conv2D(8, (3, 5), strides=(1, 3), activation="elu"), (9, 13, 5)),
    "dilated": (lambda: layers.Conv2D(8, 3, dilation_rate=(2, 1), padding="same"), (9, 8, 5)),
    "row": (lambda: layers.Conv2D(8, (1, 5), strides=(2, 2), padding="same"), (9, 8, 5)),
    "1x1 with strides": (lambda: layers.Conv2D(8, 1, strides=2, activation="relu"), (9, 8, 5)),
    "causal": (lambda: layers.Conv1D(8, 3, padding="causal", dilation_rate=2, activation="relu"), (11, 5)),
    "1-D with strides": (lambda: layers.Conv1D(8, 4, strides=3, padding="same"), (11, 5)),
}


def ways(kernel: np.ndarray) -> list[Any]:
    window = kernel.shape[:-2]
    if np.prod(window) == 1:
        return ["svd"]
    return ["channel", "tucker2", *(["spatial"] if len(window) == 2 and min(window) > 1 else [])]


def forced(layer: Any, method: Any, rank: tuple[int, ...] | None = None) -> tuple[Any, Any]:
    """Candidate and choice of one rank, the full one unless given, whether it pays or not."""
    split = factors.decomposed(np.asarray(layer.get_weights()[0]), method)
    rank = rank or max(split.ranks(1))
    choice = decomposition.Choice(method, rank, 0, 0, split.error(rank))
    return decomposition.Candidate(layer.name, layer, 0, 0, (choice,), {method: split}), choice


def put_back(model: Any, name: str, candidate: Any, choice: Any) -> Any:
    """The model with the product of the factors as the layer's kernel."""
    copy = rebuilt(model)
    layer = copy.get_layer(name)
    kernel, *rest = layer.get_weights()
    layer.set_weights([factors.product(choice.method, candidate.parts(choice)).reshape(kernel.shape), *rest])
    return copy


@pytest.mark.parametrize("case", LAYERS)
def test_factors_do_what_the_layer_or_its_rebuilt_kernel_does(case: str) -> None:
    make, shape = LAYERS[case]
    model = one_layer(make(), *shape)
    layer = model.layers[-1]
    x = np.random.default_rng(1).standard_normal((3, *shape)).astype(np.float32)
    want = np.asarray(model(x))
    for method in ways(layer.get_weights()[0]):
        candidate, full = forced(layer, method)
        whole, errors = decomposition.factored(model, {layer.name: candidate}, {layer.name: full})
        np.testing.assert_allclose(np.asarray(whole(x)), want, atol=2e-5)
        assert errors[layer.name] < 1e-5
        candidate, low = forced(layer, method, (2, 3) if method == "tucker2" else (2,))
        small, errors = decomposition.factored(model, {layer.name: candidate}, {layer.name: low})
        reference = put_back(model, layer.name, candidate, low)
        np.testing.assert_allclose(np.asarray(small(x)), np.asarray(reference(x)), atol=2e-5)
        assert errors[layer.name] == pytest.approx(low.error, abs=1e-5)
        assert np.abs(np.asarray(small(x)) - want).max() > 1e-3
        assert small.layers[-1].activation is layer.activation
        assert len(small.layers[-1].weights) == len(layer.weights)
        assert not any(getattr(each, "use_bias", False) for each in small.layers[1:-1])


@pytest.mark.parametrize(
    "case", ["plain", "same with strides", "uneven strides", "1x1 with strides", "causal", "einsum"]
)
def test_costs_are_those_of_the_layers_that_are_made(case: str) -> None:
    make, shape = LAYERS[case]
    wide = {"filters": 96} if "conv" in type(make()).__name__.lower() else {"output_shape": (4, 96)}
    layer = type(make()).from_config({**make().get_config(), **wide, "name": "wide"})
    model = one_layer(layer, *(60 if size in (8, 9, 11, 13) else size for size in shape[:-1]), 64)
    found, skipped = decomposition.candidates(model, "", "auto", 8, 0)
    assert not skipped
    whole = cost.layer_costs(model)["wide"]
    assert (found["wide"].macs, found["wide"].parameters) == (whole.macs, layer.kernel.shape.num_elements())
    by_method = {choice.method: choice for choice in found["wide"].choices}
    assert set(by_method) == set(ways(layer.get_weights()[0]))
    for choice in by_method.values():
        assert choice.macs < whole.macs
        made, _ = decomposition.factored(model, found, {"wide": choice})
        costs = cost.layer_costs(made).values()
        biases = layer.bias.shape.num_elements() if layer.bias is not None else 0
        assert sum(each.macs for each in costs) == choice.macs
        assert sum(each.parameters for each in costs) == choice.parameters + biases


def test_shared_layers_in_nested_models_stay_shared_and_names_stay_unique(tmp_path: Path) -> None:
    inside = tf_keras.Sequential([tf_keras.Input((9,)), layers.Dense(9, name="dense")], name="inside")
    inputs = tf_keras.Input((9,))
    x = layers.Dense(9, name="dense_u")(inside(inside(inputs)))
    model = randomized(tf_keras.Model(inputs, layers.Dense(3, name="last", kernel_regularizer="l2")(x)))
    flat = rebuilt(model)
    pairs = {name: forced(flat.get_layer(name), "svd") for name in ("dense", "last")}
    found, chosen = ({name: pair[side] for name, pair in pairs.items()} for side in (0, 1))
    result, _ = decomposition.factored(flat, found, chosen)
    names = [layer.name for layer in result.layers[1:]]
    assert sorted(names) == ["dense_u", "dense_u_2", "dense_v", "last_u", "last_v"]
    assert not any(is_graph(layer) for layer in result.layers)
    x = np.random.default_rng(1).standard_normal((3, 9)).astype(np.float32)
    np.testing.assert_allclose(np.asarray(result(x)), np.asarray(model(x)), atol=1e-5)
    assert len(result.losses) == 2, "both factors keep the weight decay"
    save_working(result, tmp_path / "model.keras")
    np.testing.assert_array_equal(np.asarray(load_working(tmp_path / "model.keras")(x)), np.asarray(result(x)))


def zoo() -> Any:
    """A model with one layer of each kind that is left alone, and two that are not."""
    image, tokens = tf_keras.Input((16, 16, 8), name="image"), tf_keras.Input((6,), dtype="int32", name="tokens")
    x = layers.Conv2D(32, 3, padding="same", name="conv")(image)
    x = layers.DepthwiseConv2D(3, name="depth")(x)
    x = layers.SeparableConv2D(32, 3, name="separable")(x)
    x = layers.Conv2D(32, 3, groups=4, name="grouped")(x)
    x = layers.Conv2DTranspose(32, 3, name="transposed")(x)
    x = layers.Conv2D(32, 3, kernel_constraint="non_neg", name="bounded")(x)
    x = layers.Conv2D(32, 3, trainable=False, name="frozen")(x)
    x = layers.Dense(128, name="plain")(layers.Flatten()(x))
    y = layers.Embedding(9, 32, name="table")(tokens)
    y = layers.MultiHeadAttention(2, 16, name="attention")(y, y)
    y = layers.TimeDistributed(layers.Dense(32), name="each")(y)
    y = layers.EinsumDense("abc,cde->abde", (6, 4, 8), name="heads")(y)
    y = layers.LSTM(8, name="lstm")(layers.Reshape((6, 32))(y))
    return tf_keras.Model([image, tokens], layers.Dense(3, name="tiny")(layers.Concatenate()([x, y])))


def test_what_is_left_alone_is_told_with_the_reason() -> None:
    found, skipped = decomposition.candidates(zoo(), "", "auto", 16, 0)
    assert set(found) == {"conv", "plain"}
    words = {
        "depth": "small kernel of its own", "separable": "factored already", "grouped": "groups of channels",
        "transposed": "left whole", "bounded": "constrained", "frozen": "frozen", "table": "looked up",
        "attention": "attention", "each": "wrapper", "heads": "no factorization of EinsumDense", "lstm": "recurrent",
        "tiny": "so small",
    }  # fmt: skip
    assert set(skipped) == set(words)
    assert all(words[name] in reason for name, reason in skipped.items())
    found, skipped = decomposition.candidates(zoo(), "!conv", "auto", 16, 0)
    assert set(found) == {"plain"}
    assert "chosen" in skipped["conv"]


@pytest.mark.parametrize("of", ["macs", "parameters"])
@pytest.mark.parametrize("keep", [0.7, 0.4])
def test_a_budget_is_kept_and_nearly_used_up(of: Any, keep: float) -> None:
    found, _ = decomposition.candidates(zoo(), "", "auto", 4, 0)
    whole = sum(candidate.cost(of) for candidate in found.values())
    rises = {key: 10 * key[1].error for key, _ in decomposition.trials(found, of)}
    for chosen in (
        decomposition.uniform(found, keep * whole, of),
        decomposition.by_sensitivity(found, rises, keep * whole, of),
    ):
        spent = sum(chosen[name].cost(of) if name in chosen else found[name].cost(of) for name in found)
        assert 0.85 * keep * whole <= spent <= keep * whole


def test_the_less_sensitive_layer_is_cut_more() -> None:
    found, _ = decomposition.candidates(zoo(), "", "auto", 4, 0)
    whole = sum(candidate.macs for candidate in found.values())
    for dear, cheap in (("conv", "plain"), ("plain", "conv")):
        weight = {dear: 100.0, cheap: 0.1}
        rises = {key: weight[key[0]] * key[1].error for key, _ in decomposition.trials(found, "macs")}
        budget = whole - 0.3 * found[cheap].macs
        chosen = decomposition.by_sensitivity(found, rises, budget, "macs")
        assert set(chosen) == {cheap}


def test_trials_put_back_the_kernel_of_the_factors() -> None:
    found, _ = decomposition.candidates(zoo(), "", "auto", 8, 2)
    seen = set()
    for (name, choice), change in decomposition.trials(found, "macs"):
        [(layer, weights)] = change.items()
        assert layer is found[name].layer
        assert [w.shape for w in weights] == [w.shape for w in layer.get_weights()]
        assert factors.relative_error(layer.get_weights()[0], weights[0]) <= choice.error + 1e-5
        seen.add(choice.method)
    assert seen >= {"svd"}
    assert len(seen) > 1


def test_an_unpractical_method_gives_way() -> None:
    for window, wanted, given in (
        ((1, 5), "spatial", {"channel"}),
        ((3,), "tucker2", {"tucker2"}),
        ((1, 1), "tucker2", {"svd"}),
    ):
        kind = layers.Conv1D if len(window) == 1 else layers.Conv2D
        model = one_layer(kind(64, window, padding="same"), *(12,) * len(window), 64)
        found, _ = decomposition.candidates(model, "", wanted, 8, 0)
        assert {choice.method for candidate in found.values() for choice in candidate.choices} == given
