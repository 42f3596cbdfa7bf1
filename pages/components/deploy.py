"""What an application needs of one file: downloads, programs that run it, and what targets say about it."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from dataclasses import replace

import streamlit as st

from optimizers import registry
from optimizers.deployment import Deployable, Export, Port
from optimizers.engine.analysing import Question
from optimizers.engine.deploying import deployable
from optimizers.engine.queue import JobQueue
from optimizers.errors import NotApplicable
from optimizers.figures import format as fmt
from pages.components import look
from pages.components.boundary import guarded
from pages.components.text import escaped

_TARGETS = ("operators", "microcontroller", "npu", "throughput", "update")
"""Analyses that say where a file can run, and what running and updating it costs."""
_LARGE = 4 << 20
"""Bytes of a file above which a program is not shown to be copied, only what reads the file."""


def file_of(queue: JobQueue, question: Question) -> Deployable:
    """The file that is looked at. Raises `NotApplicable`."""
    return deployable(queue.driver, question.run, of_baseline=question.of_baseline)


def downloads(queue: JobQueue, question: Question, file: Deployable) -> None:
    """Buttons for everything that can be taken along."""
    st.markdown(
        f"**{fmt.size(len(file.content))}** · SHA-256 `{file.digest[:16]}…` · takes {_ports(file.inputs)}, "
        f"gives {_ports(file.outputs)}"
    )
    with st.container(horizontal=True, gap="small"):
        for export in registry.exports().values():
            if export.kind == "file":
                _download(export, file, primary=export.name == "tflite")
        st.download_button(
            "Everything (ZIP)", data=lambda: _packed(file), file_name=f"{file.stem}.zip", mime="application/zip",
            icon=":material/folder_zip:", on_click="ignore", key="export:zip",
            help="The file, its metadata, the C array and all programs that suit it.",
        )  # fmt: skip
    for export in registry.exports().values():
        if export.kind == "file" and (reason := _reason(export, file)):
            st.caption(f"{export.title}: {reason}")
    _keras(queue, question)


def _download(export: Export, file: Deployable, *, primary: bool = False) -> None:
    label = export.title if export.kind == "file" else f"Download {export.suffix}"
    st.download_button(
        label, data=_maker(export, file), file_name=export.file_name(file), mime=export.mime,
        type="primary" if primary else "secondary", icon=":material/download:", on_click="ignore",
        key=f"export:{export.name}", help=export.summary, disabled=bool(_reason(export, file)),
    )  # fmt: skip


def _maker(export: Export, file: Deployable) -> Callable[[], bytes]:
    return lambda: export.make(file)


def _reason(export: Export, file: Deployable) -> str:
    """Why an export does not suit the file, empty if it does. Large arrays are only made when they are wanted."""
    if export.kind == "file" and len(file.content) < _LARGE // 4:
        return ""
    try:
        export.make(file)
    except NotApplicable as error:
        return error.message
    return ""


def _packed(file: Deployable) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for export in registry.exports().values():
            try:
                archive.writestr(export.file_name(file), export.make(file))
            except NotApplicable as error:
                archive.writestr(f"{export.name}-left-out.txt", error.message + "\n")
    return packed.getvalue()


@guarded
def _keras(queue: JobQueue, question: Question) -> None:
    with st.expander("The optimized model for Keras 3", icon=":material/deployed_code:", key="keras-model"):
        look.part(queue, replace(question, analysis="keras_model", given={}))


@st.fragment
@guarded
def programs(file: Deployable) -> None:
    """A tab for each language, with a program that runs this very file; filled when it is opened.

    A browser takes longer to colour all five programs than to show the rest of the page.
    """
    known = [export for export in registry.exports().values() if export.kind == "program"]
    tabs = st.tabs([export.title for export in known], key="programs", on_change="rerun")
    for tab, export in zip(tabs, known, strict=True):
        if tab.open:
            with tab:
                _program(export, file)


def _program(export: Export, file: Deployable) -> None:
    st.caption(f"{export.summary} {export.tried}")
    try:
        made = export.make(file).decode()
    except NotApplicable as error:
        st.info(error.message, icon=":material/info:")
        return
    _download(export, file)
    st.code(made, language=export.language, wrap_lines=True)


def targets(queue: JobQueue, question: Question) -> None:
    """What targets' own tools say, shortly; the whole report is on the page Inspect."""
    known = registry.analyses()
    for name in _TARGETS:
        if name in known:
            with st.container(border=True):
                st.markdown(f"**{escaped(known[name].title)}** :gray[{escaped(known[name].summary)}]")
                look.part(queue, replace(question, analysis=name, given={}), short=True)


def _ports(ports: tuple[Port, ...]) -> str:
    told = [
        f"{port.dtype} {' × '.join('any' if size < 0 else str(size) for size in port.shape[1:]) or '1'}"
        for port in ports[:3]
    ]
    return " and ".join(told) + (f" and {len(ports) - 3} more" if len(ports) > 3 else "")
