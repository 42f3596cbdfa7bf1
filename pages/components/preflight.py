"""What each variant would do, before a second is spent on it: size, time, layers touched and left alone."""

from __future__ import annotations

import streamlit as st

from optimizers import registry
from optimizers.engine.queue import Foresight, JobQueue
from optimizers.errors import ParetoscopeError
from optimizers.figures import format as fmt
from optimizers.forecast import Forecast, StepForecast
from optimizers.recipe import parse
from pages.components import links
from pages.components.boundary import guarded
from pages.components.links import Choice
from pages.components.text import code, escaped
from pages.components.variants import Variant

_SECONDS = 1.0


def preflight(queue: JobQueue, chosen: Choice, variants: list[Variant]) -> None:
    """Draws the forecasts of all variants that can run; those that are still looked into appear by themselves."""
    texts = [variant.text for variant in variants if not variant.problem]
    if not texts:
        return
    waiting = any(sight.pending for sight in _sights(queue, chosen, texts).values())
    st.fragment(_board, run_every=_SECONDS if waiting else None)(queue, chosen, texts, waiting)


def _sights(queue: JobQueue, chosen: Choice, texts: list[str]) -> dict[str, Foresight]:
    found = {}
    for text in texts:
        recipe = parse(text)
        try:
            links.allow_models(recipe, queue)
            found[text] = queue.foresee(chosen.model, chosen.data, recipe)
        except ParetoscopeError as error:
            found[text] = Foresight(problem=error.message)
    return found


@guarded
def _board(queue: JobQueue, chosen: Choice, texts: list[str], ticking: bool) -> None:
    sights = _sights(queue, chosen, texts)
    if any(sight.pending for sight in sights.values()) != ticking:
        st.rerun(scope="app")
    st.markdown("**What to expect**")
    with st.container(border=True, gap="xsmall", key="preflight"):
        for text, sight in sights.items():
            with st.expander(f"{code(text)}  \n{summary(sight)}", key=f"forecast:{text}", type="compact"):
                _steps(sight)
        st.caption("Forecasts, made without training. The measured figures stand beside them after the run.")


def summary(sight: Foresight) -> str:
    """One line: size raw and compressed, and time; or why there is none."""
    if sight.pending:
        return ":gray[:material/progress_activity: looking ahead]"
    if sight.forecast is None:
        return f":red[:material/block: {escaped(sight.problem)}]"
    return expected(sight.forecast)


def expected(forecast: Forecast) -> str:
    """``about 55 KB, 35 KB compressed, 16 s``."""
    parts = [f"about {fmt.size(forecast.size_bytes)}", f"{fmt.size(forecast.compressed_bytes)} compressed"]
    if forecast.seconds is not None:
        parts.append(f"ready in {fmt.elapsed(forecast.seconds)}")
    return ", ".join(parts)


def _steps(sight: Foresight) -> None:
    if sight.forecast is None:
        return
    st.markdown(
        f"{fmt.count(sight.forecast.parameters)} parameters, "
        f"{fmt.count(sight.forecast.macs)} multiply-accumulates per answer"
    )
    for step in sight.forecast.steps:
        _step(step)


def _step(step: StepForecast) -> None:
    lines = [f"**{registry.technique(step.technique).title}**"]
    for what, names in by_words(step.touched).items():
        lines.append(f"- {escaped(what)}: {names}")
    for why, names in by_words(step.skipped).items():
        lines.append(f"- :gray[left alone] {names}: {escaped(why)}")
    lines += [f"- {escaped(note)}" for note in step.notes]
    st.markdown("\n".join(lines))


def by_words(layers: dict[str, str]) -> dict[str, str]:
    """Layers for which the same is said, together: from the words to the names in a row."""
    found: dict[str, list[str]] = {}
    for name, words in layers.items():
        found.setdefault(words, []).append(code(name))
    return {words: ", ".join(names) for words, names in found.items()}
