"""Short names of variants for charts and tables; the full recipe is in the hover text and in the details."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

_VALUES = re.compile(r"\(([^()]*)\)")
_NUMBER = re.compile(r"=[-+.\deE]+$")
_LONGEST = 40


def short_names(variants: Sequence[str], seeds: Sequence[int] | None = None) -> list[str]:
    """One name per variant: techniques alone where that tells them apart, else with values, else the whole recipe.

    Examples:
        ``["magnitude_pruning(target_sparsity=0.8)+int8"]`` gives ``["magnitude_pruning+int8"]``;
        a second one with 0.5 gives ``magnitude_pruning(0.8)+int8`` and ``magnitude_pruning(0.5)+int8``.
    """
    candidates = [_VALUES.sub("", v) for v in variants], [_VALUES.sub(_values, v) for v in variants], list(variants)
    names = list(variants)
    for place in range(len(variants)):
        for options in candidates:
            names[place] = options[place]
            if options.count(options[place]) == 1:
                break
    names = [_shortened(name) for name in names]
    again = Counter(names)
    if seeds is not None:
        names = [f"{n}, seed {s}" if again[n] > 1 else n for n, s in zip(names, seeds, strict=True)]
    return names


def _values(match: re.Match[str]) -> str:
    """Numbers without the name of their parameter; words keep it, because alone they say little."""
    parts = [part.strip() for part in match.group(1).split(",")]
    return f"({', '.join(p.partition('=')[2] if _NUMBER.search(p) else p for p in parts)})"


def _shortened(name: str) -> str:
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"
