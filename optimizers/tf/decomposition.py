"""Layers whose kernels can be replaced by products of smaller ones: which, at what cost, and the model rewritten."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite, prod
from typing import Any, Literal

import numpy as np
import tf_keras

from optimizers import selection
from optimizers.techniques import _allocation
from optimizers.tf import factors, graph, kernels

Of = Literal["macs", "parameters"]
Wanted = Literal["auto", "tucker2", "spatial", "channel"]
_L = tf_keras.layers
_CONVOLUTIONS = (_L.Conv1D, _L.Conv2D)
_SHARES = (0.75, 0.6, 0.5, 0.4, 0.32, 0.25, 0.2, 0.15, 0.1)
"""Shares of a layer's cost at which its sensitivity is measured; no layer is cut to less than the last."""
_TRACE = 1e-3
"""Part of the largest rise of the loss that a kernel of no resemblance counts for where no rise is measured."""
_GAIN = 1.1
"""How many times faster the factors of a layer have to be; what is closer is within the error of the forecast."""


@dataclass(frozen=True)
class Choice:
    """One way to factor a layer. Costs count kernels alone; ``error`` is relative, before any sweeps."""

    method: factors.Method
    rank: factors.Rank
    macs: int
    parameters: int
    error: float

    def cost(self, of: Of) -> int:
        return self.macs if of == "macs" else self.parameters

    def __str__(self) -> str:
        return f"{self.method}, rank {' and '.join(map(str, self.rank))}"


@dataclass(frozen=True)
class Candidate:
    """A layer that can be factored, its cost as it is, and the ways that pay, in no order."""

    name: str
    layer: Any
    macs: int
    parameters: int
    choices: tuple[Choice, ...]
    decompositions: Mapping[factors.Method, factors.Decomposition] = field(repr=False)

    def cost(self, of: Of) -> int:
        return self.macs if of == "macs" else self.parameters

    def at(self, share: float, of: Of) -> Choice:
        """The way with the least error that costs at most a share of the layer, or the cheapest where none does."""
        fitting = [choice for choice in self.choices if choice.cost(of) <= share * self.cost(of)]
        if fitting:
            return min(fitting, key=lambda choice: (choice.error, choice.cost(of)))
        return min(self.choices, key=lambda choice: (choice.cost(of), choice.error))

    def parts(self, choice: Choice) -> list[np.ndarray]:
        """Kernels of the factors."""
        return self.decompositions[choice.method].parts(choice.rank)


def candidates(
    model: Any, layers: str, method: Wanted, round_to: int, sweeps: int
) -> tuple[dict[str, Candidate], dict[str, str]]:
    """Layers that can be factored with a gain, and the reasons for all others that have kernels.

    Args:
        model: A flat tf_keras model with known shapes, see `graph.rebuilt`.
        layers: Choice of layers, see `optimizers.selection`.
        method: For convolutions with a window; ``auto`` allows all.
        round_to: Ranks are multiples of it, or a half, a quarter … of it.
        sweeps: See `factors.decomposed`.
    """
    places = _places(model)
    found: dict[str, Candidate] = {}
    skipped: dict[str, str] = {}
    for layer in kernels.layers(model):
        variables, name = kernels.kernels(layer), layer.name
        if not variables:
            continue
        reason = selection.NOT_CHOSEN if not selection.chosen(name, layers) else _unfit(layer, id(layer) in places)
        if not reason:
            candidate = _candidate(layer, np.asarray(variables[0]), places[id(layer)], method, round_to, sweeps)
            if isinstance(candidate, Candidate):
                found[name] = candidate
            else:
                reason = candidate
        if reason:
            skipped[name] = reason
    return found, skipped


def _unfit(layer: Any, called: bool) -> str:
    """Why a layer is left alone; empty where it can be factored."""
    if not called:
        return "it is inside a nested model that has to stay one layer"
    if not layer.trainable:
        return "the layer is frozen, so it could not adapt to its factors"
    if getattr(layer, "kernel_constraint", None) is not None:
        return "its kernel is constrained while it trains, which factors would not respect"
    if type(layer) is _L.Dense or (type(layer) is _L.EinsumDense and _is_matrix(layer.equation)):
        return ""
    if type(layer) in _CONVOLUTIONS:
        return "its groups of channels are already a factorization" if layer.groups > 1 else ""
    for kinds, reason in _LEFT_ALONE:
        if isinstance(layer, kinds):
            return reason
    return f"there is no factorization of {type(layer).__name__} here"


_LEFT_ALONE: tuple[tuple[Any, str], ...] = (
    ((_L.DepthwiseConv1D, _L.DepthwiseConv2D), "each channel has a small kernel of its own, with nothing to factor"),
    ((_L.SeparableConv1D, _L.SeparableConv2D), "it is factored already, into a depthwise and a pointwise kernel"),
    ((_L.Conv1DTranspose, _L.Conv2DTranspose, _L.Conv3DTranspose), "transposed convolutions are left whole"),
    (_L.RNN, "recurrent kernels are left whole: a recurrent cell has no place for factors"),
    (_L.MultiHeadAttention, "attention is left whole: its heads are products of small matrices already"),
    (_L.Embedding, "it is looked up, not multiplied, so factors would only add work"),
    (_L.Wrapper, "layers inside a wrapper are left whole"),
)


def _is_matrix(equation: str) -> bool:
    """Whether an einsum multiplies the last axis of its input by a matrix, as Dense does."""
    left, _, rest = equation.replace(" ", "").partition(",")
    kernel, _, out = rest.partition("->")
    if len(kernel) != 2 or not left or not out:
        return False
    return (left[:-1], left[-1] + out[-1]) == (out[:-1], kernel) and not set(kernel) & set(left[:-1])


def _places(model: Any) -> dict[int, factors.Places]:
    """By identity of the layer."""
    found: dict[int, factors.Places] = {}
    for node in graph.calls(model):
        if node.is_input or not isinstance(node.layer, (*_CONVOLUTIONS, _L.Dense, _L.EinsumDense)):
            found.setdefault(id(node.layer), factors.Places(0, 0, 0))
            continue
        before, after = _window(node.layer, node.keras_inputs[0]), _window(node.layer, node.outputs)
        now = factors.Places(prod(before), prod((*after[:1], *before[1:])), prod(after))
        old = found.get(id(node.layer), factors.Places(0, 0, 0))
        found[id(node.layer)] = factors.Places(
            old.before + now.before, old.between + now.between, old.after + now.after
        )
    return found


def _window(layer: Any, tensor: Any) -> tuple[int, ...]:
    """Sizes of a tensor without batch and channels; open ones count as 1, as in `optimizers.tf.cost`."""
    sizes = tuple(1 if size is None else int(size) for size in tensor.shape[1:])
    return sizes[1:] if getattr(layer, "data_format", "") == "channels_first" else sizes[:-1]


# what a layer could become ------------------------------------------------------------------------------------------


def _candidate(
    layer: Any, kernel: np.ndarray, places: factors.Places, method: Wanted, round_to: int, sweeps: int
) -> Candidate | str:
    """The layer with all ways that pay, or why there are none."""
    decompositions = {m: factors.decomposed(kernel, m, sweeps) for m in _methods(kernel.shape[:-2], method)}
    whole = factors.Work(((places.after, kernel.shape),))
    smaller, choices = False, []
    for name, decomposition in decompositions.items():
        for rank in decomposition.ranks(round_to):
            work = factors.work(name, rank, kernel.shape, places)
            # a rank of 1 makes convolutions of one input, for which LiteRT takes longer than for two
            if min(rank) > 1 and _is_smaller(work, whole):
                smaller = True
                if _GAIN * work.time <= whole.time:
                    choices.append(Choice(name, rank, work.macs, work.parameters, decomposition.error(rank)))
    if choices:
        return Candidate(layer.name, layer, whole.macs, whole.parameters, tuple(choices), decompositions)
    if smaller:
        return "it is so small that the operators of its factors would cost more time than they save"
    return "no factors of its kernel are smaller than the kernel itself"


def _methods(window: tuple[int, ...], wanted: Wanted) -> tuple[factors.Method, ...]:
    """Decompositions of a kernel with that window; one that it has no use for is replaced by the channel-wise one."""
    if prod(window) == 1:
        return ("svd",)
    possible: list[factors.Method] = ["tucker2", "channel"]
    if len(window) == 2 and min(window) > 1:
        possible.insert(1, "spatial")
    if wanted == "auto":
        return tuple(possible)
    return (wanted,) if wanted in possible else ("channel",)


def _is_smaller(work: factors.Work, whole: factors.Work) -> bool:
    """Whether factors hold less and compute less, but not less than the least share."""
    pairs = (work.macs, whole.macs), (work.parameters, whole.parameters)
    return all(_SHARES[-1] * old <= new < old for new, old in pairs)


# which way each layer goes ------------------------------------------------------------------------------------------


def uniform(found: Mapping[str, Candidate], budget: float, of: Of) -> dict[str, Choice]:
    """Every layer at about the same share of its cost, the largest share at which all together keep to the budget.

    Where factors of all layers remove more than is wanted, layers that lose most by them are left out.

    Args:
        found: Layers that can be factored.
        budget: What they may cost together; where that is too little, all are cut as far as they can be.
        of: What costs are counted in.
    """
    share = 1.0
    while share > _SHARES[-1] and sum(each.at(share, of).cost(of) for each in found.values()) > budget:
        share -= 0.01
    nearby = [share + step for step in (0.0, 0.05, 0.1, 0.15, 0.2)]
    ways = {name: [each.at(close, of) for close in nearby] for name, each in found.items()}
    options = {name: [_allocation.Option(way.cost(of), way.error) for way in each] for name, each in ways.items()}
    if share == 1.0:  # little is to be removed: factoring some layers is enough, the others stay whole
        for name, each in found.items():
            options[name].append(_allocation.Option(each.cost(of), 0.0))
    taken = _filled(options, dict.fromkeys(found, 0), budget)
    return {name: ways[name][number] for name, number in taken.items() if number < len(nearby)}


def trials(found: Mapping[str, Candidate], of: Of) -> Iterator[tuple[tuple[str, Choice], dict[Any, list[np.ndarray]]]]:
    """What to measure the sensitivity of: layer and way, and the layer's weights with the product of the factors."""
    for name, candidate in found.items():
        for choice in dict.fromkeys(candidate.at(share, of) for share in _SHARES):
            weights = candidate.layer.get_weights()
            approximate = factors.product(choice.method, candidate.parts(choice))
            yield (name, choice), {candidate.layer: [approximate.reshape(weights[0].shape), *weights[1:]]}


def by_sensitivity(
    found: Mapping[str, Candidate], rises: Mapping[tuple[str, Choice], float], budget: float, of: Of
) -> dict[str, Choice]:
    """For every layer that is to be factored the way to do it, so that the loss rises least within the budget.

    Args:
        found: Layers that can be factored.
        rises: How much the loss rose in each of the `trials`.
        budget: What they may cost together.
        of: What costs are counted in.
    """
    damages = _damages(rises)
    ways: dict[str, list[Choice | None]] = {name: [None] for name in found}
    options = {name: [_allocation.Option(candidate.cost(of), 0.0)] for name, candidate in found.items()}
    for name, way in rises:
        ways[name].append(way)
        options[name].append(_allocation.Option(way.cost(of), damages[name, way]))
    taken = _filled(options, _allocation.allocate(options, budget), budget)
    chosen = {name: ways[name][number] for name, number in taken.items()}
    return {name: way for name, way in chosen.items() if way is not None}


def _damages(rises: Mapping[tuple[str, Choice], float]) -> dict[tuple[str, Choice], float]:
    """Rises of the loss without what is chance in them.

    A layer that is further from its kernel does not do less harm, and none does good. A trace of the error decides
    where no rise was measured, so that a budget is not left unused for nothing.
    """
    largest = max([1e-6, *(rise for rise in rises.values() if isfinite(rise))])
    found: dict[tuple[str, Choice], float] = {}
    before: dict[str, float] = {}
    for name, way in sorted(rises, key=lambda key: (key[1].error, -key[1].macs)):
        rise = min(rises[name, way], 10 * largest)  # a model that breaks down altogether
        before[name] = max(before.get(name, 0.0), rise)
        found[name, way] = before[name] + _TRACE * largest * way.error**2
    return found


def _filled(
    options: Mapping[str, Sequence[_allocation.Option]], taken: dict[str, int], budget: float
) -> dict[str, int]:
    """What an allocation left of the budget spent on the layers that gain most by it: ranks are few and far between."""
    left = budget - sum(options[name][number].cost for name, number in taken.items())
    while True:
        better = [
            (options[name][taken[name]].damage - option.damage, name, number)
            for name, ways in options.items()
            for number, option in enumerate(ways)
            if option.damage < options[name][taken[name]].damage
            and option.cost - options[name][taken[name]].cost <= left
        ]
        if not better:
            return taken
        _, name, number = max(better)
        left -= options[name][number].cost - options[name][taken[name]].cost
        taken = {**taken, name: number}


# the model rewritten ------------------------------------------------------------------------------------------------


def factored(model: Any, found: Mapping[str, Candidate], chosen: Mapping[str, Choice]) -> tuple[Any, dict[str, float]]:
    """A new flat model with factors in place of some layers, and the relative error of each kernel.

    Args:
        model: Flat, with the layers of ``found`` in it under their names.
        found, chosen: Layers that can be factored, and how those are that shall be.
    """
    taken = {layer.name for layer in model.layers}
    replace: dict[str, graph.Replacement] = {}
    errors: dict[str, float] = {}
    for name, choice in chosen.items():
        parts = found[name].parts(choice)
        whole = factors.product(choice.method, parts)
        kernel = found[name].layer.get_weights()[0]
        errors[name] = factors.relative_error(kernel, whole.reshape(kernel.shape))
        names = [_free(f"{name}_{end}", taken) for end in (("u", "core", "v") if len(parts) == 3 else ("u", "v"))]
        replace[name] = _replacement(choice.method, parts, names)
    return graph.rebuilt(model, replace), errors


def _free(name: str, taken: set[str]) -> str:
    unique, count = name, 1
    while unique in taken:
        count += 1
        unique = f"{name}_{count}"
    taken.add(unique)
    return unique


def _replacement(method: factors.Method, parts: Sequence[np.ndarray], names: Sequence[str]) -> graph.Replacement:
    """Layers with the factors; bias, activation and what belongs to them stay on the last one."""

    def replacement(layer: Any) -> Callable[..., Any]:
        made = [
            _part(layer, part, name, _movement(layer, method, position), last=position == len(parts) - 1)
            for position, (part, name) in enumerate(zip(parts, names, strict=True))
        ]
        kernel, *rest = layer.get_weights()

        def call(tensor: Any) -> Any:
            for each, part in zip(made, parts, strict=True):
                fresh = not each.built
                tensor = each(tensor)
                if fresh:
                    each.set_weights([part.astype(kernel.dtype), *(rest if each is made[-1] else [])])
            return tensor

        return call

    return replacement


def _part(layer: Any, kernel: np.ndarray, name: str, movement: Mapping[str, Any], *, last: bool) -> Any:
    config = {**layer.get_config(), "name": name, **movement}
    config.pop("batch_input_shape", None)
    if isinstance(layer, _L.EinsumDense):
        shape = layer.partial_output_shape
        config["output_shape"] = (
            (*shape[:-1], kernel.shape[-1]) if isinstance(shape, list | tuple) else kernel.shape[-1]
        )
    elif isinstance(layer, _L.Dense):
        config["units"] = kernel.shape[-1]
    else:
        config |= {"filters": kernel.shape[-1], "kernel_size": kernel.shape[:-2]}
    if not last:
        config |= {"activation": "linear", "activity_regularizer": None}
        config |= {"bias_axes": None} if isinstance(layer, _L.EinsumDense) else {"use_bias": False}
    return type(layer).from_config(config)


def _movement(layer: Any, method: factors.Method, position: int) -> dict[str, Any]:
    """Stride, dilation and padding of a factor: they stay with the window, axis by axis where that is split."""
    if not isinstance(layer, _CONVOLUTIONS):
        return {}
    still = {"strides": 1, "dilation_rate": 1, "padding": "valid"}
    if method == "spatial":
        axis = position
        turned = {
            key: tuple(getattr(layer, key)[a] if a == axis else 1 for a in (0, 1))
            for key in ("strides", "dilation_rate")
        }
        return {**turned, "padding": layer.padding}
    return {} if position == (1 if method == "tucker2" else 0) else still
