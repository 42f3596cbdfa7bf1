"""Searching for the best recipe under limits, within a time."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from typing import Annotated, Any, get_args

import typer

from optimizers import limits as limit
from optimizers.certification import sentence
from optimizers.cli.common import Data, Home, Json, Opened, app, data_for, print_json, say
from optimizers.engine import origins
from optimizers.engine.queue import JobQueue
from optimizers.errors import InvalidParameter
from optimizers.figures import format as fmt
from optimizers.records import LAST_SEED
from optimizers.search import goals
from optimizers.search.certifying import verdicts
from optimizers.search.desk import View, Wish
from optimizers.search.goals import Outcome
from optimizers.search.records import ENDINGS, Sampler

_UNITS = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


def seconds_of(text: str) -> float:
    """``90s``, ``15m``, ``2h`` or a number of seconds. Raises `InvalidParameter`."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", text.lower())
    if found is None or (found[2] or "s") not in _UNITS:
        raise InvalidParameter(f"{text!r} is no time; write it like 90s, 15m or 2h.")
    return float(found[1]) * _UNITS[found[2] or "s"]


@app.command()
def search(
    model: Annotated[str, typer.Option("--model", help="sample:NAME or a file.")] = "",
    data: Data = "",
    limits: Annotated[str, typer.Option("--limits", help=f"What files have to keep, like {limit.EXAMPLE!r}.")] = "",
    objective: Annotated[
        list[str] | None,
        typer.Option("--objective", help="Metric to make better, the decisive one first; can be repeated."),
    ] = None,
    board: Annotated[str, typer.Option("--board", help="Microcontroller board that files have to fit.")] = "",
    seconds: Annotated[str, typer.Option("--time", help="Time that may be spent: 90s, 15m, 2h.")] = "10m",
    technique: Annotated[
        list[str] | None, typer.Option("--technique", help="Only these may be used; can be repeated.")
    ] = None,
    sampler: Annotated[str, typer.Option("--sampler", help="tpe, nsga2 or random.")] = "tpe",
    trials: Annotated[int | None, typer.Option("--trials", min=1, help="No more than so many trials.")] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, max=LAST_SEED, help="For everything random.")] = 0,
    go_on: Annotated[
        str, typer.Option("--continue", help="Id of a search that goes on, for as long as --time says.")
    ] = "",
    certify: Annotated[
        int | None, typer.Option("--certify", help="With --continue: measure this trial on test data, and no more.")
    ] = None,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Search for the best recipe under limits, on validation data; the best is certified once on test data."""
    if sampler not in get_args(Sampler):
        raise InvalidParameter(f"There is no sampler {sampler!r}; there are: {', '.join(get_args(Sampler))}.")
    if bool(model) == bool(go_on):
        raise InvalidParameter("Name a model to search for with --model, or a search that goes on with --continue.")
    if certify is not None and not go_on:
        raise InvalidParameter("--certify measures a trial of a search that rests; name the search with --continue.")
    fixed = {"--data": data, "--limits": limits, "--objective": objective, "--board": board, "--technique": technique,
             "--sampler": sampler != "tpe", "--seed": seed}  # fmt: skip
    if go_on and (told_again := [option for option, value in fixed.items() if value]):
        raise InvalidParameter(
            f"A search that goes on stays what it was; leave {' and '.join(told_again)} out, or start a new one."
        )
    wish = Wish(
        tuple(limit.metric_named(name) for name in objective or ()),
        limits,
        board,
        seconds_of(seconds),
        tuple(technique or ()),
        sampler,  # type: ignore[arg-type]
        seed,
        trials,
    )
    with Opened(home) as queue:
        if certify is not None and go_on:
            queue.wait([queue.searches.certify(go_on, certify).id])
        elif go_on:
            _check_room(queue.searches.view(go_on), trials or 0)
            queue.searches.go_on(go_on, wish.seconds, trials or 0)
        else:
            origins.resolve_model(model)
            go_on = queue.searches.start(model, data_for(queue, model, data), wish).id
        say(f"Search {go_on}; --continue {go_on} goes on with it.")
        view = _followed(queue, go_on)
        told = _told(queue, view)
    if as_json:
        print_json(told)
    else:
        _print(told)
    sys.exit(0 if view.best is not None and view.best.standing != "nearest miss" else 1)


def _check_room(view: View, more: int) -> None:
    """Raises `InvalidParameter` where a search has done all trials that it was allowed."""
    most, counted = view.study.most_trials, [t.state for t in view.trials if t.state not in ("rejected", "failed")]
    if most is not None and not more and len(counted) >= most and set(counted) <= {"done"}:
        raise InvalidParameter(
            f"The search {view.study.id} has done the {most} trials that it was allowed; add --trials for more."
        )


def _followed(queue: JobQueue, study_id: str) -> View:
    """Tells on standard error what comes of each trial until the search rests."""
    told: set[tuple[int, str]] = set()
    best = -1
    while True:
        rests = queue.searches.wait(study_id, seconds=0.5)
        view = queue.searches.view(study_id)
        found = {o.trial.number: o for o in view.outcomes}
        for trial in view.trials:
            if (trial.number, trial.state) not in told:
                told.add((trial.number, trial.state))
                what = _figures(view, found[trial.number]) if trial.number in found else trial.reason
                say(f"[{view.study.spent:.0f} s] trial {trial.number} {trial.state}: {trial.recipe}  {what}".rstrip())
        if view.best is not None and view.best.outcome.trial.number != best:
            best = view.best.outcome.trial.number
            standing = f", {view.best.standing}" if goals.limits_of(view.study) else ""
            say(f"Best so far: trial {best}{standing}")
        if rests:
            return view


def _figures(view: View, outcome: Outcome) -> str:
    from optimizers import registry

    pairs = zip(view.study.objectives, outcome.values, strict=True)
    told = (f"{registry.metric(n).title} {fmt.value(registry.metric(n), v)}" for n, v in pairs if v is not None)
    return f"({', '.join(told)})"


def _told(queue: JobQueue, view: View) -> dict[str, Any]:
    best = view.best
    return {
        "id": view.study.id,
        "state": view.study.state,
        "problem": view.study.problem,
        "ended_early": ENDINGS.get(view.study.ended, ""),
        "spent_seconds": view.study.spent,
        "objectives": view.study.objectives,
        "limits": limit.text_of(goals.limits_of(view.study)),
        "trials": [t.model_dump(mode="json", exclude={"study", "created_at"}) for t in view.trials],
        "front": [_outcome(queue, view, o) for o in view.front],
        "best": {**_outcome(queue, view, best.outcome), "standing": best.standing, "missing": best.missing}
        if best
        else None,
        "certified": {number: _certificate(queue, view, number) for number in view.certified},
    }


def _outcome(queue: JobQueue, view: View, outcome: Outcome) -> dict[str, Any]:
    artifact = queue.store.get(outcome.row["artifact_key"])
    return {
        "trial": outcome.trial.number,
        "recipe": outcome.trial.recipe,
        "measured_on": "validation",
        "values": dict(zip(view.study.objectives, outcome.values, strict=True)),
        "limits": {v.limit.text: v.sentence for v in outcome.judged.verdicts},
        "artifact": str(queue.store.path(artifact)) if artifact else None,
    }


def _certificate(queue: JobQueue, view: View, number: int) -> dict[str, Any]:
    run = view.certified[number]
    found = verdicts(queue.history, view.study, run)
    return {
        "run": run.id,
        "measured_on": "test",
        "verdicts": [{"metric": b.metric, "amount": b.amount, "state": d.state, "sentence": sentence(d, b)}
                     for b, d in found.items()],
    }  # fmt: skip


def _print(told: dict[str, Any]) -> None:
    print(f"Search {told['id']}: {told['state']} after {told['spent_seconds']:.0f} s, {len(told['trials'])} trials")
    if why := told["problem"] or told["ended_early"]:
        print(f"    {why}")
    if told["front"]:
        _lines("Front, measured on validation data:", told["front"])
    best = told["best"]
    if best is None:
        print("Nothing was measured yet.")
        return
    standing = f", {best['standing']}" if told["limits"] else ""
    print(f"Best: trial {best['trial']}{standing}: {best['recipe']}")
    for sentence_ in best["missing"]:
        print(f"    {sentence_}")
    print(f"    {best['artifact']}")
    for number, certificate in told["certified"].items():
        nothing = "" if certificate["verdicts"] else "; no limit of this search is one that test data can certify"
        print(f"Trial {number} on test data: run {certificate['run']}{nothing}")
        for verdict in certificate["verdicts"]:
            print(f"    {verdict['state'].capitalize()}: {verdict['sentence']}")


def _lines(title: str, rows: Sequence[dict[str, Any]]) -> None:
    print(title)
    for row in rows:
        values = "  ".join(f"{name} {value:.6g}" for name, value in row["values"].items() if value is not None)
        print(f"    trial {row['trial']:<4} {values}  {row['recipe']}")
