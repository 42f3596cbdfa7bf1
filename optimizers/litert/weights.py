"""Every constant weight of a LiteRT file as it is stored: numbers, scales, bytes and the operators that use it."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from optimizers.errors import ModelRefused
from optimizers.litert.packing import BITS, Sparse, dense, numbers

_MALFORMED = (struct.error, IndexError, KeyError, ValueError, TypeError, AttributeError, OverflowError)
_FLOATS = frozenset({"FLOAT32", "FLOAT16", "BFLOAT16", "FLOAT64"})
_UNPACKED_BY = frozenset({"DEQUANTIZE", "DENSIFY"})
_KERNEL_PLACES: dict[str, frozenset[int]] = {
    "CONV_2D": frozenset({1}),
    "CONV_3D": frozenset({1}),
    "DEPTHWISE_CONV_2D": frozenset({1}),
    "TRANSPOSE_CONV": frozenset({1}),
    "CONV_3D_TRANSPOSE": frozenset({1}),
    "FULLY_CONNECTED": frozenset({1}),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": frozenset({*range(1, 9), 16}),
    "BIDIRECTIONAL_SEQUENCE_LSTM": frozenset({*range(1, 9), 15, *range(18, 26), 32}),
    "UNIDIRECTIONAL_SEQUENCE_RNN": frozenset({1, 2}),
    "LSTM": frozenset({*range(1, 9), 16}),
    "SVDF": frozenset({1, 2}),
}
"""Inputs of operators that are kernels whatever their shape; the inputs of others count by shape."""
_BIAS_PLACES: dict[str, frozenset[int]] = {
    "CONV_2D": frozenset({2}),
    "CONV_3D": frozenset({2}),
    "DEPTHWISE_CONV_2D": frozenset({2}),
    "TRANSPOSE_CONV": frozenset({3}),
    "CONV_3D_TRANSPOSE": frozenset({3}),
    "FULLY_CONNECTED": frozenset({2}),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": frozenset({12, 13, 14, 15, 17}),
    "BIDIRECTIONAL_SEQUENCE_LSTM": frozenset({11, 12, 13, 14, 16, 28, 29, 30, 31, 33}),
    "UNIDIRECTIONAL_SEQUENCE_RNN": frozenset({3}),
    "LSTM": frozenset({12, 13, 14, 15, 17}),
    "SVDF": frozenset({3}),
}


@dataclass(frozen=True)
class Consumer:
    """An operator that uses a weight: its kind, the place of the weight among its inputs, and its outputs' names."""

    kind: str
    place: int
    outputs: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class StoredWeight:
    """One constant tensor of numbers.

    Attributes:
        name: As the converter gave it; it may say nothing, such as ``arith.constant``.
        subgraph, tensor, buffer: Where it lies in the file; tensors with the same buffer share their bytes.
        dtype: As the schema names it: ``FLOAT32``, ``FLOAT16``, ``INT8``, ``INT4``, ``INT2``, ``INT32``, …
        stored_bytes: Length of the buffer; names and scales come on top.
        values: The stored numbers, shape ``shape``, unpacked and, where the file leaves zeros out, filled up.
        scales, zero_points: Flat, one per channel along ``axis``, per tensor, or per block; empty if not quantized.
        axis: The dimension that has a scale for each entry; None unless there are several scales per channel.
        block: How many neighbours along the last dimension share a scale; 0 unless quantized blockwise.
        sparse: Whether the file leaves zeros out of the buffer.
        consumers: Operators that use it, looked for behind ``DEQUANTIZE``, ``DENSIFY`` and into the bodies of loops.
    """

    name: str
    subgraph: int
    tensor: int
    buffer: int
    shape: tuple[int, ...]
    dtype: str
    stored_bytes: int
    values: np.ndarray
    scales: np.ndarray
    zero_points: np.ndarray
    axis: int | None
    block: int
    sparse: bool
    consumers: tuple[Consumer, ...]

    @property
    def bits(self) -> int:
        """Bits of one stored number."""
        return BITS[self.dtype]

    @property
    def kinds(self) -> tuple[str, ...]:
        """Kinds of the operators that use it, each once, in order."""
        return tuple(dict.fromkeys(consumer.kind for consumer in self.consumers))

    @property
    def bias(self) -> bool:
        """Whether an operator adds it to its sums."""
        return any(c.place in _BIAS_PLACES.get(c.kind, ()) for c in self.consumers)

    @property
    def kernel(self) -> bool:
        """Whether it is a weight of two or more dimensions; biases and the states that a loop starts from are none."""
        if len(self.shape) < 2 or self.bias:
            return False
        known = [c for c in self.consumers if c.kind in _KERNEL_PLACES]
        if known:
            return any(c.place in _KERNEL_PLACES[c.kind] for c in known)
        looped = any(c.kind in ("WHILE", "IF") for c in self.consumers)
        return not looped and sum(size > 1 for size in self.shape) >= 2

    @cached_property
    def dequantized(self) -> np.ndarray:
        """The real values that it stands for, float32, shape ``shape``."""
        if not self.scales.size:
            return self.values.astype(np.float32)
        scales, zeros = self.scales.astype(np.float32), self.zero_points.astype(np.float32)
        if self.block:
            blocks = self.values.reshape(len(scales), self.block).astype(np.float32)
            return np.asarray(((blocks - zeros.reshape(-1, 1)) * scales[:, None]).reshape(self.shape), np.float32)
        if self.axis is not None:
            along = [1] * len(self.shape)
            along[self.axis] = -1
            scales, zeros = scales.reshape(along), zeros.reshape(along)
        return np.asarray((self.values.astype(np.float32) - zeros) * scales, np.float32)

    @cached_property
    def sparsity(self) -> float:
        """Share of the values that stand for zero, from 0 to 1."""
        return float(np.mean(self.dequantized == 0)) if self.values.size else 0.0

    @cached_property
    def unique(self) -> int:
        """Number of distinct stored numbers."""
        return len(np.unique(self.values))


def weights(file: Path | bytes) -> tuple[StoredWeight, ...]:
    """All constant tensors of a file that stand for real numbers, in the order in which the file lists them.

    Shapes, axes and other whole numbers that only steer operators are left out, and so are the tensors that hold the
    scales of others.

    Args:
        file: A ``.tflite`` file or its bytes.

    Raises:
        ModelRefused: The file is no LiteRT file, is damaged, or stores a weight in a way that is not known here.
    """
    content = file if isinstance(file, bytes) else file.read_bytes()
    try:
        return tuple(_Reader(content).weights())
    except _MALFORMED as error:
        raise _damaged(repr(error)) from error


def _damaged(detail: str) -> ModelRefused:
    return ModelRefused(
        "This LiteRT file is damaged or no LiteRT file at all; convert the model again.",
        code="damaged-tflite",
        detail=detail[:2000],
    )


class _Reader:
    """One file while it is read."""

    def __init__(self, content: bytes) -> None:
        from ai_edge_litert import schema_py_generated as schema

        if len(content) < 8 or not schema.Model.ModelBufferHasIdentifier(content, 0):
            raise _damaged("no TFL3 identifier")
        self._content, self._schema = content, schema
        self._model = schema.Model.GetRootAs(content, 0)
        self._types = _names(schema.TensorType)
        self._operators = _names(schema.BuiltinOperator)
        self._graphs = [self._model.Subgraphs(i) for i in range(self._model.SubgraphsLength())]
        self._taken = [self._uses(graph) for graph in self._graphs]

    def weights(self) -> Iterator[StoredWeight]:
        for number, graph in enumerate(self._graphs):
            scales = self._scale_tensors(graph)
            for index in range(graph.TensorsLength()):
                tensor = graph.Tensors(index)
                dtype = self._types.get(tensor.Type(), "")
                if index in scales or dtype not in BITS or not len(data := self._data(tensor.Buffer())):
                    continue
                scale, zero, axis, block = self._quantization(graph, tensor)
                if dtype in _FLOATS or scale.size:
                    yield self._weight(number, index, tensor, dtype, data, (scale, zero, axis, block))

    def _weight(
        self, graph: int, index: int, tensor: Any, dtype: str, data: np.ndarray, quantization: tuple[Any, ...]
    ) -> StoredWeight:
        scales, zeros, axis, block = quantization
        shape = () if tensor.ShapeIsNone() else tuple(int(size) for size in tensor.ShapeAsNumpy())
        sparsity = self._sparsity(tensor)
        if sparsity is None:
            values = numbers(data, dtype, int(np.prod(shape, dtype=np.int64))).reshape(shape)
        else:
            values = dense(numbers(data, dtype, None), shape, sparsity)
        expected = values.size // block if block else shape[axis] if axis is not None else min(scales.size, 1)
        if scales.size != expected or zeros.size not in (0, 1, expected) or (block and values.size % block):
            raise ValueError(f"{scales.size} scales for a tensor of shape {shape}")
        name = tensor.Name()
        return StoredWeight(
            name=name.decode(errors="replace") if name else "",
            subgraph=graph,
            tensor=index,
            buffer=tensor.Buffer(),
            shape=shape,
            dtype=dtype,
            stored_bytes=len(data),
            values=values,
            scales=scales,
            zero_points=zeros if zeros.size else np.zeros_like(scales, np.int64),
            axis=axis,
            block=block,
            sparse=sparsity is not None,
            consumers=tuple(self._consumers(graph, index, set())),
        )

    def _data(self, number: int) -> np.ndarray:
        """Bytes of a buffer, which may lie behind the structured part of the file; empty where there are none."""
        buffer = self._model.Buffers(number)
        if not buffer.DataIsNone():
            return np.asarray(buffer.DataAsNumpy(), np.uint8)
        start, size = buffer.Offset(), buffer.Size()
        if start <= 1 or not size:
            return np.empty(0, np.uint8)
        return np.frombuffer(self._content, np.uint8, size, start)

    def _quantization(self, graph: Any, tensor: Any) -> tuple[np.ndarray, np.ndarray, int | None, int]:
        """Scales, zero points, axis and block size as `StoredWeight` has them."""
        nothing = np.empty(0, np.float32), np.empty(0, np.int64)
        found = tensor.Quantization()
        if found is None:
            return *nothing, None, 0
        details = self._schema.QuantizationDetails
        if found.DetailsType() == details.BlockwiseQuantization:
            blockwise = self._details(found)
            scales = self._flat(graph, blockwise.Scales())
            zeros = self._flat(graph, blockwise.ZeroPoints()).astype(np.int64)
            return scales.astype(np.float32), zeros, None, max(1, blockwise.BlockSize())
        if found.DetailsType() != details.NONE:
            kind = _names(details)[found.DetailsType()]
            raise ModelRefused(f"This LiteRT file stores a weight with {kind}, which is not known here.")
        if found.ScaleIsNone():
            return *nothing, None, 0
        scales = np.array(found.ScaleAsNumpy(), np.float32)
        zeros = nothing[1] if found.ZeroPointIsNone() else np.array(found.ZeroPointAsNumpy(), np.int64)
        return scales, zeros, found.QuantizedDimension() if scales.size > 1 else None, 0

    def _details(self, quantization: Any) -> Any:
        blockwise, table = self._schema.BlockwiseQuantization(), quantization.Details()
        blockwise.Init(table.Bytes, table.Pos)
        return blockwise

    def _flat(self, graph: Any, index: int) -> np.ndarray:
        """All numbers of a constant tensor; empty where the index says that there is none."""
        if index < 0:
            return np.empty(0, np.float32)
        tensor = graph.Tensors(index)
        return numbers(self._data(tensor.Buffer()), self._types[tensor.Type()], None)

    def _scale_tensors(self, graph: Any) -> set[int]:
        blockwise = self._schema.QuantizationDetails.BlockwiseQuantization
        found: set[int] = set()
        for index in range(graph.TensorsLength()):
            quantization = graph.Tensors(index).Quantization()
            if quantization is not None and quantization.DetailsType() == blockwise:
                details = self._details(quantization)
                found |= {details.Scales(), details.ZeroPoints()}
        return found

    def _sparsity(self, tensor: Any) -> Sparse | None:
        found = tensor.Sparsity()
        if found is None:
            return None
        levels = [found.DimMetadata(i) for i in range(found.DimMetadataLength())]
        return Sparse(
            order=_integers(found.TraversalOrderIsNone(), found.TraversalOrderAsNumpy),
            block_map=_integers(found.BlockMapIsNone(), found.BlockMapAsNumpy),
            levels=tuple(self._level(level) for level in levels),
        )

    def _level(self, level: Any) -> int | tuple[np.ndarray, np.ndarray]:
        if level.Format() == self._schema.DimensionType.DENSE:
            return int(level.DenseSize())
        segments = self._indices(level.ArraySegmentsType(), level.ArraySegments())
        return segments, self._indices(level.ArrayIndicesType(), level.ArrayIndices())

    def _indices(self, kind: int, table: Any) -> np.ndarray:
        vector = getattr(self._schema, _names(self._schema.SparseIndexVector)[kind])()
        vector.Init(table.Bytes, table.Pos)
        return np.array(vector.ValuesAsNumpy(), np.int64)

    def _uses(self, graph: Any) -> dict[int, list[tuple[str, int, Any]]]:
        """For each tensor the operators that take it: kind, place, operator."""
        found: dict[int, list[tuple[str, int, Any]]] = {}
        for number in range(graph.OperatorsLength()):
            operator = graph.Operators(number)
            code = self._model.OperatorCodes(operator.OpcodeIndex())
            builtin = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
            custom = code.CustomCode()
            kind = f"custom:{custom.decode(errors='replace')}" if custom else self._operators.get(builtin, "unknown")
            for place in range(operator.InputsLength()):
                found.setdefault(operator.Inputs(place), []).append((kind, place, operator))
        return found

    def _consumers(self, graph: int, tensor: int, seen: set[tuple[int, int]]) -> Iterator[Consumer]:
        if (graph, tensor) in seen:
            return
        seen.add((graph, tensor))
        for kind, place, operator in self._taken[graph].get(tensor, []):
            outputs = [operator.Outputs(i) for i in range(operator.OutputsLength())]
            if kind in _UNPACKED_BY:
                yield from self._consumers(graph, outputs[0], seen)
                continue
            names = (self._graphs[graph].Tensors(i).Name() for i in outputs)
            yield Consumer(kind, place, tuple(name.decode(errors="replace") for name in names if name))
            if kind == "WHILE":
                body = self._body(operator)
                yield from self._consumers(body, self._graphs[body].Inputs(place), seen)

    def _body(self, operator: Any) -> int:
        options, table = self._schema.WhileOptions(), operator.BuiltinOptions()
        options.Init(table.Bytes, table.Pos)
        return int(options.BodySubgraphIndex())


def _integers(missing: bool, read: Callable[[], Any]) -> tuple[int, ...]:
    return () if missing else tuple(int(value) for value in read())


def _names(enum: Any) -> dict[int, str]:
    return {value: name for name, value in vars(enum).items() if isinstance(value, int)}
