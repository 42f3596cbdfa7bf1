"""The two halves of the page Optimize: techniques to toggle, and the list of what will run."""

from __future__ import annotations

from itertools import groupby

import streamlit as st

from optimizers import registry
from optimizers.declarations import Technique
from optimizers.errors import ParetoscopeError
from optimizers.figures import theme
from optimizers.params import fields
from optimizers.recipe import Step
from pages.components import forms
from pages.components.variants import (
    Variant,
    editable,
    from_text,
    presets,
    proposals,
    sensible_order,
    without_repetitions,
)

EACH, COMBINED = "Each on its own", "All combined"
_KEPT, _ORDER = "kept", "order"


def techniques(choices: forms.Choices) -> list[Step]:
    """Draws all techniques by family and returns the toggled ones as steps, in the order they will be applied."""
    known = [t for t in registry.techniques().values() if t.family != "baseline"]
    rank = {family: place for place, family in enumerate(theme.FAMILIES)}
    known.sort(key=lambda t: (rank.get(t.family, len(rank)), t.name))
    steps = {}
    for family, members in groupby(known, key=lambda t: t.family):
        look = theme.look(family)
        st.markdown(f'##### <span style="color:{look.colour}">●</span> {look.label}', unsafe_allow_html=True)
        for technique in members:
            step = _technique(technique, choices)
            if step is not None:
                steps[technique.name] = step
    return [steps[name] for name in _ordered(list(steps))]


def _technique(technique: Technique, choices: forms.Choices) -> Step | None:
    with st.container(border=True, gap="xsmall", key=f"technique-{technique.name}"):
        on = st.toggle(technique.title, key=f"on:{technique.name}", persist_state="session")
        st.caption(technique.summary)
        if not on:
            return None
        try:
            return Step.of(technique.name, **forms.given_params(technique.name, technique.params, choices))
        except ParetoscopeError as error:
            st.error(error.message)
            return None


def _ordered(toggled: list[str]) -> list[str]:
    """The toggled names: as arranged by hand where they were, newcomers at their sensible place."""
    arranged = [name for name in st.session_state.get(_ORDER, []) if name in toggled]
    if set(arranged) != set(toggled):
        arranged = sensible_order(registry.technique(name) for name in toggled)
    st.session_state[_ORDER] = arranged
    return arranged


def plan(steps: list[Step]) -> list[Variant]:
    """Draws the choices about variants and returns everything that will run."""
    each, combined = True, True
    if len(steps) > 1:
        modes = forms.chips(
            "Compare the toggled techniques",
            [EACH, COMBINED],
            default=[EACH, COMBINED],
            key="modes",
            persist_state="session",
        )
        each, combined = EACH in modes, COMBINED in modes
        if combined:
            _arrange(steps)
    known = presets()
    titles = forms.chips("Quick picks", list(known), key="presets", persist_state="session")
    picked = [known[title] for title in titles if title in known]
    _type_a_recipe()
    live = proposals(steps, each=each, combined=combined)
    kept = [from_text(text) for text in st.session_state.get(_KEPT, [])]
    everything = without_repetitions([*live, *(from_text(text) for text in picked), *kept])
    _list(everything, {v.text for v in live}, set(picked))
    return everything


def _arrange(steps: list[Step]) -> None:
    with st.expander("Order of the steps"):
        names = [step.technique.name for step in steps]
        for place, step in enumerate(steps):
            with st.container(horizontal=True, wrap=False, vertical_alignment="center", gap="small"):
                st.markdown(f"{place + 1}. {step.technique.title}", width="stretch")
                for label, icon, other in (
                    ("Up", "arrow_upward", place - 1),
                    ("Down", "arrow_downward", place + 1),
                ):
                    st.button(
                        label, key=f"{label}:{names[place]}", icon=f":material/{icon}:", type="tertiary",
                        disabled=not 0 <= other < len(names), on_click=_swap, args=(names, place, other),
                        help=f"Move {step.technique.title} {label.lower()}",
                    )  # fmt: skip


def _swap(names: list[str], one: int, other: int) -> None:
    arranged = list(names)
    arranged[one], arranged[other] = arranged[other], arranged[one]
    st.session_state[_ORDER] = arranged


def _type_a_recipe() -> None:
    with st.expander("Type a recipe"):
        with st.form("typed", border=False, clear_on_submit=False):
            text = st.text_input(
                "Recipe", key="typed_recipe", placeholder="magnitude_pruning(target_sparsity=0.8)+int8",
                help="Steps joined by +, with the values that differ from the defaults.",
            )  # fmt: skip
            added = st.form_submit_button("Add to the comparison")
        if added:
            typed = from_text(text)
            if typed.problem:
                st.error(typed.problem)
            else:
                keep([typed])


def keep(variants: list[Variant]) -> None:
    """Adds variants to those that stay in the list whatever is toggled."""
    texts = [*st.session_state.get(_KEPT, []), *(v.text for v in variants if not v.problem)]
    st.session_state[_KEPT] = list(dict.fromkeys(texts))


def _remove(text: str) -> None:
    st.session_state[_KEPT] = [kept for kept in st.session_state.get(_KEPT, []) if kept != text]
    if "presets" in st.session_state:
        known = presets()
        st.session_state["presets"] = [t for t in st.session_state["presets"] or [] if known.get(t) != text]


def _edit(text: str) -> None:
    """Puts a recipe into the toggles, their settings and their order; it leaves the list of the fixed ones."""
    steps = {step.technique.name: step for step in editable(text)}
    for technique in registry.techniques().values():
        step = steps.get(technique.name)
        st.session_state[f"on:{technique.name}"] = step is not None
        if step is not None:
            values = step.params.model_dump()
            for field in fields(technique.params):
                st.session_state[forms.key_of(technique.name, field.name)] = forms.shown_value(
                    field, values[field.name]
                )
    st.session_state[_ORDER] = list(steps)
    st.session_state["modes"] = [COMBINED]
    _remove(text)


def _list(everything: list[Variant], live: set[str], picked: set[str]) -> None:
    kept = set(st.session_state.get(_KEPT, []))
    st.markdown("**Will be compared**")
    with st.container(border=True, gap="xsmall", key="will-run"):
        st.markdown("`float32` :gray[the original, without any step: the baseline]")
        for number, variant in enumerate(everything, start=1):
            removable = variant.text in kept | picked and variant.text not in live
            with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                st.markdown(f"`{variant.text}`", width="stretch")
                if removable and editable(variant.text):
                    st.button(
                        "Edit", key=f"edit:{number}:{variant.text}", type="tertiary", icon=":material/edit:",
                        on_click=_edit, args=(variant.text,), help="Put its steps into the toggles to change them",
                    )  # fmt: skip
                if removable:
                    st.button(
                        "Remove", key=f"remove:{number}:{variant.text}", type="tertiary", icon=":material/close:",
                        on_click=_remove, args=(variant.text,), help=f"Remove {variant.text} from the comparison",
                    )  # fmt: skip
                elif variant.text in kept:
                    st.badge("kept", color="gray")
            for sentence in variant.warnings:
                st.caption(f":material/warning: {sentence}")
            if variant.problem:
                st.caption(f":red[:material/block: {variant.problem}]")
        if not everything:
            st.caption("Toggle a technique or take a quick pick.")
