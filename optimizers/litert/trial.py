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
_SECONDS = 120.0


def loads(file: Path | bytes, seconds: float = _SECONDS) -> str:
    """Why LiteRT cannot load and run a file, as the end of a sentence; empty when it can.

    Args:
        file: A ``.tflite`` file or its bytes.
        seconds: Longest time that it may take.
    """
    if isinstance(file, bytes):
        with tempfile.TemporaryDirectory() as folder:
            draft = Path(folder) / "trial.tflite"
            draft.write_bytes(file)
            return loads(draft, seconds)
    command = [sys.executable, "-m", "optimizers.litert.trial", str(file)]
    try:
        done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        return f"one prediction takes more than {seconds:g} s"
    if done.returncode == 0:
        return ""
    told = [line.strip() for line in done.stderr.splitlines() if line.strip() and not line.startswith("INFO:")]
    last = told[-1] if told else "no message"
    if done.returncode < 0:
        return f"LiteRT ends with {signal.Signals(-done.returncode).name}" + (f" ({last})" if told else "")
    return re.sub(r"^[\w.]+: ", "", last).split(".Node number")[0].rstrip(".")


def _main() -> None:
    interpreter = load(Path(sys.argv[1]))
    for detail in inputs(interpreter):
        interpreter.set_tensor(detail["index"], np.zeros(detail["shape"], detail["dtype"]))
    interpreter.invoke()


if __name__ == "__main__":
    _main()
