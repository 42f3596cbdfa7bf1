"""How much work one call of a layer or operation is, told from shapes, so that too much of it is never begun."""

from __future__ import annotations

from math import isqrt, prod
from typing import Any

from optimizers.models.reader.spec import LayerSpec
from optimizers.tf.dialects import flat_tensors

_OPEN = 16
"""Length that open dimensions are tried with first (`optimizers.tf.probes`)."""
_PRODUCTS = frozenset(["Matmul", "Dot", "Tensordot", "Einsum", "Outer"])
_REPEATING = {"Tile": "repeats", "Repeat": "repeats", "Pad": "pad_width"}
_POOLS = ("MaxPool", "AveragePool")
_ATTENTION = frozenset(["MultiHeadAttention", "Attention", "AdditiveAttention"])
_GROUPED = frozenset(["GroupQueryAttention", "GroupedQueryAttention"])


def multiplications(spec: LayerSpec, live: Any, given: Any, made: Any) -> int:
    """About how many multiply-accumulates, or comparisons in a pool, one call takes for one example; 0 if few.

    Counted are products with kernels, products of tensors and windows of pools, rather too high than too low. Both
    Kerases are counted alike; `optimizers.tf.cost` is exact, but knows layers of tf_keras only.

    Args:
        spec: The layer or operation; not a nested model.
        live: The layer as either Keras built it; None for an operation.
        given, made: The tensors that go in and come out.
    """
    inputs, outputs = shapes(given), shapes(made)
    if not inputs or not outputs:
        return 0
    if spec.kind in _PRODUCTS and (spec.is_operation or spec.kind == "Dot"):
        return isqrt(prod(map(prod, inputs)) * prod(outputs[0]))  # A·B by B·C: the root of AB · BC · AC
    if spec.kind.startswith(_POOLS):
        window = spec.options.get("pool_size") or 1
        each = prod(window) if isinstance(window, list | tuple) else window ** max(1, len(inputs[0]) - 1)
        return prod(outputs[0]) * each
    scores = attention_scores(spec, inputs)
    work = 2 * prod(scores) * inputs[0][-1] if scores else 0
    if live is None:
        return work
    for weight in live.weights:
        name, sizes = _last_name(weight), [int(size) for size in weight.shape]
        if "kernel" in name or (name == "embeddings" and spec.kind == "ReversibleEmbedding"):
            work += _uses(spec, live, sizes, inputs, outputs) * prod(sizes)
    return work


def attention_scores(spec: LayerSpec, inputs: list[tuple[int, ...]]) -> tuple[int, ...]:
    """Sizes of the scores that attention computes, which are no output but often its largest tensor; else empty."""
    if spec.kind not in _ATTENTION | _GROUPED:
        return ()
    query, value = inputs[0], inputs[1] if len(inputs) > 1 else inputs[0]
    heads = spec.options.get("num_query_heads", spec.options.get("num_heads", 1))
    each = query[-1] if spec.kind == "AdditiveAttention" else heads
    return prod(query[:-1]), prod(value[:-1]), int(each)


def makes_examples(kind: str, args: list[Any], options: dict[str, Any]) -> bool:
    """Whether an operation repeats or pads along the dimension of the examples, so that no shape tells how many."""
    rank, axis = len(getattr(args[0], "shape", ())) if args else 0, options.get("axis")
    given = options.get(_REPEATING.get(kind, ""), args[1] if len(args) > 1 else None)
    if rank == 0 or given is None:
        return False
    if kind == "Tile":
        sizes = [given] if isinstance(given, int) else list(given)
        return len(sizes) > rank or (len(sizes) == rank and sizes[0] != 1)
    if kind == "Repeat":
        return (0 if axis is None else axis % rank) == 0
    return kind == "Pad" and isinstance(given, list | tuple) and given[0] not in ([0, 0], (0, 0))


def shapes(tensors: Any) -> list[tuple[int, ...]]:
    """Shapes for one example, without the batch dimension."""
    found = [getattr(tensor, "shape", None) for tensor in flat_tensors(tensors)]
    return [tuple(_OPEN if size is None else int(size) for size in shape[1:]) or (1,) for shape in found if shape]


def _last_name(weight: Any) -> str:
    return str(getattr(weight, "path", weight.name)).split(":")[0].rsplit("/", 1)[-1]


def _uses(
    spec: LayerSpec, live: Any, sizes: list[int], inputs: list[tuple[int, ...]], outputs: list[tuple[int, ...]]
) -> int:
    """How often a kernel is used: once for every place, which are all dimensions but that of the channels."""
    if spec.kind == "EinsumDense":
        letters = str(spec.options["equation"]).replace("->", ",").replace("...", "").split(",")
        own = prod(size for letter, size in zip(letters[1], sizes, strict=True) if letter in letters[2])
        return -(-prod(outputs[0]) // max(1, own))
    first = spec.options.get("data_format") == "channels_first"
    before, after = (prod(shape[1:] if first else shape[:-1]) for shape in (inputs[0], outputs[0]))
    if spec.kind.endswith("Transpose"):
        return before
    return after if spec.kind == "Dense" or ("Conv" in spec.kind and "LSTM" not in spec.kind) else max(before, after)
