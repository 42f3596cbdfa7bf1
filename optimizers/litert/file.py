"""A LiteRT file as the model that somebody brings: its layers, kernels, inputs, costs; and its description for people.

There is no Keras model behind it, so names of layers are those that the converter left in the names of tensors.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from optimizers import records
from optimizers.errors import ModelRefused
from optimizers.litert.interpreter import in_order
from optimizers.litert.layer_names import clean, layer_in, layer_of
from optimizers.litert.trial import loads
from optimizers.litert.weights import StoredWeight, weights

if TYPE_CHECKING:
    from optimizers.models.reader.flatbuffer import Operator, Subgraph, Tensor

TRIAL_SECONDS = 6.0
"""Longest time for one answer of a file that somebody brings."""
_PASSED_ON = frozenset({"QUANTIZE", "DEQUANTIZE", "RESHAPE", "CAST", "SQUEEZE"})
_UNPACKS = frozenset({"DEQUANTIZE", "DENSIFY"})
_TABLES = {"GATHER": (0, 1), "EMBEDDING_LOOKUP": (1, 0)}
"""Operators that look rows up: the places of the table and of the row numbers among their inputs."""
_CELL_KERNELS = {
    "UNIDIRECTIONAL_SEQUENCE_LSTM": (*range(1, 9), 16),
    "BIDIRECTIONAL_SEQUENCE_LSTM": (*range(1, 9), 15, *range(18, 26), 32),
    "UNIDIRECTIONAL_SEQUENCE_RNN": (1, 2),
}
"""Recurrent cells: the places of their kernels among their inputs."""
_INPUT_TYPES = frozenset({"FLOAT32", "FLOAT16", "INT8", "UINT8", "INT16", "INT32", "INT64"})


_MAGIC, _MAGIC_AT = b"TFL3", slice(4, 8)


def is_litert(file: Path | bytes) -> bool:
    """Whether the first bytes are those of a LiteRT file, whatever it is called."""
    if isinstance(file, bytes):
        return file[_MAGIC_AT] == _MAGIC
    if not file.is_file():
        return False
    with file.open("rb") as stream:
        return stream.read(8)[_MAGIC_AT] == _MAGIC


@dataclass(frozen=True)
class LiteRtFile:
    """One file. Everything is found when it is first asked for; all of it may raise `ModelRefused`."""

    content: bytes

    @cached_property
    def graphs(self) -> tuple[Subgraph, ...]:
        """All subgraphs, the model itself first."""
        from optimizers.models.reader.flatbuffer import parse_litert

        return parse_litert(self.content)

    @cached_property
    def weights(self) -> tuple[StoredWeight, ...]:
        """All constant tensors that stand for real numbers."""
        assert self.graphs, "sizes are checked before numbers are unpacked"
        return weights(self.content)

    @cached_property
    def kernels(self) -> dict[str, tuple[StoredWeight, ...]]:
        """Kernels by layer, in the order of computation; each buffer counts once."""
        found: dict[str, list[StoredWeight]] = {}
        seen: set[int] = set()
        order = {names: place for place, names in enumerate(self.written())}
        for weight in sorted(
            self.weights, key=lambda w: min((order.get(c.outputs, 0) for c in w.consumers), default=0)
        ):
            if weight.kernel and weight.buffer not in seen:
                seen.add(weight.buffer)
                found.setdefault(layer_of(weight), []).append(weight)
        return {name: tuple(group) for name, group in found.items()}

    def written(self) -> Iterator[tuple[str, ...]]:
        """For each operator the names of what it writes, as `Consumer` has them."""
        for graph in self.graphs:
            for operator in graph.operators:
                yield tuple(name for i in operator.outputs if (name := graph.tensors[i].name))

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """In the order in which the interpreter is given them."""
        return tuple(self.graphs[0].tensors[i] for i in self._in_order(self.graphs[0].inputs))

    @property
    def outputs(self) -> tuple[Tensor, ...]:
        """In the order in which the interpreter gives them."""
        return tuple(self.graphs[0].tensors[i] for i in self._outputs)

    @property
    def _outputs(self) -> list[int]:
        return self._in_order(self.graphs[0].outputs, self.graphs[0].inputs)

    def _in_order(self, places: Iterable[int], given: Collection[int] = ()) -> list[int]:
        found = list(places)
        fixed = [number for number, place in enumerate(found) if place in given]
        return [found[number] for number in in_order([self.graphs[0].tensors[i].name for i in found], fixed)]

    @property
    def width(self) -> int:
        """Numbers that the first output has for one example."""
        return prod(self.outputs[0].shape[1:])

    @property
    def parameters(self) -> int:
        """Numbers in all weights, those of shared buffers once."""
        return sum({weight.buffer: weight.values.size for weight in self.weights}.values())

    @property
    def macs(self) -> int:
        """Multiply-accumulates with kernels and of products for one example; the body of a loop counts once."""
        return sum(macs_of(graph, operator) for graph in self.graphs for operator in graph.operators)

    @property
    def loops(self) -> bool:
        """Whether there is a loop, whose number of rounds the file does not tell."""
        return any(operator.kind == "WHILE" for graph in self.graphs for operator in graph.operators)

    def integer(self, graph: int, tensor: int) -> int | None:
        """The value of a constant that is a single 32-bit or 64-bit whole number, else None."""
        from ai_edge_litert import schema_py_generated as schema

        told = self.graphs[graph].tensors[tensor] if tensor >= 0 else None
        if told is None or not told.constant or prod(told.shape) != 1 or told.dtype not in ("INT32", "INT64"):
            return None
        model = schema.Model.GetRootAs(self.content, 0)
        data = model.Buffers(model.Subgraphs(graph).Tensors(tensor).Buffer())
        if data.DataIsNone():  # it lies behind the structured part
            return None
        return int(np.frombuffer(data.DataAsNumpy().tobytes(), f"<i{4 if told.dtype == 'INT32' else 8}")[0])

    @property
    def activation(self) -> str:
        """``softmax``, ``sigmoid`` or ``linear`` where the last operator tells, else empty."""
        return self._activation(self.graphs[0].outputs[0]) if self.graphs[0].outputs else ""

    @property
    def activations(self) -> tuple[str, ...]:
        """The same for each of `outputs`."""
        return tuple(map(self._activation, self._outputs))

    def _activation(self, output: int) -> str:
        graph = self.graphs[0]
        made_by = {tensor: operator for operator in graph.operators for tensor in operator.outputs}
        last = made_by.get(output)
        for _ in graph.operators:
            if last is None or last.kind not in _PASSED_ON:
                break
            last = made_by.get(last.inputs[0])
        if last is not None and last.kind == "FULLY_CONNECTED" and last.activation == "NONE":
            return "linear"
        return {"SOFTMAX": "softmax", "LOGISTIC": "sigmoid"}.get(last.kind if last else "", "")

    @property
    def input_ranges(self) -> tuple[records.InputRange | None, ...]:
        """For each input what its own type and the tables that it looks up tell of its numbers."""
        return tuple(self._range(index) for index in self._in_order(self.graphs[0].inputs))

    def _range(self, index: int) -> records.InputRange | None:
        tensor = self.graphs[0].tensors[index]
        if tensor.dtype.startswith("FLOAT"):
            return None
        rows = self._rows(index)
        if rows:
            return records.InputRange(low=0, high=rows - 1, whole=True)
        if tensor.dtype in ("INT32", "INT64"):
            return records.InputRange(low=0, high=1, whole=True)
        bounds = np.iinfo(tensor.dtype.lower())
        low, high = float(bounds.min), float(bounds.max)
        if not tensor.scale:
            return records.InputRange(low=low, high=high, whole=True)
        return records.InputRange(
            low=float(f"{(low - tensor.zero_point) * tensor.scale:.6g}"),
            high=float(f"{(high - tensor.zero_point) * tensor.scale:.6g}"),
        )

    def _rows(self, index: int) -> int:
        """Rows of the smallest table that a tensor of whole numbers, as it is or cast, looks up; 0 if there is none."""
        graph, same, rows = self.graphs[0], {index}, []
        for operator in graph.operators:
            if operator.kind in _PASSED_ON and operator.inputs and operator.inputs[0] in same:
                same.update(operator.outputs)
            places = _TABLES.get(operator.kind)
            if places and len(operator.inputs) > 1 and operator.inputs[places[1]] in same:
                rows.append(next(iter(graph.tensors[operator.inputs[places[0]]].shape), 0))
        return min(rows, default=0)

    def random_inputs(self, seed: int, n: int) -> list[list[np.ndarray]]:
        """Random examples: for each of them one array of real values per input, batch dimension 1 included."""
        rng = np.random.default_rng(seed)
        return [[_drawn(rng, t, r) for t, r in zip(self.inputs, self.input_ranges, strict=True)] for _ in range(n)]


def describe(path: Path, name: str = "") -> records.ModelSummary:
    """What is known about a LiteRT file, after it was tried in a process of its own.

    Args:
        path: The file.
        name: What people call it, for messages.

    Raises:
        ModelRefused: As `parse_litert`; ``input-shape`` where it does not take one example of a fixed shape of numbers;
            ``cannot-run`` where LiteRT cannot run it.
    """
    from optimizers.models.reader.containers import read_bounded
    from optimizers.models.reader.limits import LIMITS

    file = LiteRtFile(read_bounded(path, LIMITS.file_bytes))
    for side, tensors in (("input", file.inputs), ("output", file.outputs)):
        if not tensors:
            raise ModelRefused(f"The LiteRT file has no {side}; convert the model again.", code="bad-file")
        for tensor in tensors:
            _check_shape(side, tensor)
    rows = tuple(_layer_rows(file))
    if file.macs > LIMITS.macs:
        raise ModelRefused(
            f"One answer of the LiteRT file takes {file.macs:,} multiplications, and at most {LIMITS.macs:,} are "
            "allowed; convert a smaller model.",
            code="too-large",
        )
    trouble = loads(path, TRIAL_SECONDS)
    if trouble:
        raise ModelRefused(
            f"LiteRT cannot run {name or path.name!r}: {trouble}; convert the model again.", code="cannot-run"
        )
    return records.ModelSummary(
        kind="tflite",
        format="LiteRT file",
        keras_version="",
        inputs=tuple(_spec(tensor) for tensor in file.inputs),
        outputs=tuple(
            _spec(tensor).model_copy(update={"activation": activation})
            for tensor, activation in zip(file.outputs, file.activations, strict=True)
        ),
        layers=rows,
        parameters=file.parameters,
        trainable_parameters=0,
        activation=file.activation,
        input_ranges=file.input_ranges,
        notes=tuple(_notes(file)),
    )


def _check_shape(side: str, tensor: Tensor) -> None:
    name = repr(clean(tensor.name))
    if side == "input" and tensor.dtype not in _INPUT_TYPES:
        raise ModelRefused(
            f"The {side} {name} is of type {tensor.dtype}, not plain numbers; convert the model with numbers as input.",
            code="input-shape",
        )
    if not tensor.shape or tensor.shape[0] != 1 or 0 in tensor.shape:
        raise ModelRefused(
            f"The {side} {name} has the shape {tensor.shape}, but its first dimension must be 1, for one example; "
            "convert the model for a batch of one.",
            code="input-shape",
        )
    if side == "input" and None in tensor.signature[1:]:
        raise ModelRefused(
            f"The {side} {name} has dimensions of any length besides the batch; convert the model with fixed ones.",
            code="input-shape",
        )


def _spec(tensor: Tensor) -> records.TensorSpec:
    """Quantized numbers stand for real ones, and are given and taken as such."""
    dtype = "float32" if tensor.scale or tensor.dtype.startswith("FLOAT") else tensor.dtype.lower()
    return records.TensorSpec(name=clean(tensor.name), shape=tensor.signature[1:], dtype=dtype)


def _layer_rows(file: LiteRtFile) -> Iterator[records.LayerRow]:
    """One row per operator that computes; a weight stands beside the first one that uses it."""
    owned: dict[tuple[str, tuple[str, ...]], list[StoredWeight]] = {}
    seen: set[int] = set()
    for weight in file.weights:
        if weight.buffer not in seen and weight.consumers:
            seen.add(weight.buffer)
            first = weight.consumers[0]
            owned.setdefault((first.kind, first.outputs), []).append(weight)
    number = 0
    for graph in file.graphs:
        made: dict[int, int] = {}
        for operator in graph.operators:
            if operator.kind in _UNPACKS and graph.tensors[operator.inputs[0]].constant:
                continue
            names = tuple(name for i in operator.outputs if (name := graph.tensors[i].name))
            own = owned.pop((operator.kind, names), [])
            kernels = [weight for weight in own if weight.kernel]
            types = ", ".join(dict.fromkeys(weight.dtype.lower() for weight in kernels))
            yield records.LayerRow(
                name=layer_of(kernels[0]) if kernels else layer_in(names) or operator.kind.lower(),
                kind=f"{operator.kind} ({types})" if types else operator.kind,
                output_shape=graph.tensors[operator.outputs[0]].shape[1:] if operator.outputs else (),
                parameters=sum(weight.values.size for weight in own),
                inputs=tuple(dict.fromkeys(made[i] for i in operator.inputs if i in made)),
                macs=macs_of(graph, operator),
            )
            made |= dict.fromkeys(operator.outputs, number)
            number += 1


def _notes(file: LiteRtFile) -> Iterator[str]:
    kinds = Counter(operator.kind for graph in file.graphs for operator in graph.operators)
    told = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
    yield f"The file has {len(file.content):,} bytes and {kinds.total()} operators: {told}."
    types: Counter[str] = Counter()
    for buffer in {weight.buffer: weight for weight in file.weights}.values():
        types[buffer.dtype.lower()] += buffer.values.size
    if types:
        yield "Its weights are " + ", ".join(f"{n:,} numbers in {dtype}" for dtype, n in types.most_common()) + "."
    for side, tensors in (("input", file.inputs), ("output", file.outputs)):
        for tensor in tensors:
            if tensor.scale:
                yield (
                    f"Its {side} is stored as {tensor.dtype.lower()}: real values are divided by {tensor.scale:.4g} "
                    f"and shifted by {tensor.zero_point}, as the file says."
                )
    yield (
        "A .tflite file cannot be trained any more. It can be measured, and its float32 weights can be stored in fewer "
        "bits; every other step needs the Keras model that it was made from."
    )


def _drawn(rng: np.random.Generator, tensor: Tensor, told: records.InputRange | None) -> np.ndarray:
    if told is None:
        return rng.standard_normal(tensor.shape).astype(np.float32)
    if told.whole:
        return rng.integers(int(told.low), int(told.high), tensor.shape, endpoint=True)
    return rng.uniform(told.low, told.high, tensor.shape).astype(np.float32)


def macs_of(graph: Subgraph, operator: Operator) -> int:
    """Multiply-accumulates of one run of an operator; 0 for those that do not multiply matrices.

    Element-wise products are no multiply-accumulates, and of a recurrent cell the gates' kernels count at every step.
    """

    def shape(place: int) -> tuple[int, ...]:
        index = operator.inputs[place] if place < len(operator.inputs) else -1
        return graph.tensors[index].shape if index >= 0 else ()

    given = graph.tensors[operator.outputs[0]].shape if operator.outputs else ()
    if operator.kind == "FULLY_CONNECTED" and len(shape(1)) == 2:
        return prod(given) * shape(1)[1]
    if operator.kind in ("CONV_2D", "CONV_3D", "DEPTHWISE_CONV_2D"):
        return prod(given[1:-1]) * prod(shape(1))
    if operator.kind == "TRANSPOSE_CONV":
        return prod(shape(2)[1:-1]) * prod(shape(1))
    if operator.kind == "BATCH_MATMUL":
        return prod(given) * (shape(0)[-1] if shape(0) else 0)
    if operator.kind == "CONV_3D_TRANSPOSE":
        return prod(shape(2)[1:-1]) * prod(shape(1))
    if operator.kind in _CELL_KERNELS:
        kernels = (shape(place) for place in _CELL_KERNELS[operator.kind])
        return prod(shape(0)[:-1]) * sum(prod(kernel) for kernel in kernels if kernel)  # some cells lack some of them
    return 0
