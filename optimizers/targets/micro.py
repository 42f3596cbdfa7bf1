"""TensorFlow Lite Micro: whether a file runs there, how much memory it takes, and whether it answers the same.

The interpreter that microcontrollers use is run on this machine, with its own allocator, so the arena is what it really
reserves. Pointers are twice as long here as on a 32-bit controller, so a controller needs a little less.

Source: R. David et al., "TensorFlow Lite Micro: Embedded Machine Learning for TinyML Systems", MLSys 2021.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from optimizers.errors import NotApplicable
from optimizers.litert.operators import hybrid_operators
from optimizers.targets.tools import installed, run

PACKAGE = "tflite_micro"
_ARENA = re.compile(r"Arena allocation (total|head|tail) (\d+) bytes")
_MISSING = re.compile(r"Didn't find op for builtin opcode '([^']+)'|Failed to get registration from op code ([^\n]+)")
_MOST_ARENA = 256 << 20


@dataclass(frozen=True)
class Micro:
    """What TensorFlow Lite Micro tells about a file.

    Attributes:
        arena: Bytes that it reserves for everything that changes: activations, and what it keeps about operators.
        activations: Of these, those for activations, used again and again by one operator after the other.
        outputs: One array per output for the example.
    """

    arena: int
    activations: int
    outputs: tuple[np.ndarray, ...]


def available() -> bool:
    """Whether the interpreter is installed."""
    return installed(PACKAGE)


def try_out(file: Path, inputs: tuple[np.ndarray, ...]) -> Micro:
    """Runs one example.

    Args:
        file: A ``.tflite`` file.
        inputs: One array per input, in the type and shape that the file takes.

    Raises:
        NotApplicable: It is not installed, or it cannot run the file; the message names what it lacks.
    """
    if not available():
        raise NotApplicable("TensorFlow Lite Micro is not installed here: pip install -r requirements-targets.txt")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copyfile(file, folder / "model.tflite")
        np.savez(folder / "inputs.npz", *inputs)
        arena = min(_MOST_ARENA, 4 * file.stat().st_size + (32 << 20))
        answer = run("optimizers.targets.micro_child", [str(folder), str(arena)], folder)
        told = {kind: int(size) for kind, size in _ARENA.findall(answer.text)}
        results = folder / "outputs.npz"
        if answer.code != 0 or not results.exists() or "total" not in told:
            raise NotApplicable(f"TensorFlow Lite Micro cannot run this file{_why(answer.text, answer.code, file)}.")
        with np.load(results, allow_pickle=False) as arrays:
            outputs = tuple(arrays[f"arr_{number}"] for number in range(len(arrays.files)))
    return Micro(told["total"], told.get("head", 0), outputs)


def _why(text: str, code: int, file: Path) -> str:
    missing = sorted({name for pair in _MISSING.findall(text) for name in pair if name})
    if missing:
        return f": it has no operator {', '.join(missing)}"
    if "allocate tensors" in text and hybrid_operators(file):
        return ", whose whole-number kernels lie between floats; give it a float32 file, or a full int8 one"
    if code < 0:
        return f": it crashed (signal {-code})"
    lines = [" ".join(line.split()) for line in text.splitlines() if line.strip() and "Recording" not in line]
    known = [line for line in lines if "Error:" in line or "not supported" in line.lower() or "Failed" in line]
    told = [line for line in known if "Error:" not in line] or known or lines
    return f" ({told[-1][:200].rstrip('.')})" if told else ""
