"""Imports what pages are made of before somebody opens one: Plotly, pandas and SciPy alone take most of a second."""

from __future__ import annotations

import gc
import importlib
import pkgutil

import optimizers.figures
import optimizers.report
import pages.components
from optimizers import registry

_WHEN_NEEDED = ("scipy.optimize", "scipy.special", "scipy.stats")
"""What is imported inside functions, so that commands start quickly."""


def warm() -> None:
    """Imports every module of the charts, the reports and the parts of pages, and what these import when called.

    What is in memory then stays, so garbage is no longer looked for in it.
    """
    for package in (optimizers.figures, optimizers.report, pages.components):
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)
    for name in _WHEN_NEEDED:
        importlib.import_module(name)
    for declared in (registry.techniques, registry.metrics, registry.analyses, registry.exports):
        declared()
    gc.collect()
    gc.freeze()
