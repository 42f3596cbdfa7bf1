"""The command line: the same engine without a browser."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from optimizers import registry
from optimizers.datasets import drawn
from optimizers.engine import origins
from optimizers.engine.driver import check_fit
from optimizers.engine.queue import JobQueue
from optimizers.errors import ParetoscopeError
from optimizers.history.frames import measurements_of
from optimizers.ledger import Stage, losses, stages_of
from optimizers.params import fields
from optimizers.recipe import parse, warnings
from optimizers.records import Run, StageRecord
from optimizers.settings import Settings

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="See what it costs to make a neural network small and fast.",
)

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
Recipes = Annotated[list[str], typer.Option("--recipe", help="Short form, preset or JSON file; can be repeated.")]
Data = Annotated[
    str, typer.Option("--data", help="sample:NAME or a file, and its preparation; random inputs if there are no data.")
]
Home = Annotated[Path | None, typer.Option("--home", help="Folder of the store and the history.")]


def main() -> None:
    """Runs the command line; a mistake of the user's is one sentence on standard error and exit status 2."""
    try:
        app(prog_name="python -m optimizers")
    except ParetoscopeError as error:
        _say(f"Error: {error.message}")
        sys.exit(2)
    except KeyboardInterrupt:
        _say("Interrupted. Finished steps are kept; the same command goes on from there.")
        sys.exit(130)


@app.command()
def models(as_json: Json = False) -> None:
    """List the sample models."""
    from optimizers.models.sample import manifest

    entries = manifest()
    if as_json:
        _print([{"uri": f"sample:{name}", **entry.model_dump(mode="json")} for name, entry in entries.items()])
        return
    for name, entry in entries.items():
        print(f"sample:{name:26} {entry.parameters:>9,} parameters  {entry.dataset:22} {entry.description}")


@app.command()
def datasets(as_json: Json = False) -> None:
    """List the sample data sets."""
    found = {
        f"sample:{name}": origins.load_dataset(f"sample:{name}").summary
        for name in registry.dataset_origins()["sample"].list()
    }
    if as_json:
        _print([{"uri": uri, **s.model_dump(mode="json", exclude={"preview"})} for uri, s in found.items()])
        return
    for uri, s in found.items():
        counts = f"{s.n_train} train / {s.n_validation} validation / {s.n_test} test"
        print(f"{uri:24} {s.task:15} {'x'.join(map(str, s.input_shape)):10} {counts}")


@app.command()
def techniques(as_json: Json = False) -> None:
    """List the techniques and their parameters."""
    known = registry.techniques().values()
    if as_json:
        _print(
            [
                {
                    "name": t.name,
                    "version": t.version,
                    "title": t.title,
                    "summary": t.summary,
                    "family": t.family,
                    "accepts": sorted(t.accepts),
                    "produces": t.produces,
                    "needs": sorted(t.needs),
                    "provides": sorted(t.provides),
                    "preserves": sorted(t.preserves),
                    "source": t.source,
                    "parameters": [f.model_dump(mode="json") for f in fields(t.params)],
                }
                for t in known
            ]
        )
        return
    for t in known:
        print(f"{t.name}\n    {t.summary}")
        for f in fields(t.params):
            bounds = f"one of {', '.join(f.choices)}" if f.choices else ""
            if f.low is not None and f.high is not None:
                bounds = f"{f.low:g} to {f.high:g}"
            print(f"    {f.name}={f.default}  {f.help} {f'({bounds})' if bounds else ''}")


@app.command()
def metrics(as_json: Json = False) -> None:
    """List the metrics."""
    known = registry.metrics().values()
    if as_json:
        _print(
            [
                {
                    "name": m.name,
                    "version": m.version,
                    "title": m.title,
                    "unit": m.unit,
                    "direction": m.direction,
                    "needs": m.needs,
                    "tasks": sorted(m.tasks),
                    "device_bound": m.device_bound,
                    "help": m.help,
                }
                for m in known
            ]
        )
        return
    for m in known:
        print(f"{m.name:18} {m.unit:14} {m.direction} is better  {m.help}")


@app.command()
def inspect(
    model: Annotated[str, typer.Argument(help="sample:NAME or a file.")], as_json: Json = False, home: Home = None
) -> None:
    """Describe a model: format, inputs, outputs, layers, parameters."""
    with _Opened(home) as queue:
        reference, summary = queue.driver.inspect_model(model)
    if as_json:
        _print({"model": reference.model_dump(mode="json"), **summary.model_dump(mode="json")})
        return
    saved_by = "" if summary.kind == "tflite" else f", saved by Keras {summary.keras_version or 'unknown'}"
    print(f"{reference.name}: {summary.format}{saved_by}")
    for side, specs in (("input", summary.inputs), ("output", summary.outputs)):
        for spec in specs:
            print(f"{side:7} {spec.name}: {spec.shape} {spec.dtype}")
    for layer in summary.layers:
        name = f"{layer.path}/{layer.name}" if layer.path else layer.name
        print(f"  {name:36} {layer.kind:26} {layer.output_shape!s:22} {layer.parameters:>10,}")
    print(f"{summary.parameters:,} parameters, {summary.trainable_parameters:,} of them trainable")
    for note in summary.notes:
        print(f"Note: {note}")


@app.command()
def prepare(
    model: Annotated[str, typer.Option("--model", help="sample:NAME or a file.")],
    data: Annotated[str, typer.Option("--data", help="sample:NAME, keras:NAME, or a file or folder.")],
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Propose how data are prepared for a model: shape, size, labels, and the scaling by trying it out."""
    with _Opened(home) as queue:
        found = queue.driver.propose(model, data)
    if as_json:
        _print(found.model_dump(mode="json"))
        return
    for trial in found.trials:
        print(f"{trial.scaling:12} {found.metric} {trial.score:.6g}  loss {trial.error:.6g}  p {trial.worse:.3g}")
    for note in found.notes:
        print(f"Note: {note}")
    print(f"--data '{found.uri}'")


@app.command()
def forecast(
    model: Annotated[str, typer.Option("--model", help="sample:NAME or a file.")],
    recipe: Recipes,
    data: Data = "",
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Tell what recipes would do, without training: layers touched and left alone, size, time."""
    recipes = [parse(text) for text in recipe]
    with _Opened(home) as queue:
        uri = _data_for(queue, model, data)
        found = [(r.text, queue.driver.forecast(model, uri, r)) for r in recipes]
    if as_json:
        _print([{"recipe": text, **expected.model_dump(mode="json")} for text, expected in found])
        return
    for text, expected in found:
        print(f"{text}: about {expected.size_bytes:,} B, {expected.compressed_bytes:,} B compressed, "
              f"{expected.macs:,} multiply-accumulates, {expected.seconds:.0f} s")  # fmt: skip
        for step in expected.steps:
            print(f"    {step.technique}")
            for layer, words in step.touched.items():
                print(f"        {layer}: {words}")
            for layer, reason in step.skipped.items():
                print(f"        {layer}: left alone, {reason}")
            for note in step.notes:
                print(f"        {note}")


@app.command()
def run(
    model: Annotated[str, typer.Option("--model", help="sample:NAME or a file.")],
    recipe: Recipes,
    data: Data = "",
    as_json: Json = False,
    home: Home = None,
    seed: Annotated[int, typer.Option("--seed", min=0, max=2**31 - 1, help="For everything random.")] = 0,
    keras: Annotated[
        Path | None, typer.Option("--keras", help="Folder for the optimized float models, as Keras 3 files.")
    ] = None,
) -> None:
    """Apply recipes to a model and measure the files that result."""
    recipes = [parse(text) for text in recipe]
    for checked in recipes:
        for warning in warnings(checked):
            _say(f"Warning: {checked.text}: {warning}")
    with _Opened(home) as queue:
        origins.resolve_model(model)  # a wrong name is told before anything is read
        uri = _data_for(queue, model, data)
        reference, dataset = queue.driver.inspect_dataset(uri)
        _, summary = queue.driver.inspect_model(model)
        check_fit(summary, dataset, reference.name)
        runs = queue.submit(model, uri, recipes, seed=seed)
        _follow(queue, runs)
        finished = [queue.history.run(r.id) for r in runs]
        results = [_result(queue, r) for r in finished]
        if keras is not None:
            for r, result in zip(finished, results, strict=True):
                result["keras"] = _exported(queue, r, keras)
    if as_json:
        _print(results)
    else:
        _table(results)
    sys.exit(0 if all(r.state == "done" for r in finished) else 1)


def _data_for(queue: JobQueue, model: str, data: str) -> str:
    """The data named, or random inputs for the model where none are."""
    if data:
        return data
    uri = drawn.for_model(queue.driver.inspect_model(model)[1])
    _say(f"No data were named, so variants are compared with the original on random inputs: {uri}")
    return uri


class _Opened:
    """A queue that is closed again, with its home chosen by ``--home``."""

    def __init__(self, home: Path | None) -> None:
        if home is not None:
            os.environ["PARETOSCOPE_HOME"] = str(home.expanduser().resolve())
        self.queue = JobQueue(Settings(), resume=False)

    def __enter__(self) -> JobQueue:
        return self.queue

    def __exit__(self, *problem: object) -> None:
        self.queue.close()


def _follow(queue: JobQueue, runs: list[Run]) -> None:
    """Tells on standard error what is happening until all runs have ended."""
    told: dict[str, str] = {}
    open_ids = [r.id for r in runs]
    names = {r.id: r.recipe for r in runs}
    while open_ids:
        queue.wait(open_ids, seconds=0.2)
        for run_id in list(open_ids):
            state = queue.history.run(run_id)
            ended = state.state in ("done", "failed", "cancelled")
            line = state.state if ended else _moment(queue, run_id)
            if line and told.get(run_id) != line:
                told[run_id] = line
                _say(f"{names[run_id]}: {line}")
            if ended:
                open_ids.remove(run_id)
                if state.failure:
                    _say(f"{names[run_id]}: {state.failure.message}")
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
        "state": run.state,
        "failure": run.failure.model_dump(mode="json", exclude={"detail"}) if run.failure else None,
        "artifact": str(queue.store.path(artifact)) if artifact else None,
        "measurements": {
            name: {"value": m.value, "unit": m.unit, "low": m.low, "high": m.high, "n": m.n}
            for name, m in measured.items()
        },
        "stages": [_stage(queue, stage) for stage in run.stages],
        "forecast": run.forecast or None,
        "lost": [loss.sentence for loss in losses(_ledger(queue, run))],
    }


def _exported(queue: JobQueue, run: Run, folder: Path) -> str | None:
    """Path of a run's optimized model as a Keras 3 file; None, and a sentence on standard error, if there is none."""
    if run.state != "done":
        return None
    try:
        source = queue.driver.export_keras3(run)
    except ParetoscopeError as error:
        _say(f"{run.recipe}: {error.message}")
        return None
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{run.id}.keras"
    shutil.copyfile(source, target)
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


def _table(results: Iterable[dict[str, Any]]) -> None:
    for result in results:
        print(f"{result['recipe']}: {result['state']}")
        for name, m in result["measurements"].items():
            interval = f"  [{m['low']:.6g}, {m['high']:.6g}]" if m["low"] is not None else ""
            print(f"    {name:18} {m['value']:<12.6g} {m['unit']}{interval}")
        for sentence in result["lost"]:
            print(f"    Lost: {sentence}")
        for name in ("artifact", "keras"):
            if result.get(name):
                print(f"    {result[name]}")


def _print(value: Any) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=False))


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
