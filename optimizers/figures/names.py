"""Short names of variants for charts and tables; the full recipe is in the hover text and in the details."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import pandas as pd

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
    counts = [Counter(options) for options in candidates]
    chosen = list(variants)
    for place in range(len(variants)):
        for options, often in zip(candidates, counts, strict=True):
            chosen[place] = options[place]
            if often[options[place]] == 1:
                break
    chosen = [_shortened(name) for name in chosen]
    again = Counter(chosen)
    if seeds is not None:
        chosen = [f"{n}, seed {s}" if again[n] > 1 else n for n, s in zip(chosen, seeds, strict=True)]
    return chosen


def names(frame: pd.DataFrame, *, full: bool = False) -> list[str]:
    """What each row of a comparison is called: its recipe, in the charts' short form or in full."""
    recipes, seeds = list(frame["variant"]), list(frame["seed"])
    if full:
        often = Counter(recipes)
        chosen = [f"{r}, seed {s}" if often[r] > 1 else r for r, s in zip(recipes, seeds, strict=True)]
    else:
        chosen = short_names(recipes, seeds)
    models = frame["model"].nunique() > 1
    called = ["baseline" if base else name for name, base in zip(chosen, frame["is_baseline"], strict=True)]
    return [f"{name} ({model})" if models else name for name, model in zip(called, frame["model"], strict=True)]


def _values(match: re.Match[str]) -> str:
    """Numbers without the name of their parameter; words keep it, because alone they say little."""
    parts = [part.strip() for part in match.group(1).split(",")]
    return f"({', '.join(p.partition('=')[2] if _NUMBER.search(p) else p for p in parts)})"


def _shortened(name: str) -> str:
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"
