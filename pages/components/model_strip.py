"""One line that says which model and data a page is about."""

from __future__ import annotations

import streamlit as st

from optimizers import registry, uploads
from optimizers.declarations import Technique
from optimizers.engine.driver import check_fit
from optimizers.engine.queue import JobQueue
from optimizers.errors import ParetoscopeError
from optimizers.figures import format as fmt
from optimizers.models import sample
from optimizers.records import DatasetRef, DatasetSummary, LayerRow, ModelRef, ModelSummary
from pages.components import session
from pages.components.forms import Choices
from pages.components.links import Choice
from pages.components.soon import soon
from pages.components.text import TASKS, escaped

READING = "Reading the model. The first time this takes a few seconds."
_NO_KERNELS = ("BatchNormalization", "LayerNormalization", "GroupNormalization", "UnitNormalization", "Functional",
               "Sequential", "Model", "Normalization")  # fmt: skip

_KINDS = {
    "tflite": "This is a .tflite file, which cannot be trained any more; the recipe float32 measures it as it is.",
    "keras3": "This model exists only in Keras 3, so it can be converted but not trained here.",
}


def both(queue: JobQueue, chosen: Choice) -> tuple[ModelRef, ModelSummary, DatasetRef, DatasetSummary] | None:
    """What is known of model and data; None while they are read: then the page comes again after it.

    Raises:
        ParetoscopeError: One of them was refused.
    """

    def read() -> tuple[ModelRef, ModelSummary, DatasetRef, DatasetSummary]:
        return *queue.driver.inspect_model(chosen.model), *queue.driver.inspect_dataset(chosen.data)

    return soon(queue, chosen, read, READING)


def model_strip(queue: JobQueue, chosen: Choice) -> bool:
    """Draws the line; false while they are read, and when the model or its data were refused, after saying why."""
    try:
        found = both(queue, chosen)
        if found is None:
            return False
        model, summary, dataset, data = found
        task = check_fit(summary, data)
    except ParetoscopeError as error:
        st.error(error.message, icon=":material/block:")
        st.page_link("pages/model.py", label="Choose another model", icon=":material/arrow_back:")
        return False
    examples = "random inputs" if data.drawn else "test examples"
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        st.markdown(
            f"**{escaped(model.name)}** with {fmt.count(summary.parameters)} parameters on **{escaped(dataset.name)}** "
            f":gray[({TASKS[task].lower()}, {fmt.count(data.n_test)} {examples})]",
            width="content",
        )
        st.page_link("pages/model.py", label="Change", icon=":material/swap_horiz:", query_params=chosen._asdict())
    if summary.kind != "keras":
        able = [one.title for one in registry.techniques().values() if _works_on(one, summary)]
        st.caption(f"{_KINDS[summary.kind]} These steps work on it: {', '.join(able)}.")
    return True


def _works_on(technique: Technique, model: ModelSummary) -> bool:
    """A LiteRT file without float kernels can only stay what it is."""
    floating = model.kind != "tflite" or any("float32" in row.kind for row in model.layers)
    return model.kind in technique.accepts and (floating or technique.name == "float32")


def layers_of(queue: JobQueue, chosen: Choice) -> tuple[LayerRow, ...]:
    """All layers of the model; none if it is refused."""
    try:
        return queue.driver.inspect_model(chosen.model)[1].layers
    except ParetoscopeError:
        return ()


def choices(queue: JobQueue, chosen: Choice) -> Choices:
    """Layers of the model that have weights, and the models that a step may take besides it."""
    mine = uploads.listed(session.scope(), queue.settings)
    models = {u.uri: f"{u.name} (yours)" for u in mine if u.kind == "model"}
    models |= {f"sample:{name}": f"{name} (sample)" for name in sample.manifest()}
    rows = layers_of(queue, chosen)
    layers = dict.fromkeys(row.name for row in rows if row.parameters and row.kind not in _NO_KERNELS)
    return Choices(tuple(layers), models)
