from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from optimizers import registry
from optimizers.declarations import StageContext, StageReport, TrainingData
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
    count = 0

    def run(name: str, source: Path, data: TrainingData | None = None, **given: Any) -> Applied:
        nonlocal count
        count += 1
        technique = registry.technique(name)
        if issubclass(technique.params, TrainingParams):
            given = {"epochs": 2, "min_steps": 0, **given}
        out = tmp_path / str(count)
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

        context = StageContext(source, out, examples, SEED, progress, lines.append)
        report = technique.apply(context, resolve(name, technique.params, given))
        return Applied(out, report, steps, lines, metrics)

    return run
