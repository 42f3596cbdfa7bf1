"""The button that starts the runs, and why it sometimes cannot."""

from __future__ import annotations

import streamlit as st

from optimizers.engine.queue import JobQueue
from optimizers.errors import ParetoscopeError
from optimizers.figures import format as fmt
from optimizers.grid import MOST_RUNS, trials
from optimizers.records import LAST_SEED
from pages.components import builder, links, session
from pages.components.links import Choice
from pages.components.preflight import impossible
from pages.components.variants import Variant, recipes_of

_MOST_REPEATS = 20
_ALL_HOPELESS = "Nothing of this can run on this model; the reasons are below."


def launch(queue: JobQueue, chosen: Choice, variants: list[Variant]) -> list[int]:
    """Draws repeats and the button; pressing it queues the runs and goes to them. Returns the seeds."""
    seeds = _seeds()
    hopeless = impossible(queue, chosen, variants)
    recipes = [recipe for recipe in recipes_of(variants) if recipe.text not in hopeless]
    planned, blocked = trials(recipes, seeds), sum(bool(variant.problem) for variant in variants)
    why_not = reason_against(variants, len(planned)) or (_ALL_HOPELESS if hopeless and not recipes else "")
    with st.container(horizontal=True, key="launch"):
        pressed = st.button(
            f"Run{told(len(recipes) + blocked, len(planned) + blocked)}", type="primary", icon=":material/play_arrow:",
            disabled=bool(why_not), help=why_not or None, key="run",
        )  # fmt: skip
        st.button(
            "Add to the comparison", on_click=builder.keep, args=(variants,), disabled=bool(why_not), key="keep",
            help="Keeps these variants in the list while you toggle others.",
        )  # fmt: skip
    if why_not and variants:
        st.caption(f":red[{why_not}]")
    elif hopeless:
        st.caption(f"{fmt.count(len(hopeless))} that cannot run {'is' if len(hopeless) == 1 else 'are'} left out.")
    if pressed:
        try:
            for recipe in recipes:
                links.allow_models(recipe, queue)
            runs = session.submit(queue, chosen.model, chosen.data, recipes, seed=seeds)
        except ParetoscopeError as error:
            st.error(error.message, icon=":material/block:")
            return seeds
        st.switch_page("pages/runs.py", query_params=links.runs_query(run.id for run in runs))
    return seeds


def _seeds() -> list[int]:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        repeats = st.number_input(
            "Repeats", 1, _MOST_REPEATS, 1, 1, key="repeats", persist_state="session", width=140,
            help="Runs what depends on chance with so many seeds. Compare then tells mean and spread, and which "
            "variants the seeds really separate. One seed tells nothing about chance.",
        )  # fmt: skip
        first = st.number_input(
            "First seed", 0, LAST_SEED - _MOST_REPEATS, 0, 1, key="seed", persist_state="session", width=140,
            help="Decides everything random in training; repeats take the seeds after it.",
        )  # fmt: skip
    return [int(first) + i for i in range(int(repeats))]


def told(recipes: int, runs: int) -> str:
    """`` 3 variants, 6 runs``; nothing where there is nothing to run."""
    if not recipes:
        return ""
    noun = f" {recipes} variant{'s' if recipes > 1 else ''}"
    return noun if runs == recipes else f"{noun}, {runs} runs"


def reason_against(variants: list[Variant], runs: int) -> str:
    """Why nothing can run as things stand, or an empty text."""
    if not variants:
        return "Toggle at least one technique, or take a quick pick."
    blocked = [v for v in variants if v.problem]
    if blocked:
        return f"{blocked[0].text} cannot run. {blocked[0].problem}"
    if runs > MOST_RUNS:
        return f"These are {runs} runs; at most {MOST_RUNS} can be started at once."
    return ""
