"""The button that starts the runs, and why it sometimes cannot."""

from __future__ import annotations

import streamlit as st

from optimizers.engine.queue import JobQueue
from optimizers.errors import ParetoscopeError
from optimizers.recipe import parse
from pages.components import builder, links, session
from pages.components.links import Choice
from pages.components.variants import Variant

_MOST_VARIANTS = 24


def launch(queue: JobQueue, chosen: Choice, variants: list[Variant]) -> None:
    """Draws the button; pressing it queues one run per variant and goes to the runs."""
    with st.expander("More settings", key="more:launch"):
        seed = st.number_input(
            "Seed", 0, 2**31 - 1, 0, 1, key="seed", persist_state="session",
            help="Decides everything random in training. Another seed shows how much of a difference is chance.",
        )  # fmt: skip
    why_not = reason_against(variants)
    with st.container(horizontal=True):
        noun = "" if not variants else f" {len(variants)} variant{'s' if len(variants) > 1 else ''}"
        pressed = st.button(
            f"Run{noun}",
            type="primary",
            icon=":material/play_arrow:",
            disabled=bool(why_not),
            help=why_not or None,
            key="run",
        )
        st.button(
            "Add to the comparison", on_click=builder.keep, args=(variants,), disabled=bool(why_not), key="keep",
            help="Keeps these variants in the list while you toggle others.",
        )  # fmt: skip
    if why_not and variants:
        st.caption(f":red[{why_not}]")
    if pressed:
        recipes = [parse(v.text) for v in variants]
        try:
            for recipe in recipes:
                links.allow_models(recipe, queue)
            runs = session.submit(queue, chosen.model, chosen.data, recipes, seed=int(seed))
        except ParetoscopeError as error:
            st.error(error.message, icon=":material/block:")
            return
        st.switch_page("pages/runs.py", query_params=links.runs_query(run.id for run in runs))


def reason_against(variants: list[Variant]) -> str:
    """Why nothing can run as things stand, or an empty text."""
    if not variants:
        return "Toggle at least one technique, or take a quick pick."
    if len(variants) > _MOST_VARIANTS:
        return f"These are {len(variants)} variants; at most {_MOST_VARIANTS} can be started at once."
    blocked = [v for v in variants if v.problem]
    if blocked:
        return f"{blocked[0].text} cannot run. {blocked[0].problem}"
    return ""
