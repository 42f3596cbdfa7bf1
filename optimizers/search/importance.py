"""Which settings decide about an objective, over all trials of a search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

FEWEST = 12
"""Trials below which nothing is said."""
_TREES, _REPEATS, _ABSENT = 200, 10, -1.0


def told(report: object, *, settings: list[dict[str, Any]], values: list[float]) -> dict[str, float]:
    """The same as a task for a worker process, so that whoever shows it need not load what computes it."""
    return importance(settings, values)


def importance(settings: Sequence[Mapping[str, Any]], values: Sequence[float]) -> dict[str, float]:
    """Share of each setting in how well a random forest tells the values apart, largest first; empty if too few.

    A setting that a trial does not have (of a technique that it does not use) counts as a value of its own. Shares are
    what the forest's error rises by when one setting is shuffled, over the sum of all; settings of no influence are
    left out.

    Args:
        settings: Of each trial.
        values: The objective of each trial, shape (trials,).

    Source: Breiman (2001), "Random forests", section 10.
    """
    import numpy as np
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.inspection import permutation_importance

    names = sorted({name for one in settings for name in one})
    y = np.asarray(values, float)
    if len(y) < FEWEST or float(np.ptp(y)) == 0 or not names:
        return {}
    columns = [_numbers([one.get(name) for one in settings]) for name in names]
    x = np.array(columns).T
    forest = RandomForestRegressor(_TREES, random_state=0, min_samples_leaf=2).fit(x, y)
    found = permutation_importance(forest, x, y, n_repeats=_REPEATS, random_state=0).importances_mean.clip(0)
    total = float(found.sum())
    if total <= 0:
        return {}
    shares = {name: float(share) / total for name, share in zip(names, found, strict=True) if share > 0}
    return dict(sorted(shares.items(), key=lambda item: -item[1]))


def _numbers(said: Sequence[Any]) -> list[float]:
    """Values as numbers; words by their place in the alphabet."""
    words = sorted({str(v) for v in said if isinstance(v, str)})
    return [_ABSENT if v is None else float(words.index(v)) if isinstance(v, str) else float(v) for v in said]
