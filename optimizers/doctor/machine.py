"""The machine: room on the disk, and which libraries and tools are there."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import psutil
from packaging.requirements import Requirement

from optimizers.doctor import Finding
from optimizers.settings import Settings
from optimizers.targets import micro, vela

_ROOT = Path(__file__).resolve().parents[2]
_LEAST_FREE = 1 << 30


def examine(settings: Settings) -> Iterator[Finding]:
    """Free disk, versions of libraries, tools for devices."""
    yield _disk(settings.home)
    yield _libraries(_ROOT / "requirements.txt")
    for title, available, what in (
        ("Arm's NPU compiler (Vela)", vela.available(), "the verdict of an Ethos-U NPU"),
        ("TensorFlow Lite Micro", micro.available(), "the verdict of a microcontroller"),
    ):
        if available:
            yield Finding("tools", "fine", f"{title} is installed.")
        else:
            yield Finding(
                "tools", "note", f"{title} is not installed, so {what} is absent; see requirements-targets.txt."
            )


def _disk(home: Path) -> Finding:
    home.mkdir(parents=True, exist_ok=True)
    free = psutil.disk_usage(str(home)).free
    told = f"{free / 2**30:.1f} GiB are free where {home} lies"
    if free < _LEAST_FREE:
        return Finding("disk", "problem", f"Only {told}; make room.")
    return Finding("disk", "fine", f"{told}.")


def _libraries(pinned: Path) -> Finding:
    """Installed versions against those that are known to work together."""
    python = f"Python {platform.python_version()}"
    if not pinned.is_file():
        return Finding("libraries", "note", f"{python}; there is no {pinned.name} to hold the libraries against.")
    lines = (line.strip() for line in pinned.read_text(encoding="utf-8").splitlines())
    every = [Requirement(line) for line in lines if "==" in line and not line.startswith("#")]
    wanted = [one for one in every if one.marker is None or one.marker.evaluate()]
    differ, missing = [], []
    for name, version in ((one.name, next(iter(one.specifier)).version) for one in wanted):
        try:
            found = metadata.version(name)
        except metadata.PackageNotFoundError:
            missing.append(name)
            continue
        if found != version:
            differ.append(f"{name} {found} instead of {version}")
    if missing:
        return Finding("libraries", "problem", f"{python}; install what is missing: {pinned.name}.", tuple(missing))
    if differ:
        return Finding("libraries", "note", f"{python}; other versions than were tested together.", tuple(differ))
    return Finding("libraries", "fine", f"{python}; all {len(wanted)} libraries have the versions of {pinned.name}.")
