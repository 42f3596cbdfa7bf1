"""What repeats over seeds tell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from optimizers import registry
from optimizers.cli.common import Home, Json, Opened, app, print_json, run_named
from optimizers.errors import NotApplicable
from optimizers.history.database import History
from optimizers.history.frames import comparison, headline
from optimizers.history.repeated import rankings, repeated_metrics
from optimizers.limits import metric_named
from optimizers.repeats import Pair, Place

_BRIEFLY = ("compressed_bytes", "speedup")
"""Metrics that are told after runs, behind the one that tells quality."""


@app.command()
def repeats(
    runs: Annotated[list[str], typer.Argument(help="Ids of finished runs that differ in their seed.")],
    metric: Annotated[str, typer.Option("--metric", help="Only this one; all that seeds tell something about.")] = "",
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Mean and spread over seeds of each recipe, and a ranking that separates only what the seeds do."""
    with Opened(home) as queue:
        metric = metric_named(metric) if metric else ""
        for run_id in runs:
            run_named(queue, run_id)
        found = told(queue.history, runs)
        if not found:
            raise NotApplicable(
                "None of these recipes has finished with two seeds; run it with --seeds 3, for example."
            )
        if metric and metric not in {one["metric"] for one in found}:
            raise NotApplicable(
                f"Seeds tell nothing about {metric} here: it was not measured, or depends on the device."
            )
        found = [one for one in found if metric in ("", one["metric"])]
        if as_json:
            print_json(found)
        else:
            tell_repeats(found)


def told(history: History, run_ids: Sequence[str], *, briefly: bool = False) -> list[dict[str, Any]]:
    """Rankings by metric as plain JSON, or by those that matter most; empty where nothing was repeated."""
    frame = comparison(history, run_ids)
    metrics = repeated_metrics(frame) if len(frame) else []
    if briefly:
        metrics = [name for name in metrics if name in (headline(frame), *_BRIEFLY)]
    return [
        {
            "metric": metric,
            "unit": registry.metric(metric).unit,
            "model": model,
            "dataset": dataset,
            "sentence": ranking.sentence,
            "places": [_place(place) for place in ranking.places],
            "pairs": [_pair(pair) for pair in ranking.pairs],
        }
        for metric in metrics
        for (model, dataset), ranking in rankings(frame, metric).items()
    ]


def _place(place: Place) -> dict[str, Any]:
    own = place.repeats
    low, high = own.interval or (None, None)
    return {
        "recipe": own.name,
        "first": place.first,
        "last": place.last,
        "n": own.n,
        "mean": own.mean,
        "deviation": own.deviation,
        "low": low,
        "high": high,
        "by_seed": {str(seed): own.by_seed[seed] for seed in sorted(own.by_seed)},
        "by_chance": own.chance,
        "not_separated_from": list(place.alike),
    }


def _pair(pair: Pair) -> dict[str, Any]:
    return {**vars(pair), "separated": pair.separated}


def tell_repeats(found: Sequence[dict[str, Any]]) -> None:
    """Prints rankings as text."""
    for one in found:
        print(f"{one['metric']} over seeds, {one['model']} on {one['dataset']}")
        for place in one["places"]:
            first, last = place["first"], place["last"]
            rank = f"{first}" if first == last else f"{first}-{last}"
            spread = ""
            if place["deviation"] is not None:
                spread = f"  sd {place['deviation']:.3g}"
            if place["low"] is not None:
                spread += f"  [{place['low']:.6g}, {place['high']:.6g}]"
            seeds = f"{place['n']} seeds" if place["n"] > 1 else "1 seed" if place["by_chance"] else "any seed"
            print(f"    {rank:>7}  {place['mean']:<12.6g} {seeds:8}{spread}  {place['recipe']}")
        if one["sentence"]:
            print(f"    {one['sentence']}")
