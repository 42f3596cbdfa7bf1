"""Stores kernels of a float32 LiteRT file in fewer bits with ai-edge-quantizer, and proves that this has happened.

The package needs no TensorFlow. It leaves what it does not support as it is without a word, and it writes files that
LiteRT cannot run, or runs wrongly. So what is possible is written down here as it was found by running it, and every
file is compared with the float32 file that holds the same numbers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr
from dataclasses import dataclass, replace
from io import StringIO
from math import inf, log10
from typing import Any, Literal

import numpy as np

from optimizers.errors import NotApplicable
from optimizers.litert.interpreter import invoke, load
from optimizers.litert.trial import loads
from optimizers.litert.weights import StoredWeight, weights

Per = Literal["channel", "tensor", "block"]
Key = tuple[int, str]
"""Subgraph and tensor name of a weight; names are unique within a file that the quantizer accepts."""

BLOCKS = (32, 64, 128, 256)
_OPERATIONS = {
    "FULLY_CONNECTED": "FULLY_CONNECTED",
    "CONV_2D": "CONV_2D",
    "DEPTHWISE_CONV_2D": "DEPTHWISE_CONV_2D",
    "TRANSPOSE_CONV": "CONV_2D_TRANSPOSE",
    "BATCH_MATMUL": "BATCH_MATMUL",
}
"""Operators that can have kernels of fewer bits, and the package's names for them."""
_IN_INTEGERS: dict[str, dict[int, frozenset[Per]]] = {
    "FULLY_CONNECTED": {
        8: frozenset({"channel", "tensor"}),
        4: frozenset({"channel", "tensor", "block"}),
        2: frozenset({"channel", "tensor"}),
    },
    "CONV_2D": {8: frozenset({"channel", "tensor"}), 4: frozenset({"channel", "tensor"})},
    "DEPTHWISE_CONV_2D": {},
    "TRANSPOSE_CONV": {8: frozenset({"channel", "tensor"})},
    "BATCH_MATMUL": {8: frozenset({"channel", "tensor"})},
}
"""What LiteRT 2.3 computes rightly with activations that are quantized on the fly.

Seen to fail: two bits in a convolution (random numbers or a crash), one scale for a whole depthwise kernel (it reads
beyond the scale), blocks of two or of eight bits. Depthwise kernels with a scale per channel are right, but make
fashion_mobilenet 1.5 times slower than when they are unpacked. Unpacked to floating point, everything but blocks works.
"""
_SCALE_BYTES = 12
_BLOCK_SCALE_BYTES = 2
_UNPACKING_BYTES = 110
_AGREES_DB = 10.0


@dataclass(frozen=True)
class Storage:
    """How a kernel is stored: 16 (half precision), 8, 4 or 2 bits, what shares a scale, and how it is computed with.

    ``block`` is how many neighbouring inputs share a scale where ``per`` is ``block``. With ``integers`` activations
    are quantized on the fly and multiplied as integers; otherwise the kernel is unpacked to float32 first.
    """

    bits: int
    per: Per = "channel"
    block: int = 0
    integers: bool = False


def settled(weight: StoredWeight, wanted: Storage) -> Storage | str:
    """How a kernel can be stored, as near to what is wanted as LiteRT can run it; or why it stays as it is.

    The bits are always those that are wanted. Blocks become channels where the operator, the bits or the number of
    inputs do not allow them, and integers become floats.
    """
    kinds = weight.kinds
    if len(kinds) != 1 or kinds[0] not in _OPERATIONS:
        return f"the quantizer has no version of its operator ({', '.join(kinds) or 'none'})"
    kind, storage = kinds[0], wanted
    if storage.bits == 16 and kind == "BATCH_MATMUL":
        return f"the quantizer has no half precision version of its operator ({kind})"
    if storage.bits == 16:
        storage = Storage(16)
    possible = _IN_INTEGERS[kind].get(storage.bits, frozenset())
    if storage.per == "block" and ("block" not in possible or not storage.integers or weight.shape[-1] % storage.block):
        storage = replace(storage, per="channel", block=0)
    if storage.per == "block" and stored_bytes(weight, storage) >= weight.stored_bytes:
        storage = replace(storage, per="channel", block=0)
    if storage.per not in possible:
        storage = replace(storage, integers=False)
    if stored_bytes(weight, storage) >= weight.stored_bytes:
        return "its scales would take more room than fewer bits save"
    return storage


def stored_bytes(weight: StoredWeight, storage: Storage) -> int:
    """About how many bytes a kernel takes in the file, with its scales and the operator that unpacks it."""
    size = weight.values.size
    packed = -(-size * storage.bits // 8)
    if storage.bits == 16:
        return packed + _UNPACKING_BYTES + len(weight.name)
    scales = {
        "tensor": _SCALE_BYTES,
        "channel": _SCALE_BYTES * channels(weight),
        "block": _BLOCK_SCALE_BYTES * size // max(1, storage.block) + _UNPACKING_BYTES,
    }
    return packed + scales[storage.per] + (0 if storage.integers else _UNPACKING_BYTES + len(weight.name))


def channels(weight: StoredWeight) -> int:
    """How many scales a kernel has with one for each output channel."""
    return weight.shape[-1] if weight.kinds[0] in ("DEPTHWISE_CONV_2D", "BATCH_MATMUL") else weight.shape[0]


def quantized(file: bytes, kernels: Sequence[StoredWeight], plan: Mapping[Key, Storage], *, clip: bool = True) -> bytes:
    """The file with its kernels stored as planned; equal arguments give equal bytes.

    Args:
        file: A float32 ``.tflite`` file.
        kernels: Weights of the file, those of the plan at least.
        plan: From `settled`. A kernel that is not named stays as it is.
        clip: Cut off the largest weights of a channel where that lowers the error of all others together, which matters
            at four bits and below; otherwise the largest weight sets the scale.

    Raises:
        NotApplicable: The quantizer refuses the file, or has not done what was planned.

    Source: C. Sakr et al., "Optimal Clipping and Magnitude-aware Differentiation for Improved Quantization-aware
    Training" (OCTAV), 2022, equation (6).
    """
    if not plan:
        return file
    content = _written(file, _recipe(kernels, plan, clip))
    _refuse_what_was_skipped(content, plan)
    return content


def rewritten_bytes(file: bytes) -> int:
    """Size of a file that the quantizer writes without changing a kernel."""
    nothing = {"regex": "^$", "operation": "FULLY_CONNECTED", "algorithm_key": "no_quantize"}
    return len(_written(file, [nothing]))


def _written(file: bytes, recipe: list[dict[str, Any]]) -> bytes:
    from ai_edge_quantizer import quantizer

    try:
        work = quantizer.Quantizer(bytearray(file), recipe)
        with redirect_stderr(StringIO()):  # it draws progress bars even when it is told not to
            result = work.quantize(enable_progress_report=False, enable_progress_bar=False)
        return bytes(result.quantized_model)
    except (ValueError, RuntimeError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise NotApplicable(
            "The tool that stores few bits (ai-edge-quantizer) fails on this model's file. Dynamic range and full int8 "
            "are made by another one, and may work.",
            detail=f"{type(error).__name__}: {error}"[:20_000],
        ) from error


def _recipe(kernels: Sequence[StoredWeight], plan: Mapping[Key, Storage], clip: bool) -> list[dict[str, Any]]:
    """One rule for each kind of operator and way of storing, with the scopes of all operators that it is for."""
    scopes: dict[tuple[str, Storage], list[str]] = {}
    for weight in kernels:
        storage = plan.get((weight.subgraph, weight.name))
        if storage is None:
            continue
        for consumer in weight.consumers:
            scope = "".join(f"{name};" for name in consumer.outputs)
            scopes.setdefault((_OPERATIONS[consumer.kind], storage), []).append(re.escape(scope))
    return [
        {
            "regex": f"^(?:{'|'.join(found)})$",
            "operation": operation,
            "algorithm_key": _algorithm(storage, clip),
            "op_config": {
                "weight_tensor_config": {
                    "num_bits": storage.bits,
                    "symmetric": True,
                    "granularity": f"BLOCKWISE_{storage.block}" if storage.block else f"{storage.per.upper()}WISE",
                    "dtype": "FLOAT" if storage.bits == 16 else "INT",
                },
                "compute_precision": "INTEGER" if storage.integers else "FLOAT",
                "explicit_dequantize": not storage.integers,
                # the package's own list of what is possible is both too long and too short
                "skip_checks": storage.bits != 16,
            },
        }
        for (operation, storage), found in scopes.items()
    ]


def _algorithm(storage: Storage, clip: bool) -> str:
    if storage.bits == 16:
        return "float_casting"
    return "OCTAV" if clip and storage.bits < 8 else "min_max_uniform_quantize"


def _refuse_what_was_skipped(content: bytes, plan: Mapping[Key, Storage]) -> None:
    found = {(weight.subgraph, weight.name): weight for weight in weights(content)}
    missed = [key[1] for key, storage in plan.items() if key not in found or not _is(found[key], storage)]
    if missed:
        raise NotApplicable(
            f"The quantizer has not stored these weights as it was told to: {', '.join(missed)}.",
            code="silently-skipped",
        )


def _is(weight: StoredWeight, storage: Storage) -> bool:
    return weight.bits == storage.bits and weight.block == storage.block


@dataclass(frozen=True)
class Quantized:
    """A file that LiteRT loads and that answers as its numbers say, how its kernels are stored, and sentences."""

    file: bytes
    plan: Mapping[Key, Storage]
    notes: tuple[str, ...] = ()


def checked(
    file: bytes,
    kernels: Sequence[StoredWeight],
    plan: Mapping[Key, Storage],
    examples: Sequence[Sequence[np.ndarray]],
    *,
    clip: bool = True,
) -> Quantized:
    """The file with its kernels stored as planned, tried in a process of its own first.

    Where LiteRT cannot compute with the stored numbers as integers, or not rightly, they are unpacked to floats instead
    and a note says so.

    Args:
        file, kernels, plan, clip: As `quantized` takes them.
        examples: For each example one array per input, batch dimension 1 included.

    Raises:
        NotApplicable: As `quantized`, or LiteRT cannot run the file either way.
    """
    content = quantized(file, kernels, plan, clip=clip)
    trouble = _trouble(file, kernels, content, examples)
    if not trouble:
        return Quantized(content, plan)
    note: tuple[str, ...] = ()
    if any(storage.integers for storage in plan.values()):
        plan = {key: replace(s, integers=False) for key, s in plan.items()}
        plan = {key: replace(s, per="channel", block=0) if s.block else s for key, s in plan.items()}
        note = (f"All kernels are unpacked to floating point at run time, because with integers {trouble}.",)
        content = quantized(file, kernels, plan, clip=clip)
        trouble = _trouble(file, kernels, content, examples)
    if trouble:
        raise NotApplicable(f"The file with fewer bits cannot be used: {trouble}.")
    return Quantized(content, plan, note)


def _trouble(
    file: bytes, kernels: Sequence[StoredWeight], content: bytes, examples: Sequence[Sequence[np.ndarray]]
) -> str:
    """What is wrong with a quantized file, as the end of a sentence; empty where nothing is."""
    trouble = loads(content)
    if trouble:
        return trouble
    agreement = agreement_db(content, unpacked(file, kernels, content), examples)
    if agreement < _AGREES_DB:
        return "LiteRT answers otherwise than the stored numbers say"
    return ""


def unpacked(file: bytes, kernels: Sequence[StoredWeight], content: bytes) -> bytes:
    """The float32 file with the numbers that the kernels of the quantized one stand for.

    Args:
        file: The float32 file.
        kernels: Its weights.
        content: The file that was made from it.
    """
    from ai_edge_litert import schema_py_generated as schema

    stands_for = {(weight.subgraph, weight.name): weight for weight in weights(content)}
    result = bytearray(file)
    model = schema.Model.GetRootAs(result, 0)
    for weight in kernels:
        stored = stands_for.get((weight.subgraph, weight.name))
        if stored is not None and stored.bits < 32 and weight.dtype == "FLOAT32":
            place = model.Buffers(weight.buffer).DataAsNumpy()
            place[:] = np.frombuffer(stored.dequantized.astype("<f4").tobytes(), np.uint8)
    return bytes(result)


def agreement_db(one: bytes, other: bytes, examples: Sequence[Sequence[np.ndarray]]) -> float:
    """Energy of the other file's outputs over that of the difference, in decibel; infinite where they are equal.

    Minus infinity where the first file gives numbers that are not finite.
    """
    first, second = load(one), load(other)
    energy = noise = 0.0
    for example in examples:
        for got, want in zip(invoke(first, example), invoke(second, example), strict=True):
            if not np.isfinite(got).all():
                return -inf
            energy += float(np.square(want, dtype=np.float64).sum())
            noise += float(np.square(got.astype(np.float64) - want).sum())
    if noise == 0:
        return inf
    return 10 * log10(energy / noise) if energy else -inf
