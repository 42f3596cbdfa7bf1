"""On which devices the files of a comparison were timed, and which of them is shown when nobody chooses."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from optimizers.engine.versions import device as this_machine
from optimizers.history.database import History
from optimizers.records import SHARED, Measurement, Run, Source


@dataclass(frozen=True)
class Device:
    """Where some files were timed: its name, who measured there, and how many files."""

    name: str
    source: Source
    files: int


def scopes_of(runs: Iterable[Run]) -> list[str]:
    """Scopes in which measurements of these runs' files lie: their own, and those of other devices."""
    return sorted({SHARED, *(s for run in runs for s in (run.scope, f"run:{run.id}"))})


def devices(history: History, run_ids: Sequence[str]) -> list[Device]:
    """All devices on which files of these runs were timed: the one that `default` names first, then by name."""
    runs = history.runs(list(run_ids))
    digests = sorted({d for run in runs for d in (run.artifact_digest, run.baseline_digest) if d})
    timed = [m for m in history.measurements(digests, scopes=scopes_of(runs)) if m.device]
    sources: dict[str, Source] = {m.device: m.source for m in timed}
    first = default(timed)
    return [
        Device(name, sources[name], len({m.artifact_digest for m in timed if m.device == name}))
        for name in sorted(sources, key=lambda name: (name != first, name))
    ]


def default(measurements: Iterable[Measurement]) -> str:
    """This machine where it has timed any of the files, else what was measured last, by a host if there is one."""
    timed = [m for m in measurements if m.device]
    if not timed or any(m.device == this_machine() and m.source == "host" for m in timed):
        return this_machine()
    return max(timed, key=lambda m: (m.source == "host", m.measured_at)).device
