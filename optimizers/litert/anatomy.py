"""What each byte of a LiteRT file is for: it is walked as the FlatBuffer that it is, and every byte is counted once.

Source: the FlatBuffers binary format (flatbuffers.dev/internals) and LiteRT's ``schema.fbs``, whose field numbers the
tables below repeat.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from optimizers.errors import ModelRefused
from optimizers.litert.file import LiteRtFile

Part = Literal[
    "kernels", "vectors", "scales", "sparsity", "constants", "graph", "names", "metadata", "padding", "attached"
]
PARTS: dict[Part, str] = {
    "kernels": "Kernels",
    "vectors": "Biases and other numbers",
    "scales": "Quantization scales",
    "sparsity": "Places of non-zeros",
    "constants": "Shapes and other constants",
    "graph": "Operators and tensors",
    "names": "Names",
    "metadata": "Metadata",
    "padding": "Padding",
    "attached": "Attached behind the model",
}
"""Parts in the order in which they are told, and what people call them."""

Place = tuple[int, int]
"""A tensor: its subgraph and its number there."""


@dataclass(frozen=True)
class Anatomy:
    """How many bytes are for what.

    Attributes:
        size: Of the file.
        regions: Bytes by part and, where they belong to one tensor (data, scales, places of non-zeros), by tensor; data
            that several tensors share stand under the first. The values add up to ``size``.
        numbers: First byte and end of each stretch that holds weights' numbers, in order.
    """

    size: int
    regions: Counter[tuple[Part, Place | None]]
    numbers: tuple[tuple[int, int], ...]

    def of(self, part: Part) -> int:
        """Bytes of a part."""
        return sum(count for (kind, _), count in self.regions.items() if kind == part)

    def of_tensor(self, place: Place) -> int:
        """Bytes that only exist because of that tensor's numbers: they, their scales, their places."""
        return sum(count for (_, owner), count in self.regions.items() if owner == place)


def anatomy(file: LiteRtFile) -> Anatomy:
    """Counts every byte of a file once.

    Bytes that nothing points to are padding where all of them are zero; else they are the options of an operator, which
    have a form for each kind of operator and are counted as graph, or, behind the last part of the model, attached.

    Raises:
        ModelRefused: The file is damaged.
    """
    assert file.graphs, "counts and indices are checked before the file is walked"
    weights = {(w.subgraph, w.tensor): w for w in file.weights}
    first: dict[int, Place] = {}
    for place, weight in weights.items():
        first.setdefault(weight.buffer, place)
    parts: dict[int, Part] = {b: "kernels" if weights[p].kernel else "vectors" for b, p in first.items()}
    try:
        claims = sorted(_Walk(file.content, parts, first).claims(), key=lambda claim: claim[:2])
    except (struct.error, IndexError, ValueError, OverflowError) as error:
        raise ModelRefused(
            "The LiteRT file is damaged or incomplete; convert the model again and copy the whole file.",
            code="bad-file",
            detail=repr(error)[:2000],
        ) from error
    numbers = tuple((start, end) for start, end, part, _ in claims if part in ("kernels", "vectors"))
    return Anatomy(len(file.content), _counted(file.content, claims), numbers)


Claim = tuple[int, int, Part, Place | None]


def _counted(content: bytes, claims: list[Claim]) -> Counter[tuple[Part, Place | None]]:
    """Each byte goes to the first claim on it, and what lies between claims is looked at."""
    found: Counter[tuple[Part, Place | None]] = Counter()
    done, last = 0, max(end for _, end, _, _ in claims)
    for start, end, part, owner in [*claims, (len(content), len(content), "padding", None)]:
        if start > done:
            gap = content[done:start]
            filled: Part = "attached" if done >= last else "graph"
            found[("padding" if not any(gap) else filled, None)] += len(gap)
            done = start
        if end > done:
            found[(part, owner)] += end - done
            done = end
    return found


class _Walk:
    """One walk through a file. Positions are byte offsets; a table's fields are known by their number."""

    def __init__(self, content: bytes, parts: dict[int, Part], owners: dict[int, Place]) -> None:
        self._content, self._parts, self._owners = content, parts, owners

    def claims(self) -> Iterator[Claim]:
        yield 0, 8, "graph", None
        model = self._u32(0)
        yield from self._table(model)
        yield from self._text(model, 3, "metadata")
        yield from self._vector(model, 5, 4, "metadata")
        metadata = set()
        for code in self._tables(model, 1):
            yield from self._table(code)
            yield from self._text(code, 1, "names")
        for entry in self._tables(model, 6):
            yield from self._table(entry, "metadata")
            yield from self._text(entry, 0, "metadata")
            metadata.add(self._scalar(entry, 1))
        for number, graph in enumerate(self._tables(model, 2)):
            yield from self._subgraph(number, graph)
        for number, buffer in enumerate(self._tables(model, 4)):
            yield from self._buffer(number, buffer, number in metadata)
        for signature in self._tables(model, 7):
            yield from self._signature(signature)
        for field in (1, 2, 4):
            yield from self._vector(model, field, 4, "graph")
        for field in (6, 7):
            yield from self._vector(model, field, 4, "metadata")

    def _subgraph(self, number: int, graph: int) -> Iterator[Claim]:
        yield from self._table(graph)
        yield from self._text(graph, 4, "names")
        for field in range(4):
            yield from self._vector(graph, field, 4, "graph")
        for index, tensor in enumerate(self._tables(graph, 0)):
            yield from self._tensor((number, index), tensor)
        for operator in self._tables(graph, 3):
            yield from self._table(operator)
            for field, size in ((1, 4), (2, 4), (5, 1), (7, 1), (8, 4)):
                yield from self._vector(operator, field, size, "graph")
            for field in (4, 12):
                options = self._target(operator, field)
                if options:
                    yield from self._table(options)

    def _tensor(self, place: Place, tensor: int) -> Iterator[Claim]:
        yield from self._table(tensor)
        yield from self._text(tensor, 3, "names")
        for field in (0, 7):
            yield from self._vector(tensor, field, 4, "graph")
        scales = self._target(tensor, 4)
        if scales:
            yield from self._table(scales, "scales", place)
            for field, size in ((0, 4), (1, 4), (2, 4), (3, 8)):
                yield from self._vector(scales, field, size, "scales", place)
            details = self._target(scales, 5)
            if details:
                yield from self._table(details, "scales", place)
        sparsity = self._target(tensor, 6)
        if sparsity:
            yield from self._sparsity(place, sparsity)

    def _sparsity(self, place: Place, table: int) -> Iterator[Claim]:
        yield from self._table(table, "sparsity", place)
        for field in range(3):
            yield from self._vector(table, field, 4, "sparsity", place)
        for level in self._tables(table, 2):
            yield from self._table(level, "sparsity", place)
            for kind, field in ((2, 3), (4, 5)):
                size = {1: 4, 2: 2, 3: 1}.get(self._scalar(level, kind, "<B"))
                values = self._target(level, field)
                if size and values:
                    yield from self._table(values, "sparsity", place)
                    yield from self._vector(values, 0, size, "sparsity", place)

    def _buffer(self, number: int, buffer: int, metadata: bool) -> Iterator[Claim]:
        part: Part = "metadata" if metadata else self._parts.get(number, "constants")
        owner = self._owners.get(number)
        yield from self._table(buffer)
        start = self._target(buffer, 0)
        if start:  # the length in front is part of the structure
            yield self._within(start, start + 4, "graph", None)
            yield self._within(start + 4, start + 4 + self._u32(start), part, owner)
        offset, size = self._scalar(buffer, 1, "<Q"), self._scalar(buffer, 2, "<Q")
        if offset > 1 and size:
            yield self._within(offset, offset + size, part, owner)

    def _signature(self, signature: int) -> Iterator[Claim]:
        yield from self._table(signature, "metadata")
        yield from self._text(signature, 2, "metadata")
        for field in (0, 1):
            yield from self._vector(signature, field, 4, "metadata")
            for entry in self._tables(signature, field):
                yield from self._table(entry, "metadata")
                yield from self._text(entry, 0, "metadata")

    def _table(self, at: int, part: Part = "graph", owner: Place | None = None) -> Iterator[Claim]:
        vtable = self._vtable(at)
        size, inline = self._unpack("<HH", vtable)
        yield self._within(vtable, vtable + size, "graph", None)
        yield self._within(at, at + inline, part, owner)

    def _vector(self, table: int, field: int, size: int, part: Part, owner: Place | None = None) -> Iterator[Claim]:
        start = self._target(table, field)
        if start:
            yield self._within(start, start + 4 + size * self._u32(start), part, owner)

    def _text(self, table: int, field: int, part: Part) -> Iterator[Claim]:
        start = self._target(table, field)
        if start:
            yield self._within(start, start + 5 + self._u32(start), part, None)

    def _tables(self, table: int, field: int) -> Iterator[int]:
        start = self._target(table, field)
        if start:
            for at in range(start + 4, start + 4 + 4 * self._u32(start), 4):
                yield at + self._u32(at)

    def _target(self, table: int, field: int) -> int:
        """Where a field points to; 0 where the table has no such field."""
        at = self._field(table, field)
        return at + self._u32(at) if at else 0

    def _scalar(self, table: int, field: int, form: str = "<I") -> int:
        at = self._field(table, field)
        return self._unpack(form, at)[0] if at else 0

    def _field(self, table: int, field: int) -> int:
        vtable = self._vtable(table)
        entry = 4 + 2 * field
        if entry + 2 > self._unpack("<H", vtable)[0]:
            return 0
        offset = self._unpack("<H", vtable + entry)[0]
        return table + offset if offset else 0

    def _vtable(self, table: int) -> int:
        return table - int(self._unpack("<i", table)[0])

    def _u32(self, at: int) -> int:
        return self._unpack("<I", at)[0]

    def _unpack(self, form: str, at: int) -> tuple[int, ...]:
        if at < 0:
            raise ValueError(f"position {at}")
        return struct.unpack_from(form, self._content, at)

    def _within(self, start: int, end: int, part: Part, owner: Place | None) -> Claim:
        if not 0 <= start <= end <= len(self._content):
            raise ValueError(f"bytes {start} to {end} of {len(self._content)}")
        return start, end, part, owner
