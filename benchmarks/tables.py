"""Runs of many recipes and seeds, and Markdown tables of what was measured on their files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
from scipy import stats

from optimizers import registry
from optimizers.engine.plan import predictions_key
from optimizers.engine.queue import JobQueue
from optimizers.figures import format as shown
from optimizers.history.frames import comparison, headline, measurements_of
from optimizers.models.sample import manifest
from optimizers.recipe import parse
from optimizers.records import Run


@dataclass(frozen=True)
class Result:
    """One finished or failed run with what was measured on its file."""

    run: Run
    values: dict[str, float]

    @property
    def refusal(self) -> str:
        return self.run.failure.message if self.run.failure else ""


def run_all(
    queue: JobQueue, model: str, recipes: Sequence[str], seeds: Iterable[int] = (0,)
) -> dict[str, list[Result]]:
    """Results by recipe, one per seed in order. What the store already holds is not computed again."""
    data = manifest()[model].dataset
    submitted = [
        (seed, queue.submit(f"sample:{model}", data, [parse(r) for r in recipes], seed=seed)) for seed in seeds
    ]
    queue.wait(run.id for _, runs in submitted for run in runs)
    found: dict[str, list[Result]] = {recipe: [] for recipe in recipes}
    for _, runs in submitted:
        for recipe, asked in zip(recipes, runs, strict=True):
            run = queue.history.run(asked.id)
            values = {name: m.value for name, m in measurements_of(queue.history, run).items()} if run.stages else {}
            found[recipe].append(Result(run, values))
    return found


def model_table(queue: JobQueue, model: str, recipes: Sequence[str]) -> list[str]:
    """One line per recipe with its file's figures, or the reason why there is none."""
    runs = [results[0].run for results in run_all(queue, model, recipes).values()]
    frame = comparison(queue.history, [run.id for run in runs])
    lead = headline(frame)
    assert lead is not None, "every sample model has a task"
    title = registry.metric(lead).title
    lines = [f"| recipe | file | compressed | {title} | 95% interval | median latency | speed-up (interval) |"]
    lines.append("|---|--:|--:|--:|--:|--:|--:|")
    for run in runs:
        found = frame[(frame["variant"] == run.recipe) | (frame["is_baseline"] & (run.recipe == "float32"))]
        if found.empty:
            reason = run.failure.message if run.failure else run.state
            lines.append(f"| `{run.recipe}` | {reason} | | | | | |")
        else:
            lines.append(f"| `{run.recipe}` | {' | '.join(_cells(found.iloc[0].to_dict(), lead))} |")
    return lines


def _cells(row: dict[str, Any], lead: str) -> tuple[str, ...]:
    def value(metric: str) -> str:
        return shown.value(registry.metric(metric), row.get(metric))

    def interval(metric: str) -> str:
        return shown.interval(registry.metric(metric), row.get(f"{metric}_low"), row.get(f"{metric}_high"))

    speedup = "" if row["is_baseline"] else f"{value('speedup')} ({interval('speedup')})"
    return value("size_bytes"), value("compressed_bytes"), value(lead), interval(lead), value("latency_ms"), speedup


@dataclass(frozen=True)
class Disagreement:
    """Test examples that only one of two files gets right, and the exact McNemar test of the difference (two-sided)."""

    only_one: int
    only_other: int
    p: float

    @property
    def words(self) -> str:
        """``-0.22 points (3 gained, 7 lost, p = 0.34)``; what is gained is right in the other file only."""
        proven = "a proven loss" if self.p < 0.05 and self.only_one > self.only_other else f"p = {self.p:.2g}"
        return f"{self.only_other} gained, {self.only_one} lost: {proven}"


def disagreement(queue: JobQueue, one: Run, other: Run) -> Disagreement:
    """How two files of the same classification test part differ, example by example."""
    right = []
    for run in (one, other):
        kept = queue.store.get(predictions_key(run.artifact_digest, run.dataset, run.scope))
        assert kept is not None, "what was measured keeps its outputs"
        with np.load(queue.store.path(kept), allow_pickle=False) as arrays:
            right.append(arrays["scores"].argmax(axis=1) == arrays["y"])
    lost, gained = int((right[0] & ~right[1]).sum()), int((~right[0] & right[1]).sum())
    p = float(stats.binomtest(lost, lost + gained).pvalue) if lost + gained else 1.0
    return Disagreement(lost, gained, p)


@dataclass(frozen=True)
class Paired:
    """Mean difference of paired figures with its 95% interval (Student's t), and the number of pairs."""

    mean: float
    low: float
    high: float
    n: int

    @property
    def points(self) -> str:
        """``+0.31 points (-0.10 to +0.72, 5 seeds)``."""
        return f"{100 * self.mean:+.2f} points ({100 * self.low:+.2f} to {100 * self.high:+.2f}, {self.n} seeds)"


def paired(one: Sequence[float], other: Sequence[float]) -> Paired:
    """How much the first is above the second, seed by seed."""
    differences = np.subtract(one, other)
    mean, n = float(differences.mean()), len(differences)
    spread = float(differences.std(ddof=1)) if n > 1 else float("nan")
    half = float(stats.t.ppf(0.975, n - 1)) * spread / sqrt(n) if n > 1 else float("nan")
    return Paired(mean, mean - half, mean + half, n)


def written(document: str, section: str, lines: Sequence[str]) -> str:
    """A document with other lines between the markers of a section, ``<!-- section -->`` and ``<!-- /section -->``.

    Raises:
        ValueError: It has no such markers.
    """
    markers = f"<!-- {section} -->", f"<!-- /{section} -->"
    pattern = re.compile(f"{re.escape(markers[0])}.*?{re.escape(markers[1])}", re.DOTALL)
    if not pattern.search(document):
        raise ValueError(f"There is no place for the section {section!r} in the document: add its two marker lines.")
    body = "\n".join([markers[0], *lines, markers[1]])
    return pattern.sub(lambda _: body, document, count=1)
