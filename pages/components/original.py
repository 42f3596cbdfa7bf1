"""How large, quick and good a model is as it is: measured as soon as it is looked at with its data."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from optimizers import registry
from optimizers.engine.queue import JobQueue
from optimizers.errors import ParetoscopeError
from optimizers.figures import format as fmt
from optimizers.history.database import UNFINISHED
from optimizers.history.frames import comparison, headline
from optimizers.recipe import parse
from optimizers.records import SHARED, DatasetRef, ModelRef, Run
from pages.components import session
from pages.components.boundary import guarded
from pages.components.links import Choice
from pages.components.text import escaped

_RECIPE = "float32"
_FIRST = ("size_bytes", "latency_ms")
_SECONDS = 1.0
_MOST = 50
_KNOWN = "originals"


def original(queue: JobQueue, chosen: Choice, model: ModelRef, dataset: DatasetRef) -> None:
    """Figures of the float32 file, or how far measuring it is. It is started where nobody has measured it yet."""
    try:
        run = _run(queue, chosen, model, dataset)
    except ParetoscopeError as error:
        st.caption(f"The original was not measured: {escaped(error.message)}")
        return
    if run.state in UNFINISHED:
        st.fragment(_waiting, run_every=_SECONDS)(queue, run.id)
    elif run.state == "done":
        _figures(comparison(queue.history, [run.id]))
    else:
        why = escaped(run.failure.message) if run.failure is not None else f"Its run was {run.state}."
        st.warning(f"The original was not measured. {why}", icon=":material/warning:")


def is_original(run: Run) -> bool:
    """Whether a run only measures the model as it is."""
    return run.recipe == _RECIPE


def _run(queue: JobQueue, chosen: Choice, model: ModelRef, dataset: DatasetRef) -> Run:
    """The run that measures it: of this visit, of this visitor, of anybody where all may see it, or a new one."""
    known: dict[tuple[str, str], str] = st.session_state.setdefault(_KNOWN, {})
    pair = (model.digest, dataset.digest)
    if pair in known and (found := queue.history.runs([known[pair]])):
        return found[0]
    scopes = dict.fromkeys([session.scope(), SHARED] if model.scope == dataset.scope == SHARED else [session.scope()])
    runs = queue.history.runs(
        scopes=[*scopes], states=("done", *UNFINISHED), text=f"{_RECIPE} {model.name}", limit=_MOST
    )
    same = [run for run in runs if is_original(run) and (run.model.digest, run.dataset.digest) == pair]
    (run,) = same[:1] or session.submit(queue, chosen.model, chosen.data, [parse(_RECIPE)], asked=False)
    known[pair] = run.id
    return run


@guarded
def _waiting(queue: JobQueue, run_id: str) -> None:
    found = queue.history.runs([run_id])
    if not found or found[0].state not in UNFINISHED:
        st.rerun(scope="app")
    what = "waits for its turn to be" if found[0].state == "queued" else "is being"
    st.caption(f":material/progress_activity: The original {what} measured: its size, its speed and its quality.")


def _figures(frame: pd.DataFrame) -> None:
    rows = frame[frame["is_baseline"].astype(bool)] if not frame.empty else frame
    if rows.empty:
        return
    row, known = rows.iloc[0], registry.metrics()
    shown = [name for name in (headline(frame), *_FIRST) if name and name in row and not fmt.missing(row[name])]
    for place, name in zip(st.columns(len(shown) or 1), shown, strict=False):
        metric = known[name]
        bounds = fmt.unbroken(fmt.interval(metric, row.get(f"{name}_low"), row.get(f"{name}_high")))
        place.metric(
            metric.title, fmt.value(metric, row[name]), bounds or None, border=True, height="stretch",
            delta_color="off", delta_arrow="off", help=f"{metric.help} Of the original as a float32 file.",
        )  # fmt: skip
