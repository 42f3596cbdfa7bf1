"""Limits to keep, typed or picked; which file is the best that keeps them, or what the nearest one lacks."""

from __future__ import annotations

from collections.abc import Hashable

import pandas as pd
import streamlit as st

from optimizers import registry
from optimizers.errors import InvalidParameter
from optimizers.figures import format as fmt
from optimizers.figures.names import names
from optimizers.figures.tradeoff import identities
from optimizers.history.frames import headline, metric_columns
from optimizers.history.repeated import repeated_metrics
from optimizers.limits import Limit, example, parse, text_of, usual
from optimizers.qualifying import Judgement, judge
from pages.components import selection
from pages.components.links import CHOSEN
from pages.components.text import code, escaped

_KEY, _GOAL = "limits", "best"
_HELP = (
    "Metric, <= or >=, number with unit. A sign or a multiple compares with the baseline: accuracy>=-1pt, size<=0.25x. "
    "Words do as well: at most 100 KB, at most 1 point worse, at least 2x faster."
)


def limits_bar(frame: pd.DataFrame) -> Judgement | None:
    """Asks for limits and says which file keeps them best; None where there are none."""
    quality = headline(frame) or ""
    left, right = st.columns([3, 1], vertical_alignment="bottom")
    text = left.text_input(
        "Limits", key=_KEY, placeholder=example(quality or "accuracy"), help=_HELP, bind="query-params", max_chars=400
    )
    columns = metric_columns(frame)
    goal = right.selectbox(
        "Best by", columns, columns.index(quality) if quality in columns else 0, key=_GOAL,
        format_func=lambda name: registry.metric(name).title, bind="query-params",
    )  # fmt: skip
    try:
        limits = parse(text or "", quality=quality)
    except InvalidParameter as error:
        st.warning(escaped(error.message), icon=":material/rule:")
        limits = ()
    _suggestions(frame, limits, quality)
    if not limits:
        return None
    judgement = judge(frame, limits, goal)
    _conclusion(frame, judgement, limits, goal)
    return judgement


def _suggestions(frame: pd.DataFrame, limits: tuple[Limit, ...], quality: str) -> None:
    """Limits that people often have, one click each; what is limited already is not offered."""
    offered = [("size_bytes", "size<=0.5x", "Half the size")]
    allowed = usual(quality) if quality else ""
    if allowed.endswith("pt"):
        offered.append((quality, allowed, "At most 1 point worse"))
    elif allowed and frame.loc[frame["is_baseline"].astype(bool), quality].gt(0).all():  # a share of nothing is nothing
        offered.append((quality, allowed, "At most 5% worse"))
    offered.append(("speedup", "speedup>=2", "Twice as fast"))
    limited = {limit.metric for limit in limits}
    left = [(text, label) for name, text, label in offered if text and name in frame and name not in limited]
    if left or limits:
        with st.container(horizontal=True, gap="small"):
            for text, label in left:
                st.button(label, key=f"add:{text}", icon=":material/add:", on_click=_set, args=[limits, text])
            if limits:
                st.button("No limits", key="no_limits", icon=":material/close:", type="tertiary", on_click=_set)


def _look_at(frame: pd.DataFrame, place: Hashable) -> None:
    """Offers to look at this file, unless it is the one that is looked at."""
    one = identities(frame)[frame.index.get_loc(place)]
    if one != st.session_state.get(CHOSEN):
        st.button("Look at this file", key="look_at_best", icon=":material/visibility:", type="tertiary",
                  on_click=selection.look_first_at, args=[one])  # fmt: skip


def _set(limits: tuple[Limit, ...] = (), more: str = "") -> None:
    st.session_state[_KEY] = text_of((*limits, *parse(more)))


def _conclusion(frame: pd.DataFrame, judgement: Judgement, limits: tuple[Limit, ...], goal: str) -> None:
    called = dict(zip(frame.index, names(frame), strict=True))
    asked = escaped("; ".join(limit.words for limit in limits))
    count, of = len(judgement.qualifying), len(judgement.files)
    unsure = sum(judged.state == "within the uncertainty" for judged in judgement.files.values())
    more = " more" if count else ""
    open_ = f" {unsure}{more} may, within the uncertainty." if unsure else ""
    if judgement.best is not None:
        best = frame.loc[judgement.best]
        metric = registry.metric(goal)
        figure = f"{fmt.inside(metric.title)} {fmt.value(metric, best[goal])}"
        st.success(
            f"**{escaped(called[judgement.best])}** is the best that keeps all limits, with {escaped(figure)}. "
            f"{count} of {of} files keep them.{open_}", icon=":material/trophy:",
        )  # fmt: skip
        _look_at(frame, judgement.best)
    elif judgement.nearest is not None:
        lacks = "; ".join(v.sentence for v in judgement.files[judgement.nearest].missing)
        nearest = code(called[judgement.nearest])
        st.info(
            f"No file is sure to keep all limits.{open_} The nearest is {nearest}: {escaped(lacks)}.",
            icon=":material/near_me:",
        )
        _look_at(frame, judgement.nearest)
    lucky = " Of several seeds the luckiest comes first." if repeated_metrics(frame) else ""
    st.caption(f"Asked: {asked}. Each file by itself, with the uncertainty of its figures.{lucky}")
