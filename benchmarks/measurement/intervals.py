"""How often intervals hold the truth, and how often a certified budget is exceeded after all, on simulated data.

A population of examples is made up, with the answers of a baseline and of a variant to each: what is true is known.
Test parts are drawn from it again and again, and each metric tells its interval for the file and for the difference.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from optimizers import registry
from optimizers.declarations import Evidence
from optimizers.errors import NotApplicable
from optimizers.metrics._paired import share_change
from optimizers.records import Task

TITLE = "Intervals hold the truth as often as they say"
REPETITIONS = 1000
_POPULATION, _OF_SEVERAL = 200_000, 40_000


@dataclass(frozen=True)
class Population:
    """Examples with the answers of a baseline and a variant, and how many of them make a test part."""

    title: str
    task: Task
    n: int
    y: np.ndarray
    baseline: np.ndarray
    variant: np.ndarray

    def evidence(self, rows: np.ndarray | slice = slice(None)) -> Evidence:
        return Evidence(
            Path(), self.task, scores=self.variant[rows], y=self.y[rows], baseline_scores=self.baseline[rows]
        )


@dataclass(frozen=True)
class Coverage:
    """How often the truth was below, inside and above the intervals; one-sided bounds count as wrong beyond them."""

    metric: str
    what: str
    population: str
    n: int
    repetitions: int
    below: int
    above: int
    floor_wrong: int = 0
    ceiling_wrong: int = 0

    @property
    def inside(self) -> float:
        return 1 - (self.below + self.above) / self.repetitions


def classifier(
    title: str, n: int, prior: Sequence[float], signal: float, noise: float, bias: float = 0.0, seed: int = 0
) -> Population:
    """Softmax answers to noisy logits; the variant's are moved by ``noise``, and those of class 0 by ``bias``."""
    rng = np.random.default_rng(seed)
    classes = len(prior)
    y = rng.choice(classes, _POPULATION, p=prior)
    logits = rng.standard_normal((_POPULATION, classes)) * signal**0.5 + signal * np.eye(classes)[y] + np.log(prior)
    moved = logits + noise * rng.standard_normal(logits.shape)
    moved[:, 0] += bias
    first, second = (np.exp(z) / np.exp(z).sum(axis=1, keepdims=True) for z in (logits, moved))
    if classes == 2:
        return Population(title, "binary", n, y, first[:, 1], second[:, 1])
    return Population(title, "classification", n, y, first, second)


def regression(title: str, n: int, spread: float, tail: float, noise: float, seed: int = 0) -> Population:
    """Targets with a long tail; errors are Student's with ``tail`` degrees of freedom."""
    rng = np.random.default_rng(seed)
    y = rng.gamma(4.0, 2.5, _POPULATION)
    base = y + spread * rng.standard_t(tail, _POPULATION)
    return Population(title, "regression", n, y, base, 0.97 * base + 0.3 + noise * rng.standard_normal(_POPULATION))


def several_labels(title: str, n: int, labels: int, signal: float, noise: float, seed: int = 0) -> Population:
    """Labels of one example are likelier together, and so are the mistakes in them."""
    rng = np.random.default_rng(seed)
    shared = rng.standard_normal((_OF_SEVERAL, 1))
    y = (rng.standard_normal((_OF_SEVERAL, labels)) + shared > np.linspace(0.5, 2, labels)).astype(np.uint8)
    hard = np.exp(0.8 * rng.standard_normal((_OF_SEVERAL, 1)))
    logits = signal * (y - 0.5) + hard * rng.standard_normal(y.shape)
    first, second = (1 / (1 + np.exp(-z)) for z in (logits, logits + noise * rng.standard_normal(y.shape)))
    return Population(title, "multilabel", n, y, first, second)


def masks(title: str, n: int, side: int, signal: float, noise: float, seed: int = 0) -> Population:
    """A square in each image; how blurred it is differs from image to image."""
    rng = np.random.default_rng(seed)
    places = np.arange(side)
    corner, size = rng.integers(0, side - 2, (2, _OF_SEVERAL, 1)), rng.integers(2, side, (_OF_SEVERAL, 1))
    rows, columns = ((places >= c) & (places < c + size) for c in corner)
    y = (rows[:, :, None] & columns[:, None]).astype(np.uint8)
    hard = np.exp(0.7 * rng.standard_normal((_OF_SEVERAL, 1, 1)))
    logits = signal * (y - 0.5) + hard * rng.standard_normal(y.shape)
    first, second = (1 / (1 + np.exp(-z)) for z in (logits, logits + noise * rng.standard_normal(y.shape)))
    return Population(title, "segmentation", n, y, first[..., None], second[..., None])


def several_numbers(title: str, n: int, numbers: int, spread: float, noise: float, seed: int = 0) -> Population:
    """Errors of one example have a part in common."""
    rng = np.random.default_rng(seed)
    y = rng.gamma(4.0, 2.5, (_OF_SEVERAL, numbers)) * np.linspace(1, 5, numbers)
    base = y + spread * (rng.standard_t(6, (_OF_SEVERAL, 1)) + rng.standard_t(6, y.shape))
    return Population(title, "regression", n, y, base, 0.98 * base + 0.2 + noise * rng.standard_normal(y.shape))


def populations() -> list[Population]:
    ten = [0.1] * 10
    return [
        classifier("2 classes, even", 60, [0.5, 0.5], 4.0, 0.5),
        classifier("2 classes, 15% positive", 60, [0.85, 0.15], 4.0, 0.5),
        classifier("2 classes, 10% positive", 500, [0.9, 0.1], 4.0, 0.5),
        classifier("3 uneven classes", 67, [0.45, 0.35, 0.2], 6.0, 0.7),
        classifier("10 classes, 84% right", 400, ten, 6.0, 0.6),
        classifier("10 classes, few disagreements", 1797, ten, 10.0, 0.3),
        classifier("5 uneven classes, overconfident", 200, [0.6, 0.2, 0.1, 0.06, 0.04], 5.0, 1.5),
        regression("errors with light tails", 60, 2.0, 30.0, 0.5),
        regression("errors with heavy tails", 79, 1.5, 5.0, 0.5),
        regression("errors with heavy tails", 1000, 1.5, 5.0, 0.2),
        several_labels("5 labels", 60, 5, 4.0, 0.6),
        several_labels("5 labels", 500, 5, 4.0, 0.6),
        masks("masks of 6 x 6", 60, 6, 5.0, 0.6),
        masks("masks of 6 x 6", 400, 6, 5.0, 0.6),
        several_numbers("3 numbers", 60, 3, 1.5, 0.5),
        several_numbers("3 numbers", 500, 3, 1.5, 0.5),
    ]


def coverage(population: Population, repetitions: int, seed: int = 1, names: Sequence[str] = ()) -> list[Coverage]:
    """For each metric of the task, how often its interval and that of its difference hold the truth."""
    rng = np.random.default_rng(seed)
    fitting = [m for m in registry.metrics().values() if m.change is not None and population.task in m.tasks]
    drawn = [rng.integers(0, len(population.y), population.n) for _ in range(repetitions)]
    found = []
    for metric in fitting:
        if names and metric.name not in names:
            continue
        assert metric.change is not None
        whole = population.evidence()
        try:
            true, change = metric.measure(whole).value, metric.change(whole).value
        except NotApplicable:
            continue
        single, paired = [], []
        for rows in drawn:
            try:
                single.append(metric.measure(population.evidence(rows)))
                paired.append(metric.change(population.evidence(rows)))
            except NotApplicable:  # a test part without one of the classes
                continue
        given = [(v.low, v.high) for v in single if v.low is not None and v.high is not None]
        told = population.title, population.n
        found.append(Coverage(metric.name, "value", *told, len(given), *_misses(given, true)))
        both = [(c.low, c.high) for c in paired]
        ends = [(c.floor, c.ceiling) for c in paired]
        found.append(
            Coverage(metric.name, "difference", *told, len(both), *_misses(both, change), *_misses(ends, change))
        )
    return found


def _misses(bounds: Sequence[tuple[float, float]], true: float) -> tuple[int, int]:
    low, high = np.array(bounds).T
    return int((low > true + 1e-12).sum()), int((high < true - 1e-12).sum())


def wrongly_certified(n: int, budget: float, discordant: float, repetitions: int, seed: int = 2) -> int:
    """How often a variant whose accuracy truly drops by exactly the budget is certified to stay within it."""
    rng = np.random.default_rng(seed)
    lost, gained = (discordant + budget) / 2, (discordant - budget) / 2
    drawn = rng.multinomial(n, [lost, gained, 1 - lost - gained], repetitions)
    pairs, counts = np.unique(drawn[:, :2], axis=0, return_counts=True)
    certified = [-share_change(int(a), int(b), n).floor < budget for a, b in pairs]
    return int(counts[np.array(certified)].sum())


BOUNDARIES = (
    (60, 0.05, 0.06), (60, 0.02, 0.1), (400, 0.01, 0.01), (400, 0.02, 0.08), (1797, 0.01, 0.01), (1797, 0.01, 0.015),
    (1797, 0.01, 0.05), (2650, 0.01, 0.01), (10_000, 0.01, 0.05),
)  # fmt: skip


def lines() -> list[str]:
    """The tables."""
    rows = [c for population in populations() for c in coverage(population, REPETITIONS)]
    inside = np.array([c.inside for c in rows])
    more, less = int((inside > 0.97).sum()), int((inside < 0.93).sum())
    least, middle = 100 * inside.min(), 100 * float(np.median(inside))
    found = [
        f"{REPETITIONS:,} test parts from each of {len(populations())} populations: {_titles()}.",
        "",
        f"Of {len(inside)} intervals {len(inside) - more - less} hold the truth 93 to 97% of the time, {more} more "
        f"often and {less} less often; the least is {least:.1f}%, the middle {middle:.1f}%.",
        "",
        "| figure | test examples | interval of the figure holds the truth | that of the difference | one-sided bound "
        "of the difference is wrong, at most |",
        "|---|--:|--:|--:|--:|",
    ]
    for name, metric in registry.metrics().items():
        for few in (True, False):
            own = [c for c in rows if c.metric == name and (c.n < _FEW) == few]
            if own:
                found.append(f"| {metric.title} | {_span([c.n for c in own], '{:,}')} | {_rates(own)} |")
    found += ["", "| examples | budget = true drop | examples that differ | wrongly certified |", "|--:|--:|--:|--:|"]
    for n, budget, discordant in BOUNDARIES:
        wrong = wrongly_certified(n, budget, discordant, 20_000) / 20_000
        points = f"{100 * budget:g} point{'' if budget == 0.01 else 's'}"
        found.append(f"| {n:,} | {points} | {100 * discordant:g}% | {100 * wrong:.1f}% |")
    return found


_FEW = 100


def _titles() -> str:
    return "; ".join(f"{p.title} ({p.n:,} test examples)" for p in populations())


def _rates(own: Sequence[Coverage]) -> str:
    values = [100 * c.inside for c in own if c.what == "value"]
    changes = [c for c in own if c.what == "difference"]
    wrong = max(max(c.floor_wrong, c.ceiling_wrong) / c.repetitions for c in changes)
    return f"{_span(values, '{:.1f}%')} | {_span([100 * c.inside for c in changes], '{:.1f}%')} | {100 * wrong:.1f}%"


def _span(values: Sequence[float], form: str) -> str:
    low, high = form.format(min(values)), form.format(max(values))
    return low if low == high else f"{low} to {high}"
