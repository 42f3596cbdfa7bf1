"""Benchmarks that ran on another device: upload the log, say which file it is about, see it in the charts."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from optimizers.devices import benchmark_log, imported
from optimizers.devices.benchmark_log import Benchmark
from optimizers.engine.queue import JobQueue
from optimizers.errors import ParetoscopeError
from optimizers.figures import format as fmt
from optimizers.records import Run
from pages.components import device_choice
from pages.components.device_files import DeviceFile, device_files
from pages.components.text import code

_VERSION = "import_version"


def import_benchmark(queue: JobQueue, frame: pd.DataFrame, runs: list[Run]) -> None:
    """The uploader, what is in the log, and the button that keeps it."""
    st.subheader("A benchmark from elsewhere", anchor=False)
    version = st.session_state.setdefault(_VERSION, 0)
    content = st.file_uploader(
        "What `benchmark_model` or `litert-benchmark` printed, or its JSON file", type=["txt", "log", "json", "csv"],
        key=f"benchmark:{version}", max_upload_size=benchmark_log.MOST_BYTES // 1_000_000,
        help="Download the files on Compare, run the tool on the phone with each of them, and bring its output here.",
    )  # fmt: skip
    if content is None:
        return
    try:
        found = benchmark_log.parse(content.getvalue())
    except ParetoscopeError as error:
        st.error(error.message, icon=":material/block:")
        return
    files = {file.digest: file for file in device_files(queue, frame, runs)}
    chosen = [_which(benchmark, files, number) for number, benchmark in enumerate(found)]
    name = st.text_input("Name of that device", key="imported_name", max_chars=60, placeholder="Pixel 8")
    ready = bool(name.strip()) and any(chosen)
    if st.button("Add to the charts", type="primary", disabled=not ready, key="keep_import"):
        _keep(queue, runs, [(b, digest) for b, digest in zip(found, chosen, strict=True) if digest], name)


def _which(benchmark: Benchmark, files: dict[str, DeviceFile], number: int) -> str | None:
    """The file that a benchmark is about, recognised by its size or name and to be corrected."""
    known = imported.recognised(benchmark, {d: (f.download, f.artifact.size_bytes) for d, f in files.items()})
    about = f"**{fmt.milliseconds(benchmark.mean_ms)}** on average of {fmt.count(benchmark.count)} runs"
    st.markdown(f"{about}, {benchmark.accelerator}" + (f", {code(benchmark.model[-80:])}" if benchmark.model else ""))
    digests = list(files)
    picked = st.selectbox(
        "This is the file", digests, index=digests.index(known) if known else None, key=f"about:{number}",
        format_func=lambda digest: files[digest].label, placeholder="Choose the file that was timed",
    )  # fmt: skip
    if picked and imported.contradicts(benchmark, files[picked].artifact.size_bytes):
        st.warning(
            f"The log tells of a file of another size than {fmt.size(files[picked].artifact.size_bytes)}.",
            icon=":material/warning:",
        )
        return None
    return picked


def _keep(queue: JobQueue, runs: list[Run], chosen: list[tuple[Benchmark, str]], name: str) -> None:
    try:
        kept = [m for b, digest in chosen for m in imported.store(b, digest, name, runs, queue.history)]
    except ParetoscopeError as error:
        st.error(error.message, icon=":material/error:")
        return
    st.session_state[_VERSION] += 1
    device_choice.show(kept[0].device)
    st.rerun()
