"""How far running work is, in one small file per run, so that any process and any reloaded page can tell."""

from __future__ import annotations

import json
import os
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import Field

from optimizers.records import Record, now

_SHORTEST_PAUSE = 0.3
_CURVE_POINTS = 400


class Progress(Record):
    """A moment of a run.

    Attributes:
        stage, stages: Number of the present step, from 1, and how many there are (measuring is the last one).
        title: What is being done, in words.
        step, of: Position within the present step; ``of`` is 0 when that cannot be known.
        metrics: Latest figures while training, e.g. ``loss``.
        curve: Earlier (step, loss) pairs of this step, thinned.
        validated: The same of the task's own figure on the validation part, after every epoch; of the loss where there
            is no other. ``figure`` is its name, such as ``val_accuracy``.
        seconds_left: Estimate for the present step, from its own speed so far; None when there is nothing to go by.
        waiting: Why nothing happens at the moment, or empty.
    """

    stage: int
    stages: int
    title: str
    step: int = 0
    of: int = 0
    metrics: dict[str, float] = Field(default_factory=dict)
    curve: tuple[tuple[int, float], ...] = ()
    validated: tuple[tuple[int, float], ...] = ()
    figure: str = ""
    seconds_left: float | None = None
    waiting: str = ""
    updated_at: datetime = Field(default_factory=now)


def read(folder: Path, run_id: str) -> Progress | None:
    """Latest progress of a run, or None when none was written."""
    try:
        return Progress.model_validate_json((folder / f"{run_id}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def remove(folder: Path, run_id: str) -> None:
    """Forgets the progress of a run that has ended."""
    (folder / f"{run_id}.json").unlink(missing_ok=True)


def sweep(folder: Path) -> None:
    """Forgets what was no run's, and was not removed since its process was killed."""
    for kind in ("timing", "analysis"):
        for left in folder.glob(f"{kind}-*.json"):
            left.unlink(missing_ok=True)


class ProgressWriter:
    """Collects what worker processes tell and writes it a few times a second at most."""

    def __init__(self, folder: Path, run_id: str, stages: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / f"{run_id}.json"
        self._stages = stages
        self._written = 0.0
        self._started = time.monotonic()
        self._now = Progress(stage=0, stages=stages, title="Preparing")

    def stage(self, number: int, title: str) -> None:
        """The next step begins."""
        self._started = time.monotonic()
        self._write(Progress(stage=number, stages=self._stages, title=title))

    def waiting(self, why: str) -> None:
        """Nothing happens for now."""
        self._write(self._now.model_copy(update={"waiting": why}))

    def event(self, event: dict[str, Any]) -> None:
        """Takes an event of a worker process into account."""
        if event["type"] == "waiting":
            self.waiting(event["why"])
        elif event["type"] == "started":
            self._write(self._now.model_copy(update={"waiting": ""}))
        elif event["type"] == "progress":
            self._advance(int(event["step"]), int(event["of"]), event["metrics"])

    def _advance(self, step: int, of: int, metrics: dict[str, float]) -> None:
        elapsed = time.monotonic() - self._started
        left = elapsed / step * (of - step) if 0 < step <= of else None
        curve = self._now.curve
        if "loss" in metrics:
            curve = (*curve, (step, metrics["loss"]))
            curve = curve if len(curve) <= _CURVE_POINTS else curve[::2]
        changes = {"step": step, "of": of, "metrics": metrics, "seconds_left": left, "curve": curve, "waiting": ""}
        found = sorted((name for name in metrics if name.startswith("val_")), key=lambda name: name == "val_loss")
        if found and metrics.get("epoch") != self._now.metrics.get("epoch"):
            changes |= {"figure": found[0], "validated": (*self._now.validated, (step, metrics[found[0]]))}
        self._now = self._now.model_copy(update=changes)
        if time.monotonic() - self._written > _SHORTEST_PAUSE:
            self._write(self._now)

    def _write(self, progress: Progress) -> None:
        self._now = progress.model_copy(update={"updated_at": now()})
        self._written = time.monotonic()
        draft = self._path.with_suffix(f".{os.getpid()}.draft")
        draft.write_text(json.dumps(self._now.model_dump(mode="json")), encoding="utf-8")
        draft.replace(self._path)
