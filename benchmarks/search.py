"""What a search finds in a given time, against random search and a grid, and whether its winners keep their budget.

    python -m benchmarks.search front [--sample NAME]… [--method search|random|grid]… [--seeds 5] [--trials 20]
    python -m benchmarks.search budget [--sample NAME]… [--seeds 10] [--trials 20]
    python -m benchmarks.search tables [--write]

What a user would do instead: draw recipes and settings at random from the same space, or go through a grid of all
chains with three amounts each, in an order that chance decides, every training in full.

All methods share one store, so that nothing is trained twice in the benchmark. Each is charged what its stages took
when they were computed, by whichever method, the first time that it needs them itself: a clock of its own. Methods are
compared at the time at which the first of them had tried everything.

Each sample, seed and method is a piece of its own. What a piece found is added to a JSON file when it ends, and a piece
that is there is not run again; ``--pieces`` ends after so many. One that was interrupted goes on. With --write the
tables go into docs/search.md.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, product
from math import log2
from pathlib import Path
from typing import Any

import numpy as np
import optuna

from benchmarks.tables import paired, written
from optimizers import registry
from optimizers.certification import Budget, decide
from optimizers.engine.queue import JobQueue
from optimizers.history.frames import comparison, differences_of
from optimizers.models import sample
from optimizers.recipe import Recipe
from optimizers.records import Run
from optimizers.search.desk import View, Wish
from optimizers.search.space import NONE, Defaults, Space, searched
from optimizers.settings import Settings

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "search.md"
METHODS = ("search", "random", "grid")
SAMPLES = {
    "front": ["penguins_mlp", "digits_cnn", "fashion_cnn"],
    "budget": [
        n for n, s in sample.manifest().items() if s.task in ("classification", "binary") and not s.is_variant_of
    ],
}
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
    parser.add_argument("--method", action="append", choices=METHODS)
    parser.add_argument("--seeds", type=int)
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--pieces", type=int)
    parser.add_argument("--home", type=Path, default=Path("/tmp/paretoscope-benchmark"))
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    given.home.mkdir(parents=True, exist_ok=True)
    if given.what == "tables":
        for section, lines in (("front", front_table(given.home)), ("budget", budget_table(given.home))):
            print("\n".join([*lines, ""]))
            if given.write and kept(given.home, section):
                DOCUMENT.write_text(written(DOCUMENT.read_text("utf-8"), section, lines), encoding="utf-8")
        return
    methods = (given.method or METHODS) if given.what == "front" else ("search",)
    seeds = range(given.seeds or {"front": 5, "budget": 10}[given.what])
    known = {(row["sample"], row["seed"], row["method"]) for row in kept(given.home, given.what)}
    wanted = [
        (name, seed, method)
        for seed, name, method in product(seeds, given.sample or SAMPLES[given.what], methods)
        if (name, seed, method) not in known
    ]
    queue = JobQueue(Settings(home=given.home, timing_seconds=0.2))
    try:
        for name, seed, method in wanted[: given.pieces]:
            started = time.monotonic()
            if given.what == "front":
                row = front(queue, name, seed, method, given.trials)
            else:
                row = budget(queue, name, seed, given.trials)
            row = {"sample": name, "seed": seed, "method": method, "took": time.monotonic() - started} | row
            with (given.home / f"search-{given.what}.jsonl").open("a") as stream:
                stream.write(json.dumps(row) + "\n")
            print({key: value for key, value in row.items() if key != "files"}, flush=True)
    finally:
        queue.close()


def kept(home: Path, what: str) -> list[dict[str, Any]]:
    """What pieces found so far."""
    path = home / f"search-{what}.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def front(queue: JobQueue, name: str, seed: int, method: str, trials: int) -> dict[str, Any]:
    """What a method tried, on its own clock, and what the baseline has."""
    model, data = f"sample:{name}", sample.manifest()[name].dataset
    _, summary = queue.driver.inspect_model(model)
    _, known = queue.driver.inspect_dataset(data)
    space = Space(summary, known)
    if method == "search":
        view = searched_for(queue, name, Wish(seconds=7 * 3600, most_trials=trials, seed=seed))
        ids = [trial.run_id for trial in view.trials if trial.state == "done"]
        ranking = ranking_seconds(queue, view)
    else:
        recipes = drawn(space, seed) if method == "random" else shuffled(grid(space), seed)
        ids = tried(queue, name, list(islice(recipes, trials)), seed, f"benchmark-{method}")
        ranking = 0.0
    quality = queue.searches.checked(model, data, Wish()).objectives[1]
    base = comparison(queue.history, ids, part="validation").iloc[0]
    files = clocked(queue, ids, stage_costs(queue), quality, ranking)
    return {"quality": quality, "base": [float(base["size_bytes"]), float(base[quality])],
            "files": [[f.at, f.size, f.quality] for f in files]}  # fmt: skip


def searched_for(queue: JobQueue, name: str, wish: Wish) -> View:
    """A search that has ended; one that was begun before and interrupted goes on."""
    model, data = f"sample:{name}", sample.manifest()[name].dataset
    asked = queue.searches.checked(model, data, wish)
    same = ("model", "dataset", "objectives", "limits", "seed", "most_trials")
    known = (s for s in queue.searches.studies() if all(getattr(s, a) == getattr(asked, a) for a in same))
    study = next(known, None) or queue.searches.start(model, data, wish)
    queue.searches.wait(study.id)
    return queue.searches.view(study.id)


def tried(queue: JobQueue, name: str, recipes: Sequence[Recipe], seed: int, study: str) -> list[str]:
    """Ids of one run per recipe, in order, all ended; those that were begun before are not begun again."""
    model, data = f"sample:{name}", sample.manifest()[name].dataset
    asked = [(recipe.text, seed) for recipe in recipes]
    known = {(r.recipe, r.seed): r.id for r in queue.history.runs(study=study) if r.model.uri == model}
    missing = [recipe for recipe in recipes if (recipe.text, seed) not in known]
    for run in queue.submit(model, data, missing, seed=seed, study=study, timed=False):
        known[(run.recipe, run.seed)] = run.id
    ids = [known[one] for one in asked]
    queue.wait(ids)
    return ids


def budget(queue: JobQueue, name: str, seed: int, trials: int) -> dict[str, Any]:
    """Whether the winner of a search under a budget of one point keeps it on test data."""
    wish = Wish(("size_bytes", "accuracy"), "accuracy>=-1pt", seconds=7 * 3600, most_trials=trials, seed=seed)
    view = searched_for(queue, name, wish)
    row: dict[str, Any] = {"trials": len(view.trials), "winner": None}
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


def shuffled(recipes: Iterator[Recipe], seed: int) -> list[Recipe]:
    """All of them in an order that the seed decides: nobody knows beforehand which corner of a grid is the good one."""
    found = list(recipes)
    random.Random(seed).shuffle(found)
    return found


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


def ranking_seconds(queue: JobQueue, view: View) -> float:
    """What the search needed, beside its trials, to find out which layers are sensitive: its pause before it trains."""
    runs = {run.id: run for run in queue.history.runs([t.run_id for t in view.trials if t.run_id])}
    ended = [r.finished_at for t in view.trials if t.effort == "none" and (r := runs.get(t.run_id)) and r.finished_at]
    begun = [r.started_at for t in view.trials if t.effort != "none" and (r := runs.get(t.run_id)) and r.started_at]
    if not begun:
        return 0.0
    return max(0.0, (min(begun) - max(at for at in ended if at < min(begun))).total_seconds())


def clocked(
    queue: JobQueue, ids: Sequence[str], costs: dict[str, float], quality: str, ranking: float = 0.0
) -> list[Tried]:
    """A method's files in the order in which it tried them, on its own clock; what ranking layers took is paid before
    the first training."""
    rows = {r["artifact_digest"]: r for r in comparison(queue.history, ids, part="validation").to_dict("records")}
    runs: dict[str, Run] = {run.id: run for run in queue.history.runs(list(ids))}
    clock, paid, found = 0.0, set[str](), []
    for run in (runs[one] for one in ids):
        clock += MEASURING
        if any(stage.trained for stage in run.stages):
            clock, ranking = clock + ranking, 0.0
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


def front_table(home: Path) -> list[str]:
    """Volumes by sample, method and seed, at the time at which the first method had tried everything."""
    rows = {(r["sample"], r["seed"], r["method"]): r for r in kept(home, "front")}
    lines = [
        "| sample | seeds | compared at (s, median) | search | random | grid | search less random (95%) "
        "| search less grid (95%) |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for name in dict.fromkeys(name for name, _, _ in rows):
        found: dict[str, list[float]] = {method: [] for method in METHODS}
        times = []
        for seed in sorted({seed for one, seed, _ in rows if one == name}):
            pieces = {method: rows.get((name, seed, method)) for method in METHODS}
            told = {method: row for method, row in pieces.items() if row is not None}
            if len(told) < len(METHODS) or not all(row["files"] for row in told.values()):
                continue
            files = {method: [Tried(*file) for file in row["files"]] for method, row in told.items()}
            until = min(tried[-1].at for tried in files.values())
            times.append(until)
            for method, row in told.items():
                found[method].append(volume(files[method], until, *row["base"]))
        if not times:
            continue
        cells = [f"{np.mean(found[method]):.2f}" for method in METHODS]
        for other in ("random", "grid"):
            more = paired(found["search"], found[other])
            cells.append(f"{more.mean:+.2f} ({more.low:+.2f} to {more.high:+.2f})")
        lines.append(f"| {name} | {len(times)} | {np.median(times):.0f} | {' | '.join(cells)} |")
    return lines


def budget_table(home: Path) -> list[str]:
    """Winners by sample: how often there was one, how much smaller it was, and what the test examples said."""
    lines = [
        "| sample | seeds | winners | times smaller (median) | largest drop on test (points) | certified "
        "| not proven | failed |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    rows = kept(home, "budget")
    for name in dict.fromkeys(row["sample"] for row in rows):
        of = [row for row in rows if row["sample"] == name]
        won = [row for row in of if row["winner"]]
        said = [row["verdict"] for row in won]
        counts = [sum(said.count(v) for v in which) for which in
                  (("certified", "the original itself"), ("not proven",), ("failed",))]  # fmt: skip
        told = (
            [f"{np.median([r['smaller'] for r in won]):.2f}", f"{100 * max(0.0, *(r['drop'] for r in won)):.2f}"]
            if won
            else ["", ""]
        )
        lines.append(f"| {name} | {len(of)} | {len(won)} | {' | '.join([*told, *map(str, counts)])} |")
    return lines


if __name__ == "__main__":
    main()
