"""Arm's compiler for Ethos-U NPUs, Vela: what it makes of a file, with its own forecast of cycles and memory.

Cycles are those of its performance model and no measurement on silicon, as its documentation says.

Source: Arm, "Vela compiler", https://gitlab.arm.com/artificial-intelligence/ethos-u/ethos-u-vela.
"""

from __future__ import annotations

import csv
import math
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from optimizers.errors import NotApplicable
from optimizers.targets.tools import installed, run

PACKAGE = "ethosu.vela"
ACCELERATORS = (
    "ethos-u55-32", "ethos-u55-64", "ethos-u55-128", "ethos-u55-256", "ethos-u65-256", "ethos-u65-512",
    "ethos-u85-128", "ethos-u85-256", "ethos-u85-512", "ethos-u85-1024", "ethos-u85-2048",
)  # fmt: skip
"""NPUs by family and multiply-accumulates per cycle."""

_KIB = 1024
_REASON = re.compile(r"operator: (?P<operator>[^,\n]+), ofm: '(?P<name>[^'\n]*)'\s*\nReason: (?P<reason>[^\n]+)")
_SPLIT = frozenset({"Softmax"})
"""Operators of which the compiler makes many under changing names."""
_AREAS = ("sram", "dram", "on_chip_flash", "off_chip_flash")


@dataclass(frozen=True)
class Layer:
    """One operator of the file as the compiler planned it; those that it split into several are added up.

    ``target`` is ``NPU``, ``CPU`` or ``NPU and CPU``; ``reason`` tells why not the NPU, where the compiler says so.
    """

    operator: str
    name: str
    target: str
    cycles: float
    macs: float
    reason: str = ""


@dataclass(frozen=True)
class Compiled:
    """What Vela tells about a file on one NPU.

    Attributes:
        accelerator, system, memory_mode: For what it was compiled, in Arm's terms.
        clock: Of the NPU, in Hz.
        seconds: One answer, operators on the NPU only; None where there are none.
        cycles: The same in cycles; by what limits them in ``bounds``.
        npu_operators, cpu_operators: How many operators, after splitting, run where.
        sram, dram, flash: Bytes that it takes.
        weights, encoded: Bytes of the weights on the NPU before and after the compiler's own compression.
        macs: On the NPU.
        layers: In order of execution.
        file: Bytes of the compiled ``.tflite``, which holds commands for the NPU.
    """

    accelerator: str
    system: str
    memory_mode: str
    clock: float
    seconds: float | None
    cycles: float
    npu_operators: int
    cpu_operators: int
    sram: float
    dram: float
    flash: float
    weights: float
    encoded: float
    macs: float
    layers: tuple[Layer, ...]
    file: bytes


def available() -> bool:
    """Whether the compiler is installed."""
    return installed(PACKAGE)


def compile_for(file: Path, accelerator: str) -> Compiled:
    """Compiles a file for one NPU with the compiler's default system configuration and memory mode.

    Args:
        file: A ``.tflite`` file; what the NPU cannot run stays with the CPU.
        accelerator: One of ``ACCELERATORS``.

    Raises:
        NotApplicable: It is not installed, or it cannot compile the file; the message says so.
    """
    if not available():
        raise NotApplicable("Arm's compiler Vela is not installed here: pip install -r requirements-targets.txt")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copyfile(file, folder / "model.tflite")
        options = ["--accelerator-config", accelerator, "--output-dir", "out", "--verbose-performance"]
        answer = run(PACKAGE, ["model.tflite", *options], folder)
        out = folder / "out"
        summaries, layers, compiled = (
            sorted(out.glob(pattern)) for pattern in ("*_summary_*.csv", "*per-layer.csv", "*_vela.tflite")
        )
        if answer.code != 0 or not (summaries and layers and compiled):
            raise NotApplicable(
                f"Arm's compiler Vela cannot compile this file for {accelerator}{_why(answer.text, answer.code)}.",
                detail=answer.text[-4000:],
            )
        return _compiled(accelerator, summaries[0], layers[0], answer.text, compiled[0].read_bytes())


def _why(text: str, code: int) -> str:
    if code < 0:
        return f": it crashed (signal {-code})"
    told = [line for line in text.splitlines() if line.lower().startswith(("error", "failed"))]
    return f" ({' '.join(told[-1].split())[:200].rstrip('.')})" if told else ""


def _compiled(accelerator: str, summary: Path, per_layer: Path, text: str, file: bytes) -> Compiled:
    with summary.open(newline="", encoding="utf-8") as stream:
        row = next(csv.DictReader(stream))
    reasons = {m["name"]: m["reason"] for m in _REASON.finditer(text)}
    with per_layer.open(newline="", encoding="utf-8") as stream:
        operators = list(csv.DictReader(stream))
    on_npu = sum(o["Target"] == "NPU" for o in operators)
    used = {area: _number(row[f"{area}_memory_used"]) * _KIB for area in _AREAS}
    seconds = _number(row["inference_time"])
    return Compiled(
        accelerator=accelerator,
        system=row["system_config"],
        memory_mode=row["memory_mode"],
        clock=_number(row["core_clock"]),
        seconds=seconds if on_npu and seconds > 0 else None,
        cycles=_number(row["cycles_total"]),
        npu_operators=on_npu,
        cpu_operators=len(operators) - on_npu,
        sram=used["sram"],
        dram=used["dram"],
        flash=used["on_chip_flash"] + used["off_chip_flash"],
        weights=_number(row["total_original_weights"]),
        encoded=_number(row["total_npu_encoded_weights"]),
        macs=_number(row["nn_macs"]),
        layers=_layers(operators, reasons),
        file=file,
    )


def _layers(rows: list[dict[str, str]], reasons: dict[str, str]) -> tuple[Layer, ...]:
    """One layer per operator of the file: the compiler splits a softmax, for one, into thirty."""
    found: list[tuple[str, str, list[dict[str, str]]]] = []
    for row in rows:
        operator, name = row["Original Operator"], row["Name"]
        last = found[-1] if found else ("", "", [])
        if operator == last[0] and (name == last[1] or operator in _SPLIT):
            last[2].append(row)
        else:
            found.append((operator, name, [row]))
    layers = []
    for operator, name, parts in found:
        targets = sorted({part["Target"] for part in parts}, reverse=True)
        npu = [part for part in parts if part["Target"] == "NPU"]
        layers.append(
            Layer(
                operator=operator,
                name=name,
                target=" and ".join(targets),
                cycles=sum(_number(part["Op Cycles"]) for part in npu),
                macs=sum(_number(part["MAC Count"]) for part in npu),
                reason=next((reasons[part["Name"]] for part in parts if part["Name"] in reasons), ""),
            )
        )
    return tuple(layers)


def _number(text: str) -> float:
    """A number of the compiler's tables; 0 where it writes that there is none."""
    value = float(text)
    return value if math.isfinite(value) else 0.0
