"""The list of what will run: from the toggled techniques, from quick picks, and typed."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from optimizers import registry
from optimizers.grid import parse_grid
from optimizers.params import fields, resolve
from optimizers.presets import PRESETS
from optimizers.records import LayerRow
from optimizers.short_form import Written
from pages.components import forms, several_values
from pages.components.chain import arrange, chain, ordered
from pages.components.values import shown
from pages.components.variants import (
    Variant,
    editable,
    from_text,
    presets,
    proposals,
    without_repetitions,
)

EACH, COMBINED, LEFT_OUT = "Each on its own", "All combined", "Each left out"
_MODES = [EACH, COMBINED, LEFT_OUT]
_KEPT = "kept"


def plan(toggled: list[Written], layers: Sequence[LayerRow]) -> list[Variant]:
    """Draws the choices about variants of a model with these layers and returns everything that will run."""
    steps = ordered(toggled)
    modes = set(_MODES[:2])
    if len(steps) > 1:
        offered = _MODES if len(steps) > 2 else _MODES[:2]
        label = "Compare the toggled techniques"
        modes = set(forms.chips(label, offered, default=_MODES[:2], key="modes", persist_state="session"))
        if modes & {COMBINED, LEFT_OUT}:
            chain(steps, proposals(steps, each=False, combined=True))
    known = presets(layers)
    titles = [t for t in forms.chips("Quick picks", list(known), key="presets", persist_state="session") if t in known]
    picked = [known[title] for title in titles]
    for preset in PRESETS.values():
        if preset.title in titles:
            st.caption(f"**{preset.title}**: {preset.summary}")
    _type_a_recipe()
    live = proposals(steps, each=EACH in modes, combined=COMBINED in modes, left_out=LEFT_OUT in modes)
    kept = [from_text(text) for text in st.session_state.get(_KEPT, [])]
    everything = without_repetitions([*live, *(from_text(text) for text in picked), *kept])
    _list(everything, {v.text for v in live}, set(picked))
    return everything


def _type_a_recipe() -> None:
    with st.expander("Type a recipe"):
        with st.form("typed", border=False, clear_on_submit=False):
            text = st.text_input(
                "Recipe", key="typed_recipe", placeholder="magnitude_pruning(target_sparsity=[0.5, 0.8])+int8",
                help="Steps joined by +, with the values that differ from the defaults. A list makes several recipes.",
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
        gone = {preset.title for preset in PRESETS.values() if text in (preset.recipe, preset.recurrent)}
        st.session_state["presets"] = [t for t in st.session_state["presets"] or [] if t not in gone]


def _edit(text: str) -> None:
    """Puts a recipe into the toggles, their settings and their order; it leaves the list of the fixed ones."""
    steps, varied = dict(editable(text)), parse_grid(text).varied
    for technique in registry.techniques().values():
        name = technique.name
        st.session_state[f"on:{name}"] = name in steps
        if name not in steps:
            continue
        lists = {each.setting: each.values for each in varied if each.technique == name}
        st.session_state[several_values.setting_key(name)] = list(lists)
        single = {setting: value for setting, value in steps[name].items() if setting not in lists}
        values = resolve(name, technique.params, single).model_dump()
        for field in fields(technique.params):
            key = forms.key_of(name, field.name)
            st.session_state[key] = forms.shown_value(field, values[field.name])
            if field.name in lists:
                told = [shown(field, value) for value in lists[field.name]]
                st.session_state[several_values.value_key(name, field.name)] = told
    arrange(list(steps))
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
                several = f" :gray[{len(variant.recipes)} recipes]" if len(variant.recipes) > 1 else ""
                st.markdown(f"`{variant.text}`{several}", width="stretch")
                if removable and editable(variant.text):
                    st.button(
                        f"Edit {variant.text}", key=f"icon-edit:{number}:{variant.text}", type="tertiary",
                        icon=":material/edit:",
                        on_click=_edit, args=(variant.text,), help="Put its steps into the toggles to change them",
                    )  # fmt: skip
                if removable:
                    st.button(
                        f"Remove {variant.text}", key=f"icon-remove:{number}:{variant.text}", type="tertiary",
                        icon=":material/close:", on_click=_remove, args=(variant.text,),
                        help="Remove from the comparison",
                    )  # fmt: skip
                elif variant.text in kept:
                    st.badge("kept", color="gray")
            for sentence in variant.warnings:
                st.caption(f":material/warning: {sentence}")
            if variant.problem:
                st.caption(f":red[:material/block: {variant.problem}]")
        if not everything:
            st.caption("Toggle a technique or take a quick pick.")
