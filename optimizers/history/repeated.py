"""Runs of a comparison that differ only in their seed, taken together."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping
from dataclasses import dataclass
from math import inf

import numpy as np
import pandas as pd

from optimizers import registry
from optimizers.declarations import Metric
from optimizers.errors import ParetoscopeError
from optimizers.history.frames import CHANGE_SUFFIXES, metric_columns
from optimizers.litert.ratio import verdict
from optimizers.qualifying import Judgement, together
from optimizers.recipe import parse
from optimizers.repeats import Ranking, Repeats, ranking

Subject = tuple[str, str]
"""Names of a model and of its data."""

_SAME = ["model", "dataset", "variant", "is_baseline"]


@dataclass(frozen=True)
class Pooled:
    """A comparison in which the seeds of a variant are one row.

    Attributes:
        frame: As the comparison, with the column ``seeds``: of how many files a row is the mean. Where it is more than
            one, ``metric_low`` and ``metric_high`` are the lowest and the highest of them, and so for changes.
        members: For each place in the frame the places in the comparison that it stands for, itself among them.
    """

    frame: pd.DataFrame
    members: Mapping[Hashable, tuple[Hashable, ...]]

    @property
    def repeated(self) -> bool:
        """Whether any row stands for several files."""
        return any(len(places) > 1 for places in self.members.values())

    def judged(self, judgement: Judgement | None) -> Judgement | None:
        """The limits kept by each row: as its files keep them, or *within the uncertainty* where these differ."""
        return together(judgement, self.members) if judgement is not None else None


def pooled(frame: pd.DataFrame, chosen: Collection[str] = ()) -> Pooled:
    """Files that differ by chance alone as one row each, with their mean and the range over seeds.

    Args:
        frame: A comparison.
        chosen: Ids of runs that stand for their variant if they are among its seeds; else its first one does.
    """
    result, members = frame.assign(seeds=1), {place: (place,) for place in frame.index}
    repeated = frame[frame.duplicated(_SAME, keep=False)] if len(frame) else frame
    for _, own in repeated.groupby(_SAME, sort=False):
        wanted = own.index[own["run_id"].isin(list(chosen))]
        first, places = (wanted if len(wanted) else own.index)[0], tuple(own.index)
        for place in places:
            del members[place]
        members[first] = places
        result = result.drop([place for place in places if place != first])
        if own["artifact_digest"].nunique() > 1:  # else all seeds gave the same file
            for column, value in _over_seeds(own).items():
                result.at[first, column] = value
    return Pooled(result, {place: members[place] for place in result.index})


def _over_seeds(own: pd.DataFrame) -> dict[str, float | str]:
    """Columns of the row that stands for several files."""
    row: dict[str, float | str] = {"seeds": len(own)}
    for name in metric_columns(own):
        for column in (name, f"{name}_change"):
            values = own[column].to_numpy(float) if column in own else np.array([])
            values = values[~np.isnan(values)]
            if not len(values):
                continue
            row[column], low, high = float(values.mean()), float(values.min()), float(values.max())
            ends = (low, high) if high > low else (float("nan"), float("nan"))
            row |= {f"{column}_{end}": at for end, at in zip(("low", "high"), ends, strict=True)}
        row |= {f"{name}{suffix}": float("nan") for suffix in CHANGE_SUFFIXES[2:] if f"{name}{suffix}" in own}
    row = {column: value for column, value in row.items() if column in own or column == "seeds"}
    if "speedup" in row:
        row["speed"] = verdict(*(float(str(row[column])) for column in ("speedup", "speedup_low", "speedup_high")))
    return row


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
    if metric == "speedup":  # of the baseline over itself, which nobody measures
        frame = frame.assign(speedup=frame["speedup"].astype(float).mask(frame["is_baseline"].astype(bool), 1.0))
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
    bounds = (0.0, 1.0) if metric.percent and metric.certifiable else (-inf, inf)
    base = rows["is_baseline"].astype(bool)
    groups = [("baseline", rows[base]), *rows[~base].groupby("variant", sort=False)]
    for name, own in groups:
        if len(own):
            by_seed = own.groupby("seed")[metric.name].mean()
            values = {int(str(seed)): float(value) for seed, value in by_seed.items()}
            if metric.device_bound and own["artifact_digest"].nunique() == 1:
                values = dict([*values.items()][:1])  # one file, timed once, whatever the seed
            found.append(Repeats(str(name), values, _by_chance(own, metric), bounds))
    return found


def _by_chance(own: pd.DataFrame, metric: Metric) -> bool:
    """Whether another seed could have given another value of this variant."""
    if own["is_baseline"].all():
        return metric.device_bound and metric.name != "speedup"
    if metric.device_bound:
        return True  # timing the same file again gives another value
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
