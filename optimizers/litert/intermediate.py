"""What two LiteRT files of one model compute on the way to their answers, tensor by tensor."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from math import sqrt
from typing import Any

import numpy as np

from optimizers.datasets.several import arrays_of
from optimizers.errors import NotApplicable
from optimizers.litert.file import LiteRtFile
from optimizers.litert.interpreter import dequantized, inputs, natural, quantized
from optimizers.litert.layer_names import layer_in

_MOVES = frozenset({"QUANTIZE", "DEQUANTIZE", "RESHAPE", "SQUEEZE", "EXPAND_DIMS", "CAST", "DENSIFY"})
"""Operators that compute nothing: their results are those of the operator before."""
_REAL = frozenset({"FLOAT32", "FLOAT16"})
_WRAPPED = re.compile(r"(^|[/;])quant_")
"""Quantization-aware training puts layers into wrappers, which names them so."""


@dataclass(frozen=True)
class Computed:
    """A tensor that an operator of the main graph writes, which stands for real numbers.

    ``activation`` is what the operator applies at its end; ``output`` is which output of the model it is, if it is one.
    """

    index: int
    name: str
    layer: str
    kind: str
    shape: tuple[int, ...]
    activation: str = "NONE"
    output: int | None = None


@dataclass
class Deviation:
    """How far a tensor of one file is from its counterpart, over all values of all examples seen.

    ``output`` is which output of the model it is, if it is one: a layer may be called like one.
    """

    layer: str
    kind: str
    shape: tuple[int, ...]
    signal: float = 0.0
    noise: float = 0.0
    own: float = 0.0
    product: float = 0.0
    largest: float = 0.0
    values: int = field(default=0)
    output: int | None = None

    def add(self, reference: np.ndarray, own: np.ndarray) -> None:
        """Counts two arrays of one shape."""
        a, b = reference.astype(np.float64).reshape(-1), own.astype(np.float64).reshape(-1)
        self.signal += float(a @ a)
        self.own += float(b @ b)
        self.product += float(a @ b)
        self.noise += float((a - b) @ (a - b))
        self.largest = max(self.largest, float(np.abs(a - b).max(initial=0.0)))
        self.values += a.size

    @property
    def relative(self) -> float | None:
        """Root of the mean squared difference over that of the reference; None where the reference is zero."""
        return sqrt(self.noise / self.signal) if self.signal > 0 else None

    @property
    def sqnr(self) -> float | None:
        """In dB; None where nothing differs or the reference is zero."""
        return 10 * float(np.log10(self.signal / self.noise)) if self.signal > 0 and self.noise > 0 else None

    @property
    def cosine(self) -> float | None:
        """Of the angle between the two, 1 where they point the same way; None where one of them is zero."""
        norm = sqrt(self.signal * self.own)
        return min(1.0, self.product / norm) if norm > 0 else None


def deviations(
    own: bytes, reference: bytes, x: np.ndarray, told: Callable[[int, int], None] = lambda done, of: None
) -> tuple[list[Deviation], int]:
    """How far results of operators are from the reference's, in the reference's order of computation, output last.

    Tensors correspond where they have the same name and shape, or come from the same operations of the same layers, or
    are the only ones in both files that a kind of operator with that activation computes in a layer. Those inside loops
    are not seen.

    Args:
        own, reference: Two ``.tflite`` files of one model.
        x: Examples, shape (n, *input_shape) or with one field per input.
        told: Called with how many examples are done.

    Returns:
        The deviations, and how many results of the reference have no counterpart.

    Raises:
        NotApplicable: LiteRT cannot run one of the files.
    """
    files = [LiteRtFile(content) for content in (own, reference)]
    mine, theirs = (list(computed(file)) for file in files)
    running = [_preserving(content) for content in (own, reference)]
    arrays = arrays_of(x)
    pairs: list[tuple[Computed, Computed]] = []
    found: list[Deviation] = []
    for row in range(len(x)):
        for interpreter in running:
            _invoke(interpreter, [array[row : row + 1] for array in arrays])
        if not row:  # some tensors, such as those of loops, can be read only now or not at all
            pairs = [(a, b) for a, b in corresponding(mine, theirs) if _there(running[0], a) and _there(running[1], b)]
            found = [Deviation(b.layer, b.kind, b.shape, output=b.output) for _, b in pairs]
            details = [{d["index"]: d for d in i.get_tensor_details()} for i in running]
        for deviation, (a, b) in zip(found, pairs, strict=True):
            deviation.add(_values(running[1], details[1][b.index]), _values(running[0], details[0][a.index]))
        told(row + 1, len(x))
    return found, len(theirs) - len(pairs)


def computed(file: LiteRtFile) -> Iterator[Computed]:
    """Results of the operators of the main graph that compute something, in order, and the outputs."""
    graph = file.graphs[0]
    ordered = sorted(graph.outputs, key=lambda index: natural(graph.tensors[index].name))
    outputs = {index: place for place, index in enumerate(ordered)}
    for operator in graph.operators:
        for index in operator.outputs:
            tensor = graph.tensors[index]
            if index not in outputs and operator.kind in _MOVES:
                continue
            if tensor.constant or not (tensor.dtype in _REAL or tensor.scale) or not tensor.name:
                continue
            name = _WRAPPED.sub(r"\1", tensor.name)
            place = outputs.get(index)
            if place is None:
                layer = layer_in((name,)) or operator.kind.lower()
            else:
                layer = f"output {place + 1}" if len(outputs) > 1 else "output"
            yield Computed(index, name, layer, operator.kind, tensor.shape, operator.activation, place)


def corresponding(own: Sequence[Computed], reference: Sequence[Computed]) -> list[tuple[Computed, Computed]]:
    """Pairs (own, reference) in the reference's order, see `deviations`."""
    left, found = list(own), dict[int, Computed]()
    for rule in (_same_name, _same_steps):
        for b in reference:
            match = None if b.index in found else next((a for a in left if rule(a, b)), None)
            if match is not None:
                left.remove(match)
                found[b.index] = match
    for b in reference:
        candidates = [a for a in left if _role(a) == _role(b)]
        rivals = [other for other in reference if other.index not in found and _role(other) == _role(b)]
        if b.index not in found and len(candidates) == len(rivals) == 1:
            left.remove(candidates[0])
            found[b.index] = candidates[0]
    return [(found[b.index], b) for b in reference if b.index in found]


def _same_name(one: Computed, other: Computed) -> bool:
    alike = one.shape == other.shape and one.output == other.output
    return alike and (other.output is not None or one.name == other.name)


def _same_steps(one: Computed, other: Computed) -> bool:
    return one.shape == other.shape and one.output == other.output and _steps(one.name) == _steps(other.name)


def _role(tensor: Computed) -> tuple[Any, ...]:
    return tensor.layer, tensor.kind, tensor.activation, tensor.shape, tensor.output


def _there(interpreter: Any, tensor: Computed) -> bool:
    try:
        return tuple(interpreter.get_tensor(tensor.index).shape) == tensor.shape
    except ValueError:
        return False


def _values(interpreter: Any, detail: dict[str, Any]) -> np.ndarray:
    return dequantized(interpreter.get_tensor(detail["index"]), detail)


def _steps(name: str) -> frozenset[str]:
    """The operations that a tensor's name lists, without the numbers that keep names apart."""
    return frozenset(re.sub(r"_?\d+$", "", path) for path in name.split(";"))


def _preserving(content: bytes) -> Any:
    """An interpreter that keeps every tensor; it runs without the CPU delegate, whose inside cannot be seen."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    bare = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    try:
        interpreter = Interpreter(
            model_content=content, experimental_preserve_all_tensors=True, experimental_op_resolver_type=bare
        )
        interpreter.allocate_tensors()
    except (RuntimeError, ValueError) as error:
        raise NotApplicable("LiteRT cannot run this file with its inner results kept.", detail=str(error)) from error
    return interpreter


def _invoke(interpreter: Any, example: Sequence[np.ndarray]) -> None:
    interpreter.reset_all_variables()
    for detail, value in zip(inputs(interpreter), example, strict=True):
        interpreter.set_tensor(detail["index"], quantized(value, detail))
    interpreter.invoke()
