"""What is known about a deployable file before it is judged: its weights, operators, steps and measurements."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from optimizers.diagnosis.original import Original, original
from optimizers.errors import ModelRefused, NotApplicable
from optimizers.findings import ChainStep, Context, Report, Subject
from optimizers.ledger import Loss, losses, stages_of
from optimizers.litert.anatomy import Anatomy
from optimizers.litert.census import Counted, census, owners
from optimizers.litert.delegation import delegation
from optimizers.litert.file import LiteRtFile, macs_of
from optimizers.litert.interpreter import STATEFUL_OPS
from optimizers.litert.operators import CASTS
from optimizers.litert.profile import shortest_call_ms
from optimizers.records import Measurement

LOOPS = frozenset({"WHILE", "IF", "CALL"})
CELLS = STATEFUL_OPS
_UNPACKS = frozenset({"DEQUANTIZE", "DENSIFY"})
_FEWEST_TWINS = 64
_QUICK_MS = 0.1


@dataclass(frozen=True)
class Op:
    """One operator of the main graph.

    Attributes:
        number: Place in the order of computation.
        layer: Of its kernel, or its own kind where it has none.
        macs: Multiply-accumulates of one answer; of a loop those of one round.
        given: Type of what flows in, such as ``FLOAT32``.
        kernel: Type of its stored kernel, empty where it has none.
        widened: Its kernel is unpacked when the file is loaded.
        floating: It computes in floating point.
        delegated: The CPU delegate takes it; None where nobody can tell.
        border: Of a conversion between types: it is at an input or output of the model.
    """

    number: int
    kind: str
    layer: str
    macs: int
    given: str
    kernel: str
    widened: bool
    floating: bool
    delegated: bool | None
    border: bool

    @property
    def cast(self) -> bool:
        """Whether it only converts between types."""
        return self.kind in CASTS

    @property
    def loop(self) -> bool:
        return self.kind in LOOPS

    @property
    def hybrid(self) -> bool:
        """Floating point numbers meet a kernel of whole numbers, which are rounded at every answer."""
        return self.given.startswith("FLOAT") and self.kernel.startswith(("INT", "UINT")) and not self.widened


@dataclass(frozen=True)
class File:
    """One deployable file.

    Attributes:
        weights: Each buffer once.
        layers: Of each weight, by its place.
        anatomy: What the bytes are for.
        sparse: Places of the weights that are stored without their zeros.
        sparse_bytes: What these take, and what they would take with their zeros.
        twins: Bytes that are stored a second time, weight by weight.
        ops: Without those that only unpack weights when the file is loaded.
        unpacked: Kinds of these, and how many.
        calls: How often the delegate is called for one answer; None where LiteRT does not tell.
    """

    size: int
    weights: tuple[Counted, ...]
    layers: Mapping[tuple[int, int], str]
    anatomy: Anatomy
    sparse: frozenset[tuple[int, int]]
    sparse_bytes: tuple[int, int]
    twins: tuple[tuple[str, int], ...]
    ops: tuple[Op, ...]
    unpacked: Counter[str]
    calls: int | None

    @cached_property
    def kernels(self) -> tuple[Counted, ...]:
        """Weights of two and more dimensions."""
        return tuple(weight for weight in self.weights if weight.kernel)

    @cached_property
    def weight_bytes(self) -> int:
        """Of all numbers, without scales."""
        return sum(weight.stored_bytes for weight in self.weights)

    @property
    def rest_bytes(self) -> int:
        """Of everything but numbers: operators, names, scales, shapes."""
        return self.size - self.weight_bytes

    @cached_property
    def scale_bytes(self) -> int:
        """Of scales and zero points of weights."""
        return sum(self.anatomy.regions[("scales", weight.place)] for weight in self.weights)

    @cached_property
    def macs(self) -> int:
        return sum(op.macs for op in self.ops)

    @property
    def quantized(self) -> bool:
        """Whether some kernel is stored in whole numbers."""
        return any(weight.dtype.startswith(("int", "uint")) for weight in self.kernels)

    @property
    def integer(self) -> bool:
        """Whether some operator multiplies whole numbers with whole numbers."""
        return any(op.macs and not op.floating for op in self.ops)

    def layer(self, weight: Counted) -> str:
        return self.layers[weight.place]


@dataclass(frozen=True)
class Facts:
    """Everything that rules look at.

    Attributes:
        reference, name: What the file is compared with, and what that is called.
        same: It is compared with itself.
        call_ms: The least that a call of LiteRT takes, where answers are so quick that it matters.
        profile: The report on time by operator, where somebody had it made.
    """

    own: File
    reference: File
    name: str
    same: bool
    original: Original | None
    chain: tuple[ChainStep, ...]
    measured: Mapping[str, Measurement]
    lost: tuple[Loss, ...]
    call_ms: float | None = None
    profile: Report | None = None

    @property
    def called(self) -> str:
        """The reference's name in a sentence."""
        return "the baseline" if self.name == "baseline" else self.name

    @property
    def smaller(self) -> float:
        """How many times smaller the file is."""
        return self.reference.size / self.own.size

    @property
    def shrank(self) -> bool:
        """Whether it is smaller by more than a trifle."""
        return self.smaller > 1.05

    @property
    def compressed(self) -> Measurement | None:
        return self.measured.get("compressed_bytes")

    @property
    def speedup(self) -> Measurement | None:
        """Against the baseline."""
        return None if self.same else self.measured.get("speedup")

    @property
    def faster(self) -> bool:
        """Measured, and surely."""
        return self.speedup is not None and (self.speedup.low or self.speedup.value) > 1

    @property
    def slower(self) -> bool:
        """Measured, and surely."""
        return self.speedup is not None and (self.speedup.high or self.speedup.value) < 1

    @property
    def last(self) -> str:
        """The technique that made the file; empty where nobody knows."""
        return self.chain[-1].technique if self.chain else ""

    def time_share(self, numbers: Iterable[int]) -> float | None:
        """Share of the time that operators take; None where no profile tells."""
        if self.profile is None:
            return None
        known = {int(str(row["operator"]).split(":")[0]): row["share"] for row in self.profile.table("operators").rows}
        return sum(float(share) for number in numbers if (share := known.get(number)))


def gather(context: Context) -> Facts:
    """The facts about a context's file. Raises `NotApplicable` where a file cannot be taken apart."""
    own = look(context.subject, context.threads)
    took = context.subject.measured.get("latency_ms")
    return Facts(
        own=own,
        reference=own if context.same else look(context.reference, context.threads),
        name=context.reference.name,
        same=context.same,
        original=original(context.original),
        chain=context.subject.chain,
        measured=context.subject.measured,
        lost=losses(stages_of([step.report for step in context.subject.chain])),
        call_ms=shortest_call_ms(context.threads) if took is not None and took.value < _QUICK_MS else None,
        profile=context.profile,
    )


def look(subject: Subject, threads: int = 1) -> File:
    """What a file holds. Raises `NotApplicable` where it cannot be taken apart."""
    surveys = [step.report["survey"] for step in subject.chain if step.report.get("survey")]
    survey: Any = surveys[-1] if surveys else []
    return file_facts(subject.file, {row["weight"]: row["layer"] for row in survey}, threads)


def file_facts(path: Path, names: Mapping[str, str], threads: int = 1) -> File:
    """What a file holds.

    Args:
        path: The file.
        names: Keras layers by the names of the tensors of their kernels, where known.
        threads: Of the interpreter.

    Raises:
        NotApplicable: The file is damaged or stores weights in a way that is not known.
    """
    try:
        counted = census(path)
    except ModelRefused as error:
        raise NotApplicable(error.message, detail=error.detail) from error
    file = LiteRtFile(path.read_bytes())
    layers = owners(counted, names)
    thin = {weight.place for weight in counted.weights} & {(w.subgraph, w.tensor) for w in file.weights if w.sparse}
    stored = sum(counted.anatomy.of_tensor(place) for place in thin)
    dense = sum(w.values.size * w.bits // 8 for w in file.weights if (w.subgraph, w.tensor) in thin)
    try:
        taken = delegation(file.content, threads)
    except NotApplicable:
        taken = None
    ops, unpacked = _ops(file, layers, taken.operators if taken else None)
    return File(
        size=len(file.content),
        weights=counted.weights,
        layers=layers,
        anatomy=counted.anatomy,
        sparse=frozenset(thin),
        sparse_bytes=(stored, dense),
        twins=tuple(_twins(file, layers)),
        ops=ops,
        unpacked=unpacked,
        calls=taken.calls if taken else None,
    )


def _ops(
    file: LiteRtFile, layers: Mapping[tuple[int, int], str], taken: frozenset[int] | None
) -> tuple[tuple[Op, ...], Counter[str]]:
    graph = file.graphs[0]
    kernels = {weight.tensor: weight for weight in file.weights if weight.subgraph == 0 and weight.kernel}
    widened: set[int] = set()
    found: list[Op] = []
    unpacked: Counter[str] = Counter()
    for number, operator in enumerate(graph.operators):
        fixed = [t for t in operator.inputs if t >= 0]
        if operator.kind in _UNPACKS and all(t in widened or graph.tensors[t].constant for t in fixed):
            unpacked[operator.kind] += 1
            for output in operator.outputs:
                widened.add(output)
                if fixed and fixed[0] in kernels:
                    kernels[output] = kernels[fixed[0]]
            continue
        types = [graph.tensors[t].dtype for t in (*fixed, *operator.outputs)]
        used = next((t for t in fixed if t in kernels), None)
        moving = [t for t in fixed if t not in widened and not graph.tensors[t].constant]
        inside = sum(macs_of(file.graphs[body], op) for body in operator.bodies for op in file.graphs[body].operators)
        found.append(
            Op(
                number=number,
                kind=operator.kind,
                layer=layers.get((0, kernels[used].tensor), "") if used is not None else operator.kind.lower(),
                macs=macs_of(graph, operator) + inside,
                given=graph.tensors[moving[0]].dtype if moving else "",
                kernel=kernels[used].dtype if used is not None else "",
                widened=used in widened,
                floating=operator.kind not in CASTS and any(t.startswith(("FLOAT", "BFLOAT")) for t in types),
                delegated=None if taken is None or operator.bodies else number in taken,
                border=bool({*operator.inputs} & {*graph.inputs} or {*operator.outputs} & {*graph.outputs}),
            )
        )
    return tuple(found), unpacked


def _twins(file: LiteRtFile, layers: Mapping[tuple[int, int], str]) -> Iterable[tuple[str, int]]:
    """Layers of the weights whose bytes another weight has as well, and how many they are."""
    buffers = {weight.buffer: weight for weight in file.weights if weight.stored_bytes >= _FEWEST_TWINS}
    seen: set[bytes] = set()
    for weight in buffers.values():
        raw = hashlib.sha256(weight.dtype.encode() + weight.values.tobytes()).digest()
        if raw in seen:
            yield layers.get((weight.subgraph, weight.tensor), weight.name), weight.stored_bytes
        seen.add(raw)


def skipped(step: ChainStep) -> Mapping[str, str]:
    """Layers that a step left alone, with the reason."""
    found: Any = step.report.get("skipped") or {}
    return {str(layer): str(why) for layer, why in found.items()}


def shares(step: ChainStep, layers: Collection[str]) -> float:
    """Share of the kernels' values after a step that are those of some layers."""
    rows: Any = step.report.get("survey") or []
    total = sum(row["values"] for row in rows)
    return sum(row["values"] for row in rows if row["layer"] in layers) / total if total else 0.0
