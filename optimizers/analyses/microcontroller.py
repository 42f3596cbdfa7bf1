"""Whether microcontrollers can hold and run the file: TensorFlow Lite Micro's own arena against a table of boards."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from optimizers.datasets.several import arrays_of
from optimizers.declarations import Part
from optimizers.errors import NotApplicable
from optimizers.figures.format import size
from optimizers.findings import Analysis, Chart, Column, Context, Fact, Report, Sentence, Table
from optimizers.litert.interpreter import dequantized, inputs, invoke, load, outputs, quantized
from optimizers.litert.operators import float_operators
from optimizers.targets.boards import BOARDS, CORE_BYTES, Verdict
from optimizers.targets.micro import Micro, try_out

_EXAMPLES = 4
_STEPS = 1.5
"""Difference in steps of a quantized output that rounding explains: kernels of the two runtimes round half apart."""


def analyse(context: Context, params: Any) -> Report:
    """Arena of the file, agreement of the two runtimes on validation examples, and a verdict for each board.

    Raises:
        NotApplicable: TensorFlow Lite Micro is not installed, or cannot run the file.
    """
    file = context.subject.file
    found, difference, step = _tried(context)
    arena, flash = found.arena, file.stat().st_size
    verdicts = {board.name: board.verdict(flash, arena) for board in BOARDS}
    reference = None
    if not context.same:
        try:
            reference = try_out(
                context.reference.file, _raw(load(context.reference.file), context.data().validation, 0)
            )
        except NotApplicable:
            reference = None
    return Report(
        sentences=tuple(_sentences(context, verdicts, reference, arena, difference, step)),
        facts=(
            Fact(name="arena", title="Arena", value=float(arena), unit="B", help="RAM that the interpreter reserves."),
            Fact(name="activations", title="Of it for activations", value=float(found.activations), unit="B"),
            Fact(
                name="file",
                title="File, in flash",
                value=float(flash),
                unit="B",
                help="Kernels of the program add to it.",
            ),
            Fact(
                name="difference",
                title="Largest difference to LiteRT",
                value=difference,
                help=f"Between the outputs of the two runtimes on {_EXAMPLES} validation examples.",
            ),
        ),
        tables=(_boards(flash, arena, verdicts),),
    )


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


def _sentences(
    context: Context, verdicts: dict[str, Verdict], reference: Micro | None, arena: int, difference: float, step: float
) -> Iterator[Sentence]:
    file = context.subject.file
    good = [name for name, verdict in verdicts.items() if verdict == "fits"]
    if good:
        text = f"It fits on {len(good)} of {len(verdicts)} boards, the smallest being the {good[0]}."
        yield Sentence(text=text, tone="good")
    elif "tight" in verdicts.values():
        yield Sentence(text="No board in the table has room to spare for it.", tone="warning")
    else:
        advice = "Quantize with int8, prune whole channels, or distill into a smaller model."
        yield Sentence(text="It fits on no board in the table.", advice=advice, tone="warning")
    scale = f" ({difference / step:.1f} steps of its quantization)" if step else ""
    if step and difference > _STEPS * step:
        text = f"TensorFlow Lite Micro runs it, but answers differ from LiteRT's by up to {difference:.3g}{scale}."
        yield Sentence(text=text, advice="Check accuracy on the device.", tone="warning")
    else:
        text = f"TensorFlow Lite Micro runs it and answers like LiteRT, to within {difference:.2g}{scale}."
        yield Sentence(text=text, tone="good")
    floating = sum(float_operators(file).values())
    slow = [board.name for board in BOARDS if not board.floats]
    if floating:
        text = f"{floating} operators compute in floating point, which {len(slow)} of the boards do in software."
        yield Sentence(text=text, advice="Full int8 quantization makes it integer arithmetic.", tone="warning")
    if reference is not None:
        yield Sentence(
            text=f"{context.reference.name.capitalize()} needs {size(reference.arena)} of arena, this {size(arena)}."
        )


def _boards(flash: int, arena: int, verdicts: dict[str, Verdict]) -> Table:
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
        chart=Chart(kind="bars", x="board", y=("flash", "ram")),
        note=(
            f"Flash: the file and {size(CORE_BYTES)} for the interpreter's core; kernels and the program come on top. "
            "RAM: the arena as TensorFlow Lite Micro reserves it on a 64-bit machine; 32-bit controllers need less. "
            "Tight: more than 80% of a memory."
        ),
    )


ANALYSIS = Analysis(
    name="microcontroller",
    version="1",
    title="Microcontroller fit",
    summary="Do small boards have the flash and the memory to run this file?",
    analyse=analyse,
    uses=frozenset({"reference", "data"}),
    rank=72,
)
