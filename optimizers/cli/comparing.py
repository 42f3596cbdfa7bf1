"""Runs side by side, and which of their files keep given limits."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import pandas as pd
import typer

from optimizers import registry
from optimizers.cli.common import Home, Json, Opened, app, print_json, run_named, say
from optimizers.errors import InvalidParameter
from optimizers.figures import format as fmt
from optimizers.figures.names import names
from optimizers.figures.tradeoff import against
from optimizers.history.devices import devices
from optimizers.history.frames import comparison, headline, metric_columns
from optimizers.limits import metric_named, parse, text_of
from optimizers.qualifying import Judged, Judgement, judge

_FIRST = ("size_bytes", "latency_ms")
_JUDGED = (
    "Limits that compare quality with the baseline are judged as budgets are certified, at 5% risk; others by the 95% "
    "interval of the figure."
)


@app.command()
def compare(
    runs: Annotated[list[str], typer.Argument(help="Ids of finished runs, as `run --json` tells them.")],
    limits: Annotated[
        str,
        typer.Option("--limits", help='Like "size<=100KB, accuracy>=-1pt, speedup>=2"; signs: vs. baseline.'),
    ] = "",
    best: Annotated[
        str,
        typer.Option("--best", help="Metric that the best of those that keep the limits is best in."),
    ] = "",
    device: Annotated[str, typer.Option("--device", help="Device whose times are compared.")] = "",
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Put runs side by side and name the best file that keeps the limits, or the one that comes nearest.

    The exit status is 1 if there are limits and no file keeps them for sure.
    """
    parse(limits, quality="accuracy")  # what cannot be understood is told before anything is opened
    goal = metric_named(best) if best else ""
    with Opened(home) as queue:
        chosen = [run_named(queue, run).id for run in runs]
        if device:
            known = [one.name for one in devices(queue.history, chosen)]
            if device not in known:
                raise InvalidParameter(
                    f"None of these files was timed on {device!r}; known are {', '.join(map(repr, known)) or 'none'}."
                )
        frame = comparison(queue.history, chosen, device)
    if frame.empty:
        raise InvalidParameter("None of these runs has left a file that was measured.")
    wanted = parse(limits, quality=headline(frame) or "")
    judgement = judge(frame, wanted, goal)
    called = dict(zip(frame.index, names(frame, full=True), strict=True))
    if as_json:
        print_json(_as_json(frame, judgement, called, text_of(wanted)))
    else:
        _table(frame, judgement, called, limited=bool(wanted))
        if wanted:
            print(_JUDGED)
    if wanted:
        say(conclusion(judgement, called))
    sys.exit(0 if judgement.qualifying else 1)


def conclusion(judgement: Judgement, called: dict[Any, str]) -> str:
    """Which file is the best that keeps the limits, or which comes nearest and what it lacks."""
    if judgement.best is not None:
        count = len(judgement.qualifying)
        others = f"; {count} of {len(judgement.files)} files keep all limits" if count > 1 else ""
        return f"The best that keeps all limits is {called[judgement.best]}{others}."
    if judgement.nearest is None:
        return "There is no file to judge."
    lacks = "; ".join(v.sentence for v in judgement.files[judgement.nearest].missing)
    return f"No file keeps all limits for sure. The nearest is {called[judgement.nearest]}: {lacks}."


def _table(frame: pd.DataFrame, judgement: Judgement, called: dict[Any, str], *, limited: bool) -> None:
    known = registry.metrics()
    for place, row in frame.iterrows():
        quality = headline(frame.loc[[place]].dropna(axis="columns"))  # models differ in what they are for
        shown = [name for name in (quality, *_FIRST) if name and name in frame]
        told = []
        for name in shown:
            figures = [fmt.value(known[name], row[name]), "" if row["is_baseline"] else against(known[name], row)]
            told.append(f"{fmt.inside(known[name].title)} {', '.join(filter(None, figures))}")
        print(f"{called[place]}: {'; '.join(told)}")
        if limited:
            judged = judgement.files[place]
            print(f"    {judged.state}")
            for verdict in judged.verdicts:
                print(f"    {verdict.state:22} {verdict.sentence}")


def _as_json(frame: pd.DataFrame, judgement: Judgement, called: dict[Any, str], limits: str) -> dict[str, Any]:
    def identity(place: Any) -> str | None:
        return None if place is None else called[place]

    return {
        "limits": limits,
        "best": identity(judgement.best),
        "nearest": identity(judgement.nearest),
        "files": [
            {
                "name": called[place],
                "run": str(row["run_id"]) or None,
                "state": judgement.files[place].state,
                "verdicts": _verdicts(judgement.files[place]),
                "measurements": {n: float(row[n]) for n in metric_columns(frame) if not fmt.missing(row[n])},
            }
            for place, row in frame.iterrows()
        ],
    }


def _verdicts(judged: Judged) -> list[dict[str, Any]]:
    return [
        {
            "limit": v.limit.text, "state": v.state, "margin": v.margin, "sentence": v.sentence,
            "value": v.quantity.value if v.quantity else None,
            "low": v.quantity.low if v.quantity else None, "high": v.quantity.high if v.quantity else None,
        }
        for v in judged.verdicts
    ]  # fmt: skip
