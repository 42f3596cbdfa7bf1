"""What an NPU would make of the file: Arm's compiler for Ethos-U, run on the file itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Literal

from optimizers.errors import NotApplicable
from optimizers.figures.format import size
from optimizers.findings import Analysis, Chart, Column, Context, Fact, Report, Sentence, Table
from optimizers.params import ParamSet, param
from optimizers.targets.vela import ACCELERATORS, Compiled, compile_for

_COMPILED = "model_vela.tflite"
_WELL_PACKED = 1.5


class NpuParams(ParamSet):
    """Which NPU is looked at closely."""

    accelerator: Literal[
        "ethos-u55-32", "ethos-u55-64", "ethos-u55-128", "ethos-u55-256", "ethos-u65-256", "ethos-u65-512",
        "ethos-u85-128", "ethos-u85-256", "ethos-u85-512", "ethos-u85-1024", "ethos-u85-2048",
    ] = param(
        "ethos-u55-128", label="Accelerator", help="Family and multiply-accumulates per cycle of the NPU."
    )  # fmt: skip
    all_of_them: bool = param(
        True, label="Compare all", help="Also compiles for every other NPU of the family, which takes a few seconds."
    )


def analyse(context: Context, params: NpuParams) -> Report:
    """Compiles the file and the reference; cycles, memory, and which operators stay with the CPU.

    Raises:
        NotApplicable: The compiler is not installed, or cannot compile the file.
    """
    others = [a for a in ACCELERATORS if a != params.accelerator] if params.all_of_them else []
    chosen = compile_for(context.subject.file, params.accelerator)
    own: dict[str, Compiled] = {params.accelerator: chosen}
    for number, accelerator in enumerate(others, start=1):
        context.progress(number, len(others) + 2)
        with suppress(NotApplicable):
            own[accelerator] = compile_for(context.subject.file, accelerator)
    (context.out / _COMPILED).write_bytes(chosen.file)
    reference = None
    if not context.same:
        with suppress(NotApplicable):
            reference = compile_for(context.reference.file, params.accelerator)
    tables = [_layers(chosen)]
    if len(own) > 1:
        tables.append(_accelerators([own[a] for a in ACCELERATORS if a in own]))
    return Report(
        sentences=tuple(_sentences(chosen, reference, context.reference.name)),
        facts=_facts(chosen),
        tables=tuple(tables),
        files={_COMPILED: f"Compiled for {params.accelerator}"},
    )


def _sentences(chosen: Compiled, reference: Compiled | None, name: str) -> Iterator[Sentence]:
    if not chosen.npu_operators:
        advice = "An NPU computes with integers only: quantize weights and activations with int8."
        yield Sentence(text="Nothing of this file runs on the NPU; the CPU does it all.", advice=advice, tone="warning")
        return
    yield _left_to_the_cpu(chosen)
    if chosen.weights and chosen.encoded:
        ratio = chosen.weights / chosen.encoded
        more = "" if ratio > _WELL_PACKED else "Pruned or clustered weights pack better, so that less memory is read."
        packed = f"{size(chosen.weights)} of weights into {size(chosen.encoded)}"
        yield Sentence(text=f"The compiler packs {packed} ({ratio:.2f}x).", advice=more)
    if reference is not None and reference.seconds and chosen.seconds:
        ratio = reference.seconds / chosen.seconds
        word = "faster" if ratio >= 1 else "slower"
        text = f"On the NPU it is {max(ratio, 1 / ratio):.2f}x {word} than {name}, by the compiler's model."
        yield Sentence(text=text, tone="good" if ratio > 1 else "plain")
    elif reference is not None and not reference.npu_operators:
        yield Sentence(text=f"Nothing of {name} would run on the NPU, so there is no time to compare with.")


def _left_to_the_cpu(chosen: Compiled) -> Sentence:
    left = [layer for layer in chosen.layers if "CPU" in layer.target]
    if not left:
        return Sentence(text="Every operator of this file runs on the NPU.", tone="good")
    text = f"{len(left)} of {len(chosen.layers)} operators stay with the CPU."
    if all(layer.operator in ("Quantize", "Dequantize") for layer in left):
        return Sentence(text=text, advice="They convert inputs and outputs; int8 inputs and outputs would spare them.")
    reasons = sorted({layer.reason for layer in left if layer.reason})
    advice = f"The compiler says: {'; '.join(reasons)}." if reasons else ""
    return Sentence(text=text, advice=advice, tone="warning")


def _facts(chosen: Compiled) -> tuple[Fact, ...]:
    modelled = "From the compiler's performance model, not measured on silicon; operators on the NPU only."
    return (
        Fact(
            name="time",
            title="Time per answer (model)",
            value=None if chosen.seconds is None else chosen.seconds * 1e3,
            unit="ms",
            help=f"{modelled} {chosen.system}, {chosen.memory_mode}, {chosen.clock / 1e6:.0f} MHz.",
        ),
        Fact(name="cycles", title="Cycles (model)", value=chosen.cycles, unit="count", help=modelled),
        Fact(name="sram", title="SRAM", value=chosen.sram, unit="B", help="On-chip memory for activations."),
        Fact(
            name="flash",
            title="Flash or DRAM",
            value=chosen.flash + chosen.dram,
            unit="B",
            help="For weights.",
        ),
    )


def _layers(chosen: Compiled) -> Table:
    return Table(
        name="layers",
        title=f"Operators on {chosen.accelerator}",
        columns=(
            Column(name="layer", title="Operator"),
            Column(name="target", title="Runs on"),
            Column(name="cycles", title="Cycles", unit="count", better="lower"),
            Column(name="macs", title="Multiply-accumulates", unit="count"),
            Column(name="reason", title="Why not on the NPU"),
        ),
        rows=tuple(
            {
                "layer": f"{number}: {layer.operator}",
                "target": layer.target,
                "cycles": layer.cycles if "NPU" in layer.target else None,
                "macs": layer.macs if "NPU" in layer.target else None,
                "reason": layer.reason,
            }
            for number, layer in enumerate(chosen.layers, start=1)
        ),
        chart=Chart(kind="bars", x="layer", y=("cycles",)),
        note=f"{chosen.system}, memory mode {chosen.memory_mode}, {chosen.clock / 1e6:.0f} MHz.",
    )


def _accelerators(found: list[Compiled]) -> Table:
    return Table(
        name="accelerators",
        title="On every Ethos-U",
        columns=(
            Column(name="accelerator", title="Accelerator"),
            Column(name="time", title="Time per answer (model)", unit="ms", better="lower"),
            Column(name="cycles", title="Cycles", unit="count", better="lower"),
            Column(name="sram", title="SRAM", unit="B", better="lower"),
            Column(name="flash", title="Flash or DRAM", unit="B", better="lower"),
            Column(name="cpu", title="Operators left to the CPU", unit="count", better="lower"),
            Column(name="system", title="System"),
        ),
        rows=tuple(
            {
                "accelerator": c.accelerator,
                "time": None if c.seconds is None else c.seconds * 1e3,
                "cycles": c.cycles if c.npu_operators else None,
                "sram": c.sram,
                "flash": c.flash + c.dram,
                "cpu": c.cpu_operators,
                "system": f"{c.system}, {c.memory_mode}, {c.clock / 1e6:.0f} MHz",
            }
            for c in found
        ),
        chart=Chart(kind="bars", x="accelerator", y=("time",)),
        note="Each with the compiler's default system and memory mode; the families differ in clock and memory.",
    )


ANALYSIS = Analysis(
    name="npu",
    version="1",
    title="Ethos-U NPU",
    summary="Would an Arm Ethos-U NPU run this file, how fast, and with how much memory?",
    analyse=analyse,
    params=NpuParams,
    uses=frozenset({"reference"}),
    tools=("ethos-u-vela",),
    rank=70,
)
