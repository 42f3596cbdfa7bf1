"""The button that times files in the visitor's own browser, and what becomes of its report."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from optimizers.devices import browser, names
from optimizers.engine.queue import JobQueue
from optimizers.errors import ParetoscopeError
from optimizers.figures import format as fmt
from optimizers.records import Run
from pages.components import device_choice
from pages.components.device_files import DeviceFile, addresses, device_files, examples
from pages.components.text import code, escaped

_ASSETS, _MANIFEST = Path("pages/assets/device"), Path("static/litertjs/MANIFEST")
_REPORT = "device_report"
_MOST_BYTES, _AT_FIRST = 200_000_000, 6
_LENGTHS = {"Quick (4 s a file)": (4, 0.5), "Usual (8 s a file)": (6, 0.75), "Thorough (20 s a file)": (14, 1.0)}
"""Workers that time a file one after the other, and seconds in each, warm-up not counted."""


@st.cache_resource
def _component() -> Callable[..., Any]:
    """Registered once: Streamlit complains about a second time."""
    sources = {kind: (_ASSETS / f"device.{kind}").read_text(encoding="utf-8") for kind in ("html", "css", "js")}
    return st.components.v2.component("device_timing", **sources)


def _version() -> str:
    lines = _MANIFEST.read_text(encoding="utf-8").splitlines()
    return next((line.split()[1] for line in lines if line.startswith("version ")), "")


def timing(queue: JobQueue, frame: pd.DataFrame, runs: list[Run]) -> None:
    """Name, files and accelerators to choose, and the button."""
    st.markdown(
        "Your browser runs the very same files with LiteRT.js, each in turn with its baseline. Only the times leave "
        "your device."
    )
    files = device_files(queue, frame, runs)
    variants = [file for file in files if not file.is_baseline] or files
    labels = {file.digest: file.label for file in variants}
    agent = st.context.headers.get("User-Agent", "")
    st.text_input("Name of this device", value=f"My {names.system(agent) or 'device'}", key="device_name", max_chars=60)
    picked = st.multiselect("Files", list(labels), list(labels)[:_AT_FIRST], format_func=labels.__getitem__)
    with st.container(horizontal=True):
        ways = st.pills("Run with", list(browser.TITLES), selection_mode="multi", default=["wasm", "webgpu"],
                        format_func=browser.TITLES.__getitem__)  # fmt: skip
        long = st.selectbox("How long", list(_LENGTHS), index=1, width=200)
    instances, seconds = _LENGTHS[long]
    data = _offered(queue, files, [file for file in variants if file.digest in picked])
    if data is None:
        return
    sent = _component()(
        key="device_timing", on_report_change=lambda: None,
        data={**data, "accelerators": ways, "instances": instances, "seconds": seconds, "version": _version()},
    )  # fmt: skip
    if sent.report is not None:
        _keep(queue, runs, sent.report)
    _problems(labels)


def _offered(queue: JobQueue, files: list[DeviceFile], wanted: list[DeviceFile]) -> dict[str, Any] | None:
    """What the browser needs of the files, and of the baselines of those; None while that is computed."""
    told, baselines, missing = [], {}, []
    by_digest = {file.digest: file for file in files}
    small = [file for file in wanted if file.artifact.size_bytes <= _MOST_BYTES]
    bases = {base.digest: base for file in small if (base := by_digest.get(file.run.baseline_digest)) is not None}
    answers = examples(queue, [*{file.digest: file for file in (*bases.values(), *small)}.values()])
    if answers is None:
        return None
    for file in wanted:
        if file not in small:
            missing.append(f"{code(file.label)}: it has {fmt.size(file.artifact.size_bytes)}, too much for a browser.")
            continue
        base = bases.get(file.run.baseline_digest)
        try:
            if base is not None and not file.is_baseline and base.digest not in baselines:
                baselines[base.digest] = addresses(queue, base, answers[base.digest])
            told.append({"digest": file.digest, "label": file.label, "baseline": "" if file.is_baseline else
                         file.run.baseline_digest, **addresses(queue, file, answers[file.digest])})  # fmt: skip
        except ParetoscopeError as error:
            missing.append(f"{code(file.label)}: {escaped(error.message)}")
    if missing:
        st.warning("Not offered to your browser:\n" + "\n".join(f"- {line}" for line in missing))
    return {"files": told, "baselines": baselines}


def _keep(queue: JobQueue, runs: list[Run], sent: Any) -> None:
    try:
        report = browser.read(sent)
        kept = browser.store(report, st.session_state["device_name"], runs, queue.history)
    except ParetoscopeError as error:
        st.error(error.message, icon=":material/error:")
        return
    st.session_state[_REPORT] = report
    if kept:
        device_choice.show(kept[0].device)
        st.toast("The times were kept and join the charts.", icon=":material/check:")


def last_report() -> browser.Report | None:
    """What this visitor's browser told last."""
    report: browser.Report | None = st.session_state.get(_REPORT)
    return report


def _problems(labels: dict[str, str]) -> None:
    report = last_report()
    found = [problem for problem in report.problems if problem.digest in labels] if report else []
    if found:
        lines = [f"- {code(labels[p.digest])}, {browser.TITLES[p.accelerator]}: {escaped(p.reason)}" for p in found]
        st.warning("**Not timed**\n" + "\n".join(lines), icon=":material/warning:")
