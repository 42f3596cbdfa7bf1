"""Analyses of what a file answers look at one output at a time."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optimizers.declarations import Dataset, Evidence
from optimizers.errors import NotApplicable
from optimizers.findings import Context, Predictions, Sentence
from optimizers.params import param
from optimizers.records import Task


def output_param() -> Any:
    """The parameter ``output``: which of several outputs is looked at."""
    return param(
        "",
        label="Output",
        help="Of a model with several outputs the one that is looked at; the first that suits unless named.",
        text="output",
    )


@dataclass(frozen=True)
class Output:
    """What both files answer in one output, and its labels.

    Attributes:
        data: With the labels of this output only.
        own, reference: Answers of the file and of the reference.
        about: A sentence that tells which output it is; nothing where there is only one.
    """

    data: Dataset
    own: Predictions
    reference: Predictions
    about: tuple[Sentence, ...] = ()


def output_of(context: Context, named: str, tasks: Collection[Task]) -> Output:
    """The only output, or the one named, or the first whose task is among those given.

    Raises:
        NotApplicable: There is no such output, or files differ in the shape of their answers.
    """
    own, reference = context.subject.predict(), context.reference.predict()
    if own.scores.shape != reference.scores.shape:
        raise NotApplicable("Both files answer in different shapes, so answers cannot be compared.")
    data = context.data()
    targets = data.summary.targets
    if not targets:
        return Output(data, own, reference)
    from optimizers.metrics._outputs import of_output

    fitting = [one for one in targets if one.task in tasks]
    chosen = next((one for one in fitting if named in ("", one.name)), None)
    if chosen is None:
        there = ", ".join(one.name for one in fitting) or "none"
        raise NotApplicable(
            f"There is no such output to look at{f' as {named!r}' if named else ''}; there are: {there}."
        )

    def of(told: Predictions) -> Predictions:
        evidence = of_output(Evidence(Path(), "several", told.scores, told.y, targets=targets), chosen.name)
        assert evidence.scores is not None
        assert evidence.y is not None
        return Predictions(evidence.scores, evidence.y)

    others = [one.name for one in fitting if one is not chosen]
    more = f" Others are told in reports of their own: {', '.join(others)}." if others else ""
    about = Sentence(text=f"This is about the output {chosen.name}.{more}")
    return Output(data.of(chosen), of(own), of(reference), (about,))
