"""Looking at a model and its data before anything runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from optimizers.cli.common import Data, Home, Json, Opened, Recipes, app, data_for, print_json, say
from optimizers.engine.queue import JobQueue
from optimizers.errors import NotApplicable
from optimizers.forecast import Forecast
from optimizers.grid import expected as together
from optimizers.grid import recipes_of, trials, without_repetitions
from optimizers.presets import suited
from optimizers.recipe import Recipe


@app.command()
def inspect(
    model: Annotated[str, typer.Argument(help="sample:NAME or a file.")], as_json: Json = False, home: Home = None
) -> None:
    """Describe a model: format, inputs, outputs, layers, parameters."""
    with Opened(home) as queue:
        reference, summary = queue.driver.inspect_model(model)
    if as_json:
        print_json({"model": reference.model_dump(mode="json"), **summary.model_dump(mode="json")})
        return
    saved_by = f", saved by Keras {summary.keras_version}" if summary.keras_version else ""
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
    with Opened(home) as queue:
        found = queue.driver.propose(model, data)
    if as_json:
        print_json(found.model_dump(mode="json"))
        return
    for trial in found.trials:
        which = f"{trial.input}: " if trial.input else ""
        score = f"{found.metric} {trial.score:.6g}  " if trial.score != trial.error else ""  # else it is the loss
        print(f"{which}{trial.scaling:12} {score}loss {trial.error:.6g}  p {trial.worse:.3g}")
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
    for text in recipe:
        recipes_of(text)  # mistakes are told before anything is opened
    with Opened(home) as queue:
        uri = data_for(queue, model, data)
        _, summary = queue.driver.inspect_model(model)
        recipes = without_repetitions(r for text in recipe for r in recipes_of(suited(text, summary.layers)))
        found, impossible = [], dict[str, NotApplicable]()
        for r in recipes:
            try:
                found.append((r.text, queue.driver.forecast(model, uri, r)))
            except NotApplicable as reason:
                impossible[r.text] = reason
    if len(recipes) == len(impossible) == 1:
        raise impossible.popitem()[1]
    for text, problem in impossible.items():
        say(f"{text} cannot run: {problem.message}")
    if as_json:
        told = [{"recipe": text, **expected.model_dump(mode="json")} for text, expected in found]
        print_json([*told, *({"recipe": text, "failure": problem.message} for text, problem in impossible.items())])
    else:
        _foretold(queue, recipes, found)
    if impossible:
        raise typer.Exit(1)


def _foretold(queue: JobQueue, recipes: Sequence[Recipe], found: list[tuple[str, Forecast]]) -> None:
    several = together(trials(recipes, [0]), dict(found), queue.settings.workers, queue.settings.timing_seconds)
    if len(found) > 1:
        say(f"{len(found)} recipes, about {several.seconds:.0f} s with measuring; shared steps are computed once.")
    for text, expected in found:
        print(f"{text}: about {expected.size_bytes:,} B, {expected.compressed_bytes:,} B compressed, "
              f"{expected.macs:,} multiply-accumulates, {expected.seconds:.0f} s")  # fmt: skip
        if expected.grows:
            print(f"    larger than the original, which has {expected.original_bytes:,} B")
        for step in expected.steps:
            print(f"    {step.technique}")
            for layer, words in step.touched.items():
                print(f"        {layer}: {words}")
            for layer, reason in step.skipped.items():
                print(f"        {layer}: left alone, {reason}")
            for note in step.notes:
                print(f"        {note}")
