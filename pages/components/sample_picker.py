"""Choosing a model: one that comes with the app, or a visitor's own."""

from __future__ import annotations

from typing import Literal

import streamlit as st

from optimizers import registry, uploads
from optimizers.datasets import keras_sets, preparation
from optimizers.engine.queue import JobQueue
from optimizers.errors import ParetoscopeError
from optimizers.figures import format as fmt
from optimizers.models import sample
from pages.components import drawn_inputs, links, login, session
from pages.components.links import Choice
from pages.components.text import TASKS, escaped

SAMPLES, OWN = "Sample models", "Your own model"
_MODEL_TYPES = ("keras", "h5", "hdf5", "zip", "gz", "tgz", "tflite")


def picker(queue: JobQueue, chosen: Choice | None) -> None:
    """The controls; whatever is picked goes into the URL."""
    own = chosen is not None and uploads.PREFIX in (chosen.model.partition(":")[0], chosen.data.partition(":")[0])
    if "source" not in st.session_state:
        st.session_state["source"] = OWN if own else SAMPLES
    source = st.segmented_control(
        "Where the model comes from", [SAMPLES, OWN], key="source", required=True, width="stretch"
    )
    if source == OWN:
        _own_files(queue, chosen)
    else:
        _samples(chosen)


def _samples(chosen: Choice | None) -> None:
    known = sample.manifest()
    current = chosen.model.removeprefix("sample:") if chosen else ""
    st.session_state["sample"] = current if current in known else None
    st.radio(
        "Sample model",
        list(known),
        key="sample",
        captions=[_caption(entry) for entry in known.values()],
        on_change=_choose_sample,
        label_visibility="collapsed",
    )


def _choose_sample() -> None:
    name = st.session_state["sample"]
    if name is not None:
        links.choose(Choice(f"sample:{name}", sample.manifest()[name].dataset))


def _caption(entry: sample.SampleModel) -> str:
    metric = registry.metrics().get(entry.baseline.name)
    quality = f"{metric.title} {fmt.value(metric, entry.baseline.value)}" if metric else ""
    return " · ".join([TASKS[entry.task], f"{fmt.count(entry.parameters)} parameters", quality]).rstrip(" ·")


def _own_files(queue: JobQueue, chosen: Choice | None) -> None:
    limit = queue.settings.upload_mib
    _uploader("model", "Model file: .keras, .h5, .tflite, or a SavedModel as .zip or .tar.gz", limit)
    _uploader("data", "Data: .npz, two .npy files, .csv, .parquet, or a .zip of images in class folders", limit)
    if problem := st.session_state.pop("upload_problem", None):
        st.error(problem)
    mine = uploads.listed(session.scope(), queue.settings)
    models = {u.uri: f"{u.name} ({fmt.size(u.size_bytes)})" for u in mine if u.kind == "model"}
    data = {u.uri: f"{u.name} ({fmt.size(u.size_bytes)})" for u in mine if u.kind == "data"}
    if not models:
        if data:
            named = ", ".join(map(escaped, data.values()))
            st.info(f"Data that are here: {named}. Bring the model that they are for.", icon=":material/check_circle:")
        whose = "to your account only" if login.required() else "in this browser only"
        st.caption(f"Files stay on this server and are visible {whose}.")
        return
    origin = registry.dataset_origins().get("sample")
    data |= {f"sample:{name}": f"{name} (sample data)" for name in (origin.list() if origin else ())}
    data |= {f"{keras_sets.PREFIX}:{name}": keras_sets.title(name) for name in keras_sets.names()}
    data[drawn_inputs.ANY] = "No data: random inputs"
    now = chosen or Choice("", "")
    now = now._replace(data=preparation.split(now.data)[0])
    if now.data.startswith(drawn_inputs.ANY):
        now = now._replace(data=drawn_inputs.ANY)
    for key, fresh, current, options in (
        ("own_model", "fresh_model", now.model, models),
        ("own_data", "fresh_data", now.data, data),
    ):
        known = current if current in options else st.session_state.get(fresh)
        st.session_state[key] = known if known in options else None
    for label, key, options in (("Model", "own_model", models), ("Data", "own_data", data)):
        st.selectbox(
            label, list(options), key=key, format_func=options.__getitem__, on_change=_choose_own,
            placeholder="Choose one of your files" if key == "own_model" else "Choose data that fit the model",
        )  # fmt: skip


def _choose_own() -> None:
    model, data = st.session_state["own_model"], st.session_state["own_data"]
    st.session_state["fresh_model"], st.session_state["fresh_data"] = model, data
    if model and data:
        links.choose(Choice(model, data))


def _uploader(kind: str, label: str, limit: int) -> None:
    turn = st.session_state.setdefault(f"turn_{kind}", 0)
    key = f"upload_{kind}_{turn}"
    several = kind == "data"
    types = [ending for known in registry.data_formats().values() for ending in known.endings]
    st.file_uploader(
        label, types if several else _MODEL_TYPES, key=key, max_upload_size=limit, on_change=_keep, args=(kind, key),
        accept_multiple_files=several,
    )  # fmt: skip


def _keep(kind: str, key: str) -> None:
    """Stores what has just arrived, and chooses it; the uploader starts afresh."""
    from pages.components.queue import job_queue

    arrived = st.session_state.get(key)
    files = arrived if isinstance(arrived, list) else [arrived]
    if not files or files[0] is None:
        return
    queue = job_queue()
    st.session_state[f"turn_{kind}"] += 1
    try:
        if len(files) == 1:
            known_as: Literal["model", "data"] = "model" if kind == "model" else "data"
            uri = uploads.keep(files[0], files[0].name, known_as, session.scope(), queue.settings)
        else:
            uri = uploads.keep_together([(f, f.name) for f in files], session.scope(), queue.settings)
    except ParetoscopeError as error:
        st.session_state["upload_problem"] = error.message
        return
    known: Choice = st.session_state.get("choice") or Choice("", "")
    fresh_model = uri if kind == "model" else st.session_state.get("fresh_model") or known.model
    fresh_data = uri if kind == "data" else st.session_state.get("fresh_data") or drawn_inputs.ANY
    st.session_state["fresh_model"], st.session_state["fresh_data"] = fresh_model, fresh_data
    if fresh_model.startswith(uploads.PREFIX) and fresh_data:
        links.choose(Choice(fresh_model, fresh_data))
