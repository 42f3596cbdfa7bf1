"""Training time of a step here against plain toolkit code that does the same steps on the same model, in turn.

    python -m benchmarks.training_speed [ROUNDS [STEP,…]]

Both sides train for an epoch before anything is timed, then run ROUNDS times (5 unless given) and take turns in going
first. What counts is the processor time of all threads, which other programs on the machine disturb little.
`benchmarks.techniques` has the table as its section ``training``, and writes it into the documentation.
"""

from __future__ import annotations

import gc
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import tensorflow_model_optimization as tfmot
import tf_keras
from tensorflow_model_optimization.python.core.api.experimental import combine

from benchmarks import toolkit
from benchmarks.tables import paired
from optimizers import registry
from optimizers.declarations import Property, StageContext, TrainingData
from optimizers.engine import origins
from optimizers.params import resolve
from optimizers.tf.build import load_working
from optimizers.tf.train import seed_everything

MODEL, DATA, EPOCHS = "sample:digits_cnn", "sample:optdigits", 8  # as many as steps take unless told
PRUNE, CLUSTER, QAT = "magnitude_pruning", "weight_clustering", "quantization_aware_training"
_quantization, _sparsity, _clustering = tfmot.quantization.keras, tfmot.sparsity.keras, tfmot.clustering.keras


@dataclass(frozen=True)
class Guide:
    """How the toolkit's guides do a step.

    Attributes:
        step: The technique here.
        wrap: From a model to the one that is trained.
        strip: From that one to what is saved.
        callbacks: That the guide adds to ``fit``.
        after: The step before, whose result both sides start from, and what it achieved.
    """

    step: str
    wrap: Callable[[Any], Any]
    strip: Callable[[Any], Any] = lambda model: model
    callbacks: Callable[[], list[Any]] = list
    after: tuple[str, Property] | None = None


def guides(steps: int) -> dict[str, Guide]:
    """Steps by the name that they have in the table; ``steps`` is how many batches are trained."""

    def keeping(scheme: Any) -> Callable[[Any], Any]:
        return lambda model: _quantization.quantize_apply(_quantization.quantize_annotate_model(model), scheme)

    return {
        "pruning": Guide(
            PRUNE, lambda model: toolkit.prunable(model, 0.5, steps), _sparsity.strip_pruning,
            lambda: [_sparsity.UpdatePruningStep()],
        ),
        "clustering": Guide(
            CLUSTER,
            lambda model: toolkit.clusterable(model, 16),
            _clustering.strip_clustering,
        ),
        "QAT": Guide(QAT, _quantization.quantize_model),
        "PQAT": Guide(
            QAT, keeping(combine.Default8BitPrunePreserveQuantizeScheme()), after=(PRUNE, "sparsity")
        ),
        "CQAT": Guide(
            QAT, keeping(combine.Default8BitClusterPreserveQuantizeScheme()), after=(CLUSTER, "clusters")
        ),
    }  # fmt: skip


def ours(
    step: str, source: Path, data: TrainingData, out: Path, epochs: int, held: frozenset[Property] = frozenset()
) -> None:
    """The step as a run does it, reading and writing of the model included."""
    technique = registry.technique(step)
    params = resolve(step, technique.params, {"epochs": epochs, "min_steps": 0})
    context = StageContext(source, out, lambda: data, 0, lambda *_, **__: None, lambda _: None, held=held)
    technique.apply(context, params)


def plain(guide: Guide, source: Path, data: TrainingData, out: Path, epochs: int) -> None:
    """The same as the toolkit's guide does it: same model, examples, batches, optimizer and compilation."""
    seed_everything(0)
    model = guide.wrap(load_working(source))
    toolkit.fit(model, data, epochs, guide.callbacks())
    guide.strip(model).save(out / "model.keras")


def seconds(work: Callable[[Path, int], None], epochs: int) -> float:
    """Processor time of all threads while some work runs that is given a folder to write to and a number of epochs."""
    tf_keras.backend.clear_session()
    gc.collect()
    with tempfile.TemporaryDirectory() as out:
        started = time.process_time()
        work(Path(out), epochs)
        return time.process_time() - started


def timed(guide: Guide, source: Path, data: TrainingData, rounds: int) -> tuple[list[float], list[float]]:
    """Seconds here and there, round by round."""
    with tempfile.TemporaryDirectory() as folder:
        held: frozenset[Property] = frozenset()
        if guide.after:
            before, achieved = guide.after
            ours(before, source, data, Path(folder), EPOCHS)
            source, held = Path(folder) / "model.keras", frozenset({achieved})
        sides: list[Callable[[Path, int], None]] = [
            lambda out, epochs: ours(guide.step, source, data, out, epochs, held),
            lambda out, epochs: plain(guide, source, data, out, epochs),
        ]
        for side in sides:
            seconds(side, 1)
        found: tuple[list[float], list[float]] = ([], [])
        for number in range(rounds):
            for side in (0, 1) if number % 2 else (1, 0):
                found[side].append(seconds(sides[side], EPOCHS))
    return found


def lines(rounds: int = 5, only: str = "") -> list[str]:
    """The table, of all steps or of some, named with commas between."""
    source, data = origins.resolve_model(MODEL)[0], origins.load_dataset(DATA).for_training()
    steps = EPOCHS * -(-len(data.train) // 32)
    found = [
        f"Processor time of a whole step on {MODEL.partition(':')[2]} ({EPOCHS} epochs, {steps} batches of 32, the "
        "checks of the result included) against the toolkit's own code from its guides with the same training. "
        f"Median of {rounds} rounds; the ratio is their geometric mean, and below 1 the step here is quicker.\n",
        "| step | here | plain toolkit | ratio (95% interval) |",
        "|---|--:|--:|--:|",
    ]
    for name, guide in guides(steps).items():
        if only and name not in only.split(","):
            continue
        here, there = timed(guide, source, data, rounds)
        ratio = paired(np.log(here).tolist(), np.log(there).tolist())
        low, middle, high = np.exp([ratio.low, ratio.mean, ratio.high])
        row = f"| {name} | {median(here):.1f} s | {median(there):.1f} s | {middle:.2f} ({low:.2f} to {high:.2f}) |"
        print(row, file=sys.stderr, flush=True)
        found.append(row)
    return found


if __name__ == "__main__":
    print("\n".join(lines(int(sys.argv[1]) if len(sys.argv) > 1 else 5, *sys.argv[2:3])))
