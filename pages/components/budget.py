"""Whether the compared files stay within a budget: certified, not proven or failed, in one strip."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import pandas as pd
import streamlit as st

from optimizers import registry
from optimizers.certification import Budget, Decision, choices, decide, holm, relative, sentence, usual
from optimizers.engine.judging import keep
from optimizers.engine.queue import JobQueue
from optimizers.figures import format as fmt
from optimizers.figures.names import names
from optimizers.history.frames import differences_by_run
from optimizers.records import Difference, Run, VerdictState
from pages.components.on_opening import on_opening
from pages.components.remembered import once
from pages.components.text import code, escaped

_BADGES: dict[VerdictState, str] = {
    "certified": ":green-badge[:material/verified: Certified]",
    "not proven": ":orange-badge[:material/help: Not proven]",
    "failed": ":red-badge[:material/cancel: Failed]",
}


def badge(state: VerdictState) -> str:
    """A verdict as a badge."""
    return _BADGES[state]


@dataclass(frozen=True)
class _Judged:
    name: str
    difference: Difference
    decision: Decision


def budget_strip(queue: JobQueue, frame: pd.DataFrame, runs: list[Run]) -> None:
    """Asks for a budget and tells what the test part proves about each variant; nothing where nothing is paired."""
    own, called = {run.id: run for run in runs}, dict(zip(frame.index, names(frame), strict=True))
    rows = [(called[place], own[row["run_id"]]) for place, row in frame.iterrows()
            if row["run_id"] in own and not row["is_baseline"]]  # fmt: skip
    every = once(queue, ("differences", *own), lambda: differences_by_run(queue.history, runs))
    paired = [(name, run, every[run.id]) for name, run in rows]
    possible = choices({metric for _, _, found in paired for metric in found})
    if not possible:
        return
    st.subheader("Is it good enough, for sure?", anchor=False)
    budget = _asked(possible)
    judged = []
    for name, run, found in paired:
        if budget.metric in found:
            decision = decide(found[budget.metric], budget)
            once(queue, ("kept", run.id, budget), partial(keep, queue.history, run, budget, decision))
            judged.append(_Judged(name, found[budget.metric], decision))
    _verdicts(judged, budget)


def _asked(possible: list[str]) -> Budget:
    known = registry.metrics()
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        metric = st.selectbox(
            "May be worse in", possible, key="budget_metric", format_func=lambda name: known[name].title, width=230,
            bind="query-params",
        )  # fmt: skip
        percent = relative(known[metric])
        amount = st.number_input(
            "by at most, in percent of the baseline's" if percent else "by at most, in points",
            min_value=0.01, max_value=100.0, value=usual(metric).amount, step=1.0 if percent else 0.5, format="%g",
            key=f"budget_{'percent' if percent else 'points'}", width=230, bind="query-params",
        )  # fmt: skip
    return Budget(metric, float(amount if amount is not None else usual(metric).amount))


def _verdicts(judged: list[_Judged], budget: Budget) -> None:
    together = dict(zip((j.name for j in judged), holm([j.decision for j in judged]), strict=True))
    lines = []
    for state, badge in _BADGES.items():
        found = [j for j in judged if j.decision.state == state]
        if found:
            lines.append(f"{badge} " + ", ".join(_short(j, together[j.name]) for j in found))
    st.markdown("  \n".join(lines))
    counts = sorted({j.decision.n for j in judged})
    examples = " to ".join(f"{n:,}" for n in dict.fromkeys((counts[0], counts[-1])))
    alone = [j for j in judged if j.decision.state == "certified" and not together[j.name]]
    note = f"Decided on {examples} test examples that no step has seen, at 5% risk for each variant."
    if alone:
        note += " *Only by itself*: not if the risk is shared among all variants shown (Holm)."
    st.caption(note)
    place = on_opening("What the verdicts rest on", "budget-details", ":material/fact_check:")
    if place is None:
        return
    with place:
        st.dataframe(evidence(judged, budget), hide_index=True, alt="Paired differences and tests", placeholder="–")
        st.markdown("\n".join(f"- {code(j.name)}: {escaped(sentence(j.decision, budget))}" for j in judged))


def _short(judged: _Judged, together: bool) -> str:
    told = code(judged.name)
    if judged.decision.state == "certified" and not together:
        told += " (*only by itself*)"
    if judged.decision.needed is not None:
        told += f" (about {fmt.count(judged.decision.needed)} test examples would be needed)"
    return told


def evidence(judged: list[_Judged], budget: Budget) -> pd.DataFrame:
    """One row per variant: difference, interval, examples lost and gained, McNemar's exact test."""
    metric = registry.metric(budget.metric)
    rows = []
    for j in judged:
        d = j.difference
        rows.append(
            {
                "Variant": j.name,
                f"{metric.title} vs. baseline": fmt.change(metric, d.value),
                "95% interval": fmt.change_interval(metric, d.low, d.high),
                "Lost": d.lost,
                "Gained": d.gained,
                "McNemar p": None if d.p is None else "< 0.001" if d.p < 0.001 else f"{d.p:.3f}",
            }
        )
    return pd.DataFrame(rows).dropna(axis="columns", how="all")
