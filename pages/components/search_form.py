"""What is searched for, and the visitor's earlier searches."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pandas as pd
import streamlit as st

from optimizers import limits, quotas, registry, sessions
from optimizers.engine.driver import check_fit, targets_of
from optimizers.engine.queue import JobQueue
from optimizers.errors import InvalidParameter, ParetoscopeError, UserError
from optimizers.figures import format as fmt
from optimizers.records import LAST_SEED, Target, Task
from optimizers.search import goals
from optimizers.search.desk import Wish
from optimizers.search.records import Study
from optimizers.targets.boards import BOARDS
from pages.components import session
from pages.components.links import Choice
from pages.components.text import escaped

PARAMETER = "search"
_ID = re.compile(r"[A-Za-z0-9]{1,40}")
_MOST_AT_ONCE = 2
_MOST_LISTED = 10
_SAMPLERS = {"tpe": "TPE (learns from the first trials on)", "nsga2": "NSGA-II (evolution; for many trials)",
             "random": "Random (to compare with)"}  # fmt: skip


def asked() -> str:
    """Id of the search in the address, or nothing."""
    named = st.query_params.get(PARAMETER, "")
    return named if _ID.fullmatch(named) else ""


def mine(queue: JobQueue, study: Study) -> bool:
    """Whether this visitor may tell a search what to do: it is theirs; others only look."""
    return study.scope == session.scope() or study.id in sessions.remembered(session.token(), queue.settings)


def form(queue: JobQueue, chosen: Choice) -> None:
    """Asks for objectives, limits and time; the button begins the search and shows it."""
    _, summary = queue.driver.inspect_model(chosen.model)
    dataset, data = queue.driver.inspect_dataset(chosen.data)
    task = check_fit(summary, data, dataset.name)
    wish = _wish(task, targets_of(summary, data, dataset.name))
    problem = _problem(queue, chosen, wish)
    if problem:
        st.caption(f":red[{escaped(problem)}]")
    if not st.button("Search", type="primary", icon=":material/travel_explore:", disabled=bool(problem), key="go"):
        return
    try:
        with sessions.in_turn(session.scope()):
            if told := full(queue):
                raise UserError(told)
            quotas.check_room(queue.history, queue.store, queue.settings, session.scope())
            study = queue.searches.start(chosen.model, chosen.data, wish)
    except ParetoscopeError as error:
        st.error(escaped(error.message), icon=":material/block:")
        return
    sessions.remember(session.token(), [study.id], queue.settings)
    st.query_params[PARAMETER] = study.id
    st.rerun()


def _wish(task: Task, targets: Sequence[Target]) -> Wish:
    known = {metric.name: metric for metric in registry.fitting(task, targets)}
    left, right = st.columns([3, 2], gap="large")
    objectives = left.multiselect(
        "Make better", list(known), list(goals.usual_objectives(task)), key="search_objectives", max_selections=4,
        format_func=lambda name: known[name].title,
        help="The first one decides among the files that keep all limits. With several the whole front is explored.",
    )  # fmt: skip
    qualities = (name for name, metric in known.items() if metric.needs == "predictions" and metric.change is not None)
    text = left.text_input(
        "Limits", goals.usual_limits(task, targets), key="search_limits",
        placeholder=limits.example(next(qualities, "accuracy")),
        bind="query-params",
        help="Separated by commas. A sign compares with the original: accuracy>=-1pt allows one point less. Speed is "
        "timed only if it is an objective or a limit, and only for files that keep the other limits.",
    )  # fmt: skip
    minutes = right.number_input(
        "Minutes", 0.5, 7 * 1440.0, 10.0, 5.0, format="%g", key="search_minutes", bind="query-params",
        help="Time that may be spent. It can be extended later; nothing that was found is lost.",
    )  # fmt: skip
    boards = ["", *(b.name for b in BOARDS)]
    board = right.selectbox(
        "Must fit a board", boards, key="search_board", format_func=lambda name: name or "None",
        help="The file must fit its flash beside the runtime, and the activations its memory.",
    )  # fmt: skip
    with st.expander("More settings", key="more:search"):
        one, two = st.columns(2, gap="large")
        every = list(registry.techniques())
        techniques = one.multiselect(
            "Techniques", every, [], key="search_techniques", placeholder="All that suit the model",
            format_func=lambda name: registry.technique(name).title,
        )  # fmt: skip
        sampler = two.selectbox("Sampler", list(_SAMPLERS), key="search_sampler", format_func=_SAMPLERS.__getitem__)
        seed = one.number_input("Seed", 0, LAST_SEED, 0, 1, key="search_seed")
        most = two.number_input("Most trials", 1, 10_000, None, 1, key="search_trials", placeholder="As time allows")
    return Wish(
        tuple(objectives), text, board, 60 * float(minutes or 10.0), tuple(techniques), sampler, int(seed or 0),
        int(most) if most else None,
    )  # fmt: skip


def _problem(queue: JobQueue, chosen: Choice, wish: Wish) -> str:
    """Why nothing can be searched for as things stand, or nothing."""
    if not wish.objectives:
        return "Choose what to make better."
    if told := full(queue):
        return told
    try:
        queue.searches.checked(chosen.model, chosen.data, wish)
    except InvalidParameter as error:
        return error.message
    except ParetoscopeError as error:
        return error.message
    return ""


def full(queue: JobQueue) -> str:
    """Why this visitor cannot have one more search at work now, or an empty text."""
    running = [study for study in _mine(queue) if study.state == "running"]
    return (
        f"{len(running)} of your searches are at work; stop one of them, or wait."
        if len(running) >= _MOST_AT_ONCE
        else ""
    )


def _mine(queue: JobQueue) -> list[Study]:
    return queue.searches.studies([session.scope()], sessions.remembered(session.token(), queue.settings))


def earlier(queue: JobQueue) -> None:
    """This visitor's searches, newest first; a click opens one."""
    found = _mine(queue)[:_MOST_LISTED]
    if not found:
        return
    st.subheader("Your searches", anchor=False)
    rows = [
        {
            "Model": s.model.name,
            "Data": s.dataset.name,
            "Better": ", ".join(registry.metric(name).title for name in s.objectives),
            "Limits": limits.text_of(goals.limits_of(s)),
            "State": s.state,
            "Time": f"{fmt.elapsed(s.spent)} of {fmt.elapsed(s.seconds)}",
        }
        for s in found
    ]
    shown = st.dataframe(pd.DataFrame(rows), hide_index=True, key="searches", on_select="rerun",
                         selection_mode="single-row", alt="Your searches")  # fmt: skip
    if shown.selection.rows:
        st.query_params[PARAMETER] = found[shown.selection.rows[0]].id
        st.rerun()
