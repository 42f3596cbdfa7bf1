"""What repeats over seeds tell: mean and spread of each variant, and who is separated from whom."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import pandas as pd
import streamlit as st

from optimizers import registry
from optimizers.engine.queue import JobQueue
from optimizers.figures import theme
from optimizers.figures.repeats import repeats, repeats_table
from optimizers.history.frames import headline
from optimizers.history.repeated import Pooled, Subject, pooled, rankings, repeated_metrics
from optimizers.qualifying import Judgement
from optimizers.repeats import Ranking
from pages.components import selection
from pages.components.remembered import once
from pages.components.text import escaped

_METRIC = "seeds_metric"


def together(queue: JobQueue, frame: pd.DataFrame, asked: tuple[str, ...]) -> Pooled:
    """The comparison made from ``asked`` with variants that were run with several seeds as their means."""
    chosen = tuple(selection.looked_at())
    return once(queue, ("together", chosen, *asked), lambda: pooled(frame, chosen))


def drawn(frame: pd.DataFrame, taken: Pooled, judgement: Judgement | None) -> tuple[pd.DataFrame, Judgement | None]:
    """What charts draw: means over seeds, unless every seed is asked for."""
    if not taken.repeated or st.toggle("Every seed by itself", key="every_seed", bind="query-params"):
        return frame, judgement
    return taken.frame, taken.judged(judgement)


def separated(queue: JobQueue, frame: pd.DataFrame, asked: tuple[str, ...]) -> None:
    """What the seeds leave open about who is best, in a line; nothing where nothing was repeated."""
    lead = headline(frame)
    if lead is None or lead not in repeated_metrics(frame):
        return
    for (model, _), ranking in _ranked(queue, frame, lead, asked).items():
        if ranking.sentence:
            about = (
                f"{registry.metric(lead).title} of {model}"
                if frame["model"].nunique() > 1
                else registry.metric(lead).title
            )
            st.caption(f":material/casino: {escaped(f'{about}: {ranking.sentence}')}")


def _ranked(queue: JobQueue, frame: pd.DataFrame, name: str, asked: tuple[str, ...]) -> Mapping[Subject, Ranking]:
    return once(queue, ("seeds", name, *asked), lambda: rankings(frame, name))


def over_seeds(queue: JobQueue, frame: pd.DataFrame, asked: tuple[str, ...]) -> None:
    """Draws the panel where some variant of a comparison was run with several seeds, and nothing elsewhere.

    Args:
        queue: Whose history the comparison is of.
        frame: The comparison.
        asked: What it was made from, so that it need not be ranked again.
    """
    metrics = repeated_metrics(frame)
    if not metrics:
        return
    st.subheader("Over seeds", anchor=False)
    known, first = registry.metrics(), headline(frame)
    name = st.selectbox(
        "Figure", metrics, metrics.index(first) if first in metrics else 0, key=_METRIC,
        format_func=lambda n: known[n].title, width=320,
    )  # fmt: skip
    families = dict(zip(frame["variant"], frame["family"], strict=True)) | {"baseline": "baseline"}
    found = _ranked(queue, frame, name, asked)
    for number, ((model, data), ranking) in enumerate(found.items()):
        if len(found) > 1:
            st.markdown(f"**{escaped(model)}** on **{escaped(data)}**")
        if ranking.sentence:
            st.markdown(escaped(ranking.sentence))
        figure = once(queue, ("repeats", name, number, *asked), partial(repeats, ranking, name, families))
        st.plotly_chart(
            figure, config=theme.CONFIG, key=f"seeds:{number}",
            alt=f"{known[name].title} of every variant and seed, also in the table",
        )  # fmt: skip
        st.dataframe(
            repeats_table(ranking, name), hide_index=True, key=f"seeds-table:{number}", placeholder="–",
            alt=f"{known[name].title} over seeds", column_config=_HELP,
        )  # fmt: skip
    st.caption(
        "Variants are compared seed by seed, and Holm's procedure allows for there being many pairs. Seeds tell what "
        "chance in training does on the same test examples, the intervals of files what other examples would do."
    )


_HELP = {
    "Place": st.column_config.TextColumn(help="Places that the seeds leave open; all of them hold together."),
    "Spread": st.column_config.TextColumn(help="Standard deviation over seeds."),
    "95% interval": st.column_config.TextColumn(help="Of the mean over all seeds (Student)."),
}
