"""The survival ledger: zeros, distinct values and types of every layer after every step, and in the final file.

Each stage leaves a survey of its own kernels; the ledger puts the surveys of a chain side by side and tells where a
step destroyed what an earlier one had achieved.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from optimizers import registry
from optimizers.declarations import Property
from optimizers.records import Record

_LOST_SPARSITY = 0.02
"""Share of a layer's weights that may stop being zero before it counts as a loss: rounding in the last step."""
_FEW_UNIQUE = 256
_GROWTH = 1.5
"""How many times more distinct values a clustered layer may have before its clusters count as destroyed."""


class Row(Record):
    """One kernel at one stage.

    ``sparsity`` is the share of values that stand for zero, ``unique`` the number of distinct stored values, ``values``
    how many there are in all. In a file a layer's kernel may be split into several tensors; they are added up.
    """

    layer: str
    weight: str
    values: int
    sparsity: float
    unique: int
    dtype: str


@dataclass(frozen=True)
class Stage:
    """The survey after one step; ``technique`` is empty for the original model."""

    technique: str
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Loss:
    """A property of one layer that a later step destroyed, in words."""

    layer: str
    property: Property
    earlier: str
    later: str
    sentence: str


def merged(rows: Sequence[Row]) -> dict[str, Row]:
    """One row per layer: the kernels of a layer together, ``unique`` that of the kernel with most distinct values."""
    found: dict[str, Row] = {}
    for row in rows:
        known = found.get(row.layer)
        if known is None:
            found[row.layer] = row
            continue
        total = known.values + row.values
        zeros = known.sparsity * known.values + row.sparsity * row.values
        dtype = known.dtype if row.dtype in known.dtype.split("+") else f"{known.dtype}+{row.dtype}"
        found[row.layer] = Row(
            layer=row.layer,
            weight=f"{known.weight}, {row.weight}",
            values=total,
            sparsity=zeros / total if total else 0.0,
            unique=max(known.unique, row.unique),
            dtype=dtype,
        )
    return found


def losses(stages: Sequence[Stage]) -> tuple[Loss, ...]:
    """What later steps destroyed, layer by layer, in the order in which it happened."""
    found: list[Loss] = []
    best: dict[tuple[str, Property], tuple[str, Row]] = {}
    for stage in stages:
        provides = registry.technique(stage.technique).provides if stage.technique else frozenset()
        for name, row in merged(stage.rows).items():
            for what in ("sparsity", "clusters"):
                earlier = best.get((name, what))
                if earlier is not None and (words := _lost(what, earlier[1], row)):
                    sentence = f"{name}: {words} after {stage.technique}, which {earlier[0]} had achieved."
                    found.append(Loss(name, what, earlier[0], stage.technique, sentence))
                    del best[name, what]
                if what in provides and _achieved(what, row):
                    best[name, what] = (stage.technique, row)
    return tuple(found)


def _achieved(what: Property, row: Row) -> bool:
    return row.sparsity > _LOST_SPARSITY if what == "sparsity" else row.unique <= min(_FEW_UNIQUE, row.values // 2)


def _lost(what: Property, before: Row, after: Row) -> str:
    if what == "sparsity" and after.sparsity < before.sparsity - _LOST_SPARSITY:
        return f"{after.sparsity:.0%} zeros instead of {before.sparsity:.0%}"
    if what == "clusters" and after.unique > max(before.unique + 1, _GROWTH * before.unique):
        return f"{after.unique:,} distinct values instead of {before.unique:,}"
    return ""


def stages_of(reports: Sequence[Mapping[str, Any]]) -> tuple[Stage, ...]:
    """The surveys in the reports of a chain's artifacts, first to last; the first one also holds the original's."""
    found = []
    for number, report in enumerate(reports):
        if number == 0 and report.get("before"):
            found.append(Stage("", tuple(Row.model_validate(row) for row in report["before"])))
        if report.get("survey"):
            rows = tuple(Row.model_validate(row) for row in report["survey"])
            found.append(Stage(str(report["technique"]), rows))
    return tuple(found)
