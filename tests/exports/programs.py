"""Compilers for generated programs."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from optimizers import registry
from optimizers.deployment import Deployable

INTERFACE = Path(__file__).parent / "micro_interface"
"""The declarations of TensorFlow Lite Micro that programs use, in files of the same names."""


def needs(*tools: str):
    """Skips a test where one of the tools is missing."""
    missing = [tool for tool in tools if shutil.which(tool) is None]
    return pytest.mark.skipif(bool(missing), reason=f"{', '.join(missing)} is not installed")


def compiled(file: Deployable, folder: Path) -> bool:
    """Whether the microcontroller program of a file compiles without a warning; raises with the compiler's words."""
    for name in ("c_array", "cpp_micro"):
        export = registry.export(name)
        (folder / export.file_name(file)).write_bytes(export.make(file))
    source = folder / registry.export("cpp_micro").file_name(file)
    command = ["g++", "-std=c++17", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", f"-I{INTERFACE}", source]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return True
