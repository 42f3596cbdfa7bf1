"""Runs of a comparison that differ only in their seed, taken together."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from optimizers import registry
from optimizers.declarations import Metric
from optimizers.errors import ParetoscopeError
from optimizers.history.frames import metric_columns
from optimizers.recipe import parse
from optimizers.repeats import Ranking, Repeats, ranking

Subject = tuple[str, str]
"""Names of a model and of its data."""


def repeated_metrics(frame: pd.DataFrame) -> list[str]:
    """Metrics of a comparison about which seeds can tell something; empty where nothing was repeated.

    Times are left to the speed-up, which was measured in turn with the baseline: times taken minutes apart say little
    about each other.
    """
    variants = frame[~frame["is_baseline"].astype(bool)]
    if not len(variants) or variants.groupby(["model", "dataset", "variant"])["seed"].nunique().max() < 2:
        return []
    known = registry.metrics()
    return [n for n in metric_columns(frame) if not known[n].device_bound or n == "speedup"]


def rankings(frame: pd.DataFrame, metric: str) -> Mapping[Subject, Ranking]:
    """The variants of each model on its data by one metric; those on which it was measured.

    Args:
        frame: A comparison.
        metric: One of `repeated_metrics`.
    """
    declared, found = registry.metric(metric), {}
    for (model, dataset), rows in frame.dropna(subset=[metric]).groupby(["model", "dataset"], sort=False):
        variants = repeats(rows, declared)
        found[str(model), str(dataset)] = ranking(
            variants,
            lower_is_better=declared.direction == "lower",
            exact=declared.needs == "file",
            grain=_grain(rows, declared),
        )
    return found


def repeats(rows: pd.DataFrame, metric: Metric) -> list[Repeats]:
    """The values of each variant by seed, for one model on its data; the baseline is a variant of its own."""
    found = []
    base = rows["is_baseline"].astype(bool)
    groups = [("baseline", rows[base]), *rows[~base].groupby("variant", sort=False)]
    for name, own in groups:
        if len(own):
            by_seed = own.groupby("seed")[metric.name].mean()
            values = {int(str(seed)): float(value) for seed, value in by_seed.items()}
            found.append(Repeats(str(name), values, _by_chance(own, metric)))
    return found


def _by_chance(own: pd.DataFrame, metric: Metric) -> bool:
    """Whether another seed could have given another value of this variant."""
    if metric.device_bound:
        return True  # timing the same file again gives another value
    if own["is_baseline"].all():
        return False
    if own["seed"].nunique() > 1:
        return bool(own["artifact_digest"].nunique() > 1)
    try:
        return parse(str(own["variant"].iloc[0])).seeded
    except ParetoscopeError:  # a technique that is not installed any more
        return True


def _grain(rows: pd.DataFrame, metric: Metric) -> float:
    """One test example, for metrics that are shares of them."""
    if metric.needs != "predictions" or not metric.percent:
        return 0.0
    return 1.0 / float(rows[f"{metric.name}_n"].min())
