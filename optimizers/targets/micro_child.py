"""Runs one example in TensorFlow Lite Micro: ``python -m optimizers.targets.micro_child FOLDER ARENA``.

Reads ``model.tflite`` and ``inputs.npz`` in the folder, writes ``outputs.npz``, and prints what the allocator tells.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np


def main(folder: Path, arena: int) -> None:
    """One answer. Raises what the interpreter raises."""
    from tflite_micro import runtime

    interpreter = runtime.Interpreter.from_file(str(folder / "model.tflite"), arena_size=arena)
    with np.load(folder / "inputs.npz", allow_pickle=False) as arrays:
        for number in range(len(arrays.files)):
            interpreter.set_input(arrays[f"arr_{number}"], number)
    interpreter.invoke()
    outputs: list[np.ndarray] = []
    while len(outputs) < 64:
        try:
            outputs.append(np.array(interpreter.get_output(len(outputs))))
        except (IndexError, RuntimeError, ValueError):
            break
    np.savez(folder / "outputs.npz", *outputs)
    interpreter.print_allocations()
    sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
