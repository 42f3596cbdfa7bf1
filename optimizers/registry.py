"""Finds techniques, metrics, analyses, exports, origins, formats: one file each, by scanning their folders."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

from optimizers.declarations import DataFormat, DatasetOrigin, Metric, ModelOrigin, Technique
from optimizers.deployment import Export
from optimizers.errors import UnknownName
from optimizers.findings import Analysis
from optimizers.metrics._outputs import MARK, of_an_output
from optimizers.records import Target, Task


def _scan(package: str, constant: str, key: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    folder = importlib.import_module(package)
    for info in sorted(pkgutil.iter_modules(folder.__path__), key=lambda i: i.name):
        if info.ispkg:
            continue
        declared = getattr(importlib.import_module(f"{package}.{info.name}"), constant, None)
        if declared is None:
            continue
        for item in declared if isinstance(declared, tuple) else (declared,):
            name = getattr(item, key)
            if name in found:
                raise ValueError(f"Two files in {package} declare the name {name!r}; names must be unique.")
            found[name] = item
    return found


@cache
def techniques() -> dict[str, Technique]:
    """All techniques by name."""
    return _scan("optimizers.techniques", "TECHNIQUE", "name")


class _Metrics(dict[str, Metric]):
    """All metrics by name; those of one of several outputs, like ``digit/accuracy``, are found though not listed."""

    def __missing__(self, name: str) -> Metric:
        output, _, metric = name.rpartition(MARK) if isinstance(name, str) else ("", "", "")
        declared = super().get(metric)
        if not output or declared is None or declared.needs != "predictions" or "several" in declared.tasks:
            raise KeyError(name)
        return of_an_output(declared, output)

    def get(self, name: str, default: Any = None) -> Any:
        try:
            return self[name]
        except KeyError:
            return default

    def __contains__(self, name: object) -> bool:
        return self.get(name) is not None  # type: ignore[arg-type]


@cache
def metrics() -> dict[str, Metric]:
    """All metrics by name, in order of rank; and by names like ``digit/accuracy`` those of one of several outputs."""
    found = _scan("optimizers.metrics", "METRIC", "name")
    return _Metrics(sorted(found.items(), key=lambda item: item[1].rank))


def ranked(names: Iterable[str]) -> list[str]:
    """Those of the names that are metrics, in order of rank; of equal rank as they come."""
    known = metrics()
    return sorted((name for name in names if name in known), key=lambda name: known[name].rank)


def fitting(task: Task, targets: Sequence[Target] = ()) -> list[Metric]:
    """All metrics that make sense for a task, in order of rank; for several outputs also those of each.

    Args:
        task: What a model does.
        targets: What each of its outputs does, if these are several.
    """
    known = metrics()
    of_outputs = [
        of_an_output(metric, target.name)
        for metric in known.values()
        for target in targets
        if metric.needs == "predictions" and target.task in metric.tasks
    ]
    return sorted([*(m for m in known.values() if task in m.tasks), *of_outputs], key=lambda m: m.rank)


@cache
def analyses() -> dict[str, Analysis]:
    """All analyses by name, in order of rank."""
    found = _scan("optimizers.analyses", "ANALYSIS", "name")
    return dict(sorted(found.items(), key=lambda item: item[1].rank))


@cache
def exports() -> dict[str, Export]:
    """All exports by name, in order of rank."""
    found = _scan("optimizers.exports", "EXPORT", "name")
    return dict(sorted(found.items(), key=lambda item: item[1].rank))


@cache
def model_origins() -> dict[str, ModelOrigin]:
    """All model origins by prefix."""
    return _scan("optimizers.models", "ORIGIN", "prefix")


@cache
def dataset_origins() -> dict[str, DatasetOrigin]:
    """All data set origins by prefix."""
    return _scan("optimizers.datasets", "ORIGIN", "prefix")


@cache
def data_formats() -> dict[str, DataFormat]:
    """All formats of data files by name, in the order in which they are asked."""
    found = _scan("optimizers.datasets.formats", "FORMAT", "name")
    return dict(sorted(found.items(), key=lambda item: item[1].rank))


def technique(name: str) -> Technique:
    """The technique of that name.

    Raises:
        UnknownName: Lists the names there are.
    """
    known = techniques()
    if name not in known:
        raise UnknownName(f"There is no technique {name!r}; known are: {', '.join(known)}.")
    return known[name]


def metric(name: str) -> Metric:
    """The metric of that name. Raises `UnknownName`."""
    known = metrics()
    if name not in known:
        several = " Of one of several outputs it is written like digit/accuracy." if MARK in name else ""
        raise UnknownName(f"There is no metric {name!r}; known are: {', '.join(known)}.{several}")
    return known[name]


def analysis(name: str) -> Analysis:
    """The analysis of that name. Raises `UnknownName`."""
    known = analyses()
    if name not in known:
        raise UnknownName(f"There is no analysis {name!r}; known are: {', '.join(known)}.")
    return known[name]


def export(name: str) -> Export:
    """The export of that name. Raises `UnknownName`."""
    known = exports()
    if name not in known:
        raise UnknownName(f"There is no export {name!r}; known are: {', '.join(known)}.")
    return known[name]
