"""How much memory a LiteRT file's activations need: which of them are alive at once, and an arena that holds them.

Weights are not part of it, not even those that are widened when the file is loaded, nor is what kernels use for
themselves while they run (unfolded images of convolutions, packed weights): that differs between runtimes, while the
activations are the file's own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from optimizers.litert.file import LiteRtFile
from optimizers.litert.packing import BITS

if TYPE_CHECKING:
    from optimizers.models.reader.flatbuffer import Operator, Subgraph, Tensor

_OTHER_BITS = {"BOOL": 8, "COMPLEX64": 64, "COMPLEX128": 128, "UINT16": 16, "UINT32": 32, "UINT64": 64}
_IN_PLACE = frozenset({"RESHAPE", "SQUEEZE", "EXPAND_DIMS", "BITCAST", "ADD", "SUB", "MUL", "DIV", "SOFTMAX"})
"""Operators that LiteRT lets write over an input of the same size that nobody needs afterwards."""
_UNPACKS = frozenset({"DEQUANTIZE", "DENSIFY"})
ALIGNED = 16
"""Tensors of an arena start at multiples of so many bytes, as on microcontrollers."""


@dataclass(frozen=True)
class Step:
    """One operator of the execution: its kind, what it writes, and the bytes that are alive while it runs."""

    kind: str
    name: str
    live: int


@dataclass(frozen=True)
class Activations:
    """Memory over one execution.

    Attributes:
        steps: Operators of the model in the order of execution; a loop is one step, with the largest need of its body.
        arena: Bytes of one block of memory in which greedy placement by size puts all activations.
    """

    steps: tuple[Step, ...]
    arena: int

    @property
    def peak(self) -> int:
        """Most bytes of activations that are alive at once: no runtime that keeps whole tensors needs less."""
        return max((step.live for step in self.steps), default=0)

    @property
    def at(self) -> int:
        """Number of the step where that is."""
        return max(range(len(self.steps)), key=lambda number: self.steps[number].live, default=0)


@dataclass(frozen=True)
class Block:
    """So many bytes that are needed from one step to another, both included."""

    size: int
    first: int
    last: int


def activations(file: LiteRtFile) -> Activations:
    """Memory of the activations of a file for one example.

    An activation is alive from the operator that writes it to the last one that reads it; inputs from the start,
    outputs to the end, and state that a recurrent cell keeps all the time. Where LiteRT does so too, an operator's
    output takes the place of an input that is not needed any more.

    Raises:
        ModelRefused: The file is damaged.
    """
    return _activations(file, 0)


def _activations(file: LiteRtFile, number: int) -> Activations:
    graph = file.graphs[number]
    # loops and branches hold what they run, one part at a time
    inner = {
        place: [_activations(file, body) for body in operator.bodies]
        for place, operator in enumerate(graph.operators)
        if operator.bodies
    }
    blocks = list(lifetimes(graph).values())
    steps = []
    for place, operator in enumerate(graph.operators):
        live = sum(block.size for block in blocks if block.first <= place <= block.last)
        live += max((found.peak for found in inner.get(place, [])), default=0)
        steps.append(Step(operator.kind, _written(graph, operator), live))
    blocks += [Block(found.arena, place, place) for place, parts in inner.items() for found in parts]
    return Activations(tuple(steps), arena(blocks))


def lifetimes(graph: Subgraph) -> dict[int, Block]:
    """For each activation of a subgraph, by number, how long its bytes are needed.

    Those that lie in the place of another one are told once, under the number of the first.
    """
    end = len(graph.operators) - 1
    fixed = _fixed(graph)
    home = _homes(graph, fixed)
    written = {tensor for operator in graph.operators for tensor in operator.outputs}
    spans: dict[int, list[int]] = {}

    def used(tensors: Iterable[int], *places: int) -> None:
        for tensor in tensors:
            if tensor not in fixed:
                spans.setdefault(home.get(tensor, tensor), []).extend(places)

    used(graph.inputs, 0)
    used(graph.outputs, end)
    for place, operator in enumerate(graph.operators):
        used((*operator.inputs, *operator.outputs), place)
        used((t for t in operator.inputs if t not in written and t not in graph.inputs), 0, end)
    return {t: Block(tensor_bytes(graph.tensors[t]), min(p), max(p)) for t, p in sorted(spans.items())}


def arena(blocks: Iterable[Block], aligned: int = ALIGNED) -> int:
    """Bytes that all blocks need together if the largest is placed first, each at the lowest place where it fits.

    Source: Pisarchyk and Lee (2020), "Efficient memory management for deep neural net inference", greedy by size for
    offset calculation, which LiteRT for microcontrollers uses.
    """
    placed: list[tuple[int, Block]] = []
    for block in sorted(
        blocks, key=lambda b: -(-(-b.size // aligned) * aligned)
    ):  # of equals the first in the file, as there
        start = 0
        for other_start, other in sorted(placed, key=lambda item: item[0]):
            if other.last < block.first or other.first > block.last:
                continue
            if start + block.size <= other_start:
                break
            start = max(start, -(-(other_start + other.size) // aligned) * aligned)
        placed.append((start, block))
    end = max((start + block.size for start, block in placed), default=0)
    return -(-end // aligned) * aligned


def tensor_bytes(tensor: Tensor) -> int:
    """Bytes of a tensor's numbers; 0 for text and handles, whose size is not in the file."""
    bits = BITS.get(tensor.dtype) or _OTHER_BITS.get(tensor.dtype, 0)
    return -(-prod(tensor.shape) * bits // 8)


def _fixed(graph: Subgraph) -> set[int]:
    """Tensors that are no activations: weights, also as they are after widening, and -1 for those left out."""
    fixed = {-1, *(number for number, tensor in enumerate(graph.tensors) if tensor.constant)}
    for operator in graph.operators:
        if operator.kind in _UNPACKS and operator.inputs[0] in fixed:
            fixed.update(operator.outputs)
    return fixed


def _homes(graph: Subgraph, fixed: set[int]) -> Mapping[int, int]:
    """For each output that is written over an input the tensor that lies in that place first."""
    last = {tensor: place for place, operator in enumerate(graph.operators) for tensor in operator.inputs}
    kept = {*fixed, *graph.inputs, *graph.outputs}
    homes: dict[int, int] = {}
    for place, operator in enumerate(graph.operators):
        if operator.kind not in _IN_PLACE or len(operator.outputs) != 1:
            continue
        target = operator.outputs[0]
        size = tensor_bytes(graph.tensors[target])
        for source in operator.inputs:
            free = source not in kept and last[source] == place and homes.get(source, source) not in kept
            if free and tensor_bytes(graph.tensors[source]) == size:
                homes[target] = homes.get(source, source)
                break
    return homes


def _written(graph: Subgraph, operator: Operator) -> str:
    return graph.tensors[operator.outputs[0]].name if operator.outputs else ""
