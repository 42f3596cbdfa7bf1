"""How a visitor's hostile files are answered: every file of the corpus, uploaded and read as the app does it.

    python -m benchmarks.hostile [GROUP ...]

Prints a row per group. The peak is the most memory that the reading process held, TensorFlow's own share included. What
counts as a fault: no answer in one sentence, more than 10 seconds (twice, as the machine may have been busy), a process
that ended, a payload that ran, or a good file that is refused afterwards.
"""

from __future__ import annotations

import os
import sys
import tempfile
import warnings
from pathlib import Path

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from optimizers.engine.queue import JobQueue
from optimizers.settings import Settings
from tests.hostile.corpus import GROUPS
from tests.hostile.doors import FrontDoor
from tests.hostile.files import HostileFile
from tests.hostile.sound import csv, keras_archive

_SECONDS = 10.0
_GOOD = (HostileFile("good.keras", keras_archive()), HostileFile("good.csv", csv(), "data"))


def measure(group: str, door: FrontDoor, marker: Path) -> list[str]:
    """Prints the row of one group; returns its faults in words."""
    faults, refused, seconds, slowest, peak, count = [], 0, 0.0, "", 0.0, 0
    for file in GROUPS[group](marker):
        answer = door.ask(file)
        if answer.seconds > _SECONDS:
            answer = min(answer, door.ask(file), key=lambda each: each.seconds)
        count += 1
        refused += answer.problem is not None
        if answer.seconds > seconds:
            seconds, slowest = answer.seconds, file.name[:40]
        peak = max(peak, answer.peak_mib)
        faults += answer.faults(file)
        if answer.seconds > _SECONDS:
            faults.append(f"{file.name}: was answered after {answer.seconds:.1f} seconds")
    print(f"{group:24}{count:6}{refused:9}{count - refused:10}{seconds:9.1f}{peak:10.0f}   {slowest!r}", flush=True)
    return faults


def main() -> None:
    """Prints the table, then the faults."""
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory(prefix="hostile-") as folder:
        os.environ["PARETOSCOPE_HOME"] = str(Path(folder) / "home")
        marker, queue = Path(folder) / "marker", JobQueue(Settings())
        door, faults = FrontDoor(queue), []
        try:
            for file in _GOOD:  # the first reading of each kind starts a process
                door.ask(file)
            print(f"{'group':24}{'files':>6}{'refused':>9}{'accepted':>10}{'seconds':>9}{'peak MiB':>10}   slowest")
            for group in sys.argv[1:] or GROUPS:
                faults += measure(group, door, marker)
            faults += [f"{file.name}: is refused" for file in _GOOD if door.ask(file).problem is not None]
        finally:
            queue.close()
        faults += [f"{name}: ended a process" for name in door.deaths]
        faults += ["A payload ran."] if marker.exists() else []
    print(f"\n{len(faults)} faults", *faults, sep="\n")


if __name__ == "__main__":
    main()
