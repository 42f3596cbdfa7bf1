"""What one prediction of a LiteRT file takes: multiply-accumulates, bytes moved, and an estimate of the energy.

Everything is counted from the file; nothing is run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Literal

from optimizers.errors import NotApplicable
from optimizers.litert.activations import tensor_bytes
from optimizers.litert.file import LiteRtFile, macs_of
from optimizers.litert.layer_names import layer_of
from optimizers.litert.weights import StoredWeight

if TYPE_CHECKING:
    from optimizers.models.reader.flatbuffer import Operator, Subgraph

Arithmetic = Literal["float32", "int8", "int16x8", "none"]
"""In what an operator multiplies; ``none`` where it does not."""

_UNPACKS = frozenset({"DEQUANTIZE", "DENSIFY"})
_LOOKS_UP = frozenset({"GATHER", "EMBEDDING_LOOKUP"})
_CELLS = frozenset({"UNIDIRECTIONAL_SEQUENCE_LSTM", "UNIDIRECTIONAL_SEQUENCE_RNN", "BIDIRECTIONAL_SEQUENCE_LSTM"})
_MOST_ROUNDS = 1_000_000

MAC_JOULES: Mapping[Arithmetic, float] = {
    "float32": (3.7 + 0.9) * 1e-12,
    "int8": (0.2 + 0.1) * 1e-12,
    "int16x8": (0.4 + 0.2) * 1e-12,
    "none": 0.0,
}
"""A multiplication and an addition to the sum: float32 3.7 + 0.9 pJ, 8 bits 0.2 pJ and a 32-bit addition 0.1 pJ. For 16
times 8 bits, which the source has not, both are doubled: its multiplications cost as the product of the widths does (8
bits 0.2 pJ, 32 bits 3.1 pJ).

Source: M. Horowitz, "Computing's energy problem (and what we can do about it)", ISSCC 2014, figure 1.1.9: 45 nm, 0.9 V.
"""
CACHE_JOULES = 100e-12 / 8
"""Per byte from or to a 1 MB memory on the chip: 100 pJ per 64 bits. Same source."""
DRAM_JOULES = 1.3e-9 / 8
"""Per byte from memory beside the chip: 1.3 nJ per 64 bits, the lower end of the source's 1.3 to 2.6 nJ."""

FORMULA = (
    "An estimate, not a measurement: multiply-accumulates times {float32:.3g} pJ (float32), {int8:.3g} pJ (8 bits) or "
    "{int16x8:.3g} pJ (16 times 8 bits), plus {cache:.4g} pJ for each byte of an activation and of a weight that is "
    "used again, plus {dram:.4g} pJ for each byte of a weight that is used for the first time. Source: M. Horowitz, "
    "“Computing's energy problem”, ISSCC 2014, figure 1.1.9 (45 nm, 0.9 V). Instructions, operators that do not "
    "multiply, leakage and idling are not in it, and newer chips need less: it ranks variants and does not predict a "
    "battery."
).format(
    cache=CACHE_JOULES * 1e12, dram=DRAM_JOULES * 1e12, **{kind: value * 1e12 for kind, value in MAC_JOULES.items()}
)
"""The formula of `energy` as people read it."""


@dataclass(frozen=True)
class Work:
    """One operator and what it does for one example, over all rounds where it is in a loop.

    Attributes:
        layer: As the names of its weight, else of what it writes, tell it.
        rounds: How often it runs.
        weight_bytes: Stored bytes of the weights that it uses, read in every round (and at every time step of a cell).
        new_weight_bytes: Those that no operator before it has used.
        activation_bytes: Read and written, all rounds together.
    """

    kind: str
    layer: str
    macs: int
    arithmetic: Arithmetic
    rounds: int
    weight_bytes: int
    new_weight_bytes: int
    activation_bytes: int

    @property
    def moved(self) -> int:
        """Bytes read and written."""
        return self.weight_bytes + self.activation_bytes


@dataclass(frozen=True)
class Energy:
    """An estimate in joules for one prediction; see `energy` for what it holds and what not."""

    arithmetic: float
    weights: float
    activations: float

    @property
    def total(self) -> float:
        return self.arithmetic + self.weights + self.activations


def work(file: LiteRtFile, layers: Mapping[str, str] | None = None) -> tuple[Work, ...]:
    """Every operator in the order of execution, those of loops and branches behind the operator that runs them.

    Of a branch, which depends on the input, both sides are counted.

    Args:
        file: The file.
        layers: Keras layers by the names of kernels' tensors, where known.

    Raises:
        NotApplicable: There is a loop whose number of rounds the file does not tell.
        ModelRefused: The file is damaged.
    """
    return tuple(_Reader(file, layers or {}).graph(0, {}, 1))


def energy(done: tuple[Work, ...]) -> Energy:
    """Energy of one prediction, estimated from published energies of single operations.

    Multiply-accumulates in the type in which they are done; each weight once from memory beside the chip and whenever
    it is used again from memory on the chip; each activation to and from memory on the chip. Not in it: instructions
    and control, operators that do not multiply, leakage and idling, what finer processes of making chips save.
    """
    again = sum(step.weight_bytes - step.new_weight_bytes for step in done)
    return Energy(
        arithmetic=sum(step.macs * MAC_JOULES[step.arithmetic] for step in done),
        weights=sum(step.new_weight_bytes for step in done) * DRAM_JOULES + again * CACHE_JOULES,
        activations=sum(step.activation_bytes for step in done) * CACHE_JOULES,
    )


class _Reader:
    def __init__(self, file: LiteRtFile, layers: Mapping[str, str]) -> None:
        self._file, self._layers = file, layers
        self._weights = {(weight.subgraph, weight.tensor): weight for weight in file.weights}
        self._used: set[int] = set()

    def graph(self, number: int, given: Mapping[int, StoredWeight], rounds: int) -> Iterator[Work]:
        """The work of one subgraph; ``given`` are weights that it gets as inputs."""
        graph = self._file.graphs[number]
        known = {tensor: weight for (of, tensor), weight in self._weights.items() if of == number} | dict(given)
        widened: set[int] = set()
        for operator in graph.operators:
            if operator.kind in _UNPACKS and operator.inputs[0] in known:
                known[operator.outputs[0]] = known[operator.inputs[0]]
                widened.update(operator.outputs)
                continue  # done once, when the file is loaded
            yield self._operator(graph, operator, known, widened, rounds)
            times = _rounds(self._file, number, operator) if operator.kind == "WHILE" else 1
            for body in operator.bodies:
                yield from self.graph(body, self._passed(operator, body, known), rounds * times)

    def _passed(self, operator: Operator, body: int, known: Mapping[int, StoredWeight]) -> dict[int, StoredWeight]:
        """Weights that a body gets as inputs and, if it runs again, gives on as they are."""
        graph = self._file.graphs[body]
        if operator.kind == "WHILE":
            kept = graph.outputs if body == operator.bodies[1] else graph.inputs
            pairs = [(i, t) for i, o, t in zip(graph.inputs, kept, operator.inputs, strict=False) if i == o]
        else:
            pairs = list(zip(graph.inputs, operator.inputs[1:], strict=False))
        return {i: known[t] for i, t in pairs if t in known}

    def _operator(
        self,
        graph: Subgraph,
        operator: Operator,
        known: Mapping[int, StoredWeight],
        widened: set[int],
        rounds: int,
    ) -> Work:
        if operator.bodies:
            return Work(operator.kind, operator.kind.lower(), 0, "none", rounds, 0, 0, 0)
        used = {known[t].buffer: known[t] for t in operator.inputs if t in known}
        moving = [t for t in operator.inputs if t >= 0 and t not in known and not graph.tensors[t].constant]
        touched = sum(tensor_bytes(graph.tensors[t]) for t in (*moving, *operator.outputs))
        size = sum(weight.stored_bytes for weight in used.values())
        steps = rounds
        if operator.kind in _LOOKS_UP and used:  # only the rows that are looked up are read
            size = min(size, sum(tensor_bytes(graph.tensors[t]) for t in operator.outputs))
        if operator.kind in _CELLS:
            steps *= prod(graph.tensors[operator.inputs[0]].shape[:-1])
        new = sum(weight.stored_bytes for buffer, weight in used.items() if buffer not in self._used)
        self._used |= used.keys()
        macs = macs_of(graph, operator)
        kernel = next((weight for weight in used.values() if weight.kernel), None)
        return Work(
            kind=operator.kind,
            layer=self._layer(graph, operator, kernel),
            macs=macs * rounds,
            arithmetic=_arithmetic(graph, operator, widened) if macs else "none",
            rounds=rounds,
            weight_bytes=size * steps,
            new_weight_bytes=min(new, size),
            activation_bytes=touched * rounds,
        )

    def _layer(self, graph: Subgraph, operator: Operator, kernel: StoredWeight | None) -> str:
        if kernel is not None:
            return self._layers.get(kernel.name, layer_of(kernel))
        return operator.kind.lower()


def _arithmetic(graph: Subgraph, operator: Operator, widened: set[int]) -> Arithmetic:
    """From the types of what is multiplied. Weights in 8 or fewer bits under float inputs: those are rounded first."""
    types = [graph.tensors[t].dtype for t in operator.inputs[:2] if t >= 0]
    if "INT16" in types:
        return "int16x8"
    narrow = any(kind.startswith(("INT", "UINT")) for kind in types)
    return "int8" if narrow and not (len(operator.inputs) > 1 and operator.inputs[1] in widened) else "float32"


def _rounds(file: LiteRtFile, number: int, operator: Operator) -> int:
    """How often the body of a loop runs, where it counts from zero in ones up to a constant.

    The condition of such a loop compares its counter with a constant; recurrent layers are converted in that way.
    """
    limits = [limit for limit in _limits(file, number, operator) if 0 <= limit <= _MOST_ROUNDS]
    if not limits:
        raise NotApplicable("The file has a loop that does not tell how often it runs, so its work cannot be counted.")
    return min(limits)


def _limits(file: LiteRtFile, number: int, operator: Operator) -> Iterator[int]:
    condition, body = operator.bodies
    graph = file.graphs[condition]
    if [op.kind for op in graph.operators if op.kind not in ("LESS", "LOGICAL_AND")]:
        return
    for step in graph.operators:
        if step.kind != "LESS" or step.inputs[0] not in graph.inputs:
            continue
        place = graph.inputs.index(step.inputs[0])
        limit = file.integer(condition, step.inputs[1])
        if limit is None and step.inputs[1] in graph.inputs:  # a constant that is handed in and out
            limit = file.integer(number, operator.inputs[graph.inputs.index(step.inputs[1])])
        if limit is not None and file.integer(number, operator.inputs[place]) == 0 and _counts(file, body, place):
            yield limit


def _counts(file: LiteRtFile, body: int, place: int) -> bool:
    """Whether a loop's body adds one to what comes in at a place and gives it out at the same."""
    graph = file.graphs[body]
    made = next((op for op in graph.operators if graph.outputs[place] in op.outputs), None)
    if made is None or made.kind != "ADD" or graph.inputs[place] not in made.inputs:
        return False
    return any(file.integer(body, tensor) == 1 for tensor in made.inputs)
