from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from optimizers import registry
from optimizers.declarations import StageContext, StageReport, TrainingData
from optimizers.errors import NotApplicable
from optimizers.params import resolve
from optimizers.techniques._training import TrainingParams
from tests.techniques.networks import built, digits

SEED = 11


@dataclass
class Applied:
    """One stage as the engine would run it, and what it told on the way."""

    folder: Path
    report: StageReport
    steps: list[tuple[int, int]]
    lines: list[str]
    metrics: list[dict[str, float]] = field(default_factory=list)

    @property
    def main(self) -> Path:
        return self.folder / self.report.main


@pytest.fixture(scope="session")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """From a network's name to its working file, written once."""
    from optimizers.tf.build import save_working

    folder = tmp_path_factory.mktemp("networks")

    def source(name: str) -> Path:
        path = folder / f"{name}.keras"
        if not path.exists():
            save_working(built(name), path)
        return path

    return source


@pytest.fixture
def apply(tmp_path: Path) -> Callable[..., Applied]:
    """Applies a technique by name; training is cut short unless parameters say otherwise."""
    return _applier(tmp_path)


@pytest.fixture(scope="session")
def attempted(
    sources: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str, str], tuple[Applied | None, str]]:
    """From a technique and a network to what came of it at default settings, or why it was refused; tried once."""
    apply = _applier(tmp_path_factory.mktemp("attempted"))

    @cache
    def attempt(name: str, network: str) -> tuple[Applied | None, str]:
        source = sources(network)
        before = source.read_bytes()
        try:
            return apply(name, source), ""
        except NotApplicable as error:
            return None, error.message
        finally:
            assert source.read_bytes() == before, "the model it starts from is left alone"

    return attempt


def _applier(folder: Path) -> Callable[..., Applied]:
    count = 0

    def run(name: str, source: Path, data: TrainingData | None = None, **given: Any) -> Applied:
        nonlocal count
        count += 1
        technique = registry.technique(name)
        held = given.pop("held", frozenset())
        if issubclass(technique.params, TrainingParams):
            given = {"epochs": 2, "min_steps": 0, **given}
        out = folder / str(count)
        out.mkdir()
        steps: list[tuple[int, int]] = []
        metrics: list[dict[str, float]] = []
        lines: list[str] = []

        def progress(step: int, of: int, **latest: float) -> None:
            steps.append((step, of))
            metrics.append(latest)

        def examples() -> TrainingData:
            assert technique.needs & {"train", "calibration"}, f"{name} declares no need for data, but asks for them"
            return data or digits()

        context = StageContext(source, out, examples, SEED, progress, lines.append, held=held)
        report = technique.apply(context, resolve(name, technique.params, given))
        return Applied(out, report, steps, lines, metrics)

    return run
