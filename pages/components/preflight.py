"""What each variant would do, before a second is spent on it: size, time, layers touched and left alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import streamlit as st

from optimizers import registry
from optimizers.engine.queue import Foresight, JobQueue
from optimizers.errors import ParetoscopeError
from optimizers.figures import format as fmt
from optimizers.forecast import Forecast, StepForecast
from optimizers.grid import Expected, expected, trials
from optimizers.recipe import parse
from pages.components import links
from pages.components.boundary import guarded
from pages.components.links import Choice
from pages.components.text import code, escaped
from pages.components.variants import Variant, recipes_of

_SECONDS = 1.0


def preflight(queue: JobQueue, chosen: Choice, variants: list[Variant], seeds: list[int]) -> None:
    """Draws the forecasts of all variants that can run; those that are still looked into appear by themselves."""
    able = [variant for variant in variants if not variant.problem]
    if not able:
        return
    waiting = any(sight.pending for sight in _sights(queue, chosen, able).values())
    st.fragment(_board, run_every=_SECONDS if waiting else None)(queue, chosen, able, seeds, waiting)


def _sights(queue: JobQueue, chosen: Choice, variants: list[Variant]) -> dict[str, Foresight]:
    """By recipe what is known about it."""
    found = {}
    for text in dict.fromkeys(text for variant in variants for text in variant.recipes):
        recipe = parse(text)
        try:
            links.allow_models(recipe, queue)
            found[text] = queue.foresee(chosen.model, chosen.data, recipe)
        except ParetoscopeError as error:
            found[text] = Foresight(problem=error.message)
    return found


def impossible(queue: JobQueue, chosen: Choice, variants: list[Variant]) -> set[str]:
    """Recipes of which it is known by now that their runs would fail."""
    able = [variant for variant in variants if not variant.problem]
    return {text for text, sight in _sights(queue, chosen, able).items() if sight.impossible}


@guarded
def _board(queue: JobQueue, chosen: Choice, variants: list[Variant], seeds: list[int], ticking: bool) -> None:
    sights = _sights(queue, chosen, variants)
    if any(sight.pending for sight in sights.values()) != ticking:
        st.rerun(scope="app")
    st.markdown("**What to expect**")
    known = {text: sight.forecast for text, sight in sights.items() if sight.forecast is not None}
    settings, planned = queue.settings, trials(recipes_of(variants), seeds)
    st.markdown(together(expected(planned, known, settings.workers, settings.timing_seconds), len(planned)))
    with st.container(border=True, gap="xsmall", key="preflight"):
        for variant in variants:
            own = [sights[text] for text in variant.recipes]
            with st.expander(
                f"{code(variant.text)}  \n{summary_of(own)}", key=f"forecast:{variant.text}", type="compact"
            ):
                for text, sight in zip(variant.recipes, own, strict=True):
                    if len(own) > 1:
                        st.markdown(f"{code(text)}  \n{summary(sight)}")
                    _steps(sight)
        st.caption("Forecasts, made without training. The measured figures stand beside them after the run.")


def together(all_of_them: Expected, runs: int) -> str:
    """``6 runs, about 1 min 20 s``: all runs with measuring, and what sharing steps and working side by side saves."""
    noun = f"{runs} run{'s' if runs > 1 else ''}"
    if all_of_them.unknown == runs:
        return f"{noun} :gray[· time not known yet]"
    words = f"{noun}, about **{fmt.elapsed(all_of_them.seconds)}** with measuring"
    if all_of_them.unknown:
        return f"{words} :gray[· {all_of_them.unknown} of them not known yet]"
    saved = all_of_them.one_by_one > 1.2 * all_of_them.seconds
    return f"{words} :gray[· one by one {fmt.unbroken(fmt.elapsed(all_of_them.one_by_one))}]" if saved else words


def summary_of(sights: list[Foresight]) -> str:
    """One line for a recipe or for all of a grid's."""
    if len(sights) == 1:
        return summary(sights[0])
    known = [sight.forecast for sight in sights if sight.forecast is not None]
    wrong = next((sight for sight in sights if sight.problem), None)
    if wrong is not None:
        return summary(wrong)
    if len(known) < len(sights):
        return f":gray[:material/progress_activity: looking ahead, {len(known)} of {len(sights)}]"
    raw, packed = ([getattr(f, name) for f in known] for name in ("size_bytes", "compressed_bytes"))
    parts = [f"about {_range(raw, fmt.size)}", f"{_range(packed, fmt.size)} compressed"]
    seconds = [f.seconds for f in known if f.seconds is not None]
    if len(seconds) == len(known):
        parts.append(f"each ready in {_range(seconds, fmt.elapsed)}")
    return ", ".join(parts)


def _range(values: Sequence[float], words: Callable[[float], str]) -> str:
    low, high = words(min(values)), words(max(values))
    return low if low == high else f"{low} to {high}"


def summary(sight: Foresight) -> str:
    """One line: size raw and compressed, and time; or why there is none."""
    if sight.pending:
        return ":gray[:material/progress_activity: looking ahead]"
    if sight.forecast is None:
        return f":red[:material/block: {escaped(sight.problem)}]"
    return in_words(sight.forecast)


def in_words(forecast: Forecast) -> str:
    """``about 55 KB, 35 KB compressed, 16 s``."""
    parts = [f"about {fmt.size(forecast.size_bytes)}", f"{fmt.size(forecast.compressed_bytes)} compressed"]
    if forecast.seconds is not None:
        parts.append(f"ready in {fmt.elapsed(forecast.seconds)}")
    larger = f"  \n:orange[:material/warning:] larger than the original, {fmt.size(forecast.original_bytes)}"
    return f"{', '.join(parts)}{larger if forecast.grows else ''}"


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
