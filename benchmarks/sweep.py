"""A sweep of 24 recipes here, and the same 24 one after another as a notebook would, with plain toolkit code.

    python -m benchmarks.sweep [--sample NAME]… [--side here|untimed|notebook]… [--again] [--write]

Three amounts of pruning, clustering, and both together, each as float16, dynamic range and int8 files. Each side is a
process of its own, timed from its start to its end, so imports count; ours has a fresh home and the default settings.
The notebook makes every file from the trained model, evaluates it on the test part and times a thousand runs of it.
Ours times each in turn with the baseline in fresh processes until their ratio is known to 3%, which takes seconds, so
it is also done without timing (``untimed``), and compared with the notebook less its own. Results are kept in
--home, a file for each side, and a side that is there is not run again unless --again says so. With --write the table
goes into docs/scale.md.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from scipy import stats

from benchmarks.tables import paired, written
from optimizers.engine import origins
from optimizers.engine.plan import predictions_key
from optimizers.engine.queue import JobQueue
from optimizers.engine.tasks import array
from optimizers.models.sample import manifest
from optimizers.recipe import Recipe, parse
from optimizers.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = ROOT / "docs" / "scale.md"
SIDES = ("here", "untimed", "notebook")
PRUNING = [f"magnitude_pruning(target_sparsity={target})" for target in (0.5, 0.7, 0.9)]
CHAINS = ("", *PRUNING, "weight_clustering", *(f"{pruning}+weight_clustering" for pruning in PRUNING))
ENDINGS = ("float16", "dynamic_range", "int8")
RECIPES = tuple("+".join(filter(None, (chain, ending))) for chain in CHAINS for ending in ENDINGS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sample", action="append")
    parser.add_argument("--side", choices=SIDES, action="append")
    parser.add_argument("--home", type=Path, default=Path("/tmp/paretoscope-sweep"))
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)  # the file that one side writes
    given = parser.parse_args()
    names = given.sample or ["digits_cnn"]
    if given.inside:
        [side] = given.side
        found = notebook(names[0]) if side == "notebook" else here(names[0], timed=side == "here")
        given.inside.write_text(json.dumps(found), encoding="utf-8")
        return
    given.home.mkdir(parents=True, exist_ok=True)
    for name in names:
        for side in given.side or SIDES:
            kept = given.home / f"{name}-{side}.json"
            if given.again or not kept.exists():
                timed(name, side, kept)
    complete = [name for name in manifest() if all((given.home / f"{name}-{side}.json").exists() for side in SIDES)]
    lines = table(given.home, complete)
    print("\n".join(lines))
    if given.write:
        DOCUMENT.write_text(written(DOCUMENT.read_text("utf-8"), "sweep", lines), encoding="utf-8")


def timed(name: str, side: str, kept: Path) -> None:
    """Runs a side in a process of its own and keeps what it tells, with seconds and processor seconds."""
    draft = kept.with_suffix(".draft")
    command = [sys.executable, "-m", "benchmarks.sweep", "--sample", name, "--side", side, "--inside", str(draft)]
    with tempfile.TemporaryDirectory(prefix="paretoscope-") as home:
        load, started, before = os.getloadavg()[0], time.monotonic(), _processor()
        subprocess.run(command, check=True, cwd=ROOT, env={**os.environ, "PARETOSCOPE_HOME": home})
        took = {"seconds": time.monotonic() - started, "processor": _processor() - before}
    seconds = took["seconds"]
    found = json.loads(draft.read_text("utf-8")) | took | {"load": load}
    kept.write_text(json.dumps(found), encoding="utf-8")
    draft.unlink()
    spent = {what: round(value) for what, value in found["spent"].items()}
    print(f"{name}, {side}: {seconds:.0f} s at a load of {load:.1f}, {spent}", file=sys.stderr, flush=True)


def _processor() -> float:
    """Seconds of processor time of all processes that have ended below this one."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def here(name: str, *, timed: bool) -> dict[str, Any]:
    """Answers of all files of one sweep, and where the time went; several run at once, so its seconds add up to more
    than it takes."""
    queue = JobQueue(Settings())
    recipes = [parse(recipe) for recipe in RECIPES]
    runs = queue.submit(f"sample:{name}", manifest()[name].dataset, recipes, timed=timed)
    queue.wait([run.id for run in runs])
    files, spent, trainings = {}, Counter[str](), 0
    for recipe, asked in zip(RECIPES, runs, strict=True):
        run = queue.history.run(asked.id)
        assert run.state == "done", run.failure
        for stage in (stage for stage in run.stages if stage.origin == "computed"):
            spent["training" if stage.trained else "converting"] += stage.seconds
            trainings += bool(stage.trained)
        kept = queue.store.get(predictions_key(run.artifact_digest, run.dataset, run.scope))
        assert kept is not None, "what was measured keeps its outputs"
        files[recipe] = array(queue.store, kept, "scores").argmax(axis=1).tolist()
    queue.close()
    return {"files": files, "spent": spent, "trainings": trainings}


def notebook(name: str) -> dict[str, Any]:
    """The same from plain toolkit code, one recipe after the other."""
    from benchmarks import toolkit  # loads TensorFlow

    source = origins.resolve_model(f"sample:{name}")[0]
    loaded = origins.load_dataset(manifest()[name].dataset)
    data = loaded.for_training()
    files, spent, trainings = {}, Counter[str](), 0
    for recipe in RECIPES:
        steps = plain(parse(recipe))
        started = time.monotonic()
        content = toolkit.made(source, data, steps)
        made = time.monotonic()
        files[recipe] = toolkit.answers(content, loaded.test.x).tolist()
        evaluated = time.monotonic()
        toolkit.milliseconds(content)
        spent["training and converting"] += made - started
        spent["evaluating"] += evaluated - made
        spent["timing"] += time.monotonic() - evaluated
        trainings += len(steps) - 1
    return {"files": files, "spent": spent, "trainings": trainings}


def plain(recipe: Recipe) -> list[tuple[str, dict[str, Any]]]:
    """Names and all settings of a recipe's steps."""
    return [(step.technique.name, step.params.model_dump(mode="json")) for step in recipe.steps]


def table(home: Path, names: list[str]) -> list[str]:
    """Times, their ratio, and accuracies recipe by recipe against those of the notebook's files."""
    lines = [
        f"{len(RECIPES)} recipes with default settings; seconds from the start to the end of the process, on "
        f"{psutil.cpu_count()} cores. The accuracy is ours less the notebook's, paired over the recipes; *proven* "
        "counts the recipes in which an exact McNemar test (Holm over all recipes, 5%) tells the two files apart.\n",
        "| sample | | here (load) | notebook (load) | notebook over here | processor time | trainings "
        "| accuracy, mean (95% interval) | largest | proven |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for name in names:
        told = {side: json.loads((home / f"{name}-{side}.json").read_text("utf-8")) for side in SIDES}
        theirs, y = told["notebook"], origins.load_dataset(manifest()[name].dataset).test.y
        timing = theirs["spent"]["timing"]
        for what, ours, less in (("timed", told["here"], 0.0), ("not timed", told["untimed"], timing)):
            there = {each: theirs[each] - less for each in ("seconds", "processor")}
            cells = [
                f"{ours['seconds']:.0f} s ({ours['load']:.1f})",
                f"{there['seconds']:.0f} s ({theirs['load']:.1f})",
                f"**{there['seconds'] / ours['seconds']:.2f}**",
                f"{there['processor'] / ours['processor']:.2f}",
                f"{ours['trainings']}, {theirs['trainings']}",
                *agreement(
                    *({recipe: np.array(f) == y for recipe, f in side["files"].items()} for side in (ours, theirs))
                ),
            ]
            lines.append(f"| {name} | {what} | {' | '.join(cells)} |")
    return lines


def agreement(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> list[str]:
    """How the accuracies differ, in words: mean with interval, largest difference, and how many are proven.

    Args:
        ours, theirs: By recipe, which test examples its file gets right, bool, shape (n,).
    """
    shares = [[float(side[recipe].mean()) for recipe in RECIPES] for side in (ours, theirs)]
    apart = paired(*shares)
    largest = max((a - b for a, b in zip(*shares, strict=True)), key=abs)
    return [
        f"{100 * apart.mean:+.2f} points ({100 * apart.low:+.2f} to {100 * apart.high:+.2f})",
        f"{100 * largest:+.2f} points",
        f"{proven(ours, theirs)} of {len(RECIPES)}",
    ]


def proven(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> int:
    """In how many recipes the two files are right on different shares of the examples (Holm, 5% over all)."""
    found = []
    for recipe, right in ours.items():
        gained, lost = int((right & ~theirs[recipe]).sum()), int((~right & theirs[recipe]).sum())
        found.append(float(stats.binomtest(lost, lost + gained).pvalue) if lost + gained else 1.0)
    count = 0
    for place, p in enumerate(sorted(found)):
        if p > 0.05 / (len(found) - place):
            break
        count += 1
    return count


if __name__ == "__main__":
    main()
