"""What keeps a compared file from being smaller or faster, in short; the rest is on the page Inspect."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from optimizers.engine.analysing import Question
from optimizers.engine.queue import JobQueue
from optimizers.figures.tradeoff import identity
from optimizers.records import Run
from pages.components import links
from pages.components.boundary import guarded
from pages.components.look import question_about, said

_SECONDS = 1.0
_MOST = 3


def why(queue: JobQueue, row: pd.Series, runs: list[Run]) -> None:
    """Draws the warnings of a file's diagnosis, or its first sentence where there is none; nothing while it is made."""
    question = question_about(row, runs, "diagnosis")
    sight = queue.analyses.look(question)
    if sight is not None and sight.pending:
        st.fragment(_waiting, run_every=_SECONDS)(queue, question)
    if sight is None or sight.report is None:
        return
    told = [sentence for sentence in sight.report.sentences if sentence.tone == "warning"]
    for sentence in told[:_MOST] or sight.report.sentences[:1]:
        st.markdown(said(sentence))
    where = links.runs_query(run.id for run in runs) | {links.FILE: identity(row), links.WHAT: "diagnosis"}
    st.page_link(
        "pages/inspect.py", label="Why not smaller or faster?", icon=":material/troubleshoot:", query_params=where
    )


@guarded
def _waiting(queue: JobQueue, question: Question) -> None:
    sight = queue.analyses.look(question, start=False)
    if sight is None or not sight.pending:
        st.rerun(scope="app")
