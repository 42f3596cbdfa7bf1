"""Whether a core is ours alone while something is timed, or somebody is at work on its other half.

Two threads of a core share the units that compute. What fills these units, as kernels for 8-bit numbers do, then takes
up to twice as long, and what waits for its own last result hardly takes longer: the ratio of two files becomes another
one for as long as that lasts, from milliseconds to many seconds. No system tells of it where the other half belongs to
another virtual machine. So two things are timed beside each other: small matrices are multiplied, which fills the
units, and a digest is computed, each step of which waits for the one before. Their ratio does not depend on the clock's
speed, and it is least where nobody disturbs.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from math import inf, isfinite
from pathlib import Path
from time import perf_counter_ns
from typing import Any

import numpy as np

_KEPT = 2000
_LEAST = 0.02
_TOLERANCE = 1.18
"""Undisturbed probes differ by 6%, and by some more from file to file, since a probe comes right behind their runs;
disturbed ones are at least a quarter higher."""
_FILLING, _WAITING = 12, 8
_ROWS = np.full((64, 64), 0.5, np.float32)
_BYTES = bytes(4096)


def measure() -> float:
    """A probe: how long a product of two matrices takes, as a share of what a digest takes. It takes 0.1 ms."""
    product = np.empty_like(_ROWS)
    filling = min(_spent(np.dot, _ROWS, _ROWS, product) for _ in range(_FILLING))
    waiting = min(_spent(_digest) for _ in range(_WAITING))
    return filling / waiting


class Calm:
    """What probes say where nobody disturbs, learned from those that there were.

    Args:
        file: Where they are kept; only in memory if left out. One that cannot be read is as good as none.
    """

    def __init__(self, file: Path | None = None) -> None:
        self._file, self._seen = file, list[float]()
        if file is not None:
            with suppress(OSError, ValueError, TypeError):
                told = [float(one) for one in json.loads(file.read_text(encoding="utf-8"))]
                self._seen = [one for one in told if isfinite(one) and one > 0][-_KEPT:]

    def limit(self, strains: Sequence[float] = ()) -> float:
        """The highest strain of an undisturbed machine, by all probes so far and those given."""
        every = [*self._seen, *strains]
        return _TOLERANCE * float(np.quantile(every, _LEAST)) if every else inf

    def learn(self, strains: Sequence[float]) -> None:
        """Remembers more probes. The latest 2,000 count, since a machine may move to another one."""
        self._seen = [*self._seen, *strains][-_KEPT:]
        if self._file is not None:
            draft = self._file.with_suffix(f".{os.getpid()}.draft")
            with suppress(OSError):  # such as a full disk: it is learned again
                self._file.parent.mkdir(parents=True, exist_ok=True)
                draft.write_text(json.dumps([round(one, 5) for one in self._seen]), encoding="utf-8")
                draft.replace(self._file)


_calm = Calm()


def of_this_machine() -> Calm:
    """What this process knows; in memory, unless `keep_in` has named a file."""
    return _calm


def keep_in(file: Path) -> None:
    """From now on this process learns from a file, and keeps there what it learns."""
    global _calm
    _calm = Calm(file)


def _digest() -> bytes:
    return hashlib.md5(_BYTES, usedforsecurity=False).digest()


def _spent(work: Callable[..., Any], *given: Any) -> int:
    started = perf_counter_ns()
    work(*given)
    return perf_counter_ns() - started
