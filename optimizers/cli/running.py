"""Running recipes, and what came of them."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from optimizers.analyses import keras_model
from optimizers.cli.certifying import certify, check_budget, in_words
from optimizers.cli.common import Data, Home, Json, Opened, Recipes, app, data_for, print_json, say
from optimizers.cli.repeating import tell_repeats, told
from optimizers.engine import origins
from optimizers.engine.analysing import Question, analyse
from optimizers.engine.driver import check_fit, targets_of
from optimizers.engine.evaluation import absent, uncompared
from optimizers.engine.queue import JobQueue
from optimizers.errors import ParetoscopeError
from optimizers.figures import format as fmt
from optimizers.grid import MOST_RUNS, Ablation, ablations, recipes_of, without_repetitions
from optimizers.history.devices import devices
from optimizers.history.frames import differences_of, measurements_of
from optimizers.ledger import Stage, losses, stages_of
from optimizers.litert.ratio import verdict
from optimizers.presets import suited
from optimizers.recipe import Recipe, warnings
from optimizers.records import LAST_SEED, Measurement, Run, StageRecord
from optimizers.registry import fitting

_OF_DIFFERENCE = {"value", "unit", "low", "high", "n", "lost", "gained", "p"}


@app.command()
def run(
    model: Annotated[str, typer.Option("--model", help="sample:NAME or a file.")],
    recipe: Recipes,
    data: Data = "",
    as_json: Json = False,
    home: Home = None,
    seed: Annotated[int, typer.Option("--seed", min=0, max=LAST_SEED, help="For everything random.")] = 0,
    seeds: Annotated[
        int, typer.Option("--seeds", min=1, max=MOST_RUNS, help="Repeats, with this seed and the ones after it.")
    ] = 1,
    ablate: Annotated[
        Ablation | None,
        typer.Option("--ablate", help="Also run each chain with a step left out, its steps alone, or both."),
    ] = None,
    keras: Annotated[
        Path | None,
        typer.Option("--keras", file_okay=False, help="Folder for the optimized float models, as Keras 3 files."),
    ] = None,
    budget: Annotated[
        float | None,
        typer.Option("--budget", help="Points, or percent of the baseline's error, that a file may be worse by."),
    ] = None,
    budget_metric: Annotated[str, typer.Option("--budget-metric", help="Metric that the budget is for.")] = "",
) -> None:
    """Apply recipes to a model and measure the files that result."""
    check_budget(budget, budget_metric)
    if keras is not None:
        keras.mkdir(parents=True, exist_ok=True)  # where that cannot be, nothing is run for nothing
    for checked in _asked(recipe, ablate):  # mistakes are told before anything is opened
        for warning in warnings(checked):
            say(f"Warning: {checked.text}: {warning}")
    with Opened(home) as queue:
        origins.resolve_model(model)  # a wrong name is told before anything is read
        uri = data_for(queue, model, data)
        reference, dataset = queue.driver.inspect_dataset(uri)
        _, summary = queue.driver.inspect_model(model)
        task = check_fit(summary, dataset, reference.name)
        check_budget(budget, budget_metric, [m.name for m in fitting(task, targets_of(summary, dataset))])
        recipes = _asked([suited(text, summary.layers) for text in recipe], ablate)
        runs = queue.submit(model, uri, recipes, seed=[(seed + i) % (LAST_SEED + 1) for i in range(seeds)])
        if len(runs) > len(recipe):
            say(f"{len(recipes)} recipes make {len(runs)} runs.")
        follow(queue, runs)
        finished = [queue.history.run(r.id) for r in runs]
        results = [_result(queue, r) for r in finished]
        certify(queue.history, finished, results, budget, budget_metric)
        over_seeds = told(queue.history, [r.id for r in runs], briefly=True)
        if keras is not None:
            for r, result in zip(finished, results, strict=True):
                result["keras"] = _exported(queue, r, keras)
    if as_json:
        print_json(results)
    else:
        _table(results)
        tell_repeats(over_seeds)
    sys.exit(0 if all(r.state == "done" for r in finished) else 1)


def _asked(texts: Sequence[str], ablate: Ablation | None) -> tuple[Recipe, ...]:
    """All recipes that are written, each once, with what is left of them without a step or of single steps."""
    recipes = without_repetitions(chain for text in texts for chain in recipes_of(text))
    if ablate is None:
        return recipes
    return without_repetitions(part for chain in recipes for part in ablations(chain, ablate))


def follow(queue: JobQueue, runs: list[Run]) -> None:
    """Tells on standard error what is happening until all runs have ended."""
    told: dict[str, str] = {}
    open_ids = [r.id for r in runs]
    several = len({r.seed for r in runs}) > 1
    names = {r.id: f"{r.recipe}, seed {r.seed}" if several else r.recipe for r in runs}
    while open_ids:
        queue.wait(open_ids, seconds=0.2)
        for run_id in list(open_ids):
            state = queue.history.run(run_id)
            ended = state.state in ("done", "failed", "cancelled")
            line = state.state if ended else _moment(queue, run_id)
            if line and told.get(run_id) != line:
                told[run_id] = line
                say(f"{names[run_id]}: {line}")
            if ended:
                open_ids.remove(run_id)
                if state.failure:
                    say(f"{names[run_id]}: {state.failure.message}")
        time.sleep(0.3)


def _moment(queue: JobQueue, run_id: str) -> str:
    progress = queue.progress(run_id)
    if progress is None:
        return ""
    tenth = f" {10 * int(10 * progress.step / progress.of)}%" if progress.step and progress.of else ""
    return f"[{progress.stage}/{progress.stages}] {progress.waiting or progress.title}{tenth}"


def _result(queue: JobQueue, run: Run) -> dict[str, Any]:
    artifact = queue.store.get(run.artifact_key) if run.artifact_key else None
    measured = measurements_of(queue.history, run) if artifact else {}
    return {
        "id": run.id,
        "recipe": run.recipe,
        "seed": run.seed,
        "state": run.state,
        "failure": run.failure.model_dump(mode="json", exclude={"detail"}) if run.failure else None,
        "artifact": str(queue.store.path(artifact)) if artifact else None,
        "measurements": _told(measured),
        "differences": {
            name: d.model_dump(mode="json", include=_OF_DIFFERENCE)
            for name, d in (differences_of(queue.history, run) if artifact else {}).items()
        },
        "absent": absent(queue.store, run, queue.driver.settings.threads, measured) if artifact else {},
        "uncompared": uncompared(queue.store, run) if artifact else {},
        "devices": {
            other.name: {"source": other.source, "measurements": _told(_timed(queue, run, other.name))}
            for other in devices(queue.history, [run.id])[1:]
        },
        "stages": [_stage(queue, stage) for stage in run.stages],
        "forecast": run.forecast or None,
        "lost": [loss.sentence for loss in losses(_ledger(queue, run))],
    }


def _told(measured: Mapping[str, Measurement]) -> dict[str, Any]:
    """Measurements as JSON; those that hold for one device only name it."""
    return {
        name: {"value": m.value, "unit": m.unit, "low": m.low, "high": m.high, "n": m.n}
        | ({"device": m.device, "threads": m.threads, "others": m.others, "disturbed": m.disturbed} if m.device else {})
        | ({"verdict": verdict(m.value, m.low, m.high)} if name == "speedup" else {})
        for name, m in measured.items()
    }


def _timed(queue: JobQueue, run: Run, device: str) -> dict[str, Measurement]:
    return {name: m for name, m in measurements_of(queue.history, run, device).items() if m.device}


def _exported(queue: JobQueue, run: Run, folder: Path) -> str | None:
    """Path of a run's optimized model as a Keras 3 file; None, and a sentence on standard error, if there is none."""
    if run.state != "done":
        return None
    try:
        _, key = analyse(queue.driver, Question(run, keras_model.ANALYSIS.name, {}))
    except ParetoscopeError as error:
        say(f"{run.recipe}: {error.message}")
        return None
    target = folder / f"{run.id}.keras"
    shutil.copyfile(queue.analyses.file(key, keras_model.FILE), target)
    return str(target)


def _stage(queue: JobQueue, stage: StageRecord) -> dict[str, Any]:
    """A stage with what its step told and what is in its kernels."""
    artifact = queue.store.get(stage.key)
    report = artifact.report if artifact else {}
    told = {name: report.get(name) for name in ("notes", "skipped", "figures", "survey")}
    return {**stage.model_dump(mode="json"), **told}


def _ledger(queue: JobQueue, run: Run) -> tuple[Stage, ...]:
    artifacts = [queue.store.get(stage.key) for stage in run.stages]
    return stages_of([artifact.report for artifact in artifacts if artifact is not None])


def _in_words(ratio: dict[str, Any]) -> str:
    """What a speed-up means, and how well it is known."""
    told = (ratio["value"], ratio["low"], ratio["high"])
    return "; ".join(filter(None, (fmt.speed(*told), fmt.precision(*told, ratio.get("disturbed")))))


def _difference(paired: dict[str, Any]) -> str:
    told = f"{paired['value']:+.3g} [{paired['low']:+.3g}, {paired['high']:+.3g}]"
    return told if paired["p"] is None else f"{told}, McNemar p = {paired['p']:.2g}"


def _table(results: Iterable[dict[str, Any]]) -> None:
    for result in results:
        print(f"{result['recipe']}, seed {result['seed']}: {result['state']}, run {result['id']}")
        for name, m in result["measurements"].items():
            interval = f"  [{m['low']:.6g}, {m['high']:.6g}]" if m["low"] is not None else ""
            words = f"  {_in_words(m)}" if name == "speedup" else ""
            paired = result["differences"].get(name)
            against = f"  vs. baseline {_difference(paired)}" if paired else ""
            print(f"    {name:18} {m['value']:<12.6g} {m['unit']}{interval}{words}{against}")
        for name, reason in result["absent"].items():
            print(f"    {name:18} not measured: {reason}")
        for name, reason in result["uncompared"].items():
            print(f"    {name:18} not compared with the baseline: {reason}")
        if result["budget"]:
            print(f"    {in_words(result['budget'])}")
        for sentence in result["lost"]:
            print(f"    Lost: {sentence}")
        for name in ("artifact", "keras"):
            if result.get(name):
                print(f"    {result[name]}")
