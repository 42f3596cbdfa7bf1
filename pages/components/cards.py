"""All techniques as cards: what each buys and costs, a switch, and its settings. Cards follow from declarations."""

from __future__ import annotations

from itertools import groupby

import streamlit as st

from optimizers import registry
from optimizers.declarations import Technique
from optimizers.errors import ParetoscopeError
from optimizers.figures import theme
from optimizers.grid import Grid
from optimizers.short_form import Written
from pages.components import forms
from pages.components.several_values import several_values


def cards(choices: forms.Choices) -> list[Written]:
    """Draws all techniques by family and returns the toggled ones as steps, in the order of the cards."""
    known = [t for t in registry.techniques().values() if t.family != "baseline"]
    rank = {family: place for place, family in enumerate(theme.FAMILIES)}
    known.sort(key=lambda t: (rank.get(t.family, len(rank)), t.name))
    steps = []
    for family, members in groupby(known, key=lambda t: t.family):
        look = theme.look(family)
        st.markdown(f'##### <span style="color:{look.colour}">●</span> {look.label}', unsafe_allow_html=True)
        for technique in members:
            step = _card(technique, choices)
            if step is not None:
                steps.append(step)
    return steps


def _card(technique: Technique, choices: forms.Choices) -> Written | None:
    name = technique.name
    with st.container(border=True, gap="xsmall", key=f"technique-{name}"):
        on = st.toggle(technique.title, key=f"on:{name}", persist_state="session")
        st.caption(technique.summary)
        if not on:
            return None
        given = forms.given_params(name, technique.params, choices)
        step = name, several_values(name, technique.params, dict(given), choices)
        try:
            Grid((step,)).recipes()
        except ParetoscopeError as error:
            st.error(error.message)
            return None
        return step
