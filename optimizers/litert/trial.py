"""Loads and runs a file once in a process of its own, because some files abort the process that loads them."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from optimizers.litert.interpreter import inputs, load

_ROOT = Path(__file__).resolve().parents[2]
_SECONDS = 120


def loads(content: bytes) -> str:
    """Why LiteRT cannot load and run a file, as the end of a sentence; empty when it can.

    Args:
        content: Bytes of a ``.tflite`` file.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "trial.tflite"
        file.write_bytes(content)
        command = [sys.executable, "-m", "optimizers.litert.trial", str(file)]
        try:
            done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, timeout=_SECONDS, check=False)
        except subprocess.TimeoutExpired:
            return f"one prediction takes more than {_SECONDS} s"
    if done.returncode == 0:
        return ""
    last = next((line for line in reversed(done.stderr.splitlines()) if line.strip()), "no message")
    if done.returncode < 0:
        return f"LiteRT ends with {signal.Signals(-done.returncode).name} ({last.strip()})"
    return re.sub(r"^[\w.]+: ", "", last.strip()).split(".Node number")[0].rstrip(".")


def _main() -> None:
    interpreter = load(Path(sys.argv[1]))
    for detail in inputs(interpreter):
        interpreter.set_tensor(detail["index"], np.zeros(detail["shape"], detail["dtype"]))
    interpreter.invoke()


if __name__ == "__main__":
    _main()
