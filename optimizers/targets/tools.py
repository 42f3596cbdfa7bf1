"""Runs a tool that is a Python module in a process of its own, with limits."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from optimizers.errors import NotApplicable

SECONDS = 120.0
MEMORY_MIB = 4096
_ROOT = str(Path(__file__).resolve().parents[2])
_LIMITED = """
import resource, runpy, sys
seconds, mib, module = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
for which, most in ((resource.RLIMIT_CPU, seconds), (resource.RLIMIT_DATA, mib << 20), (resource.RLIMIT_CORE, 0)):
    try:
        resource.setrlimit(which, (most, most))
    except (ValueError, OSError):
        pass
sys.argv = [module, *sys.argv[4:]]
runpy.run_module(module, run_name="__main__", alter_sys=True)
"""


@dataclass(frozen=True)
class Answer:
    """What a tool said. ``code`` is 0 when it went well, negative where a signal ended it."""

    code: int
    text: str


def installed(package: str) -> bool:
    """Whether a package can be imported, found without importing it."""
    try:
        return importlib.util.find_spec(package) is not None
    except ModuleNotFoundError:
        return False


def run(module: str, arguments: list[str], folder: Path, *, seconds: float = SECONDS) -> Answer:
    """Runs ``python -m module`` in a folder and gives back what it printed.

    The process stays in this process' group, so that it ends with it.

    Raises:
        NotApplicable: It takes too long.
    """
    command = [sys.executable, "-c", _LIMITED, str(int(seconds)), str(MEMORY_MIB), module, *arguments]
    try:
        done = subprocess.run(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            timeout=seconds, check=False, env=os.environ | {"PYTHONPATH": _ROOT},
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise NotApplicable(f"The tool did not finish within {seconds:g} seconds on this file.") from None
    return Answer(done.returncode, done.stdout.decode("utf-8", errors="replace"))
