"""The smallest weights are set to zero, a few more after every few training steps."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import model_validator

from optimizers.declarations import Property, Rehearsal, StageContext, StageReport, Technique
from optimizers.errors import Unexpected
from optimizers.params import param
from optimizers.techniques._training import TrainingParams, layers_param

MAIN = "model.keras"
_TOLERANCE = 0.01


class MagnitudePruningParams(TrainingParams):
    """Of gradual pruning by magnitude."""

    target_sparsity: float = param(
        0.5,
        label="Sparsity",
        help="Share of weights that are zero in the end; 50% usually costs nothing, 80% and more cost accuracy. "
        "N:M sparsity has its own.",
        low=0.0,
        high=0.95,
        step=0.05,
        percent=True,
    )
    pattern: Literal["unstructured", "block", "n_of_m"] = param(
        "unstructured",
        label="Pattern of the zeros",
        help="Single weights cost the least accuracy; blocks and N:M (such as 2 of 4) are what some hardware can skip.",
    )
    distribution: Literal["uniform", "sensitivity"] = param(
        "uniform",
        label="Distribution over layers",
        help="Uniform takes the same share of every layer; by sensitivity, layers lose more where it raises the loss "
        "least, as measured on validation examples. N:M sparsity is the same everywhere.",
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

    block_inputs: int = param(
        1,
        label="Inputs in a block",
        help="Height of a block of zeros, along a layer's inputs; used by the block pattern only.",
        low=1,
        high=32,
        step=1,
        advanced=True,
    )
    block_outputs: int = param(
        4,
        label="Outputs in a block",
        help="Width of a block of zeros, along a layer's outputs; used by the block pattern only.",
        low=1,
        high=32,
        step=1,
        advanced=True,
    )
    kept: int = param(
        2,
        label="N: weights kept of a group",
        help="How many weights of each group may stay; used by the N:M pattern only.",
        low=1,
        high=15,
        step=1,
        advanced=True,
    )
    group: int = param(
        4,
        label="M: weights in a group",
        help="How many consecutive inputs of an output make a group; used by the N:M pattern only.",
        low=2,
        high=16,
        step=1,
        advanced=True,
    )
    depthwise: bool = param(
        False,
        label="Prune depthwise kernels too",
        help="They hold few weights, and each of them serves a whole channel, so they are left dense unless asked for.",
        advanced=True,
    )
    layers: str = layers_param()

    @model_validator(mode="after")
    def _ordered(self) -> MagnitudePruningParams:
        if self.begin >= self.end:
            raise ValueError(f"begin ({self.begin:g}) must be smaller than end ({self.end:g})")
        if self.pattern == "n_of_m" and self.kept >= self.group:
            raise ValueError(f"kept ({self.kept}) must be smaller than group ({self.group})")
        if self.schedule == "polynomial" and self.initial_sparsity > self.sparsity:
            raise ValueError(
                f"initial_sparsity, {self.initial_sparsity:g}, must not exceed target_sparsity {self.sparsity:g}"
            )
        return self

    @property
    def sparsity(self) -> float:
        """Share of zeros that the pattern and the target amount to."""
        return 1 - self.kept / self.group if self.pattern == "n_of_m" else self.target_sparsity

    @property
    def measures(self) -> bool:
        """Whether each layer's share of zeros is decided by measuring."""
        return self.distribution == "sensitivity" and self.pattern != "n_of_m"


def apply(context: StageContext, params: MagnitudePruningParams) -> StageReport:
    """Trains with growing sparsity and writes ``model.keras``: the same architecture with zeros in its kernels.

    N:M sparsity is there from the first step; what the training does is to adapt to it.

    Figures: ``layers`` with ``sparsity`` and ``weights`` of each pruned layer, ``sparsity`` over all of them,
    ``model_sparsity`` over all parameters, ``schedule`` in steps, ``history`` with one number per epoch, and
    ``sensitivity`` where it was measured.

    Raises:
        NotApplicable: No layer can be pruned, or training diverged.
        Unexpected: The target was not reached.
    """
    from optimizers.tf import build, kernels, masks, pruning, train

    data = context.data()
    per_epoch, epochs = train.steps_per_epoch(data, params), train.epochs(data, params)
    plan, shape = _plan(params, epochs * per_epoch), _shape(params)
    model = build.load_working(context.source)
    found = pruning.targets(model, params.layers, shape, depthwise=params.depthwise)
    shares, sensitivity = dict.fromkeys(found.kernels, params.sparsity), {}
    if params.measures:
        shares, measured = pruning.amounts(model, context, found, params.sparsity, shape)
        sensitivity = {"sensitivity": measured}
    training = train.tune(
        model, context, params,
        callbacks=[masks.Pruning(found.kernels, plan, shape, shares)], patient_from=(plan.end - 1) // per_epoch,
    )  # fmt: skip
    counts = {name: kernels.sparsity(weights) for name, weights in found.kernels.items()}
    zeros, total = (sum(pair) for pair in zip(*counts.values(), strict=True))
    notes = _checked(params, counts, shares, zeros / total)
    build.save_working(model, context.out / MAIN)
    all_zeros, all_weights = kernels.sparsity(model.weights)
    figures: dict[str, Any] = {
        "layers": {name: {"sparsity": z / n, "weights": n} for name, (z, n) in counts.items()},
        "sparsity": zeros / total,
        "model_sparsity": all_zeros / all_weights,
        "schedule": plan.steps(),
        **sensitivity,
        **training.figures,
    }
    return StageReport(MAIN, skipped=found.skipped, notes=(*training.notes, *notes), figures=figures)


def rehearse(model: Any, params: MagnitudePruningParams, held: frozenset[Property]) -> Rehearsal:
    """The smallest weights at zero at once, without the training that lets the others adapt."""
    from optimizers.tf import pruning

    plan, shape = _plan(params, 1), _shape(params)
    found = pruning.targets(model, params.layers, shape, depthwise=params.depthwise)
    touched = dict.fromkeys(found.kernels, f"{params.sparsity:.0%} zeros")
    notes = ("How many zeros each layer gets is decided by measured sensitivity; here all get the same share.",)
    return Rehearsal(
        pruning.one_shot(model, found, plan, shape), touched, found.skipped, rounds=1,
        notes=notes if params.measures else (),
    )  # fmt: skip


def _plan(params: MagnitudePruningParams, steps: int) -> Any:
    from optimizers.tf import masks

    return masks.schedule(
        "constant" if params.pattern == "n_of_m" else params.schedule,
        target=params.sparsity,
        initial=params.initial_sparsity,
        begin=params.begin,
        end=params.end,
        frequency=params.frequency,
        total_steps=steps,
    )


def _shape(params: MagnitudePruningParams) -> Any:
    from optimizers.tf import masks

    return masks.Shape(params.pattern, (params.block_inputs, params.block_outputs), params.kept, params.group)


def _checked(
    params: MagnitudePruningParams, counts: dict[str, tuple[int, int]], shares: dict[str, float], overall: float
) -> tuple[str, ...]:
    """Notes on layers that are off their target by more than a point and more than one block, or group, of weights."""
    grain = {"unstructured": 1, "block": params.block_inputs * params.block_outputs, "n_of_m": params.group}
    off = {
        name: z / n
        for name, (z, n) in counts.items()
        if abs(z / n - shares[name]) > _TOLERANCE and abs(z - shares[name] * n) > grain[params.pattern]
    }
    if params.pattern == "unstructured" and overall < params.sparsity - _TOLERANCE and off:
        raise Unexpected(f"Pruning reached {overall:.1%} zeros where {params.sparsity:.1%} were asked for.")
    return tuple(f"Layer {name} has {share:.1%} zeros instead of {shares[name]:.1%}." for name, share in off.items())


TECHNIQUE = Technique(
    name="magnitude_pruning",
    version="3",
    title="Magnitude pruning",
    summary="Sets small weights to zero while training: the file compresses far better, "
    "but unpacked it is as large and as fast as before.",
    family="pruning",
    params=MagnitudePruningParams,
    accepts=frozenset({"keras"}),
    produces="keras",
    apply=apply,
    needs=frozenset({"train"}),
    rehearse=rehearse,
    provides=frozenset({"sparsity"}),
    preserves=frozenset({"structure"}),
    source="Zhu and Gupta (2017), To prune, or not to prune: exploring the efficacy of pruning for model compression",
)
