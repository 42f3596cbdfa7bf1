"""Checks of the measuring itself, as tables for docs/measurement.md.

    python -m benchmarks.measurement [--sections intervals,…] [--write]

With --write each section goes into the document between its two marker lines, ``<!-- intervals -->`` and
``<!-- /intervals -->``; everything else in the document stays. Without it the tables go to standard output only.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from pathlib import Path

import benchmarks.measurement as folder
from benchmarks.tables import written

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "measurement.md"


def main() -> None:
    known = [info.name for info in pkgutil.iter_modules(folder.__path__) if not info.name.startswith("_")]
    asked = sys.argv[sys.argv.index("--sections") + 1].split(",") if "--sections" in sys.argv else known
    for name in asked:
        section = importlib.import_module(f"{folder.__name__}.{name}")
        lines = section.lines()
        print("\n".join([f"## {section.TITLE}", "", *lines, ""]), flush=True)
        if "--write" in sys.argv:
            DOCUMENT.write_text(written(DOCUMENT.read_text("utf-8"), name, lines), encoding="utf-8")


if __name__ == "__main__":
    main()
