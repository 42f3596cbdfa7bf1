"""Two to four files that are looked at, side by side."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from optimizers.engine.queue import JobQueue
from optimizers.figures.beside import beside
from optimizers.figures.names import names
from optimizers.figures.tradeoff import identities
from optimizers.ledger import Stage, stages_of
from optimizers.qualifying import Judgement
from optimizers.records import Run
from pages.components import links, selection


def side_by_side(queue: JobQueue, frame: pd.DataFrame, runs: list[Run], judgement: Judgement | None) -> None:
    """Draws the files beside each other; nothing where only one is looked at."""
    wanted = selection.looked_at()
    if len(wanted) < 2:
        return
    ids, called, own = identities(frame), names(frame), {run.id: run for run in runs}
    at = [ids.index(i) for i in wanted]
    places = [frame.index[number] for number in at]
    stages = {place: _stages(queue, own.get(str(frame.loc[place, "run_id"]))) for place in places}
    table = beside(frame, places, [called[number] for number in at], judgement=judgement, stages=stages)
    # Something that the keyboard can reach, so that it can also move the table where it is wider than the window.
    table.loc["Look inside"] = [f"[Inspect]({links.inspected(own, identity)})" for identity in wanted]
    st.subheader("Side by side", anchor=False)
    st.table(table, border="horizontal")
    st.caption(
        "Grey: 95% interval. In brackets: that of the difference to the baseline. Bold: the best of these, which need "
        "not mean that the difference is proven."
    )


def _stages(queue: JobQueue, run: Run | None) -> tuple[Stage, ...]:
    artifacts = [queue.store.get(stage.key) for stage in run.stages] if run is not None else []
    return stages_of([artifact.report for artifact in artifacts if artifact is not None])
