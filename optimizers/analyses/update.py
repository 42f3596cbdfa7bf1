"""What must be transferred to a device that has another variant already."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from optimizers.errors import NotApplicable
from optimizers.figures.format import plain, size
from optimizers.findings import Analysis, Chart, Column, Context, Fact, Report, Sentence, Table

_WORTH = 0.95
"""Share of the whole compressed file that a delta may have to be worth its trouble."""


def analyse(context: Context, params: Any) -> Report:
    """Bytes of an update from the reference by each kind of delta, each applied to it, and of the whole file.

    Raises:
        NotApplicable: Both are the same file.
    """
    from optimizers.litert import compression
    from optimizers.litert.delta import WAYS, delta

    if context.same:
        raise NotApplicable("A device that has this file needs no update; choose another file to compare it with.")
    old, new = context.reference.file.read_bytes(), context.subject.file.read_bytes()
    deltas = {}
    for number, way in enumerate(WAYS):
        context.progress(number, len(WAYS))
        deltas[way] = delta(way, old, new)
    packed = compression.of_file(context.subject.file)
    whole = compression.best(packed)
    best = min(deltas, key=lambda way: len(deltas[way]))
    name = f"delta.{best.ending}"
    Path(context.out / name).write_bytes(deltas[best])
    rows: list[dict[str, Any]] = [
        {"how": way.name, "bytes": len(made), "applied": True, "command": way.command} for way, made in deltas.items()
    ]
    rows += [{"how": f"whole file, {whole}", "bytes": packed[whole]}, {"how": "whole file", "bytes": len(new)}]
    for row in rows:
        row["times"] = len(new) / row["bytes"]
    return Report(
        sentences=tuple(_sentences(context, best.name, len(deltas[best]), whole, packed[whole])),
        facts=(
            Fact(name="delta", title=f"Delta ({best.name})", value=float(len(deltas[best])), unit="B"),
            Fact(name="whole", title=f"Whole file ({whole})", value=float(packed[whole]), unit="B"),
            Fact(name="saved", title="Whole file over delta", value=packed[whole] / len(deltas[best]), unit="x"),
            Fact(name="before", title=f"On the device: {context.reference.name}", value=float(len(old)), unit="B"),
        ),
        tables=(_table(context.reference.name, rows),),
        files={name: f"Delta from {context.reference.name} ({size(len(deltas[best]))})"},
    )


def _sentences(context: Context, way: str, made: int, whole: str, packed: int) -> Iterator[Sentence]:
    name = "the baseline" if context.reference.name == "baseline" else context.reference.name
    if made < _WORTH * packed:
        yield Sentence(
            text=f"A device that has {name} needs {size(made)}: {plain(packed / made)} times less than "
            f"the whole file, compressed with {whole} ({size(packed)}).",
            advice=f"Send the delta, made with {way}, to devices of which you know that they have {name}.",
            tone="good",
        )
    else:
        yield Sentence(
            text=f"Having {name} hardly helps: the smallest delta has {size(made)}, and the whole file has "
            f"{size(packed)} when it is compressed with {whole}.",
            advice="Send the whole file. Deltas pay between files that share weights bit by bit, as two kinds of 8-bit "
            "quantization do, or the files before and after a fine-tuning that leaves layers alone.",
        )
    yield Sentence(text=f"Each delta was applied to {name} and gave this file bit by bit.", tone="good")


def _table(name: str, rows: list[dict[str, Any]]) -> Table:
    return Table(
        name="ways",
        title=f"Bytes of an update from {name}",
        columns=(
            Column(name="how", title="What is sent"),
            Column(name="bytes", title="Bytes", unit="B", better="lower"),
            Column(name="times", title="Less than the file", unit="x", better="higher"),
            Column(name="applied", title="Applied and equal"),
            Column(name="command", title="On the device"),
        ),
        rows=tuple(rows),
        chart=Chart(kind="bars", x="how", y=("bytes",), axis="Size"),
        note="Whoever applies a delta holds both files in memory or storage. Both kinds are compressed already.",
    )


ANALYSIS = Analysis(
    name="update",
    version="3",
    title="Update over the air",
    summary="How many bytes turn a device with another variant into one with this file?",
    analyse=analyse,
    uses=frozenset({"reference"}),
    quick=True,
    rank=24,
)
