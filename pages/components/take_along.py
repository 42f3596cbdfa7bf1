"""A comparison as files: report, pack of evidence, tables."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable
from pathlib import Path

import streamlit as st

from optimizers.engine.queue import JobQueue
from optimizers.records import SHARED, Run
from optimizers.report import mlflow
from optimizers.report.content import Content, content
from optimizers.report.html import document
from optimizers.report.markdown import table
from optimizers.report.pack import write
from optimizers.report.results import FORMATS, encoded, results
from pages.components import session

_MIME = {"csv": "text/csv", "json": "application/json", "parquet": "application/vnd.apache.parquet"}


def report(queue: JobQueue, runs: list[Run]) -> Content:
    """Words for the report, and the buttons for report and pack; gives back what they tell."""
    ids = [run.id for run in runs]
    told = content(queue.history, queue.store, ids)
    left, right = st.columns([2, 3], gap="large")
    title = left.text_input("Title", placeholder=told.title, key="report_title", max_chars=120)
    private = any(run.dataset.scope != SHARED for run in runs)
    own = all(session.sees_examples(run) for run in runs)
    wanted = left.checkbox(
        "Put the test examples into the pack", value=not private, disabled=not own,
        key="report_data" if own else "report_data_of_others",
        help="With them, whoever gets the pack can measure quality again. Without them they need the data themselves."
        if own else "Only whoever brought these data can give their examples away.",
    )  # fmt: skip
    with_data = own and wanted
    note = right.text_area(
        "Note", placeholder="What was the question, and what follows from the answer?", key="report_note",
        max_chars=4000, height=122,
    )  # fmt: skip
    stem = re.sub(r"[^A-Za-z0-9_.-]+", "_", title or told.title).strip("_.")[:80] or "report"
    with st.container(horizontal=True, gap="small"):
        st.download_button(
            "Report (HTML)", data=lambda: document(content(queue.history, queue.store, ids, title), note=note),
            file_name=f"{stem}.html", mime="text/html", type="primary", icon=":material/description:",
            on_click="ignore", key="report_html", help="One file that opens in any browser, without a network.",
        )  # fmt: skip
        st.download_button(
            "Evidence pack (ZIP)", data=_packed(queue, ids, f"{stem}.zip", title, note, with_data),
            file_name=f"{stem}.zip", mime="application/zip", icon=":material/verified:", on_click="ignore",
            key="report_pack", help="The report with the files themselves, hashes, recipes and versions.",
        )  # fmt: skip
    st.caption(
        f"Whoever gets the pack measures size, hash and quality again with `python -m optimizers verify {stem}.zip`."
    )
    return told


def _packed(queue: JobQueue, ids: list[str], name: str, title: str, note: str, with_data: bool) -> Callable[[], bytes]:
    def make() -> bytes:
        with tempfile.TemporaryDirectory() as folder:
            target = Path(folder) / name
            write(queue.driver, ids, target, title=title, note=note, with_data=with_data)
            return target.read_bytes()

    return make


def tables(queue: JobQueue, runs: list[Run], told: Content) -> None:
    """Every measurement for other programs, and a table to paste."""
    ids = [run.id for run in runs]
    with st.container(horizontal=True, gap="small"):
        for form in FORMATS:
            st.download_button(
                form.upper() if form != "parquet" else "Parquet", data=_encoded(queue, ids, form),
                file_name=f"results.{form}", mime=_MIME[form], icon=":material/download:", on_click="ignore",
                key=f"results_{form}", help="One row per measurement, with interval, unit, device and hashes.",
            )  # fmt: skip
        _mlflow(queue, ids)
    st.markdown("To paste into a ticket or a pull request:")
    st.code(table(told), language=None, wrap_lines=True)


def _mlflow(queue: JobQueue, ids: list[str]) -> None:
    """A tracking store as a ZIP, or why there is none."""
    missing = "" if mlflow.available() else " It is not installed here: pip install -r requirements-mlflow.txt."
    st.download_button(
        "MLflow", data=_archived(queue, ids) if not missing else b"", file_name="mlflow.zip", mime="application/zip",
        icon=":material/download:", on_click="ignore", key="results_mlflow", disabled=bool(missing),
        help=f"An SQLite store with the files. Unpack it, and start `mlflow ui` there.{missing}",
    )  # fmt: skip


def _archived(queue: JobQueue, ids: list[str]) -> Callable[[], bytes]:
    def make() -> bytes:
        with tempfile.TemporaryDirectory() as folder:
            target = Path(folder) / "mlflow.zip"
            mlflow.archive(queue.history, queue.store, ids, target)
            return target.read_bytes()

    return make


def _encoded(queue: JobQueue, ids: list[str], form: str) -> Callable[[], bytes]:
    return lambda: encoded(results(queue.history, ids), form)
