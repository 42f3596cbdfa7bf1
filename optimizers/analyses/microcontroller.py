"""Whether microcontrollers can hold and run the file: TensorFlow Lite Micro's own arena against a table of boards."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from optimizers.datasets.several import arrays_of
from optimizers.declarations import Part
from optimizers.errors import NotApplicable
from optimizers.figures.format import size
from optimizers.findings import Analysis, Chart, Column, Context, Fact, Report, Sentence, Table
from optimizers.litert.activations import activations
from optimizers.litert.file import LiteRtFile
from optimizers.litert.interpreter import dequantized, inputs, invoke, load, outputs, quantized
from optimizers.litert.operators import float_operators
from optimizers.targets.boards import BOARDS, CORE_BYTES, Verdict
from optimizers.targets.micro import Micro, available, try_out

_EXAMPLES = 4
_STEPS = 1.5
"""Difference in steps of a quantized output that rounding explains: kernels of the two runtimes round half apart."""

_RESERVED = "RAM: the arena as TensorFlow Lite Micro reserves it on a 64-bit machine; 32-bit controllers need less."


def analyse(context: Context, params: Any) -> Report:
    """Arena of the file, agreement of the two runtimes on validation examples, and a verdict for each board.

    Where TensorFlow Lite Micro is not installed the arena is that of the activations alone.

    Raises:
        NotApplicable: TensorFlow Lite Micro cannot run the file.
    """
    if not available():
        return _planned(context)
    file = context.subject.file
    found, difference, step = _tried(context)
    verdicts = _verdicts(file, found.arena)
    reference = None
    if not context.same:
        try:
            other = load(context.reference.file)
            reference = try_out(context.reference.file, _raw(other, context.data().validation, 0)).arena
        except NotApplicable:
            reference = None
    return Report(
        sentences=(
            *_fits(verdicts),
            _agrees(difference, step),
            *_floats(file),
            *_compared(context, found.arena, reference),
        ),
        facts=(
            Fact(
                name="arena",
                title="Arena",
                value=float(found.arena),
                unit="B",
                help="RAM that the interpreter reserves.",
            ),
            Fact(name="activations", title="Of it for activations", value=float(found.activations), unit="B"),
            _flash(file),
            Fact(
                name="difference",
                title="Largest difference to LiteRT",
                value=difference,
                help=f"Between the outputs of the two runtimes on {_EXAMPLES} validation examples.",
            ),
        ),
        tables=(_boards(file, found.arena, verdicts, _RESERVED),),
    )


def _planned(context: Context) -> Report:
    """Without TensorFlow Lite Micro: what the activations alone need, which is the least that any runtime needs."""
    file = context.subject.file
    least = activations(LiteRtFile(file.read_bytes())).arena
    reference = None if context.same else activations(LiteRtFile(context.reference.file.read_bytes())).arena
    verdicts = _verdicts(file, least)
    missing = Sentence(
        text="TensorFlow Lite Micro is not installed here, so RAM is that of the activations alone, and whether it has "
        "all operators of the file was not tried.",
        advice="To find out: pip install -r requirements-targets.txt",
        tone="warning",
    )
    about = "Activations alone need this RAM; what the interpreter keeps about operators comes on top."
    return Report(
        sentences=(missing, *_fits(verdicts), *_floats(file), *_compared(context, least, reference)),
        facts=(
            Fact(name="activations", title="Arena for activations", value=float(least), unit="B", help=about),
            _flash(file),
        ),
        tables=(_boards(file, least, verdicts, about),),
    )


def _verdicts(file: Path, arena: int) -> dict[str, Verdict]:
    return {board.name: board.verdict(file.stat().st_size, arena) for board in BOARDS}


def _flash(file: Path) -> Fact:
    flash = float(file.stat().st_size)
    return Fact(name="file", title="File, in flash", value=flash, unit="B", help="Kernels of the program add to it.")


def _tried(context: Context) -> tuple[Micro, float, float]:
    """The last try, the largest difference between the runtimes, and one step of the coarsest output (0 for floats)."""
    file, part = context.subject.file, context.data().validation
    interpreter = load(file)
    details = interpreter.get_output_details()
    largest = 0.0
    for number in range(min(_EXAMPLES, len(part))):
        context.progress(number, _EXAMPLES)
        found = try_out(file, _raw(interpreter, part, number))
        expected = invoke(interpreter, [array[number : number + 1] for array in arrays_of(part.x)])
        order = [detail["index"] for detail in outputs(interpreter)]
        for detail, raw in zip(details, found.outputs, strict=False):
            other = expected[order.index(detail["index"])]
            largest = max(largest, float(np.abs(dequantized(raw, detail).reshape(other.shape) - other).max()))
    return found, largest, max(float(detail["quantization"][0]) for detail in details)


def _raw(interpreter: Any, part: Part, number: int) -> tuple[np.ndarray, ...]:
    """One example as the file's tensors take it, in the file's own order of inputs."""
    arrays = dict(zip((d["index"] for d in inputs(interpreter)), arrays_of(part.x), strict=True))
    return tuple(
        quantized(arrays[detail["index"]][number : number + 1], detail) for detail in interpreter.get_input_details()
    )


def _fits(verdicts: dict[str, Verdict]) -> Iterator[Sentence]:
    good = [name for name, verdict in verdicts.items() if verdict == "fits"]
    if good:
        text = f"It fits on {len(good)} of {len(verdicts)} boards, the smallest being the {good[0]}."
        yield Sentence(text=text, tone="good")
    elif "tight" in verdicts.values():
        yield Sentence(text="No board in the table has room to spare for it.", tone="warning")
    else:
        advice = "Quantize with int8, prune whole channels, or distill into a smaller model."
        yield Sentence(text="It fits on no board in the table.", advice=advice, tone="warning")


def _agrees(difference: float, step: float) -> Sentence:
    scale = f" ({difference / step:.1f} steps of its quantization)" if step else ""
    if step and difference > _STEPS * step:
        text = f"TensorFlow Lite Micro runs it, but answers differ from LiteRT's by up to {difference:.3g}{scale}."
        return Sentence(text=text, advice="Check accuracy on the device.", tone="warning")
    close = f"to within {difference:.2g}{scale}" if difference else "bit by bit"
    text = f"TensorFlow Lite Micro runs it and answers like LiteRT, {close}."
    return Sentence(text=text, tone="good")


def _floats(file: Path) -> Iterator[Sentence]:
    floating = sum(float_operators(file).values())
    slow = [board.name for board in BOARDS if not board.floats]
    if floating:
        text = f"{floating} operators compute in floating point, which {len(slow)} of the boards do in software."
        yield Sentence(text=text, advice="Full int8 quantization makes it integer arithmetic.", tone="warning")


def _compared(context: Context, arena: int, reference: int | None) -> Iterator[Sentence]:
    if reference is not None:
        name = context.reference.name
        yield Sentence(text=f"{name[:1].upper()}{name[1:]} needs {size(reference)} of arena, this {size(arena)}.")


def _boards(file: Path, arena: int, verdicts: dict[str, Verdict], ram: str) -> Table:
    flash = file.stat().st_size
    return Table(
        name="boards",
        title="Share of each board's memory",
        columns=(
            Column(name="board", title="Board"),
            Column(name="verdict", title="Verdict"),
            Column(name="flash", title="Flash taken", unit="fraction", better="lower"),
            Column(name="ram", title="RAM taken", unit="fraction", better="lower"),
            Column(name="flash_bytes", title="Flash", unit="B"),
            Column(name="ram_bytes", title="RAM", unit="B"),
            Column(name="floats", title="Floating point unit"),
            Column(name="processor", title="Processor"),
            Column(name="source", title="Source"),
        ),
        rows=tuple(
            {
                "board": board.name,
                "verdict": verdicts[board.name],
                "flash": (flash + CORE_BYTES) / board.flash,
                "ram": arena / board.ram,
                "flash_bytes": board.flash,
                "ram_bytes": board.ram,
                "floats": board.floats,
                "processor": board.processor,
                "source": board.source,
            }
            for board in BOARDS
        ),
        chart=Chart(kind="bars", x="board", y=("flash", "ram"), axis="Memory taken"),
        note=(
            f"Flash: the file and {size(CORE_BYTES)} for the interpreter's core; kernels and the program come on top. "
            f"{ram} Tight: more than 80% of a memory."
        ),
    )


ANALYSIS = Analysis(
    name="microcontroller",
    version="4",
    title="Microcontroller fit",
    summary="Do small boards have the flash and the memory to run this file?",
    analyse=analyse,
    uses=frozenset({"reference", "data"}),
    tools=("tflite-micro",),
    rank=72,
)
