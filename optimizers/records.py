"""Frozen records that travel between processes, into the history and onto pages. All of them are plain JSON."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Task = Literal[
    "classification", "binary", "multilabel", "segmentation", "regression", "reconstruction", "fidelity", "several"
]
"""What a model does with data; `optimizers.kinds` tells what each of them is. Without labels: ``reconstruction`` where
its output is to be like its input, else ``fidelity``, which is how close a variant's answers are to the original's.
``several`` are outputs with labels, each of which has a task of its own."""

Kind = Literal["keras", "keras3", "keras_qat", "tflite"]
"""What a file holds: a model for either Keras, one that only Keras 3 can hold, one prepared for quantization, or what
LiteRT runs."""
RunState = Literal["queued", "running", "done", "failed", "cancelled", "interrupted"]
Source = Literal["host", "browser", "import"]
"""Who measured: this app's own process, a visitor's browser, or a benchmark whose log was imported."""
Direction = Literal["lower", "higher"]
VerdictState = Literal["certified", "not proven", "failed"]
"""Whether a file is proven to stay within a budget, proven to exceed it, or neither."""

PartName = Literal["validation", "test"]
"""Which examples a figure was measured on: searches see validation ones, only final measurements see the test part."""

SHARED = "shared"
"""Scope of everything that every session may see: results of sample models on sample data."""

LAST_SEED = 2**31 - 2
"""Highest seed: TensorFlow takes seeds modulo 2**31 - 1, so the next one would be 0 again."""


class Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def now() -> datetime:
    """The present moment, in UTC."""
    return datetime.now(UTC)


def digest_of(value: Any) -> str:
    """Full SHA-256 (hex) of a value's canonical JSON: sorted keys, no spaces, no NaN."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def examples_digest(dataset_digest: str, part: PartName = "test") -> str:
    """What tells apart the examples that figures were measured on: that of the data set for its test part.

    Another part has a digest of its own, so nothing that looks for figures on test examples ever finds those on others.
    """
    return dataset_digest if part == "test" else digest_of({"data": dataset_digest, "part": part})


def digest_of_path(path: Path) -> str:
    """Full SHA-256 (hex) of a file, or of a folder's file names and contents in sorted order."""
    sha = hashlib.sha256()
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    for file in files:
        if file != path:
            sha.update(file.relative_to(path).as_posix().encode() + b"\0")
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                sha.update(block)
    return sha.hexdigest()


class TensorSpec(Record):
    """One input or output. ``shape`` leaves the batch dimension out; None is a dimension of any length. ``activation``
    is that of the layer behind an output, empty where it is not known."""

    name: str
    shape: tuple[int | None, ...]
    dtype: str
    activation: str = ""


class InputRange(Record):
    """Numbers that an input takes: from ``low`` to ``high``, only whole ones where ``whole``.

    Where ``strict`` they are looked up in a table, which has no place for others.
    """

    low: float
    high: float
    whole: bool = False
    strict: bool = False


class ModelRef(Record):
    """Which model, exactly: where it came from and the digest of its file."""

    uri: str
    name: str
    digest: str
    scope: str = SHARED


class LayerRow(Record):
    """One line of the architecture table.

    ``inputs`` are the numbers of the lines that it takes values from; ``macs`` counts multiply-accumulates for one
    example, None where that is not known.
    """

    name: str
    kind: str
    output_shape: tuple[int | None, ...]
    parameters: int
    path: str = ""
    inputs: tuple[int, ...] = ()
    macs: int | None = None


class ModelSummary(Record):
    """What is known about a model after reading it, without running a data set through it.

    ``bridge_error`` is the largest absolute difference between the model as Keras 3 builds it and as tf_keras does, on
    random inputs. ``activation`` is that of the output layer, as far as it has one: it tells probabilities from logits.
    ``input_ranges`` has what the model itself tells of the numbers that it expects. ``kind`` decides which techniques
    can be the first: those that accept it.
    """

    format: str
    keras_version: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    layers: tuple[LayerRow, ...]
    parameters: int
    trainable_parameters: int
    bridge_error: float | None = None
    activation: str = ""
    input_ranges: tuple[InputRange | None, ...] = ()
    notes: tuple[str, ...] = ()
    kind: Kind = "keras"


class DatasetRef(Record):
    """Which data, exactly."""

    uri: str
    name: str
    digest: str
    scope: str = SHARED


class Target(Record):
    """What is known of the labels of one of several outputs, as `DatasetSummary` has it of the only ones.

    Once data were fitted to a model there is one for each of its outputs, in its order, with the ``activation`` and the
    shape (``output``) of that output; ``fidelity`` is the task of those without labels.
    """

    name: str
    task: Task
    classes: tuple[str, ...] = ()
    n_labels: int = 0
    label_shape: tuple[int, ...] = ()
    label_values: InputRange | None = None
    alternatives: tuple[Task, ...] = ()
    far_labels: str = ""
    output: tuple[int, ...] = ()
    activation: str = ""


class DatasetSummary(Record):
    """What is known about a data set. ``input_shape`` is one example's; ``classes`` is empty where there are none.

    ``values`` is the range of the training examples' numbers and ``n_labels`` how many classes do occur, where known.
    Data without labels have the task ``fidelity``; ``drawn`` ones are random numbers and nobody's examples. Where there
    are several inputs ``inputs`` tells all of them, and ``input_shape`` and ``input_dtype`` the first.

    Where a label is more than one number ``label_shape`` is that of one example's, ``label_values`` the range of its
    numbers, and ``alternatives`` tells what else the labels may be: the model's outputs decide. ``far_labels`` are
    whole numbers far from the others, such as ``255``, which may mark positions that do not count, and ``other_labels``
    is 1 more than the highest of those others. Labels with names, for several outputs, are told by ``targets``; the
    task is ``several`` then.
    """

    task: Task
    input_shape: tuple[int, ...]
    input_dtype: str
    inputs: tuple[TensorSpec, ...] = ()
    n_train: int
    n_validation: int
    n_test: int
    drawn: bool = False
    classes: tuple[str, ...] = ()
    target_unit: str = ""
    features: tuple[str, ...] = ()
    values: InputRange | None = None
    n_labels: int = 0
    label_shape: tuple[int, ...] = ()
    label_values: InputRange | None = None
    alternatives: tuple[Task, ...] = ()
    far_labels: str = ""
    other_labels: int = 0
    targets: tuple[Target, ...] = ()
    licence: str = ""
    source: str = ""
    notes: tuple[str, ...] = ()
    preview: dict[str, Any] = Field(default_factory=dict)

    def of(self, target: Target) -> DatasetSummary:
        """The same with the labels of one of several outputs as the only ones."""
        told = target.model_dump(include={"task", "classes", "n_labels", "label_shape", "alternatives", "far_labels"})
        return self.model_copy(update={**told, "label_values": target.label_values, "targets": ()})

    @property
    def each_input(self) -> tuple[TensorSpec, ...]:
        """What one example has for each input."""
        return self.inputs or (TensorSpec(name="", shape=self.input_shape, dtype=self.input_dtype),)


class Artifact(Record):
    """One stage's result in the store. ``files`` maps names to SHA-256; ``digest`` is that of the main file."""

    key: str
    kind: Literal["keras", "keras_qat", "tflite", "predictions", "summary", "report", "examples"]
    main: str
    files: dict[str, str]
    digest: str
    size_bytes: int
    report: dict[str, Any] = Field(default_factory=dict)


class Measurement(Record):
    """One number, measured on one file. What was not measured has no record.

    ``low`` and ``high`` bound a 95% interval; ``n`` is how many examples or timed runs are behind the value. What comes
    from a ``source`` other than the host is somebody's claim. ``dataset_digest`` is that of the examples, which differs
    from part to part (`examples_digest`). Of times ``others`` tells how many cores others kept busy meanwhile, on
    average, where that is known, and ``disturbed`` in which share of the time somebody was at work on the same core,
    which is left out; it is 1 where there was no other time. Files that were timed together have the same
    ``measured_at``.
    """

    artifact_digest: str
    metric: str
    version: str
    value: float
    unit: str
    n: int
    low: float | None = None
    high: float | None = None
    dataset_digest: str = ""
    device: str = ""
    threads: int = 0
    others: float | None = None
    disturbed: float | None = None
    scope: str = SHARED
    source: Source = "host"
    measured_at: datetime = Field(default_factory=now)
    versions: dict[str, str] = Field(default_factory=dict)


class Difference(Record):
    """How much one file's figure is above the baseline's on the same examples of a data set; the paired difference.

    ``low`` and ``high`` bound a 95% interval, ``floor`` and ``ceiling`` are one-sided 95% bounds. ``baseline`` is the
    baseline's own figure. Where right answers are counted ``lost`` and ``gained`` are the examples that only the
    baseline, and only this file, gets right, and ``p`` is the exact McNemar test's (two-sided).
    """

    artifact_digest: str
    baseline_digest: str
    dataset_digest: str
    metric: str
    version: str
    value: float
    unit: str
    n: int
    low: float
    high: float
    floor: float
    ceiling: float
    baseline: float
    lost: int | None = None
    gained: int | None = None
    p: float | None = None
    scope: str = SHARED
    measured_at: datetime = Field(default_factory=now)
    versions: dict[str, str] = Field(default_factory=dict)


class Verdict(Record):
    """What was decided about one file, one baseline, one data set and one budget, at the first time somebody asked.

    ``budget`` is in points, or in percent of the baseline's figure, as `optimizers.certification.Budget` has it.
    """

    artifact_digest: str
    baseline_digest: str
    dataset_digest: str
    metric: str
    budget: float
    state: VerdictState
    n: int
    drop: float
    upper: float
    scope: str = SHARED
    decided_at: datetime = Field(default_factory=now)


class Failure(Record):
    """Why a run did not finish, in words. ``stage`` names the step; ``detail`` may be long and is for the log."""

    code: str
    message: str
    stage: str = ""
    detail: str = ""


class StepRecord(Record):
    """One step as it was asked for (``given``) and as it was resolved (``params``, defaults filled in)."""

    technique: str
    given: dict[str, Any] = Field(default_factory=dict)
    params: dict[str, Any] = Field(default_factory=dict)


class StageRecord(Record):
    """How a run came by one stage: ``origin`` tells whether it was computed just then or taken from the store.

    ``trained`` holds what a computed stage's training took: steps, multiply-accumulates for one example, batch size and
    seconds, as `optimizers.forecast.Trained` names them; empty where nothing was trained.
    """

    key: str
    technique: str
    origin: Literal["computed", "store"]
    seconds: float
    trained: dict[str, float] = Field(default_factory=dict)


class Run(Record):
    """One recipe applied to one model with one data set.

    ``forecast`` is what was expected before anything ran, as `optimizers.forecast.Forecast` has it; empty if nothing
    was. ``tags`` and ``note`` are words of whoever keeps the run. ``part`` tells which examples its file is measured
    on: ``validation`` for a trial of the search whose id is in ``study``, which is timed only if ``timed``.
    """

    id: str
    scope: str
    model: ModelRef
    dataset: DatasetRef
    recipe: str
    steps: tuple[StepRecord, ...]
    seed: int
    state: RunState
    stages: tuple[StageRecord, ...] = ()
    artifact_key: str = ""
    artifact_digest: str = ""
    baseline_key: str = ""
    baseline_digest: str = ""
    failure: Failure | None = None
    forecast: dict[str, Any] = Field(default_factory=dict)
    tags: tuple[str, ...] = ()
    note: str = ""
    part: PartName = "test"
    study: str = ""
    timed: bool = True
    created_at: datetime = Field(default_factory=now)
    started_at: datetime | None = None
    finished_at: datetime | None = None

    @property
    def examples_digest(self) -> str:
        """Of the examples that its file is measured on."""
        return examples_digest(self.dataset.digest, self.part)
