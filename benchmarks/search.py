"""What a search finds in a given time, against random search and a grid, and whether its winners keep their budget.

    python -m benchmarks.search front --sample penguins_mlp --seeds 5 --trials 30
    python -m benchmarks.search budget --sample penguins_mlp --seeds 10 --trials 20

What a user would do instead: draw recipes and settings at random from the same space, or go through a grid of all
chains with three amounts each, every training in full.

All methods share one store, so that nothing is trained twice in the benchmark. Each is charged what its stages took
when they were computed, by whichever method, the first time that it needs them itself: a clock of its own. Methods are
compared at the time at which the first of them had tried everything. Results are added to a JSON file as they come.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import log2
from pathlib import Path
from typing import Any

import optuna

from optimizers import registry
from optimizers.certification import Budget, decide
from optimizers.engine.queue import JobQueue
from optimizers.history.frames import comparison, differences_of
from optimizers.models import sample
from optimizers.recipe import Recipe
from optimizers.records import Run
from optimizers.search.desk import Wish
from optimizers.search.space import NONE, Defaults, Space, searched
from optimizers.settings import Settings

POINTS = 0.10
"""Quality from which on a file counts for the volume: the baseline's less ten points."""
MEASURING = 1.0
"""Seconds that every trial is charged for measuring."""
AMOUNTS = (0.25, 0.5, 0.75)
"""Where between the bounds of a step's first number a grid tries it."""


@dataclass(frozen=True)
class Tried:
    """One file on a method's own clock, in seconds."""

    at: float
    size: float
    quality: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["front", "budget", "tables"])
    parser.add_argument("--sample", action="append")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--home", type=Path, default=Path("/tmp/paretoscope-benchmark"))
    given = parser.parse_args()
    given.home.mkdir(parents=True, exist_ok=True)
    results = given.home / f"search-{given.what}.jsonl"
    if given.what == "tables":
        tables(given.home)
        return
    queue = JobQueue(Settings(home=given.home, timing_seconds=0.2))
    try:
        for seed in range(given.seeds):
            for name in given.sample or ["penguins_mlp"]:
                row = (front if given.what == "front" else budget)(queue, name, seed, given.trials)
                print(json.dumps(row), flush=True)
                with results.open("a") as stream:
                    stream.write(json.dumps(row) + "\n")
    finally:
        queue.close()


def front(queue: JobQueue, name: str, seed: int, trials: int) -> dict[str, Any]:
    """Dominated hypervolume of each method at the same time, and when each had reached what the others ended with."""
    model, data = f"sample:{name}", sample.manifest()[name].dataset
    _, summary = queue.driver.inspect_model(model)
    _, known = queue.driver.inspect_dataset(data)
    space = Space(summary, known)
    study = queue.searches.start(model, data, Wish(seconds=7 * 3600, most_trials=trials, seed=seed))
    queue.searches.wait(study.id)
    view = queue.searches.view(study.id)
    ids = {"search": [t.run_id for t in view.trials if t.state == "done"]}
    for method, recipes in (("random", drawn(space, seed)), ("grid", grid(space))):
        chosen = [recipe for recipe, _ in zip(recipes, range(trials), strict=False)]
        runs = queue.submit(model, data, chosen, seed=seed, study=f"benchmark-{method}", timed=False)
        queue.wait([run.id for run in runs])
        ids[method] = [run.id for run in runs]
    costs = stage_costs(queue)
    quality = view.study.objectives[1]
    told = {method: clocked(queue, found, costs, quality) for method, found in ids.items()}
    base = comparison(queue.history, ids["search"], part="validation").iloc[0]
    until = min(files[-1].at for files in told.values())
    volumes = {method: volume(files, until, base["size_bytes"], base[quality]) for method, files in told.items()}
    return {"what": "front", "sample": name, "seed": seed, "until": until, "volume": volumes,
            "files": {m: [f.__dict__ for f in files] for m, files in told.items()}}  # fmt: skip


def budget(queue: JobQueue, name: str, seed: int, trials: int) -> dict[str, Any]:
    """Whether the winner of a search under a budget of one point keeps it on test data."""
    model, data = f"sample:{name}", sample.manifest()[name].dataset
    wish = Wish(("size_bytes", "accuracy"), "accuracy>=-1pt", seconds=7 * 3600, most_trials=trials, seed=seed)
    study = queue.searches.start(model, data, wish)
    queue.searches.wait(study.id)
    view = queue.searches.view(study.id)
    row: dict[str, Any] = {"what": "budget", "sample": name, "seed": seed, "trials": len(view.trials), "winner": None}
    if view.best is None or not view.certified:
        return row
    best = view.best.outcome
    run = view.certified[best.trial.number]
    base = comparison(queue.history, [run.id]).iloc[0]
    row |= {"winner": best.trial.recipe, "standing": view.best.standing, "size": float(best.row["size_bytes"]),
            "smaller": float(base["size_bytes"] / best.row["size_bytes"])}  # fmt: skip
    if run.artifact_digest == run.baseline_digest:
        return row | {"drop": 0.0, "verdict": "the original itself"}
    found = differences_of(queue.history, run)["accuracy"]
    decision = decide(found, Budget("accuracy", 1.0))
    return row | {"drop": decision.drop, "upper": decision.upper, "verdict": decision.state, "n": decision.n}


def drawn(space: Space, seed: int) -> Iterator[Recipe]:
    """Recipes with settings drawn evenly from the same space, trained in full, each once."""
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    seen: set[str] = set()
    while True:
        recipe = space.suggest(study.ask(), "full")
        if recipe.text not in seen:
            seen.add(recipe.text)
            yield recipe


def grid(space: Space) -> Iterator[Recipe]:
    """Chains with fewest steps first, the first number of each training step at three places between its bounds."""
    chains = sorted(space.chains, key=lambda chain: sum(part != NONE for part in chain))
    seen: set[str] = set()
    for chain in chains:
        names = [name for part in chain if part != NONE for name in part.split("+")]
        for place in AMOUNTS:
            recipe = space.suggest(Defaults(chain, _amounts(names, place)), "full")
            if recipe.text not in seen:
                seen.add(recipe.text)
                yield recipe


def _amounts(names: Sequence[str], place: float) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for technique in (registry.technique(name) for name in names):
        first = next((f for f in searched(technique) if f.kind in ("int", "float") and not f.log), None)
        if "train" in technique.needs and first is not None and first.low is not None and first.high is not None:
            if first.kind == "int":
                found[f"{technique.name}.{first.name}"] = round(first.low * (first.high / first.low) ** place)
            else:
                found[f"{technique.name}.{first.name}"] = round(first.low + place * (first.high - first.low), 2)
    return found


def stage_costs(queue: JobQueue) -> dict[str, float]:
    """Seconds of each stage when it was computed."""
    runs = queue.history.runs(study=None)
    return {s.key: s.seconds for run in runs for s in run.stages if s.origin == "computed"}


def clocked(queue: JobQueue, ids: Sequence[str], costs: dict[str, float], quality: str) -> list[Tried]:
    """A method's files in the order in which it tried them, on its own clock."""
    rows = {r["artifact_digest"]: r for r in comparison(queue.history, ids, part="validation").to_dict("records")}
    runs: dict[str, Run] = {run.id: run for run in queue.history.runs(list(ids))}
    clock, paid, found = 0.0, set[str](), []
    for run in (runs[one] for one in ids):
        clock += MEASURING
        for stage in run.stages:
            clock += 0.0 if stage.key in paid else costs.get(stage.key, 0.0)
            paid.add(stage.key)
        row = rows.get(run.artifact_digest)
        if row is not None and run.state == "done":
            found.append(Tried(clock, float(row["size_bytes"]), float(row[quality])))
    return found


def volume(files: Sequence[Tried], until: float, size: float, quality: float) -> float:
    """Area between the front and the reference point: times smaller (log2) by quality above the baseline's less ten
    points, where ten points count 1."""
    points = [(log2(size / f.size), (f.quality - quality + POINTS) / POINTS) for f in files if f.at <= until]
    area, height = 0.0, 0.0
    for x, y in sorted(((x, y) for x, y in points if x > 0 and y > 0), reverse=True):
        if y > height:
            area, height = area + x * (y - height), y
    return area


def tables(home: Path) -> None:
    """Prints what the documentation shows."""
    rows = [json.loads(line) for path in sorted(home.glob("search-*.jsonl")) for line in path.read_text().splitlines()]
    print("| sample | seed | time (s) | search | random | grid |\n|---|---|---|---|---|---|")
    for row in (r for r in rows if r["what"] == "front"):
        v = row["volume"]
        print(f"| {row['sample']} | {row['seed']} | {row['until']:.0f} | {v['search']:.2f} | {v['random']:.2f} "
              f"| {v['grid']:.2f} |")  # fmt: skip
    print("\n| sample | seed | winner | times smaller | drop on test (points) | verdict |\n|---|---|---|---|---|---|")
    for row in (r for r in rows if r["what"] == "budget"):
        if row["winner"] is None:
            print(f"| {row['sample']} | {row['seed']} | none | | | |")
            continue
        print(f"| {row['sample']} | {row['seed']} | `{row['winner']}` | {row['smaller']:.2f} "
              f"| {100 * row['drop']:.2f} | {row['verdict']} |")  # fmt: skip


if __name__ == "__main__":
    main()
