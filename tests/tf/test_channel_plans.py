"""Which channels go, and how many of each layer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tf_keras

from optimizers.tf import graph
from optimizers.tf.channels.criteria import scores
from optimizers.tf.channels.plan import Counter, choices, plan, step
from optimizers.tf.channels.trace import trace
from sample_models.architectures import digits_resnet
from tests.tf.topologies import randomized, residual, sequential, transformer

L = tf_keras.layers


def weights_by_hand(kind: str, kernel: np.ndarray) -> np.ndarray:
    flat = kernel.reshape(-1, kernel.shape[-1])
    return np.abs(flat).sum(0) if kind == "l1" else np.sqrt((flat**2).sum(0))


@pytest.mark.parametrize("kind", ["l1", "l2"])
def test_norms_of_tied_layers_are_averaged(kind: Any) -> None:
    found = trace(graph.rebuilt(randomized(residual())))
    score, fallen = scores(found, kind)
    assert not fallen
    rows = []
    for name in ("b1", "skip1", "b2"):
        row = weights_by_hand(kind, found.model.get_layer(name).kernel.numpy())
        rows.append(row / row.mean())
    group = found.groups[3]
    np.testing.assert_allclose([score[root] for root in group.roots], np.mean(rows, axis=0), rtol=1e-6)


def test_normalization_scales_decide_where_there_are_some() -> None:
    found = trace(graph.rebuilt(randomized(sequential())))
    score, fallen = scores(found, "bn_scale")
    gamma = np.abs(found.model.layers[2].gamma.numpy())
    assert fallen == ["second", "hidden"], "one has no scale, the other no normalization"
    np.testing.assert_allclose([score[root] for root in found.groups[0].roots], gamma / gamma.mean(), rtol=1e-6)


def test_heads_are_scored_by_all_their_kernels() -> None:
    found = trace(graph.rebuilt(randomized(transformer())))
    attention = found.model.get_layer("self")
    for part in ("query", "key", "value"):
        kernel = getattr(attention, f"_{part}_dense").kernel
        kernel.assign(kernel * np.array([1, 0.1, 1, 1])[None, :, None])
    attention._output_dense.kernel.assign(attention._output_dense.kernel * np.array([1, 0.1, 1, 1])[:, None, None])
    group = next(group for group in found.groups if group.name == "self heads")
    score, _ = scores(found, "l2")
    assert np.argmin([score[root] for root in group.roots]) == 1


@pytest.mark.parametrize(("channels", "multiple"), [(64, 8), (32, 8), (31, 4), (16, 4), (10, 2), (4, 1), (3, 1)])
def test_steps_suit_the_size_of_a_layer(channels: int, multiple: int) -> None:
    assert step(channels, 8) == multiple
    counts = choices(channels, multiple)
    assert counts[0] == channels
    assert counts == sorted(set(counts), reverse=True)
    assert all(count % multiple == 0 for count in counts[1:])
    assert counts[-1] >= min(2, channels)


@pytest.mark.parametrize("amount", [0.1, 0.3, 0.5, 0.75, 0.9])
@pytest.mark.parametrize("measured", [False, True])
@pytest.mark.parametrize("of", ["macs", "channels"])
def test_a_plan_costs_at_most_the_target_and_hardly_less(amount: float, measured: bool, of: str) -> None:
    found = trace(graph.rebuilt(digits_resnet(tf_keras)))
    counter = Counter(found)
    price = counter.macs if of == "macs" else counter.channels
    whole = price(np.array([float(len(group.roots)) for group in found.groups]))
    rng = np.random.default_rng(4)
    damages = {
        group.name: {len(group.roots) * n // 4: float(rng.uniform(0, 4 - n)) for n in (1, 2, 3)}
        for group in found.groups
    }
    steps = {group.name: step(len(group.roots), 8) for group in found.groups}
    decided = plan(found.groups, price, (1 - amount) * whole, steps, damages if measured else None)
    assert decided.reached
    kept = np.array([float(decided.kept[group.name]) for group in found.groups])
    assert 0.85 * (1 - amount) * whole <= price(kept) <= (1 - amount) * whole
    for group in found.groups:
        assert 2 <= decided.kept[group.name] <= len(group.roots)
        assert decided.kept[group.name] % 4 == 0


def test_measured_damage_decides_who_loses() -> None:
    x = inputs = tf_keras.Input((16,))
    for name in ("robust", "delicate", "other"):
        x = L.Dense(64, name=name)(x)
    found = trace(graph.rebuilt(tf_keras.Model(inputs, L.Dense(4)(x))))
    counter, damages = Counter(found), {"robust": {16: 0.01}, "delicate": {16: 5.0}, "other": {16: 1.0}}
    whole = counter.macs(np.full(3, 64.0))
    decided = plan(found.groups, counter.macs, 0.5 * whole, {group.name: 8 for group in found.groups}, damages)
    assert decided.kept["robust"] < decided.kept["other"] < decided.kept["delicate"]


def test_a_target_out_of_reach_is_told() -> None:
    found = trace(graph.rebuilt(transformer()))
    counter = Counter(found)
    steps = {group.name: step(len(group.roots), 8, group.heads) for group in found.groups}
    decided = plan(found.groups, counter.macs, 0.0, steps)
    assert not decided.reached
    assert all(decided.kept[group.name] == choices(len(group.roots), 1, group.heads)[-1] for group in found.groups), (
        "as little as there can be"
    )
