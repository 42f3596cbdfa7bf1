"""Cuts a LiteRT file into small ones that hold one operator each, so that operators can be run and timed by themselves.

A slice takes as inputs what its operators take from the rest of the model, and gives what the rest takes from them.
Weights, options and types are those of the file; an operator that is unpacked once at load (a float16 or sparse weight)
comes along with the operator that uses it, since LiteRT unpacks constants once and not at every answer.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from optimizers.errors import NotApplicable
from optimizers.litert.operators import CASTS

_UNPACKS = frozenset({"DEQUANTIZE", "DENSIFY"})
_BODIES = (
    "condSubgraphIndex", "bodySubgraphIndex", "thenSubgraphIndex", "elseSubgraphIndex", "initSubgraphIndex",
    "comparatorSubgraphIndex", "subgraph", "decompositionSubgraphIndex",
)  # fmt: skip
"""Options of operators that name other subgraphs."""


@dataclass(frozen=True)
class Slice:
    """A piece of a model as a file of its own.

    Attributes:
        content: The file.
        inputs, outputs: Numbers of the model's tensors that it takes and gives; its own first tensors are the inputs,
            in this order.
        places: For each number in ``inputs`` and ``outputs`` the number of the tensor in the slice.
    """

    content: bytes
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    places: Mapping[int, int]


class Cutter:
    """Cuts the main graph of one file, which is parsed once."""

    def __init__(self, content: bytes) -> None:
        from ai_edge_litert import schema_py_generated as schema

        self._schema = schema
        self._model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
        for buffer in self._model.buffers:
            if buffer.offset > 1 and buffer.size:  # bytes that lie behind the structured part of the file
                buffer.data = np.frombuffer(content, np.uint8, buffer.size, buffer.offset)
            buffer.offset = buffer.size = 0
        self._names = {v: k for k, v in vars(schema.BuiltinOperator).items() if isinstance(v, int)}
        self._graph = self._model.subgraphs[0]
        self.kinds = tuple(self._kind(operator) for operator in self._graph.operators)

    @cached_property
    def at_load(self) -> frozenset[int]:
        """Numbers of the operators that only unpack constants, which LiteRT does once and not at every answer."""
        found: set[int] = set()
        unpacked: set[int] = set()
        for number, operator in enumerate(self._graph.operators):
            taken = [int(t) for t in operator.inputs if t >= 0]
            if self.kinds[number] in _UNPACKS and all(self._constant(t) or t in unpacked for t in taken):
                found.add(number)
                unpacked.update(int(t) for t in operator.outputs)
        return frozenset(found)

    @cached_property
    def floating(self) -> frozenset[int]:
        """Numbers of the operators that compute with floating point numbers; mere conversions do not count."""
        types = {v: k for k, v in vars(self._schema.TensorType).items() if isinstance(v, int)}
        return frozenset(
            number
            for number, operator in enumerate(self._graph.operators)
            if self.kinds[number] not in CASTS
            and any(
                types[self._graph.tensors[t].type].startswith(("FLOAT", "BFLOAT"))
                for t in (*operator.inputs, *operator.outputs)
                if t >= 0
            )
        )

    def readers(self, number: int) -> tuple[int, ...]:
        """Numbers of the operators that take what an operator gives."""
        given = set(self.outputs(number))
        return tuple(n for n, o in enumerate(self._graph.operators) if given & {int(t) for t in o.inputs})

    def writers(self, number: int) -> tuple[int, ...]:
        """Numbers of the operators that an operator takes something from."""
        taken = {int(t) for t in self._graph.operators[number].inputs}
        return tuple(n for n, o in enumerate(self._graph.operators) if taken & {int(t) for t in o.outputs})

    def names(self, number: int) -> tuple[str, ...]:
        """Names of the tensors that an operator gives."""
        tensors = (self._graph.tensors[t] for t in self._graph.operators[number].outputs)
        return tuple(tensor.name.decode(errors="replace") for tensor in tensors if tensor.name)

    def outputs(self, number: int) -> tuple[int, ...]:
        """Numbers of the tensors that an operator gives."""
        return tuple(int(t) for t in self._graph.operators[number].outputs)

    def cut(self, numbers: Collection[int], shapes: Mapping[int, Sequence[int]] | None = None) -> Slice:
        """A file of the operators of these numbers.

        Args:
            numbers: Places in the order of computation.
            shapes: Of tensors as they are when the model runs, where the file leaves some open.

        Raises:
            NotApplicable: An operator's code is not in the file (a custom one).
        """
        import flatbuffers

        chosen = sorted({*numbers, *self._unpacking(numbers)})
        operators = [self._graph.operators[number] for number in chosen]
        if any(self.kinds[number].startswith("custom:") for number in chosen):
            raise NotApplicable("A custom operator cannot be run by itself.")
        inputs, outputs = self._borders(chosen)
        used = dict.fromkeys([*inputs, *(int(t) for o in operators for t in (*o.inputs, *o.outputs) if t >= 0)])
        used |= dict.fromkeys(int(t) for o in operators for t in (_ints(o.intermediates)))
        places = {tensor: place for place, tensor in enumerate(used)}
        bodies = any(self._called(operator) for operator in operators)
        model, graph = copy.copy(self._model), copy.copy(self._graph)
        buffers = [self._schema.BufferT(), *(self._model.buffers[1:] if bodies else ())]
        graph.tensors = list(self._tensors(used, shapes or {}, buffers, shared=bodies))
        graph.inputs, graph.outputs = [places[t] for t in inputs], [places[t] for t in outputs]
        codes = sorted({operator.opcodeIndex for operator in operators})
        graph.operators = [
            self._moved(o, places, o.opcodeIndex if bodies else codes.index(o.opcodeIndex)) for o in operators
        ]
        if not bodies:
            model.operatorCodes = [self._model.operatorCodes[code] for code in codes]
        model.buffers = buffers
        model.subgraphs = [graph, *(self._model.subgraphs[1:] if bodies else ())]
        model.signatureDefs, model.metadata, model.metadataBuffer = [], [], []
        builder = flatbuffers.Builder(1 << 16)
        builder.Finish(model.Pack(builder), b"TFL3")
        return Slice(bytes(builder.Output()), inputs, outputs, {t: places[t] for t in (*inputs, *outputs)})

    def _borders(self, chosen: Sequence[int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Tensors that the chosen operators take from outside, and those of theirs that are used outside."""
        inside = [self._graph.operators[number] for number in chosen]
        made = {int(t) for operator in inside for t in operator.outputs}
        elsewhere = {int(t) for o in self._graph.operators for t in o.outputs} | {int(t) for t in self._graph.inputs}
        taken = dict.fromkeys(int(t) for operator in inside for t in operator.inputs if t >= 0)
        inputs = tuple(t for t in taken if t not in made and t in elsewhere and not self._constant(t))
        others = {int(t) for n, o in enumerate(self._graph.operators) if n not in chosen for t in o.inputs}
        wanted = others | {int(t) for t in self._graph.outputs}
        given = dict.fromkeys(int(t) for operator in inside for t in operator.outputs)
        return inputs, tuple(t for t in given if t in wanted) or tuple(t for t in given if t not in taken)

    def _unpacking(self, numbers: Collection[int]) -> Iterator[int]:
        """The operators that unpack constants for the ones given, and for those."""
        made_by = {int(t): n for n in self.at_load for t in self._graph.operators[n].outputs}
        for number in numbers:
            found = {made_by[int(t)] for t in self._graph.operators[number].inputs if int(t) in made_by} - {number}
            yield from found
            yield from self._unpacking(found)

    def _tensors(
        self, used: Collection[int], shapes: Mapping[int, Sequence[int]], buffers: list[Any], *, shared: bool
    ) -> Iterator[Any]:
        for number in used:
            tensor = copy.copy(self._graph.tensors[number])
            if number in shapes and not self._constant(number):
                tensor.shape = list(shapes[number])
                tensor.shapeSignature = None
            if not shared:
                data = self._model.buffers[tensor.buffer]
                tensor.buffer = 0
                if self._constant(number):
                    buffers.append(data)
                    tensor.buffer = len(buffers) - 1
            yield tensor

    def _moved(self, operator: Any, places: Mapping[int, int], code: int) -> Any:
        moved = copy.copy(operator)
        moved.opcodeIndex = code
        moved.inputs = [places.get(int(t), -1) for t in operator.inputs]
        moved.outputs = [places[int(t)] for t in operator.outputs]
        moved.intermediates = [places[t] for t in _ints(operator.intermediates)]
        return moved

    def _constant(self, number: int) -> bool:
        data = self._model.buffers[self._graph.tensors[number].buffer].data
        return data is not None and len(data) > 0

    def _called(self, operator: Any) -> list[int]:
        options = operator.builtinOptions
        if options is None:
            return []
        return [value for name in _BODIES if isinstance(value := getattr(options, name, None), int) and value > 0]

    def _kind(self, operator: Any) -> str:
        code = self._model.operatorCodes[operator.opcodeIndex]
        if code.customCode:
            return f"custom:{code.customCode.decode(errors='replace')}"
        return str(self._names.get(max(code.builtinCode, code.deprecatedBuiltinCode), "unknown"))


def _ints(values: Any) -> list[int]:
    return [] if values is None else [int(value) for value in values]


def smallest(*, adds: bool = False) -> bytes:
    """A file without operators, or with one that adds two numbers, to see what a call costs by itself."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model, graph = schema.ModelT(), schema.SubGraphT()
    graph.tensors = [schema.TensorT() for _ in range(2 if adds else 1)]
    for number, tensor in enumerate(graph.tensors):
        tensor.shape, tensor.type, tensor.buffer, tensor.name = [1], schema.TensorType.FLOAT32, 0, b"x%d" % number
    graph.inputs, graph.outputs, graph.operators, model.operatorCodes = [0], [len(graph.tensors) - 1], [], []
    if adds:
        code, operator = schema.OperatorCodeT(), schema.OperatorT()
        code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.ADD
        code.version, operator.opcodeIndex, operator.inputs, operator.outputs = 1, 0, [0, 0], [1]
        operator.builtinOptionsType, operator.builtinOptions = schema.BuiltinOptions.AddOptions, schema.AddOptionsT()
        graph.operators, model.operatorCodes = [operator], [code]
    model.version, model.subgraphs, model.buffers = 3, [graph], [schema.BufferT()]
    builder = flatbuffers.Builder(256)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())
