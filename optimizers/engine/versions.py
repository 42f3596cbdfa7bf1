"""Which software and which device a result came from, found without importing anything heavy."""

from __future__ import annotations

import os
import platform
from functools import cache
from importlib import metadata
from pathlib import Path

_WORK = ("tensorflow", "tf-keras", "keras", "tensorflow-model-optimization", "ai-edge-quantizer", "numpy")
_MEASURING = ("ai-edge-litert", "numpy", "scipy", "scikit-learn")


@cache
def work_versions() -> dict[str, str]:
    """Versions of the libraries that decide what a stage produces; part of every stage key."""
    return _versions(_WORK)


@cache
def measuring_versions() -> dict[str, str]:
    """Versions of the libraries that decide what a measurement says."""
    return _versions(_MEASURING)


@cache
def device() -> str:
    """Name of this machine's processor with its number of usable cores, e.g. ``AMD EPYC 7B13, 2 cores``."""
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
        name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), name)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return f"{name}, {cores} core{'s' if cores > 1 else ''}"


def _versions(names: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
