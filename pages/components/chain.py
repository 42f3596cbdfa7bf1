"""The recipe as an ordered list whose steps can be moved, with what is wrong with the order told at once."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from optimizers import registry
from optimizers.figures import theme
from optimizers.short_form import Written
from pages.components.text import escaped
from pages.components.variants import Variant, sensible_order

_ORDER = "order"


def ordered(toggled: Sequence[Written]) -> list[Written]:
    """The toggled steps: as arranged by hand where they were, newcomers at their sensible place."""
    steps = dict(toggled)
    arranged = [name for name in st.session_state.get(_ORDER, []) if name in steps]
    if set(arranged) != set(steps):
        arranged = sensible_order(registry.technique(name) for name in steps)
    arrange(arranged)
    return [(name, steps[name]) for name in arranged]


def arrange(names: Sequence[str]) -> None:
    """Sets the order of the steps."""
    st.session_state[_ORDER] = list(names)


def chain(steps: Sequence[Written], combinations: Sequence[Variant]) -> None:
    """Draws the steps in order with buttons that move them, and whether they can follow one another so."""
    names = [name for name, _ in steps]
    with st.container(border=True, gap="xsmall", key="chain"):
        for place, name in enumerate(names):
            technique = registry.technique(name)
            colour = theme.look(technique.family).colour
            with st.container(horizontal=True, wrap=False, vertical_alignment="center", gap="small"):
                st.markdown(
                    f'{place + 1}. <span style="color:{colour}">●</span> {technique.title}',
                    width="stretch", unsafe_allow_html=True,
                )  # fmt: skip
                for way, icon, other in (("up", "arrow_upward", place - 1), ("down", "arrow_downward", place + 1)):
                    st.button(
                        f"Move {technique.title} {way}", key=f"icon-{way}:{name}", icon=f":material/{icon}:",
                        type="tertiary", disabled=not 0 <= other < len(names), on_click=_swap,
                        args=(names, place, other), help=f"Move {way}",
                    )  # fmt: skip
        problems = list(dict.fromkeys(one.problem for one in combinations if one.problem))
        lost = list(dict.fromkeys(sentence for one in combinations for sentence in one.warnings))
        for sentence in problems:
            st.caption(f":red[:material/block: {escaped(sentence)}]")
        for sentence in lost:
            st.caption(f":material/warning: {escaped(sentence)}")
        if not problems and not lost:
            several = (
                " The last steps are alternatives, each for a variant of its own." if len(combinations) > 1 else ""
            )
            st.caption(
                ":material/check: These steps can follow one another, and none destroys what another achieved."
                + several
            )


def _swap(names: list[str], one: int, other: int) -> None:
    arranged = list(names)
    arranged[one], arranged[other] = arranged[other], arranged[one]
    arrange(arranged)
