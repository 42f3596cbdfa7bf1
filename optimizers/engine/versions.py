"""Which software and which device a result came from, found without importing anything heavy."""

from __future__ import annotations

import os
import platform
from collections.abc import Collection
from functools import cache
from importlib import metadata
from pathlib import Path

from optimizers.litert.processor import integer_unit

_WORK = ("tensorflow", "tf-keras", "keras", "tensorflow-model-optimization", "ai-edge-quantizer", "numpy")
_MEASURING = ("ai-edge-litert", "numpy", "scipy", "scikit-learn")


@cache
def work_versions() -> dict[str, str]:
    """Versions of the libraries that decide what a stage produces; part of every stage key."""
    return versions_of(_WORK)


@cache
def measuring_versions() -> dict[str, str]:
    """Versions of the libraries that decide what a measurement says."""
    return versions_of(_MEASURING)


@cache
def device() -> str:
    """Name of this machine's processor, its number of usable cores and what it multiplies integers with.

    Cloud machines of one name differ in their instruction sets, and 8-bit files are three times faster on one that can
    multiply and add bytes in a single instruction (VNNI, dot product) than on one that cannot.

    Example:
        ``AMD EPYC 7B13, 2 cores, AVX2``
    """
    name, flags = platform.processor() or platform.machine(), ""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
        name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), name)
        flags = next((line.partition(":")[2] for line in lines if line.startswith(("flags", "Features"))), "")
    count = cores()
    return ", ".join([name, f"{count} core{'s' if count > 1 else ''}", *integer_unit(flags.split())])


def cores() -> int:
    """Logical cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def versions_of(names: Collection[str]) -> dict[str, str]:
    """Versions of those packages that are installed."""
    found = {}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
