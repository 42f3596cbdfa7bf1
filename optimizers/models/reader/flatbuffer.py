"""Reads a LiteRT file (``.tflite``) from a stranger into plain data, and refuses what cannot or must not be run.

Every table, index, shape and buffer that is used here is checked to lie within the file, and sizes are checked before
anything is allocated. LiteRT itself can crash on damaged files all the same: let it see one only in a process of its
own.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from optimizers.errors import ModelRefused
from optimizers.litert.file import is_litert
from optimizers.litert.packing import BITS
from optimizers.models.reader.limits import LIMITS
from optimizers.models.reader.values import shown

_MALFORMED = (struct.error, IndexError, KeyError, ValueError, TypeError, AttributeError, OverflowError)
_NOT_CONSTANT = frozenset({"STRING", "RESOURCE", "VARIANT"})

_NO_KERNEL = "needs code that is not in the file"
_KEEPS_STATE = "keeps something from one answer to the next"
_REFUSED_OPERATORS = {
    **dict.fromkeys(
        ("CUSTOM", "DELEGATE", "CALL", "STABLEHLO_CUSTOM_CALL", "PLACEHOLDER_FOR_GREATER_OP_CODES"), _NO_KERNEL
    ),
    **dict.fromkeys(("VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE", "CALL_ONCE"), _KEEPS_STATE),
    **dict.fromkeys(
        ("HASHTABLE", "HASHTABLE_FIND", "HASHTABLE_IMPORT", "HASHTABLE_SIZE", "HASHTABLE_LOOKUP"), "looks up text"
    ),
    **dict.fromkeys(("LSH_PROJECTION", "SKIP_GRAM"), "works on text"),
}


@dataclass(frozen=True)
class Tensor:
    """One tensor. ``shape`` is as the file has it, with None where ``signature`` leaves a dimension open.

    ``scale`` and ``zero_point`` are those of the whole tensor, 0 where it is not quantized or has several.
    """

    name: str
    shape: tuple[int, ...]
    signature: tuple[int | None, ...]
    dtype: str
    constant: bool
    scale: float = 0.0
    zero_point: int = 0


@dataclass(frozen=True)
class Operator:
    """One operator; -1 among its inputs stands for one that is left out. ``bodies`` are the subgraphs that it runs."""

    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    activation: str = "NONE"
    bodies: tuple[int, ...] = ()


@dataclass(frozen=True)
class Subgraph:
    """Tensors and operators, the latter in the order of computation."""

    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def parse_litert(content: bytes) -> tuple[Subgraph, ...]:
    """The subgraphs of a LiteRT file, the first being the model.

    Raises:
        ModelRefused: ``bad-file`` (damaged), ``too-large``, ``unsafe-file`` (weights in other files),
            ``unsupported-op`` (custom operators, variables, text), ``bad-graph`` (subgraphs that run themselves).
    """
    if not is_litert(content):
        raise _damaged("no TFL3 identifier")
    try:
        graphs = tuple(_Parser(content).subgraphs())
    except _MALFORMED as error:
        raise _damaged(repr(error)) from error
    _refuse_loops(graphs)
    return graphs


def _damaged(detail: str) -> ModelRefused:
    return ModelRefused(
        "The LiteRT file is damaged or incomplete; convert the model again and copy the whole file.",
        code="bad-file",
        detail=detail[:2000],
    )


def _too_large(what: str, most: int) -> ModelRefused:
    return ModelRefused(
        f"The LiteRT file has more than {most:,} {what}, the most that is read; use a smaller model.", code="too-large"
    )


class _Parser:
    def __init__(self, content: bytes) -> None:
        from ai_edge_litert import schema_py_generated as schema

        self._size, self._schema = len(content), schema
        self._model = schema.Model.GetRootAs(content, 0)
        self._types, self._kinds = _names(schema.TensorType), _names(schema.BuiltinOperator)
        self._activations = _names(schema.ActivationFunctionType)
        self._values = 0
        self._check_counts()

    def _check_counts(self) -> None:
        """Refuses what is too long to be gone through; a damaged length may claim billions of entries."""
        model = self._model
        if model.ExternalBufferGroupsLength() or model.ExternalBuffersLength():
            raise ModelRefused(
                "The LiteRT file keeps weights in other files, which are not read; convert the model into one file.",
                code="unsafe-file",
            )
        for count in (model.SubgraphsLength(), model.OperatorCodesLength()):
            if count > LIMITS.layers:
                raise _too_large("subgraphs or kinds of operators", LIMITS.layers)
        graphs = [model.Subgraphs(i) for i in range(model.SubgraphsLength())]
        if not graphs:
            raise ValueError("no subgraph")
        for what, total in (
            ("operators", sum(graph.OperatorsLength() for graph in graphs)),
            ("tensors", sum(graph.TensorsLength() for graph in graphs)),
            ("buffers", model.BuffersLength()),
        ):
            if total > LIMITS.litert_entries:
                raise _too_large(what, LIMITS.litert_entries)

    def subgraphs(self) -> Iterator[Subgraph]:
        codes = [self._kind(self._model.OperatorCodes(i)) for i in range(self._model.OperatorCodesLength())]
        count = self._model.SubgraphsLength()
        for number in range(count):
            graph = self._model.Subgraphs(number)
            tensors = tuple(self._tensor(graph.Tensors(i)) for i in range(graph.TensorsLength()))
            indices = _bounded(0, len(tensors))
            yield Subgraph(
                tensors,
                tuple(
                    self._operator(graph.Operators(i), codes, len(tensors), count)
                    for i in range(graph.OperatorsLength())
                ),
                indices(graph.InputsAsNumpy() if graph.InputsLength() else ()),
                indices(graph.OutputsAsNumpy() if graph.OutputsLength() else ()),
            )

    def _kind(self, code: Any) -> str:
        number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
        kind = self._kinds.get(number, f"operator {number}")
        custom = code.CustomCode()
        if kind in _REFUSED_OPERATORS or custom:
            called = shown(custom.decode(errors="replace")) if custom else kind
            raise ModelRefused(
                f"The LiteRT file has the operator {called!r}, which {_REFUSED_OPERATORS.get(kind, _NO_KERNEL)}; "
                "convert the model with built-in operators only.",
                code="unsupported-op",
            )
        return kind

    def _tensor(self, tensor: Any) -> Tensor:
        shape = _vector(tensor.ShapeIsNone(), tensor.ShapeLength(), tensor.ShapeAsNumpy)
        open_ = _vector(tensor.ShapeSignatureIsNone(), tensor.ShapeSignatureLength(), tensor.ShapeSignatureAsNumpy)
        if any(not 0 <= size <= LIMITS.dimension for size in shape) or len(open_) not in (0, len(shape)):
            raise ValueError(f"a tensor of shape {shape[:10]}")
        values = math.prod(shape)
        self._values += values
        if values > LIMITS.tensor_values or self._values > LIMITS.graph_values:
            raise _too_large("numbers in its tensors", LIMITS.tensor_values)
        dtype, name = self._types[tensor.Type()], tensor.Name() or b""
        stored = self._stored_bytes(tensor.Buffer())
        if stored and dtype not in _NOT_CONSTANT and tensor.Sparsity() is None:
            needed = -(-values * BITS.get(dtype, 8) // 8)
            if stored < needed:
                raise ValueError(f"{stored} bytes for {values} numbers of type {dtype}")
        scale, zero = self._quantization(tensor.Quantization())
        return Tensor(
            name=name.decode(errors="replace"),
            shape=shape,
            signature=tuple(None if size < 0 else size for size in open_) or shape,
            dtype=dtype,
            constant=stored > 0,
            scale=scale,
            zero_point=zero,
        )

    def _stored_bytes(self, number: int) -> int:
        if not 0 <= number < max(1, self._model.BuffersLength()):
            raise IndexError(f"buffer {number}")
        if not self._model.BuffersLength():
            return 0
        buffer = self._model.Buffers(number)
        if not buffer.DataIsNone():
            return len(buffer.DataAsNumpy())
        start, size = buffer.Offset(), buffer.Size()
        if start <= 1 or not size:
            return 0
        if start + size > self._size:
            raise ValueError(f"a buffer of {size} bytes at {start}")
        return int(size)

    def _quantization(self, found: Any) -> tuple[float, int]:
        if found is None or found.ScaleIsNone() or found.ScaleLength() != 1:
            return 0.0, 0
        scale = float(found.ScaleAsNumpy()[0])
        if not math.isfinite(scale) or scale < 0:
            raise ValueError(f"a scale of {scale}")
        return scale, 0 if found.ZeroPointIsNone() or not found.ZeroPointLength() else int(found.ZeroPointAsNumpy()[0])

    def _operator(self, operator: Any, codes: list[str], tensors: int, graphs: int) -> Operator:
        code = operator.OpcodeIndex()
        if not 0 <= code < len(codes):
            raise IndexError(f"operator code {code}")
        kind = codes[code]
        if not operator.InputsLength():
            raise ValueError(f"{kind} without inputs")
        return Operator(
            kind,
            _bounded(-1, tensors)(operator.InputsAsNumpy() if operator.InputsLength() else ()),
            _bounded(0, tensors)(operator.OutputsAsNumpy() if operator.OutputsLength() else ()),
            self._activation(operator, kind),
            _bounded(0, graphs)(self._bodies(operator, kind)),
        )

    def _options(self, operator: Any, name: str) -> Any:
        options, table = getattr(self._schema, name)(), operator.BuiltinOptions()
        options.Init(table.Bytes, table.Pos)
        return options

    def _activation(self, operator: Any, kind: str) -> str:
        if kind != "FULLY_CONNECTED" or operator.BuiltinOptions() is None:
            return "NONE"
        return self._activations[self._options(operator, "FullyConnectedOptions").FusedActivationFunction()]

    def _bodies(self, operator: Any, kind: str) -> tuple[int, ...]:
        if kind == "WHILE":
            options = self._options(operator, "WhileOptions")
            return options.CondSubgraphIndex(), options.BodySubgraphIndex()
        if kind == "IF":
            options = self._options(operator, "IfOptions")
            return options.ThenSubgraphIndex(), options.ElseSubgraphIndex()
        return ()


def _names(enum: Any) -> dict[int, str]:
    return {value: name for name, value in vars(enum).items() if isinstance(value, int)}


def _vector(missing: bool, length: int, values: Callable[[], Any]) -> tuple[int, ...]:
    if missing or not length:
        return ()
    if length > LIMITS.litert_rank:
        raise ValueError(f"a tensor of {length} dimensions")
    return tuple(int(value) for value in values())


def _bounded(lowest: int, end: int) -> Callable[[Any], tuple[int, ...]]:
    """Makes whole numbers of a vector of indices; raises where one lies outside of what there is."""

    def indices(vector: Any) -> tuple[int, ...]:
        found = tuple(int(value) for value in vector)
        if any(not lowest <= value < end for value in found):
            raise IndexError(f"an index among {found[:10]}")
        return found

    return indices


def _refuse_loops(graphs: tuple[Subgraph, ...]) -> None:
    """Subgraphs may run others, but none may come to run itself."""
    runs = {number: {b for op in graph.operators for b in op.bodies} for number, graph in enumerate(graphs)}
    while leaves := [number for number, bodies in runs.items() if not bodies]:
        for number in leaves:
            del runs[number]
        for bodies in runs.values():
            bodies.difference_update(leaves)
    if runs:
        raise ModelRefused(
            "The LiteRT file has a subgraph that runs itself; convert the model again.", code="bad-graph"
        )
