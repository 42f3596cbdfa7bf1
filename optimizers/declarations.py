"""What a technique, a metric, a model origin and a data set origin declare about themselves.

Each is one file in its folder that ends in one constant (``TECHNIQUE``, ``METRIC``, ``ORIGIN``). The registry finds it;
form, search space, recipe check, command line, table column and axis title follow from it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args

from optimizers.params import ParamSet
from optimizers.records import DatasetRef, DatasetSummary, Direction, Kind, ModelRef, Target, Task

if TYPE_CHECKING:
    import numpy as np

    from optimizers.datasets.preparation import Preparation
    from optimizers.litert.rounds import Resident

Need = Literal["train", "calibration", "teacher"]
Property = Literal["sparsity", "clusters", "structure"]
ALL_TASKS: frozenset[Task] = frozenset(get_args(Task))
INSIDE = 70
"""Rank of the first metric that tells what is inside a file rather than how it does."""
_FINE = 1000
"""Progress steps in one portion of a stage."""

Family = Literal["baseline", "quantization", "pruning", "clustering", "distillation", "decomposition"]


InputShape = tuple[Any, ...]
"""Sizes of one example, or such a tuple for each input where a model has several."""


class Progress(Protocol):
    """Where work tells how far it is. Raises `Cancelled` when somebody asked for it to stop."""

    def __call__(self, step: int, of: int, **metrics: float) -> None: ...


@dataclass(frozen=True)
class Part:
    """Examples of one part of a data set.

    ``x`` has shape (n, *input_shape), and one field per input where there are several, see
    `optimizers.datasets.several`. ``y`` has shape (n,): int64 class numbers, 0 or 1 for binary, float32 for
    regression. Several labels per example have shape (n, labels), 0 or 1, and classes of positions shape
    (n, *positions), both whole numbers; below 0 a position is not judged. Where a model is to give several numbers per
    example, ``y`` has shape (n, numbers), float32, and where there are no labels (n, 0). For several outputs ``y`` has
    one field for each that has labels, by its name, as if it were the only one.
    """

    x: np.ndarray
    y: np.ndarray

    def __len__(self) -> int:
        return len(self.x)


@dataclass(frozen=True)
class RawPart:
    """Examples of one part as a file has them: ``x`` and labels (or none) of shape (n, ...), and their name.

    Labels of several outputs have one field each, by the outputs' names.
    """

    x: np.ndarray
    labels: np.ndarray | None
    title: str = "x"


@dataclass(frozen=True)
class RawData:
    """What a file holds, before labels are understood and missing parts split off.

    Attributes:
        parts: By name: ``train``, and ``validation`` and ``test`` where the file has them. All have labels or none has.
        labels_title: What the labels are called, for messages.
        notes: Sentences that people should know.
        features: Names of the columns of ``x``, for tables.
        targets: Names of the columns to predict, where there are several.
        preview: A few examples as pages show them, see `optimizers.datasets.previews`; made from ``x`` if empty.
    """

    parts: Mapping[str, RawPart]
    labels_title: str = "labels"
    notes: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    preview: Mapping[str, Any] = field(default_factory=dict)
    targets: tuple[str, ...] = ()


@dataclass(frozen=True)
class DataFormat:
    """One way in which files hold examples.

    Attributes:
        endings: Of such files' names, without the dot; for file dialogs.
        rank: Formats are asked in this order whether they recognise a file.
        recognises: From a file or folder and the first bytes of the file (none of a folder); never raises.
        read: The contents, given what people call the file and how it is prepared. Raises `DataRefused`.
    """

    name: str
    title: str
    endings: tuple[str, ...]
    rank: int
    recognises: Callable[[Path, bytes], bool]
    read: Callable[[Path, str, Preparation], RawData]


@dataclass(frozen=True)
class TrainingData:
    """What a stage may see. There is no test part here, so nothing can train, calibrate or search on it."""

    train: Part
    validation: Part
    task: Task
    classes: tuple[str, ...]
    targets: tuple[Target, ...] = ()

    def of(self, target: Target) -> TrainingData:
        """The same examples with the labels of one of several outputs."""
        train, validation = (Part(part.x, part.y[target.name]) for part in (self.train, self.validation))
        return TrainingData(train, validation, target.task, target.classes)


@dataclass(frozen=True)
class Dataset:
    """A loaded data set with its three fixed parts."""

    train: Part
    validation: Part
    test: Part
    summary: DatasetSummary

    def of(self, target: Target) -> Dataset:
        """The same examples with the labels of one of several outputs, as far as it has some."""

        def labelled(part: Part) -> Part:
            return Part(part.x, part.y[target.name]) if target.name in (part.y.dtype.names or ()) else part

        train, validation, test = map(labelled, (self.train, self.validation, self.test))
        return Dataset(train, validation, test, self.summary.of(target))

    def for_training(self) -> TrainingData:
        """The parts that training, calibration and search may see."""
        told = self.summary
        return TrainingData(self.train, self.validation, told.task, told.classes, told.targets)


class Memory(Protocol):
    """Where arrays are kept that are computed once and used by several stages, such as a teacher's outputs."""

    def __call__(self, identity: dict[str, Any], compute: Callable[[], np.ndarray]) -> np.ndarray:
        """The array of that identity (plain JSON), computed only if nobody has computed it before."""


def _forgetful(identity: dict[str, Any], compute: Callable[[], np.ndarray]) -> np.ndarray:
    return compute()


@dataclass(frozen=True)
class StageContext:
    """What ``Technique.apply`` gets. It reads ``source`` and writes into the folder ``out``.

    Attributes:
        source: The model to change: any file or folder that the reader accepts.
        out: An empty folder that becomes the stage's result.
        data: Loads the training data; called only by techniques that declare a need for it.
        seed: For everything random.
        progress: To be called after every training batch or epoch, and between conversion steps.
        log: One line for the run's log.
        input_shape: Shape of one example (of each input, where there are several) where the model leaves some of its
            input's dimensions open, else None.
        original: The model that the chain started from: what recovery learns from.
        held: Properties of the weights that earlier steps of the chain achieved and that still hold.
        models: Local files of the models that parameters name, by URI.
        remember: Keeps arrays that several stages need.
    """

    source: Path
    out: Path
    data: Callable[[], TrainingData]
    seed: int
    progress: Progress
    log: Callable[[str], None]
    input_shape: InputShape | None = None
    original: Path | None = None
    held: frozenset[Property] = frozenset()
    models: Mapping[str, Path] = field(default_factory=dict)
    remember: Memory = _forgetful

    def portion(self, number: int, of: int) -> StageContext:
        """The same context for one of several equal portions of the work, the first being 0: progress adds up."""
        whole, portions = self.progress, of

        def part(step: int, of: int, **metrics: float) -> None:
            whole(number * _FINE + _FINE * step // max(of, 1), portions * _FINE, **metrics)

        return replace(self, progress=part)


@dataclass(frozen=True)
class StageReport:
    """What a stage tells about itself: its main file (a name in ``out``), layers left alone and why, and figures."""

    main: str
    skipped: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    figures: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Rehearsal:
    """What a step would do to a model, found without data and without training.

    Attributes:
        model: The tf_keras model as the step would leave it, but for training; the next step is rehearsed on it.
        touched, skipped: Layer names and what happens to each, e.g. ``32 to 16 filters``, or why it is left alone.
        bits: For steps that convert: bits of one stored weight by layer name; others keep 32.
        rounds, notes: How many times the step trains for its full number of epochs; sentences.
        size, beside: Bytes of the file where it was made to know them, and what gzip leaves of it beside its weights.
        one_scale, channel_bytes: Layers with one scale for all channels of a kernel; bytes of a scale and zero point.
    """

    model: Any
    touched: Mapping[str, str] = field(default_factory=dict)
    skipped: Mapping[str, str] = field(default_factory=dict)
    bits: Mapping[str, float] = field(default_factory=dict)
    rounds: float = 0.0
    notes: tuple[str, ...] = ()
    size: int | None = None
    beside: int | None = None
    one_scale: frozenset[str] = frozenset()
    channel_bytes: int = 24


@dataclass(frozen=True)
class Technique:
    """One way to make a model smaller or faster.

    Attributes:
        name: Short and lower case; it is how recipes name it.
        version: Raised when ``apply`` starts to give other results; part of the stage key.
        title, summary: For people; the summary says in one sentence what it buys and what it costs.
        accepts, produces: Kinds of artifact; they decide which chains are possible.
        needs: What ``apply`` uses beside the model.
        provides, preserves: Properties of the weights that it creates, and that survive it.
        source: Where the method is described.
        rehearse: What the step would do: from a tf_keras model (which must not be changed), the parameters and the
            properties that hold. Runs in a process with TensorFlow.
    """

    name: str
    version: str
    title: str
    summary: str
    family: Family
    params: type[ParamSet]
    accepts: frozenset[Kind]
    produces: Kind
    apply: Callable[[StageContext, Any], StageReport]
    needs: frozenset[Need] = frozenset()
    provides: frozenset[Property] = frozenset()
    preserves: frozenset[Property] = frozenset()
    source: str = ""
    rehearse: Callable[[Any, Any, frozenset[Property]], Rehearsal] | None = None

    @property
    def seeded(self) -> bool:
        """Whether its result may depend on the seed: that of whatever looks at examples, since it draws or orders
        them. Stages of the others are the same for every seed."""
        return bool(self.needs)


@dataclass(frozen=True)
class Value:
    """A measured number with its 95% interval (absent where the number is exact) and the count behind it."""

    value: float
    n: int
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Change:
    """How much a file's figure is above the baseline's on the same examples: the paired difference.

    Attributes:
        value: Variant minus baseline, in the metric's unit.
        n: Number of examples.
        low, high: 95% interval.
        floor, ceiling: One-sided 95% bounds: the true difference is below ``floor`` in at most one case in twenty, and
            above ``ceiling`` in at most one in twenty. What is certified rests on these.
        lost, gained: Examples that only the baseline, and only the variant, gets right; None where a metric does not
            count right answers.
        p: Exact McNemar test (two-sided) that as many are lost as gained.
    """

    value: float
    n: int
    low: float
    high: float
    floor: float
    ceiling: float
    lost: int | None = None
    gained: int | None = None
    p: float | None = None


@dataclass(frozen=True)
class Evidence:
    """What metrics are computed from: the deployable file and, where asked for, its outputs on the test part.

    ``scores`` has shape (n, classes) for classification, (n,) for binary (probability of class 1) and regression;
    ``y`` has shape (n,). Several labels have shape (n, labels) in both, several numbers shape (n, ...) with as many in
    both. Classes of positions have shape (n, *positions) in ``y``, below 0 where a position is not judged, and one
    further dimension in ``scores``, of length 1 (or none) where it is the probability of class 1. For reconstruction
    ``y`` are the inputs and for fidelity the baseline's outputs, in the shape of ``scores``. Where a model has several
    outputs each has its columns in ``scores``, flattened, in the model's order, and ``outputs`` tells their shapes for
    one example; where they have labels ``targets`` does, and ``y`` has a field for each, by its name. ``times_ms`` are
    single runs in milliseconds, in order, of this file and of the baseline, taken in turn; both have shape (runs,).
    ``instances`` tells which process each run was taken in, where several took part.
    ``baseline_scores`` are the baseline's outputs on the same examples, where labels make a comparison possible.
    ``memory`` is what processes held that ran the file once.
    """

    file: Path
    task: Task | None = None
    scores: np.ndarray | None = None
    y: np.ndarray | None = None
    outputs: tuple[tuple[int, ...], ...] = ()
    targets: tuple[Target, ...] = ()
    times_ms: np.ndarray | None = None
    baseline_times_ms: np.ndarray | None = None
    instances: np.ndarray | None = None
    baseline_scores: np.ndarray | None = None
    memory: tuple[Resident, ...] = ()


@dataclass(frozen=True)
class Metric:
    """One number about a deployable file.

    Attributes:
        needs: ``file`` (bytes are enough), ``predictions`` or ``timing``; decides which measuring job computes it.
        tasks: Tasks it makes sense for.
        rank: Order of columns and default axes; the lowest rank among prediction metrics is the task's headline. From
            ``INSIDE`` on it is folded away beside a file's other figures.
        percent: Shown as percent; differences are then in points.
        measure: From evidence to value.
        change: From evidence with the baseline's outputs to the paired difference; see `optimizers.metrics._paired`.
        certifiable: Whether a budget can be certified; not where one rare example may outweigh all others.
    """

    name: str
    version: str
    title: str
    unit: str
    direction: Direction
    needs: Literal["file", "predictions", "timing"]
    measure: Callable[[Evidence], Value]
    tasks: frozenset[Task] = ALL_TASKS
    rank: int = 100
    percent: bool = False
    device_bound: bool = False
    help: str = ""
    change: Callable[[Evidence], Change] | None = None
    certifiable: bool = True


@dataclass(frozen=True)
class ModelOrigin:
    """One way to name a model: ``prefix:rest``. ``resolve`` turns the rest into a local path and a reference."""

    prefix: str
    title: str
    list: Callable[[], tuple[str, ...]]
    resolve: Callable[[str], tuple[Path, ModelRef]]


@dataclass(frozen=True)
class DatasetOrigin:
    """One way to name a data set. ``resolve`` is cheap and reads no arrays; ``load`` reads them.

    ``read``, where there is one, is used instead of ``load`` when the URI tells how to read a file: the column to
    predict, the task, the size of images.
    """

    prefix: str
    title: str
    list: Callable[[], tuple[str, ...]]
    resolve: Callable[[str], DatasetRef]
    load: Callable[[str], Dataset]
    read: Callable[[str, Preparation], Dataset] | None = None
