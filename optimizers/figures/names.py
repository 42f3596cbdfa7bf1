"""Short names of variants for charts and tables; the full recipe is in the hover text and in the details."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import pandas as pd

from optimizers.naming import file_stem

_VALUES = re.compile(r"\(([^()]*)\)")
_STEP = re.compile(r"([^+()]+)(?:\(([^()]*)\))?")
_NUMBER = re.compile(r"=[-+.\deE]+$")
_LONGEST = 40


def short_names(variants: Sequence[str]) -> list[str]:
    """One name per variant: techniques alone where that tells them apart, else with values, else the whole recipe.

    Examples:
        ``["magnitude_pruning(target_sparsity=0.8)+int8"]`` gives ``["magnitude_pruning+int8"]``;
        a second one with 0.5 gives ``magnitude_pruning(0.8)+int8`` and ``magnitude_pruning(0.5)+int8``, without what
        is the same in both.
    """
    distinct = list(dict.fromkeys(variants))
    plain = [_VALUES.sub("", v) for v in distinct]
    candidates = plain, _telling(distinct, plain), [_VALUES.sub(_values, v) for v in distinct], distinct
    counts = [Counter(options) for options in candidates]
    called = {}
    for place, variant in enumerate(distinct):
        for options, often in zip(candidates, counts, strict=True):
            called[variant] = options[place]
            if often[options[place]] == 1:
                break
    return [_shortened(called[variant]) for variant in variants]


def names(frame: pd.DataFrame, *, full: bool = False) -> list[str]:
    """What each row of a comparison is called: its recipe, in the charts' short form or in full."""
    recipes, seeds = list(frame["variant"]), list(frame["seed"])
    subjects = list(zip(recipes, frame["model"], frame["dataset"], strict=True))
    often, short = Counter(subjects), recipes if full else short_names(recipes)
    chosen = [f"{n}, seed {s}" if often[own] > 1 else n for n, s, own in zip(short, seeds, subjects, strict=True)]
    if "seeds" in frame:  # rows that stand for several files, see optimizers.history.repeated.pooled
        chosen = [f"{n}, {s} seeds" if s > 1 else n for n, s in zip(chosen, frame["seeds"], strict=True)]
    models = frame["model"].nunique() > 1
    called = ["baseline" if base else name for name, base in zip(chosen, frame["is_baseline"], strict=True)]
    return [f"{name} ({model})" if models else name for name, model in zip(called, frame["model"], strict=True)]


def saved_as(frame: pd.DataFrame, what: str) -> str:
    """A name for what is taken along of a comparison, like ``digits_cnn-size_bytes-accuracy``."""
    return file_stem(str(frame["model"].iloc[0]), what)


def _telling(variants: Sequence[str], plain: Sequence[str]) -> list[str]:
    """Recipes with those of their values that are not the same in all recipes of the same techniques (``plain``)."""
    steps = [[(name, _parts(values)) for name, values in _STEP.findall(v)] for v in variants]
    common: dict[str, list[set[str]]] = {}
    for techniques, own in zip(plain, steps, strict=True):
        before = common.setdefault(techniques, [set(parts) for _, parts in own])
        common[techniques] = [known & set(parts) for known, (_, parts) in zip(before, own, strict=True)]
    return ["+".join(map(_told, own, common[techniques])) for techniques, own in zip(plain, steps, strict=True)]


def _told(step: tuple[str, list[str]], common: set[str]) -> str:
    name, parts = step
    kept = ", ".join(part for part in parts if part not in common)
    return name + _VALUES.sub(_values, f"({kept})") if kept else name


def _parts(values: str) -> list[str]:
    return [part.strip() for part in values.split(",") if part.strip()]


def _values(match: re.Match[str]) -> str:
    """Numbers without the name of their parameter; words keep it, because alone they say little."""
    parts = [part.strip() for part in match.group(1).split(",")]
    return f"({', '.join(p.partition('=')[2] if _NUMBER.search(p) else p for p in parts)})"


def _shortened(name: str) -> str:
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"
