"""Analyses: what looks into one deployable file, and what it tells, as plain JSON.

Each analysis is one file in ``optimizers/analyses/`` that ends in the constant ``ANALYSIS``. Its report is made of
sentences, facts and tables, so that pages, the command line and documents show all of them alike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from optimizers.declarations import ALL_TASKS, Dataset, Progress
from optimizers.params import ParamSet
from optimizers.records import DatasetSummary, Direction, Measurement, ModelSummary, Record, Task

if TYPE_CHECKING:
    import numpy as np

Unit = Literal["", "B", "ms", "s", "x", "fraction", "count", "bits", "dB", "J", "1/s", "points"]
"""How numbers are written: bytes, times, ratios, fractions (as percent), whole numbers, bits, decibels, joules, rates,
differences of fractions (as percentage points with their sign); others plainly."""

Cell = str | bool | int | float | None
"""None is what was not measured or does not apply."""

Tone = Literal["plain", "good", "warning"]


class Sentence(Record):
    """One thing to know, and what to do about it, in plain words. ``advice`` may be empty."""

    text: str
    advice: str = ""
    tone: Tone = "plain"


TEST_PART = Sentence(
    text="These are the test examples on which the file was measured.",
    advice="Look at them, but choose nothing by them: what is chosen on test examples looks better there than it is.",
)
"""Stands with everything that tells of single test examples or holds variants against each other on them."""


class Fact(Record):
    """One number that matters on its own, with its 95% interval and count where it is an estimate."""

    name: str
    title: str
    value: float | str | None
    unit: Unit = ""
    low: float | None = None
    high: float | None = None
    n: int | None = None
    help: str = ""


class Column(Record):
    """One column of a table.

    ``better`` tells which direction is better, where one is. The cells of a ``picture`` are addresses of images that
    hold the image themselves (``data:image/png;base64,…``), see `optimizers.datasets.pictures`.
    """

    name: str
    title: str
    unit: Unit = ""
    better: Direction | None = None
    help: str = ""
    picture: bool = False


REFERENCE = "reference"
"""Name of a column of what a file is compared with; charts draw it in grey."""


class Chart(Record):
    """How a table is drawn. The column named ``REFERENCE`` is grey.

    Attributes:
        kind: ``bars`` lie, one for each row and each column of ``y``; ``lines`` go over numbers; ``matrix`` colours the
            cells that ``x``, ``by`` and ``y[0]`` span; ``histogram`` draws shares over the bins that start at ``x``;
            ``waterfall`` shows how ``y[0]`` goes from the first row's value to the last one's, row by row.
        x: Column of the names (or numbers) that the chart goes over.
        y: Columns that are drawn, all in one unit.
        by: Column that splits lines into several, or the rows of a matrix.
        panels: Column that splits lines or histograms into small panels.
        low, high: Columns with the bounds of intervals of ``y[0]``.
        log, log_x: The axis of values, or of ``x``, is logarithmic; on ``x`` the values themselves are marked.
        stacked: Bars are put one behind the other.
        axis: What is drawn, where no title of a column says it: of several columns, or in the bins of a histogram.
    """

    kind: Literal["bars", "lines", "matrix", "histogram", "waterfall"]
    x: str
    y: tuple[str, ...]
    by: str = ""
    panels: str = ""
    low: str = ""
    high: str = ""
    log: bool = False
    log_x: bool = False
    stacked: bool = False
    axis: str = ""


class Table(Record):
    """Rows under declared columns. ``note`` stands under it.

    ``examples`` says that rows show single examples of the data: pages show them only to whoever may see the data.
    """

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[dict[str, Cell], ...]
    chart: Chart | None = None
    note: str = ""
    examples: bool = False

    @model_validator(mode="after")
    def _declared(self) -> Table:
        known = {column.name for column in self.columns}
        for row in self.rows:
            if not row.keys() <= known:
                raise ValueError(f"table {self.name} has no columns {sorted(row.keys() - known)}")
        if self.chart is not None:
            used = {self.chart.x, *self.chart.y, self.chart.by, self.chart.panels, self.chart.low, self.chart.high} - {
                ""
            }
            if not used <= known:
                raise ValueError(f"the chart of table {self.name} draws unknown columns {sorted(used - known)}")
        return self


class Report(Record):
    """What an analysis found. ``sentences`` come first and say what it means; the rest is the evidence.

    ``files`` names what the analysis left beside its report, such as an update's bytes, with titles.
    """

    sentences: tuple[Sentence, ...] = ()
    facts: tuple[Fact, ...] = ()
    tables: tuple[Table, ...] = ()
    files: dict[str, str] = Field(default_factory=dict)

    def table(self, name: str) -> Table:
        """The table of that name. Raises `KeyError`."""
        for table in self.tables:
            if table.name == name:
                return table
        raise KeyError(name)

    def fact(self, name: str) -> Fact:
        """The fact of that name. Raises `KeyError`."""
        for fact in self.facts:
            if fact.name == name:
                return fact
        raise KeyError(name)


Use = Literal["reference", "data", "predictions", "chain", "measurements", "profile"]
"""What a report depends on beside the file: the reference file; examples; what both files answer on the test part; the
steps that led to the file; what was measured on both files; the report on time by operator, if there is one."""


@dataclass(frozen=True)
class Predictions:
    """What a file answers on the test part: ``scores`` of shape (n, …) and the truth ``y``, as `Evidence` has them."""

    scores: np.ndarray
    y: np.ndarray


@dataclass(frozen=True)
class ChainStep:
    """One finished step: its technique and parameters, the file that it left, and what it told.

    ``report`` holds ``notes``, ``skipped``, ``figures``, ``survey`` and, of the first step, ``before``.
    """

    technique: str
    params: Mapping[str, Any]
    kind: str
    file: Path
    report: Mapping[str, Any]


@dataclass(frozen=True)
class Subject:
    """One deployable file and what is known about it.

    Attributes:
        name: Its recipe in short form, ``baseline`` for the float32 file of the original.
        measured: By metric.
        chain: The steps that led to it, first to last; the last one's file is ``file``. Empty for a brought `.tflite`.
        predict: Its stored answers on the test part. Raises `NotApplicable` where there are none.
    """

    name: str
    file: Path
    digest: str
    measured: Mapping[str, Measurement]
    chain: tuple[ChainStep, ...]
    predict: Callable[[], Predictions]


@dataclass(frozen=True)
class Context:
    """What an analysis gets: a file, what it is compared with, and where they come from.

    Attributes:
        subject: The file that is looked at.
        reference: What it is compared with: the baseline, or another variant that was chosen.
        original: The model as it was brought.
        model, dataset: What is known about them.
        data: Loads the data in the form that the model takes. The test part is for looking at answers that were given,
            never for choosing anything.
        out: An empty folder for files that belong to the report.
        threads: Of the LiteRT interpreter, as the settings have it.
        progress, log: As in `StageContext`.
        profile: The report of the analysis ``profile`` on the same files with its usual parameters; None where nobody
            had it made.
    """

    subject: Subject
    reference: Subject
    original: Path
    model: ModelSummary
    dataset: DatasetSummary
    data: Callable[[], Dataset]
    out: Path
    threads: int
    progress: Progress
    log: Callable[[str], None]
    profile: Report | None = None

    @property
    def same(self) -> bool:
        """Whether the file is compared with itself, as when the baseline is looked at."""
        return self.subject.digest == self.reference.digest


@dataclass(frozen=True)
class Analysis:
    """One way to look into a deployable file; more than a number.

    Attributes:
        name: Short and lower case.
        version: Raised when ``analyse`` starts to give other results; part of the report's key.
        title: As a heading.
        summary: The question that it answers, in one sentence.
        uses: What the report depends on beside the file; what is not declared must not be touched.
        tasks: For what kinds of task it makes sense.
        tensorflow: It needs a process with TensorFlow.
        alone: It times something, so nothing else of ours may run on the host meanwhile. Its report holds for this
            machine and number of threads only.
        afterwards: Names of parameters that only ``retell`` needs; changing them measures nothing anew.
        retell: Makes the report that is shown from the one that was kept.
        quick: It takes a few seconds at most, so that pages make it without being asked.
        tools: Optional packages that decide what it finds, as they are called where they are installed from.
        rank: Order on pages.
    """

    name: str
    version: str
    title: str
    summary: str
    analyse: Callable[[Context, Any], Report]
    params: type[ParamSet] = ParamSet
    uses: frozenset[Use] = frozenset()
    tasks: frozenset[Task] = ALL_TASKS
    tensorflow: bool = False
    alone: bool = False
    afterwards: frozenset[str] = frozenset()
    retell: Callable[[Report, Any], Report] = lambda report, params: report
    quick: bool = False
    tools: tuple[str, ...] = ()
    rank: int = 100
