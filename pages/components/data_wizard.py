"""Fitting data to a model: what is proposed, why, and the controls to decide otherwise."""

from __future__ import annotations

from functools import partial

import pandas as pd
import streamlit as st

from optimizers import uploads
from optimizers.datasets import drawn, preparation
from optimizers.datasets.preparation import Preparation
from optimizers.datasets.proposals import Proposal
from optimizers.datasets.scaling_trials import ALPHA, Trial
from optimizers.engine.queue import JobQueue
from optimizers.errors import DataRefused, ParetoscopeError
from optimizers.figures import format as fmt
from optimizers.kinds import KINDS
from optimizers.params import ParamField, fields
from optimizers.records import DatasetSummary
from pages.components import forms, links
from pages.components.links import Choice
from pages.components.soon import soon

SCALINGS = {
    "as_is": "as they are",
    "unit": "0 to 1",
    "signed": "-1 to 1",
    "pixels": "0 to 255",
    "min_max": "lowest 0, highest 1",
    "min_max_columns": "lowest 0, highest 1, each column",
    "standardize": "mean 0, deviation 1",
    "standardize_columns": "mean 0, deviation 1, each column",
    "caffe": "as Caffe: blue first, mean taken off",
    "torch": "as PyTorch: mean and deviation of ImageNet",
}
_IMAGE, _TOKENS = {"channels", "height", "width", "layout"}, {"length", "words"}


def offer(queue: JobQueue, chosen: Choice, problem: str = "") -> None:
    """The proposal for the data chosen, as far as it differs from how they are prepared.

    Args:
        queue: To find it with.
        chosen: Model and data.
        problem: Why the data do not fit as they are; empty where they do.
    """
    if not _may_be_prepared(chosen.data):
        if problem:
            st.error(problem, icon=":material/block:")
        return
    try:
        work = partial(queue.driver.propose, *chosen)
        found = soon(queue, ("proposal", chosen), work, "Trying how the data are best prepared for this model.")
    except ParetoscopeError as error:
        st.error(problem or error.message, icon=":material/block:")
        return
    if found is None:
        return
    bare, present = preparation.split(chosen.data)
    proposed = preparation.split(found.uri)[1]
    if present == proposed and not problem:
        if found.trials or found.notes:
            with st.expander("Why the values are used like this", icon=":material/fact_check:"):
                _reasons(found)
        return
    if problem:
        st.warning(f"As they are, the data do not fit. {problem}", icon=":material/straighten:")
    with st.container(border=True):
        st.markdown(f"**Proposed for this model:** {told(proposed)}.")
        if present != preparation.NOTHING:
            st.caption(f"Now: {told(present)}.")
        st.button(
            "Prepare the data like this",
            type="primary" if problem else "secondary",
            icon=":material/auto_fix_high:",
            on_click=links.choose,
            args=(chosen._replace(data=preparation.join(bare, proposed)),),
        )
        _reasons(found)


def controls(chosen: Choice, data: DatasetSummary) -> None:
    """A form that prepares the data otherwise."""
    if not _may_be_prepared(chosen.data):
        return
    bare, present = preparation.split(chosen.data)
    owner = f"preparation:{bare}"
    wanted = [field for field in fields(Preparation) if _concerns(field, data, chosen.data)]
    if not wanted:
        return
    if st.session_state.get("prepared") != chosen.data:
        st.session_state["prepared"] = chosen.data
        for field in wanted:
            st.session_state[forms.key_of(owner, field.name)] = forms.shown_value(field, getattr(present, field.name))
    columns = tuple(str(title) for title in data.preview.get("columns", ()))
    with st.expander(f"Prepared: {told(present)}", icon=":material/tune:"), st.form("preparation", border=False):
        choices = forms.Choices(columns=columns)
        values = {field.name: forms.control(owner, field, choices) for field in wanted}
        if st.form_submit_button("Prepare the data like this"):
            _change(chosen, bare, {**present.given, **values})


def told(wanted: Preparation) -> str:
    """A preparation in a few words."""
    given = wanted.given
    parts = []
    if "target" in given:
        columns = [f"“{title}”" for title in given["target"].split(",")]
        parts.append(f"{', '.join(columns)} {'are' if len(columns) > 1 else 'is'} predicted")
    if "task" in given:
        parts.append(f"the task is {given['task']}")
    if "labels" in given:
        parts.append("labels are numbered from 0")
    if "ignore" in given:
        parts.append(f"positions labelled {given['ignore'].replace(',', ' or ')} do not count")
    if "layout" in given:
        parts.append("channels moved to the end")
    if "channels" in given:
        parts.append({"grey": "made grey", "rgb": "made colour", "bgr": "blue first"}[given["channels"]])
    if "height" in given:
        parts.append(f"resized to {given['height']} × {given['width']}")
    if "length" in given:
        parts.append(f"cut or filled to {given['length']} words")
    if "words" in given:
        parts.append(f"{given['words']} different words")
    if "scaling" in given:
        parts.append(f"values scaled to {SCALINGS[given['scaling']]}")
    for name, (scaling, _) in wanted.each_scaling.items():
        parts.append(f"{name} scaled to {SCALINGS[scaling]}")
    return ", ".join(parts) or "as the file has them"


def _reasons(found: Proposal) -> None:
    """How the model does under every scaling that was tried."""
    if found.trials:
        st.dataframe(
            pd.DataFrame([_row(trial, found) for trial in found.trials]),
            hide_index=True,
            alt="How the model does on the data under every scaling",
        )
        st.caption(
            f"{found.metric[:1].upper()}{found.metric[1:]} of the original model on {found.n:,} examples, none of them "
            "from the test part."
        )
    for note in found.notes:
        st.caption(note)


def _row(trial: Trial, found: Proposal) -> dict[str, object]:
    kind = KINDS[found.task]
    verdict = "not proven worse" if trial.worse >= ALPHA else f"worse (p {_p(trial.worse)})"
    wanted = preparation.of(found.given)
    if trial.scaling == (wanted.each_scaling.get(trial.input, ("as_is",))[0] if trial.input else wanted.scaling):
        verdict = "proposed"
    title = kind.quality.capitalize()
    score = {title: f"{trial.score:.1%}", "Log loss": f"{trial.error:.3g}"} if kind.decides else {
        "Relative loss" if found.task == "several" else "Squared error": fmt.plain(trial.error)}  # fmt: skip
    which = {"Input": trial.input} if trial.input else {}
    return {**which, "Values scaled to": SCALINGS[trial.scaling], **score, "Verdict": verdict}


def _p(value: float) -> str:
    return f"= {value:.2f}" if value >= 0.01 else f"= {value:.3f}" if value >= 0.001 else "< 0.001"


def _may_be_prepared(uri: str) -> bool:
    """Samples and random inputs already are what their models take."""
    prefix = uri.partition(":")[0]
    return prefix not in ("sample", drawn.PREFIX)


def _concerns(field: ParamField, data: DatasetSummary, uri: str) -> bool:
    """Whether a setting means anything for data of this kind."""
    own = uri.startswith(uploads.PREFIX)
    if field.name in ("target", "task", "labels"):
        named = field.name == "task" and data.targets  # each output has a task of its own
        return own and data.task != "fidelity" and not named and (field.name != "target" or "encoding" in data.preview)
    if field.name == "ignore":
        return own and bool(data.label_shape or any(len(one.label_shape) for one in data.targets))
    if data.inputs or field.name == "scalings":
        return bool(data.inputs) and field.name == "scalings"
    image = len(data.input_shape) >= 2 and data.preview.get("kind") == "images"
    if field.name in _IMAGE:
        return image
    if field.name in _TOKENS:
        return len(data.input_shape) == 1 and data.input_dtype.startswith(("int", "uint"))
    return True


def _change(chosen: Choice, bare: str, given: dict[str, object]) -> None:
    try:
        wanted = preparation.of(given)
    except DataRefused as error:
        st.error(error.message, icon=":material/block:")
        return
    links.choose(chosen._replace(data=preparation.join(bare, wanted)))
    st.rerun()
