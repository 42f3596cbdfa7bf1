"""The smallest weights are set to zero, a few more after every few training steps."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import model_validator

from optimizers.declarations import StageContext, StageReport, Technique
from optimizers.errors import Unexpected
from optimizers.params import param
from optimizers.techniques._training import TrainingParams

MAIN = "model.keras"
_TOLERANCE = 0.01


class MagnitudePruningParams(TrainingParams):
    """Of gradual pruning by magnitude."""

    target_sparsity: float = param(
        0.5,
        label="Sparsity",
        help="Share of weights that are zero in the end; 50% usually costs nothing, 80% and more cost accuracy.",
        low=0.0,
        high=0.95,
        step=0.05,
        percent=True,
    )
    schedule: Literal["polynomial", "constant"] = param(
        "polynomial",
        label="Schedule",
        help="Polynomial raises sparsity step by step, so that the network can adapt; constant prunes all at once.",
    )
    initial_sparsity: float = param(
        0.0,
        label="Initial sparsity",
        help="Where the polynomial schedule starts; higher leaves more steps at the final sparsity.",
        low=0.0,
        high=0.95,
        step=0.05,
        percent=True,
        advanced=True,
    )
    begin: float = param(
        0.0,
        label="Pruning begins at",
        help="Share of the training after which the first weights are removed.",
        low=0.0,
        high=0.9,
        step=0.05,
        percent=True,
        advanced=True,
    )
    end: float = param(
        0.6,
        label="Pruning ends at",
        help="Share of the training after which the zeros are fixed; what is left of the training repairs accuracy.",
        low=0.1,
        high=1.0,
        step=0.05,
        percent=True,
        advanced=True,
    )
    frequency: int = param(
        10,
        label="Steps between updates",
        help="Training steps between two rounds of pruning; lowered by itself where a training is short.",
        low=1,
        high=1000,
        step=1,
        advanced=True,
    )

    @model_validator(mode="after")
    def _ordered(self) -> MagnitudePruningParams:
        if self.begin >= self.end:
            raise ValueError(f"begin ({self.begin:g}) must be smaller than end ({self.end:g})")
        if self.schedule == "polynomial" and self.initial_sparsity > self.target_sparsity:
            raise ValueError(
                f"initial_sparsity, {self.initial_sparsity:g}, must not exceed target_sparsity {self.target_sparsity:g}"
            )
        return self


def apply(context: StageContext, params: MagnitudePruningParams) -> StageReport:
    """Trains with growing sparsity and writes ``model.keras``: the same architecture with zeros in its kernels.

    Figures: ``layers`` with ``sparsity`` and ``weights`` of each pruned layer, ``sparsity`` over all of them,
    ``model_sparsity`` over all parameters, ``schedule`` in steps, and ``history`` with one number per epoch.

    Raises:
        NotApplicable: No layer can be pruned, or training diverged.
        Unexpected: The target was not reached.
    """
    from optimizers.tf import build, pruning, train

    data = context.data()
    train.seed_everything(context.seed)
    per_epoch, epochs = train.steps_per_epoch(data, params), train.epochs(data, params)
    plan, steps = pruning.schedule(
        params.schedule,
        target=params.target_sparsity,
        initial=params.initial_sparsity,
        begin=params.begin,
        end=params.end,
        frequency=params.frequency,
        total_steps=epochs * per_epoch,
    )
    model, skipped = pruning.wrapped(build.load_working(context.source), plan)
    training = train.tune(
        model, context, params, callbacks=[pruning.updates()], patient_from=steps["end_step"] // per_epoch
    )
    pruned = pruning.pruned_kernels(model)
    counts = {name: pruning.sparsity(weights) for name, weights in pruned.items()}
    zeros, total = (sum(pair) for pair in zip(*counts.values(), strict=True))
    notes = _checked(params.target_sparsity, counts, zeros / total)
    result = pruning.stripped(model)
    build.save_working(result, context.out / MAIN)
    all_zeros, all_weights = pruning.sparsity(result.weights)
    figures: dict[str, Any] = {
        "layers": {name: {"sparsity": z / n, "weights": n} for name, (z, n) in counts.items()},
        "sparsity": zeros / total,
        "model_sparsity": all_zeros / all_weights,
        "schedule": steps,
        **training.figures,
    }
    return StageReport(MAIN, skipped=skipped, notes=(*training.notes, *notes), figures=figures)


def _checked(target: float, counts: dict[str, tuple[int, int]], overall: float) -> tuple[str, ...]:
    """Notes on layers that are off their target by more than a point and more than one weight."""
    if overall < target - _TOLERANCE and any(abs(z - target * n) > 1 for z, n in counts.values()):
        raise Unexpected(f"Pruning reached {overall:.1%} zeros where {target:.1%} were asked for.")
    return tuple(
        f"Layer {name} has {z / n:.1%} zeros instead of {target:.1%}."
        for name, (z, n) in counts.items()
        if abs(z / n - target) > _TOLERANCE and abs(z - target * n) > 1
    )


TECHNIQUE = Technique(
    name="magnitude_pruning",
    version="1",
    title="Magnitude pruning",
    summary="Sets small weights to zero while training: the file compresses far better, "
    "but unpacked it is as large and as fast as before.",
    family="pruning",
    params=MagnitudePruningParams,
    accepts=frozenset({"keras"}),
    produces="keras",
    apply=apply,
    needs=frozenset({"train"}),
    provides=frozenset({"sparsity"}),
    preserves=frozenset({"structure"}),
    source="Zhu and Gupta (2017), To prune, or not to prune: exploring the efficacy of pruning for model compression",
)
