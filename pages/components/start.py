"""The way in: what the app is for, a real comparison, and one click to one's own."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pandas as pd
import streamlit as st
from plotly.graph_objects import Figure

from optimizers.engine.queue import JobQueue
from optimizers.errors import ParetoscopeError
from optimizers.figures.theme import CONFIG
from optimizers.figures.tradeoff import tradeoff
from optimizers.history.frames import headline
from optimizers.recipe import parse
from optimizers.records import SHARED, Run
from pages.components import links, session
from pages.components.sample_picker import OWN
from pages.components.text import escaped

EXAMPLE = Path(__file__).parents[1] / "assets" / "example.json"
MODEL, DATA = "sample:digits_cnn", "sample:optdigits"
RECIPES = (
    "float16",
    "dynamic_range",
    "int8",
    "magnitude_pruning(target_sparsity=0.8, epochs=3)+int8",
    "structured_pruning(epochs=3)+int8",
)
"""What the one click runs: from seconds of work to a little training, each a step into another corner of the chart."""
_LATEST = 3
_LOOKED_AT = 500


def hero(queue: JobQueue) -> None:
    """One sentence, two ways to begin, and a picture of what comes out."""
    left, right = st.columns([2, 3], gap="large", vertical_alignment="center")
    with left:
        st.title("See what it costs to make a neural network small and fast", anchor=False)
        st.markdown(
            "Load a Keras model, switch on pruning, clustering, quantization or distillation, and see size, latency "
            "and accuracy of every variant side by side. Every number is measured on the file you would deploy, and "
            "comes with its uncertainty."
        )
        with st.container(horizontal=True, gap="small"):
            if st.button("Try it with a sample", type="primary", icon=":material/play_arrow:", key="try"):
                _try(queue)
            if st.button("Load your model", icon=":material/upload_file:", key="load"):
                st.session_state["source"] = OWN
                st.switch_page("pages/model.py")
        st.caption("The sample is a digit classifier; five variants take about a minute, or no time if they are known.")
    with right:
        picture()


def picture() -> None:
    """A comparison that was measured when this version was made; where and on what stands under it."""
    chart, where = _example()
    st.plotly_chart(
        chart, config=CONFIG, key="example",
        alt="Accuracy against compressed size of a digit classifier and its variants",
    )  # fmt: skip
    st.caption(f"Measured, not drawn: {where}.")


@cache
def _example() -> tuple[Figure, str]:
    """The chart, the same for everybody, and where it was measured."""
    frame = pd.read_json(EXAMPLE, orient="split")
    model, data, device = (escaped(str(frame[name].iloc[0])) for name in ("model", "dataset", "device"))
    return tradeoff(frame, "compressed_bytes", str(headline(frame))), f"{model} on {data}, {device}"


def _try(queue: JobQueue) -> None:
    """Opens the comparison of the sample: what is known at once, the rest as it is finished."""
    try:
        runs = sample_runs(queue)
    except ParetoscopeError as error:
        st.error(error.message, icon=":material/block:")
        return
    session.remember(queue, runs)
    st.switch_page("pages/compare.py", query_params=links.runs_query(run.id for run in runs))


def sample_runs(queue: JobQueue) -> list[Run]:
    """Finished runs of the sample's recipes where there are some, and new ones for the others."""
    recipes = [parse(text) for text in RECIPES]
    name, data = MODEL.partition(":")[2], DATA.partition(":")[2]
    found = queue.history.runs(scopes=[SHARED], states=("done",), text=f"{name} {data}", limit=_LOOKED_AT)
    done = [run for run in found if (run.model.uri, run.dataset.uri) == (MODEL, DATA)]
    known = {run.recipe: run for run in reversed(done) if run.seed == 0}
    missing = [recipe for recipe in recipes if recipe.text not in known]
    known |= {run.recipe: run for run in (session.submit(queue, MODEL, DATA, missing) if missing else [])}
    return [known[recipe.text] for recipe in recipes]


def latest(queue: JobQueue) -> None:
    """Ways back to what this browser compared last."""
    groups: dict[tuple[str, str], list[Run]] = {}
    for run in session.my_runs(queue):
        if run.state == "done":
            groups.setdefault((run.model.digest, run.dataset.digest), []).append(run)
    if not groups:
        return
    st.subheader("Where you left off", anchor=False)
    for runs in list(groups.values())[:_LATEST]:
        first = runs[0]
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.page_link(
                "pages/compare.py", label=escaped(f"{first.model.name} on {first.dataset.name}"),
                icon=":material/scatter_plot:", query_params=links.runs_query(run.id for run in runs[:12][::-1]),
            )  # fmt: skip
            st.caption(f"{len(runs)} finished, the last on {first.created_at:%d %B, %H:%M} UTC")
