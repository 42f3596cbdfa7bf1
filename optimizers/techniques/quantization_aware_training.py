"""The model trains with the rounding errors that 8 bits will bring, and learns to live with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from optimizers.declarations import Property, Rehearsal, StageContext, StageReport, Technique
from optimizers.errors import Unexpected
from optimizers.params import param
from optimizers.techniques._training import TrainingParams, layers_param

if TYPE_CHECKING:
    import numpy as np

_CALIBRATION_EXAMPLES = 256
_SCALES = {"toolkit": "as usual", "per_tensor": "one per kernel", "shared": "one per kernel, norm factors apart"}
_SCHEMES = {
    frozenset(): "QAT",
    frozenset({"sparsity"}): "PQAT",
    frozenset({"clusters"}): "CQAT",
    frozenset({"sparsity", "clusters"}): "PCQAT",
}


class QuantizationAwareTrainingParams(TrainingParams):
    """Of quantization-aware training."""

    # On validation, of 3e-4, 1e-4 and 3e-5: 1e-4 has the lowest mean loss on digits_cnn (0.024 against 0.027 for both
    # others, two seeds), and beats 3e-4 on digits_transformer, fashion_mobilenet and digits_resnet.
    learning_rate: float = param(
        1e-4,
        label="Learning rate",
        help="Length of a training step; smaller than for other steps, because the model is only to adapt to rounding.",
        low=1e-6,
        high=1e-1,
        log=True,
    )
    keep_earlier: Literal["auto", "nothing"] = param(
        "auto",
        label="Keep what earlier steps achieved",
        help="Zeros of an earlier pruning stay zeros and clustered weights stay clustered unless this says nothing, "
        "which is there to compare with.",
        advanced=True,
    )
    layers: str = layers_param()


def apply(context: StageContext, params: QuantizationAwareTrainingParams) -> StageReport:
    """Trains with fake quantization and writes ``model.keras`` with the ranges of all quantizers beside it.

    Figures: ``scheme`` (QAT, PQAT, CQAT or PCQAT: which of sparsity and clusters is kept), ``layers`` with ``scales``,
    ``unique``, ``sparsity`` and ``weights`` of each fake-quantized kernel, and those of the training.

    Raises:
        NotApplicable: No layer with a kernel is known to the 8-bit scheme, or training diverged.
        Unexpected: Zeros or clusters that were to be kept were lost.
    """
    from optimizers.tf import build, kernels, masks, qat, qat_plan, train

    data = context.data()
    kept = _kept(params, context.held)
    model, plan = _planned(build.load_working(context.source), params, kept)
    before = {name: [v.numpy() for v in found] for name, found in kernels.by_layer(model).items()}
    train.seed_everything(context.seed)
    trained = qat.quantized(model, plan)
    qat.calibrate(trained, data.train.x[_picks(len(data.train), context.seed)])
    frozen = qat.freeze_clusters(trained, plan) if "clusters" in kept else ()
    callbacks = [masks.KeepZeros(trained)] if "sparsity" in kept else []
    training = train.tune(trained, context, params, callbacks=callbacks)
    scheme = _SCHEMES[kept]
    main = qat.save_qat(trained, model, plan, scheme, context.out)
    quantized = qat.quantized_kernels(trained)
    after = {name: [v.numpy() for v in found] for name, found in kernels.by_layer(model).items()}
    _verify(before, after | {name: [kernel] for name, kernel in quantized.items()}, kept, plan)
    figures: dict[str, Any] = {
        "scheme": scheme,
        "layers": {
            name: {
                "scales": _SCALES[plan.kernels[name].scales],
                "unique": qat_plan.count_values(kernel, plan.kernels[name].clusters),
                "sparsity": float((kernel == 0).mean()),
                "weights": int(kernel.size),
            }
            for name, kernel in quantized.items()
        },
        **training.figures,
    }
    notes = (*training.notes, *_notes(kept, frozen))
    return StageReport(main, skipped=plan.skipped, notes=notes, figures=figures)


def rehearse(model: Any, params: QuantizationAwareTrainingParams, held: frozenset[Property]) -> Rehearsal:
    """The model as it is, with separable convolutions split, without the training that changes its weights."""
    kept = _kept(params, held)
    flat, plan = _planned(model, params, kept)
    touched = dict.fromkeys(plan.kernels, "trained in 8 bits")
    single = frozenset(name for name, how in plan.kernels.items() if _one_scale(flat.get_layer(name), how.scales))
    return Rehearsal(flat, touched, plan.skipped, rounds=1, notes=_notes(kept, ()), one_scale=single)


def _one_scale(layer: Any, scales: str) -> bool:
    """Whether a kernel has one scale: clustered ones, and those that the toolkit gives no more, such as Dense ones."""
    return scales != "toolkit" or "Conv" not in type(layer).__name__


def _kept(params: QuantizationAwareTrainingParams, held: frozenset[Property]) -> frozenset[Property]:
    return held & {"sparsity", "clusters"} if params.keep_earlier == "auto" else frozenset()


def _planned(model: Any, params: QuantizationAwareTrainingParams, kept: frozenset[Property]) -> tuple[Any, Any]:
    """A flat copy of the model, and which of its layers are quantized how."""
    from optimizers.tf import qat_plan

    flat = qat_plan.prepared(model)
    return flat, qat_plan.plan(flat, params.layers, keep_clusters="clusters" in kept, keep_zeros="sparsity" in kept)


def _picks(count: int, seed: int) -> np.ndarray:
    import numpy as np

    return np.sort(np.random.default_rng(seed).permutation(count)[:_CALIBRATION_EXAMPLES])


def _notes(kept: frozenset[Property], frozen: tuple[str, ...]) -> tuple[str, ...]:
    found = []
    if "sparsity" in kept:
        found.append("Weights that were zero stay zero.")
    if "clusters" in kept:
        found.append("Clustered kernels keep their number of values.")
    if frozen:
        found.append(f"To keep their clusters these layers were not trained: {', '.join(frozen)}.")
    return tuple(found)


def _verify(
    before: dict[str, list[np.ndarray]],
    after: dict[str, list[np.ndarray]],
    kept: frozenset[Property],
    plan: Any,
) -> None:
    """Raises `Unexpected` where what was to be kept was lost."""
    from optimizers.tf import qat_plan

    for name, old_kernels in before.items():
        groups: Any = plan.kernels[name].clusters if name in plan.kernels else "none"
        for old, new in zip(old_kernels, after[name], strict=True):
            lost = int((new[old == 0] != 0).sum())
            if "sparsity" in kept and lost:
                raise Unexpected(f"{lost} weights of layer {name} were zero before and are not any more.")
            had, has = qat_plan.count_values(old, groups), qat_plan.count_values(new, groups)
            if "clusters" in kept and (groups != "none" or qat_plan.few(old)) and has > had:
                raise Unexpected(f"Layer {name} had {had} values before and has {has} now.")


TECHNIQUE = Technique(
    name="quantization_aware_training",
    version="2",
    title="Quantization-aware training",
    summary="Trains on with the rounding of 8 bits in every step, so that the int8 file loses less accuracy; "
    "it costs a training and is followed by int8.",
    family="quantization",
    params=QuantizationAwareTrainingParams,
    accepts=frozenset({"keras"}),
    produces="keras_qat",
    apply=apply,
    rehearse=rehearse,
    needs=frozenset({"train"}),
    preserves=frozenset({"sparsity", "clusters", "structure"}),
    source="Jacob et al. (2018), Quantization and Training of Neural Networks for Integer-Arithmetic-Only Inference, "
    "section 3; https://www.tensorflow.org/model_optimization/guide/combine/collaborative_optimization",
)
