"""Analyses of one file: which file, which analysis, and what it found. What an analysis declares is all it takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pandas as pd
import streamlit as st

from optimizers import registry
from optimizers.datasets import fit
from optimizers.engine.analysing import Look, Question
from optimizers.engine.driver import targets_of
from optimizers.engine.queue import JobQueue
from optimizers.errors import ParetoscopeError
from optimizers.figures import format as fmt
from optimizers.figures.findings import chart
from optimizers.figures.names import names
from optimizers.figures.theme import CONFIG
from optimizers.figures.tradeoff import identities
from optimizers.findings import Analysis, Fact, Report, Sentence, Table
from optimizers.params import fields
from optimizers.records import Run, Target
from pages.components import forms, links, selection, session
from pages.components.boundary import guarded
from pages.components.links import CHOSEN
from pages.components.model_strip import both
from pages.components.on_opening import on_opening
from pages.components.text import escaped

_STARTED = "analyses_started"
_SECONDS = 1.0
_FACT_WIDTH = 171
_PICTURE_ROW = 64
_TONES = {"good": ":green[:material/check_circle:]", "warning": ":orange[:material/warning:]", "plain": "-"}


def settle_analysis() -> None:
    """Makes sure that an analysis is chosen; at first it is the one that the address names.

    The address has names, which stay the same when titles change; a widget that is bound to it would have titles.
    """
    known = registry.analyses()
    if st.session_state.get(links.WHAT) not in known:
        asked = st.query_params.get(links.WHAT, "")
        st.session_state[links.WHAT] = asked if asked in known else next(iter(known))


def subject(frame: pd.DataFrame, runs: list[Run]) -> Question:
    """Draws the choice of the file and of what it is compared with; the analysis is still open."""
    ids = identities(frame)
    called = dict(zip(ids, names(frame, full=True), strict=True))
    left, right = st.columns(2)
    chosen = left.selectbox("File", ids, key=CHOSEN, format_func=called.__getitem__, on_change=selection.remember)
    row = frame.iloc[ids.index(chosen)]
    same = frame[(frame["model"] == row["model"]) & (frame["dataset"] == row["dataset"])]
    others = [i for i in identities(same) if i != chosen and not same.iloc[identities(same).index(i)]["is_baseline"]]
    against = right.selectbox(
        "Compared with", ["", *others], key=links.AGAINST, bind="query-params",
        format_func=lambda i: called[i] if i else "Baseline",
    )  # fmt: skip
    other = next((run for run in runs if against and run.id == str(frame.iloc[ids.index(against)]["run_id"])), None)
    return replace(question_about(row, runs), against=other)


def question_about(row: pd.Series, runs: list[Run], analysis: str = "") -> Question:
    """What is asked about the file in a row of a comparison of these runs."""
    own = next((run for run in runs if run.id == str(row["run_id"])), None)
    if own is None:  # the baseline, known from any run that has it
        own = next(r for r in runs if r.model.name == row["model"] and r.baseline_digest == row["artifact_digest"])
    return Question(own, analysis, {}, of_baseline=bool(row["is_baseline"]))


def reports(queue: JobQueue, question: Question) -> None:
    """Draws the choice of analyses and the report of the chosen one."""
    known = registry.analyses()
    told = _task(queue, question.run)
    if told is None:
        return
    asked, (task, targets) = st.session_state[links.WHAT], told
    titles = {name: one.title for name, one in known.items() if not task or task in one.tasks or name == asked}
    declared = known[_chosen(titles)]
    st.subheader(declared.title, anchor=False)
    st.caption(declared.summary)
    given = _settings(declared, tuple(one.name for one in targets if one.task in declared.tasks))
    part(queue, replace(question, analysis=declared.name, given=given))


def part(queue: JobQueue, asked: Question, *, short: bool = False) -> None:
    """Draws one report, how far it is, or the button that starts it.

    Args:
        queue: Whose desk is asked.
        asked: With its analysis and parameters.
        short: Only sentences and facts, no tables.
    """
    declared, wanted = registry.analysis(asked.analysis), _identity(asked)
    started: set[str] = st.session_state.setdefault(_STARTED, set())
    sight = queue.analyses.look(asked, start=declared.quick or wanted in started)
    if sight is None:
        if not st.button("Find out", icon=":material/play_arrow:", key=f"start:{declared.name}"):
            how = (
                "it waits until nothing else of ours is at work, and other work waits for it"
                if declared.alone else "it runs beside everything else"
            )  # fmt: skip
            st.caption(f"This takes more than a few seconds; {how}. Its result is kept.")
            return
        started.add(wanted)
        sight = queue.analyses.look(asked)
    if sight is not None and sight.pending:
        st.fragment(_waiting, run_every=_SECONDS)(queue, asked)
    elif sight is not None:
        _found(queue, asked, sight, short=short)


def _identity(asked: Question) -> str:
    """What tells one question of this visitor from another."""
    against = asked.against.id if asked.against else ""
    return f"{asked.analysis} {asked.run.id} {asked.of_baseline} {against} {asked.given}"


def _chosen(titles: Mapping[str, str]) -> str:
    chosen = st.pills(
        "Look at", list(titles), required=True, key=links.WHAT, format_func=titles.__getitem__,
        label_visibility="collapsed",
    )  # fmt: skip
    chosen = chosen or next(iter(titles))
    st.query_params.update({links.FILE: st.session_state[CHOSEN], links.WHAT: chosen})
    return chosen


def _settings(declared: Analysis, outputs: tuple[str, ...]) -> dict[str, object]:
    drawn = [field for field in fields(declared.params) if field.kind != "output" or outputs]
    if not drawn:
        return {}
    with st.popover("Settings", icon=":material/tune:"):
        choices = forms.Choices(outputs=outputs)
        return dict(forms.given_params(f"analysis {declared.name}", declared.params, choices))


def _task(queue: JobQueue, run: Run) -> tuple[str, tuple[Target, ...]] | None:
    """What the model is for, as analyses declare it, and what each of several outputs is to say.

    Nothing where model or data are gone; None while they are read.
    """
    try:
        read = both(queue, links.Choice(run.model.uri, run.dataset.uri))
        if read is None:
            return None
        _, model, _, data = read
        task = fit.check_fit(model.inputs, model.outputs, data, run.dataset.name, model.activation)
        return task, targets_of(model, data, run.dataset.name)
    except ParetoscopeError:
        return "", ()


@guarded
def _waiting(queue: JobQueue, asked: Question) -> None:
    sight = queue.analyses.look(asked, start=False)
    if sight is None or not sight.pending:
        st.rerun(scope="app")
    progress = sight.progress if sight is not None else None
    done = progress.step / progress.of if progress is not None and progress.of else 0.0
    words = (progress.waiting or "Working") if progress is not None else "Starting"
    left = f", about {fmt.elapsed(progress.seconds_left)} left" if progress and progress.seconds_left else ""
    st.progress(min(1.0, done), f"{words}{left}")
    if sight is not None and st.button("Cancel", icon=":material/close:", key=f"cancel:{asked.analysis}"):
        queue.analyses.cancel(sight.key)
        st.session_state[_STARTED].discard(_identity(asked))


def _found(queue: JobQueue, asked: Question, sight: Look, *, short: bool) -> None:
    if sight.report is None:
        st.info(sight.problem, icon=":material/info:")
        if sight.key and st.button("Try again", icon=":material/refresh:", key=f"again:{asked.analysis}"):
            queue.analyses.again(sight.key)
            st.rerun()
        return
    report = sight.report.model_copy(update={"tables": ()}) if short else sight.report
    show(report, asked.analysis, examples=session.sees_examples(asked.run))
    for name, title in sight.report.files.items():
        st.download_button(
            title, queue.analyses.file(sight.key, name).read_bytes(), file_name=name, icon=":material/download:",
            on_click="ignore", key=f"file:{asked.analysis}:{name}",
        )  # fmt: skip


def show(report: Report, key: str, *, examples: bool = True) -> None:
    """Draws a report: what it means first, then the numbers; single examples of the data only where asked for."""
    for sentence in report.sentences:
        st.markdown(said(sentence))
    if report.facts:
        with st.container(horizontal=True, gap="small", key=f"facts:{key}"):  # as many in a row as there is room for
            for fact in report.facts:
                _fact(fact)
    for table in report.tables:
        if examples or not table.examples:
            _table(table, key)
        else:
            st.markdown(f"**{escaped(table.title)}**")
            st.caption("Single examples are shown only to whoever brought the data.")


def said(sentence: Sentence) -> str:
    """A sentence with its sign, and in grey what to do about it."""
    sign = _TONES[sentence.tone]
    advice = f" :gray[{escaped(sentence.advice)}]" if sentence.advice else ""
    return f"{'' if sign == '-' else sign + ' '}{escaped(sentence.text)}{advice}"


def _fact(fact: Fact) -> None:
    around = fmt.bounds(fact.low, fact.high, fact.unit) if fact.low is not None and fact.high is not None else None
    st.metric(
        fact.title, fmt.cell(fact.value, fact.unit), around, delta_color="off", delta_arrow="off", border=True,
        help=fact.help or None, width=_FACT_WIDTH, height="stretch",
    )  # fmt: skip


def _table(table: Table, key: str) -> None:
    figure = chart(table)
    if figure is not None:
        st.plotly_chart(figure, config=CONFIG, key=f"chart:{key}:{table.name}", alt=f"{table.title}, also in the table")
    else:
        st.markdown(f"**{escaped(table.title)}**")
    if not table.rows:
        st.caption(table.note or "There is nothing to show.")
        return
    frame = pd.DataFrame(list(table.rows), columns=[column.name for column in table.columns])
    plain = [c for c in table.columns if not c.picture]
    styled = frame.style.format(
        {c.name: lambda v, unit=c.unit: fmt.cell(None if pd.isna(v) else v, unit) for c in plain}
    )
    drawn = {c.name: st.column_config.ImageColumn(c.title, help=c.help or None) for c in table.columns if c.picture}
    headed = {c.name: st.column_config.Column(c.title, help=c.help or None) for c in plain}
    shown = {"hide_index": True, "column_config": headed | drawn, "placeholder": "–", "alt": table.title}
    if drawn:
        shown["row_height"] = _PICTURE_ROW
    place = st.container() if figure is None else on_opening("The numbers", f"numbers:{key}:{table.name}")
    if place is not None:
        place.dataframe(styled, key=f"table:{key}:{table.name}", **shown)
    if table.note:
        st.caption(table.note)
