"""Imports what pages are made of before somebody opens one: Plotly and pandas alone take most of a second."""

from __future__ import annotations

import importlib
import pkgutil

import optimizers.figures
import optimizers.report
import pages.components


def warm() -> None:
    """Imports every module of the charts, the reports and the parts of pages."""
    for package in (optimizers.figures, optimizers.report, pages.components):
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)
