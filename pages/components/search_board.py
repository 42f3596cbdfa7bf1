"""One search, live: the best so far with its file, the front, what decides, all trials, and what can be told to it."""

from __future__ import annotations

from functools import partial

import pandas as pd
import streamlit as st

from optimizers import limits, registry
from optimizers.certification import sentence
from optimizers.engine.queue import JobQueue
from optimizers.figures import format as fmt
from optimizers.figures import theme
from optimizers.figures.search import importance_bars, tried
from optimizers.history.database import UNFINISHED
from optimizers.records import SHARED
from optimizers.search import goals
from optimizers.search.certifying import verdicts
from optimizers.search.desk import View
from optimizers.search.goals import Outcome, Standing
from optimizers.search.importance import FEWEST
from optimizers.search.records import ENDINGS, Study
from optimizers.search.space import setting
from pages.components import links, search_form, session
from pages.components.boundary import guarded
from pages.components.budget import badge
from pages.components.soon import soon
from pages.components.text import code, escaped

_SECONDS, _SECONDS_AT_REST = 2.0, 10.0
_STANDINGS: dict[Standing, str] = {
    "keeps all limits": ":green-badge[:material/check: Keeps all limits]",
    "keeps all limits as far as the examples can tell": ":orange-badge[:material/help: Too few examples to be sure]",
    "nearest miss": ":red-badge[:material/close: Nearest miss]",
}
_STATES = {
    "running": "at work", "paused": "paused", "stopped": "stopped", "done": "over", "failed": "failed",
}  # fmt: skip


def board(queue: JobQueue, study: Study) -> None:
    """Draws the search; it refreshes itself while it is at work."""
    st.button("Another search", icon=":material/arrow_back:", type="tertiary", on_click=_leave, args=(queue, study))
    ticking = _at_work(queue, study)
    st.fragment(_board, run_every=_SECONDS if ticking else _SECONDS_AT_REST)(queue, study.id, ticking)


def _at_work(queue: JobQueue, study: Study) -> bool:
    """Whether anything will change by itself soon: the search, or a file of it that is being measured on test data."""
    if study.state == "running" or not queue.searches.rests(study.id):
        return True
    return bool(study.certified and queue.history.runs(list(study.certified.values()), states=UNFINISHED))


def _leave(queue: JobQueue, study: Study) -> None:
    """Goes to the form for the same model, as far as this visitor may open it."""
    st.query_params.pop(search_form.PARAMETER, None)
    if study.scope == SHARED or search_form.mine(queue, study):
        links.choose(links.Choice(study.model.uri, study.dataset.uri))


@guarded
def _board(queue: JobQueue, study_id: str, ticking: bool) -> None:
    view = queue.searches.view(study_id)
    if _at_work(queue, view.study) != ticking:  # it ended, or goes on, perhaps by another window
        st.rerun(scope="app")
    _head(queue, view)
    _best(queue, view)
    if not view.frame.empty:
        left, right = st.columns([3, 2], gap="large")
        with left:
            _front(view)
        with right:
            _importance(queue, view)
    if view.trials:
        _trials(view)


def _head(queue: JobQueue, view: View) -> None:
    study = view.study
    wanted = ", ".join(fmt.inside(registry.metric(name).title) for name in study.objectives)
    kept = limits.text_of(goals.limits_of(study))
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(
            f"**{escaped(study.model.name)}** on **{escaped(study.dataset.name)}**: better {wanted}"
            + (f", within {code(kept)}" if kept else ""),
            width="stretch",
        )
        if search_form.mine(queue, study):
            _commands(queue, study)
    share = min(1.0, study.spent / study.seconds)
    rejected, cut = (sum(t.state == state for t in view.trials) for state in ("rejected", "cut"))
    tried = sum(t.state not in ("running", "rejected", "cut") for t in view.trials)
    told = f"{_STATES[study.state].capitalize()}: {fmt.elapsed(study.spent)} of {fmt.elapsed(study.seconds)}, "
    told += f"{tried} tried" + (f", {cut} broken off" if cut else "")
    told += f", {rejected} ruled out by {'its' if rejected == 1 else 'their'} forecast" if rejected else ""
    st.progress(share, text=told)
    if study.ended:
        st.caption(f"It was over before its time. {ENDINGS[study.ended]}")
    if study.problem:
        st.error(escaped(study.problem), icon=":material/block:")


def _commands(queue: JobQueue, study: Study) -> None:
    desk = queue.searches
    if study.state == "running":
        st.button("Pause", icon=":material/pause:", key="pause", on_click=desk.pause, args=(study.id,))
        st.button("Stop", icon=":material/stop:", key="stop", on_click=desk.stop, args=(study.id,))
        return
    full = search_form.full(queue)
    if study.state == "paused" and study.spent < study.seconds:
        st.button("Resume", icon=":material/play_arrow:", key="resume", type="primary", on_click=desk.go_on,
                  args=(study.id,), disabled=bool(full), help=full or None)  # fmt: skip
        st.button("Stop", icon=":material/stop:", key="stop", on_click=desk.stop, args=(study.id,))
        return
    with st.popover("Go on", icon=":material/more_time:"):
        minutes = st.number_input("More minutes", 0.5, 1440.0, 10.0, 5.0, format="%g", key="more_minutes")
        limited = study.most_trials is not None
        trials = st.number_input("More trials", 1, 10_000, 10, 5, key="more_trials") if limited else 0
        more = (60 * float(minutes or 10.0), int(trials or 0))
        st.button("Go on searching", type="primary", key="extend", on_click=desk.go_on, args=(study.id, *more),
                  disabled=bool(full), help=full or None)  # fmt: skip


def _best(queue: JobQueue, view: View) -> None:
    best = view.best
    if best is None and view.study.state in ("running", "paused"):
        st.info("Nothing has been measured yet; the first files take some seconds.", icon=":material/hourglass_top:")
        return
    if best is None:
        st.info(
            "No file was measured. Go on for longer, or see below why trials were ruled out."
            if any(trial.state == "rejected" for trial in view.trials) else
            "No file was measured in that time. Go on for longer."
            if view.trials else "It ended before a first file was made. Go on for longer.",
            icon=":material/search_off:",
        )  # fmt: skip
        return
    outcome = best.outcome
    with st.container(border=True, key="best"):
        title = "Best" if view.study.state == "done" else "Best so far"
        standing = _STANDINGS[best.standing] if goals.limits_of(view.study) else ""
        st.markdown(f"**{title}** {standing}  \n{code(outcome.trial.recipe)}")
        pairs = zip(view.study.objectives, outcome.values, strict=True)
        told = [f"{registry.metric(n).title} **{fmt.value(registry.metric(n), v)}**" for n, v in pairs if v is not None]
        st.markdown(" · ".join(told) + " :gray[on validation data]")
        if best.missing:
            st.markdown("\n".join(f"- {escaped(sentence_)}" for sentence_ in best.missing))
        with st.container(horizontal=True, gap="small", vertical_alignment="center"):
            _download(queue, outcome)
            _certification(queue, view, outcome)
        _certificate(queue, view, outcome)


def _download(queue: JobQueue, outcome: Outcome) -> None:
    artifact = queue.store.get(str(outcome.row["artifact_key"]))
    if artifact is not None:
        st.download_button(
            "Download .tflite", data=lambda: queue.store.path(artifact).read_bytes(), on_click="ignore",
            file_name=f"{outcome.row['model']}-trial-{outcome.trial.number}.tflite", icon=":material/download:",
            mime="application/octet-stream", key="search_download",
        )  # fmt: skip


def _certification(queue: JobQueue, view: View, outcome: Outcome) -> None:
    number = outcome.trial.number
    run = view.certified.get(number)
    if run is not None:
        if search_form.mine(queue, view.study):  # others only look
            session.remember(queue, [run])
        st.page_link("pages/compare.py", label="Compare on test data", icon=":material/scatter_plot:",
                     query_params=links.runs_query([run.id]))  # fmt: skip
    elif search_form.mine(queue, view.study):
        st.button(
            "Measure on test data", key="certify", icon=":material/verified:", disabled=view.study.state == "running",
            on_click=queue.searches.certify, args=(view.study.id, number),
            help="Done once, by itself, when the time is over and all limits are kept. Stop or pause to do it now.",
        )  # fmt: skip


def _certificate(queue: JobQueue, view: View, outcome: Outcome) -> None:
    run = view.certified.get(outcome.trial.number)
    if run is None:
        return
    if run.state != "done":
        st.caption("It is being measured on test data." if run.failure is None else escaped(run.failure.message))
        return
    for budget, decision in verdicts(queue.history, view.study, run).items():
        st.markdown(f"{badge(decision.state)} On test data: {escaped(sentence(decision, budget))}")
    if len(view.certified) > 1:
        st.caption(
            f"{len(view.certified)} files of this search were measured on test data; each was decided by itself."
        )


def _front(view: View) -> None:
    x, y = _axes(view)
    chosen = view.best.outcome.trial.run_id if view.best else ""
    known = registry.metrics()
    kept = {outcome.trial.run_id for outcome in view.outcomes if outcome.judged.state == "met"}
    st.plotly_chart(
        tried(view.frame, x, y, chosen, kept), config=theme.CONFIG, key="search-front",
        alt=f"{known[y].title} against {fmt.inside(known[x].title)} of all files tried, on validation data; all are in "
        "the table below",
    )  # fmt: skip


def _axes(view: View) -> tuple[str, str]:
    """The first two objectives, or the only one against what leads the quality."""
    first, *others = view.study.objectives
    if others:
        return first, others[0]
    measured = [n for n in registry.metrics() if n in view.frame.columns and n != first]
    return first, measured[0] if measured else first


def _importance(queue: JobQueue, view: View) -> None:
    known = view.study.objectives
    name = st.segmented_control("What decides about", list(known), default=known[0], key="search_importance",
                                format_func=lambda n: registry.metric(n).title) or known[0]  # fmt: skip
    place = known.index(name)
    count = sum(outcome.values[place] is not None for outcome in view.outcomes)
    if count < FEWEST:
        st.caption(f"{FEWEST} measured trials are needed to tell which settings decide; there are {count}.")
        return
    key, work = ("importance", view.study.id, name, count), partial(queue.searches.importance, view, name)
    found = soon(queue, key, work, "Finding out which settings decide.", keep=True)
    if found is None:
        return
    shares: dict[str, float] = {}
    for setting_name, share in found.items():
        shares[setting(setting_name)] = shares.get(setting(setting_name), 0.0) + share
    st.plotly_chart(importance_bars(shares, registry.metric(name).title), config=theme.CONFIG, key="search-importance",
                    alt=f"How much each setting decides about {fmt.inside(registry.metric(name).title)}")  # fmt: skip


def _trials(view: View) -> None:
    st.subheader("All trials", anchor=False)
    known, found = registry.metrics(), {o.trial.number: o for o in view.outcomes}
    front = {o.trial.number for o in view.front}
    rows = []
    for trial in reversed(view.trials):
        outcome = found.get(trial.number)
        figures = dict(zip(view.study.objectives, outcome.values, strict=True)) if outcome else {}
        rows.append(
            {"Trial": trial.number}
            | {known[n].title: fmt.value(known[n], figures.get(n)) for n in view.study.objectives}
            | {
                "Recipe": trial.recipe,
                "Limits": outcome.judged.state if outcome and outcome.judged.verdicts else "",
                "Front": "yes" if trial.number in front else "",
                "State": "ruled out" if trial.state == "rejected" else trial.state,
                "Why": trial.reason,
                "Training": trial.effort,
                "Time": fmt.elapsed(trial.seconds) if trial.seconds is not None else "",
            }
        )
    told = pd.DataFrame(rows)
    empty = [name for name in ("Limits", "Why", "Training") if not told[name].astype(bool).any()] if rows else []
    st.dataframe(told.drop(columns=empty), hide_index=True, alt="All trials", placeholder="–",
                 column_config={n: st.column_config.TextColumn(width="medium") for n in ("Recipe", "Why")})  # fmt: skip
    st.caption(
        "All figures are on validation data, which some steps also used to stop training early or to choose layers. "
        "“Training short” takes a quarter of a full one; promising ones are trained in full."
    )
    if view.study.layers:
        named = ", ".join(f"{d.layer} ({d.moved:.1%})" for d in view.study.layers[:6])
        st.caption(f"Layers from the most sensitive on, by how far the outputs move: {escaped(named)}.")
