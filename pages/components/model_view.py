"""What is known about the chosen model and its data."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd
import streamlit as st

from optimizers.datasets import drawn
from optimizers.datasets.labels_fit import classes_of, remark
from optimizers.engine.driver import check_fit, targets_of
from optimizers.engine.queue import JobQueue
from optimizers.errors import DataRefused, ParetoscopeError
from optimizers.figures import examples
from optimizers.figures import format as fmt
from optimizers.figures.theme import CONFIG
from optimizers.models import sample
from optimizers.records import DatasetRef, DatasetSummary, ModelSummary, Target, Task, TensorSpec
from pages.components import data_wizard, drawn_inputs, layers_view, links
from pages.components.links import Choice
from pages.components.model_strip import READING
from pages.components.original import original
from pages.components.soon import soon
from pages.components.text import TASKS, escaped

_IMAGE_PIXELS = 56


def model_and_data(queue: JobQueue, chosen: Choice) -> None:
    """Facts, data, architecture and notes of what was chosen, and the way on. Refusals are told in one sentence."""
    name = chosen.model.removeprefix("sample:")
    entry = sample.manifest().get(name)
    if entry is not None:
        _heading(name, entry.description)
    try:
        read = soon(queue, ("model", chosen.model), partial(queue.driver.inspect_model, chosen.model), READING)
    except ParetoscopeError as error:
        st.error(error.message, icon=":material/block:")
        return
    if read is None:
        return
    model, summary = read
    if entry is None:
        _heading(model.name)
    data: DatasetSummary | None = None
    try:
        if chosen.data == drawn_inputs.ANY:
            chosen = chosen._replace(data=drawn.for_model(summary))
            links.choose(chosen)
        work = partial(queue.driver.inspect_dataset, chosen.data)
        found = soon(queue, ("data", chosen.data), work, "Reading the data.")
        if found is None:
            _facts(summary, None)
            return
        dataset, data = found
        task = check_fit(summary, data, dataset.name)
    except ParetoscopeError as error:
        _facts(summary, None)
        with st.container():  # what comes after it stays where it is in the page, and open, when the proposal arrives
            data_wizard.offer(queue, chosen, error.message)
        if data is not None:
            data_wizard.controls(chosen, data)
        layers_view.architecture(summary)
        return
    _facts(summary, task)
    original(queue, chosen, model, dataset)
    if st.button("Optimize this model", type="primary", icon=":material/arrow_forward:", icon_position="right"):
        st.switch_page("pages/optimize.py", query_params=chosen._asdict())
    shown, layers, notes = st.tabs(["Data", "Architecture", "Notes and licence"])
    with shown:
        _data(dataset, data, summary, task)
        with st.container():
            data_wizard.offer(queue, chosen)
        data_wizard.controls(chosen, data)
    with layers:
        layers_view.architecture(summary)
    with notes:
        _notes(summary, data, entry)


def fits(summary: ModelSummary, data: DatasetSummary) -> str:
    """Why the data do not fit the model, or an empty text."""
    try:
        check_fit(summary, data)
    except DataRefused as error:
        return error.message
    return ""


def shape(spec: TensorSpec) -> str:
    """A tensor as people write it, like ``8 × 8 × 1 float32``; a dimension of any length is ``any``."""
    return shape_text(spec.shape)


def shape_text(sizes: Sequence[int | None]) -> str:
    """Sizes as people write them, like ``8 × 8``."""
    return " × ".join("any" if size is None else str(size) for size in sizes) or "1"


def _heading(name: str, description: str = "") -> None:
    st.subheader(escaped(name), anchor=False)
    if description:
        st.markdown(description)


def _facts(summary: ModelSummary, task: Task | None) -> None:
    facts = {
        "Parameters": fmt.count(summary.parameters),
        "Input": ", ".join(shape(spec) for spec in summary.inputs),
        "Output": ", ".join(shape(spec) for spec in summary.outputs),
        "Task": TASKS[task] if task else "Not known yet",
        "Format": summary.format,
    }
    with st.container(horizontal=True, gap="medium"):
        for label, text in facts.items():
            st.markdown(f":gray[{label}]  \n**{text}**", width="content")


def _data(dataset: DatasetRef, data: DatasetSummary, summary: ModelSummary, task: Task) -> None:
    if data.drawn:
        drawn_inputs.controls(dataset, data, summary.inputs)
        return
    counts = {"train": data.n_train, "validation": data.n_validation, "test": data.n_test}
    st.markdown(
        f"**{escaped(dataset.name)}**: "
        + ", ".join(f"{fmt.count(n)} examples to {_PURPOSE[part]}" for part, n in counts.items())
        + "."
    )
    preview = data.preview
    kind = preview.get("kind", "none")
    if kind == "images":
        named = [f"{label:.4g}" if isinstance(label, float) else str(label) for label in preview["labels"]]
        _images(preview["images"], named)
        if "masks" in preview:
            with st.container(horizontal=True, gap="xsmall"):
                for mask in preview["masks"]:
                    st.image(mask, width=_IMAGE_PIXELS, alt="The class of every pixel")
    elif kind == "sequences":
        st.plotly_chart(
            examples.sequences(preview), config=CONFIG, key="sequences", alt="Example sequences of the data"
        )
    elif kind == "table":
        st.dataframe(pd.DataFrame(preview["rows"], columns=preview["columns"]), hide_index=True, alt="Example rows")
    else:
        st.caption("There is no picture of examples of this shape.")
    if "input" in preview:
        st.caption(f"Shown is the input “{escaped(str(preview['input']))}”, one of {len(data.inputs)}.")
    if task == "several":
        st.markdown("\n".join(f"- {target_text(one)}" for one in targets_of(summary, data, dataset.name)))
    elif len(summary.outputs) > 1 and data.task != "fidelity":
        wanted = " and ".join(f"y_{spec.name}" for spec in summary.outputs)
        st.caption(
            f"The labels are not used: they do not say which of the {len(summary.outputs)} outputs they are for, so "
            f"variants are compared with the original. Save them as {escaped(wanted)}."
        )
    elif classes := classes_of(data, task):
        noun = "labels, of which an example may have several" if task == "multilabel" else "classes"
        where = f" at each of {shape_text(data.label_shape)} positions" if task == "segmentation" else ""
        st.caption(
            f"{len(classes)} {noun}{where}: {escaped(', '.join(classes[:20]))}{', …' if len(classes) > 20 else ''}."
        )
        if told := remark(summary.outputs, data, task):
            st.warning(told, icon=":material/label:")
    elif data.label_shape:
        st.caption(f"{shape_text(data.label_shape)} numbers to estimate for each example.")
    elif data.target_unit:
        st.caption(f"The target is in {escaped(data.target_unit)}.")


def target_text(target: Target) -> str:
    """What one of several outputs is to say, in Markdown."""
    told = TASKS[target.task].lower()
    if target.task == "fidelity":
        return f"**{escaped(target.name)}**: no labels, so it is compared with the original"
    if target.classes:
        names = ", ".join(target.classes[:20]) + (", …" if len(target.classes) > 20 else "")
        told += f" ({escaped(names)})"
    elif target.label_shape:
        told += f" ({shape_text(target.label_shape)} numbers)"
    return f"**{escaped(target.name)}**: {told}"


_PURPOSE = {"train": "train", "validation": "validate", "test": "test"}


def _images(images: list[list[list[float]]], labels: list[str]) -> None:
    """The examples in one row, each pixel enlarged as a whole so that small images stay sharp."""
    arrays = [np.asarray(image, dtype=float) for image in images]
    low = min([0.0, *(float(array.min()) for array in arrays)])  # without negative values 0 is black
    span = max((float(array.max()) for array in arrays), default=1.0) - low or 1.0
    scaled = [np.clip((array - low) / span * 255, 0, 255).astype(np.uint8) for array in arrays]
    zoom = max(1, 2 * _IMAGE_PIXELS // scaled[0].shape[0]) if scaled else 1
    with st.container(horizontal=True, gap="xsmall"):
        for array, label in zip(scaled, labels, strict=True):
            large = array.repeat(zoom, axis=0).repeat(zoom, axis=1)
            st.image(large, caption=label or None, width=_IMAGE_PIXELS, alt=f"Example of {label}".removesuffix(" of "))


def _notes(summary: ModelSummary, data: DatasetSummary, entry: sample.SampleModel | None) -> None:
    lines = [*summary.notes, *data.notes]
    if summary.bridge_error is not None:
        lines.append(
            f"Keras 3 and tf_keras build this model alike: their outputs differ by at most {summary.bridge_error:.1g}."
        )
    if entry is not None:
        lines.append(f"The model is licensed under {entry.licence}.")
    if data.licence:
        lines.append(f"The data are licensed under {data.licence}.")
    if data.source:
        lines.append(f"Source of the data: {data.source}.")
    st.markdown("\n".join(f"- {line}" for line in lines) or "There is nothing to note.")
