"""Large kernels are replaced by products of smaller ones, and the result is trained on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from optimizers import selection
from optimizers.declarations import Property, Rehearsal, StageContext, StageReport, Technique
from optimizers.errors import NotApplicable
from optimizers.params import param
from optimizers.techniques._training import TrainingParams, layers_param

if TYPE_CHECKING:
    from optimizers.tf.decomposition import Candidate, Choice

MAIN = "model.keras"
_SHOWN = 8
_SLACK, _MORE = 0.02, 0.1
_NEARLY_ALL = 0.95


# All defaults by the loss on validation parts after 8 epochs, mean of two seeds, for digits_cnn, digits_resnet and
# fashion_cnn. Learning rate 3e-4 (of every training): 0.036, 0.029, 0.444; 1e-3: 0.062, 0.034, 0.516; 1e-4: 0.050,
# 0.030, 0.429.
class LowRankParams(TrainingParams):
    """Of low-rank decomposition."""

    amount: float = param(
        0.5,
        label="Amount",
        help="Share of multiply-accumulates, or of parameters, that is removed from the layers that can be factored; "
        "more is smaller and faster and costs accuracy.",
        low=0.05,
        high=0.9,
        step=0.05,
        percent=True,
    )
    of: Literal["macs", "parameters"] = param(
        "macs",
        label="Amount of what",
        help="Multiply-accumulates decide about speed, parameters about size.",
    )
    method: Literal["auto", "tucker2", "spatial", "channel"] = param(
        "auto",
        label="Factors of a convolution",
        help="1x1, whole window and 1x1 (Tucker-2); a column and a row; or the whole window and 1x1. Auto takes what "
        "comes closest to the kernel at the same cost. Dense layers and 1x1 convolutions always become two matrices.",
    )
    # Sensitivity 0.036, 0.029, 0.444 and (first seed) 1.61, 1.85, 1.73 times as fast as the original; uniform 0.026,
    # 0.031, 0.446 and 1.57, 1.76, 1.60.
    distribution: Literal["sensitivity", "uniform"] = param(
        "sensitivity",
        label="Distribution over layers",
        help="By sensitivity, layers are cut more where it raises the loss least, as measured on validation examples; "
        "uniform cuts each to about the same share.",
    )
    # 8 as above; 16: 0.048, 0.037, 0.439 and 1.70, 1.90, 1.68 times as fast.
    round_to: int = param(
        8,
        label="Round ranks to",
        help="Ranks are a multiple of this, or a half, a quarter or less of it; processors compute 8 or 16 outputs at "
        "once, and a rank in between costs as much time as the next one above.",
        low=1,
        high=64,
        step=1,
        advanced=True,
    )
    # Mean relative error of the 3x3 kernels of digits_resnet at half of both ranks: 0.688, with one sweep 0.673, with
    # three 0.671.
    sweeps: int = param(
        2,
        label="Sweeps of Tucker-2",
        help="Rounds of fitting its bases to one another (HOOI); the first few bring the factors closer to the kernel.",
        low=0,
        high=20,
        step=1,
        advanced=True,
    )
    layers: str = layers_param()


@dataclass(frozen=True)
class _Plan:
    """A flat model, the same with known shapes, the layers that can be factored and what they may cost together."""

    flat: Any
    sized: Any
    candidates: Mapping[str, Candidate]
    skipped: dict[str, str]
    budget: float


def apply(context: StageContext, params: LowRankParams) -> StageReport:
    """Writes ``model.keras``: the same model, flat, with factors in place of large kernels, trained on.

    Figures: ``layers`` with ``method``, ``rank`` (one number, two for Tucker-2), ``parameters`` and ``macs`` of the
    kernel before and after, and ``error``, the relative reconstruction error before training; ``macs`` and
    ``parameters`` of the whole model before and after; ``sensitivity`` where it was measured; those of the training.

    Raises:
        NotApplicable: No layer gains by it, or training diverged.
    """
    from optimizers.tf import build, decomposition, sensitivity, train

    context.data()
    train.seed_everything(context.seed)
    plan = _plan(build.load_working(context.source), params, context.input_shape)
    figures: dict[str, Any] = {}
    if params.distribution == "sensitivity":
        measured = sensitivity.rises(plan.sized, context, decomposition.trials(plan.candidates, params.of))
        chosen = decomposition.by_sensitivity(plan.candidates, measured.rises, plan.budget, params.of)
        figures["sensitivity"] = {"examples": measured.examples, "part": measured.part, "loss": measured.loss}
    else:
        chosen = decomposition.uniform(plan.candidates, plan.budget, params.of)
    model, errors = decomposition.factored(plan.flat, plan.candidates, chosen)
    layers = {name: _told(plan.candidates[name], way, errors[name]) for name, way in chosen.items()}
    for name, row in layers.items():
        context.log(f"{name}: {chosen[name]}, relative error {row['error']:.3f}")
    totals = _totals(plan, model, params, context.input_shape)
    notes = _notes(plan, totals, params)
    training = train.tune(model, context, params)
    build.save_working(model, context.out / MAIN)
    figures = {"layers": layers, **totals, **figures, **training.figures}
    return StageReport(MAIN, skipped=_skipped(plan, chosen), notes=(*training.notes, *notes), figures=figures)


def rehearse(model: Any, params: LowRankParams, held: frozenset[Property]) -> Rehearsal:
    """The model with factors, every layer cut to about the same share of its cost, before training."""
    from optimizers.tf import decomposition

    plan = _plan(model, params, None)
    chosen = decomposition.uniform(plan.candidates, plan.budget, params.of)
    result, _ = decomposition.factored(plan.flat, plan.candidates, chosen)
    notes = _notes(plan, _totals(plan, result, params, None), params)
    if params.distribution == "sensitivity":
        notes.append(
            "How far each layer is cut is decided by measured sensitivity; here all keep about the same share."
        )
    touched = {name: str(way) for name, way in chosen.items()}
    return Rehearsal(result, touched, _skipped(plan, chosen), rounds=1, notes=tuple(notes))


def _plan(model: Any, params: LowRankParams, input_shape: tuple[int, ...] | None) -> _Plan:
    """What can be done. Raises `NotApplicable` where that is nothing."""
    from optimizers.tf import decomposition, graph, kernels, shapes

    flat = graph.rebuilt(model)
    sized = shapes.with_input_shape(flat, input_shape)
    names = list(kernels.by_layer(flat))
    unknown = selection.unknown(names, params.layers)
    if unknown:
        raise NotApplicable(f"No layer with a kernel is called {', '.join(unknown)}; there are {_listed(names)}.")
    found, skipped = decomposition.candidates(sized, params.layers, params.method, params.round_to, params.sweeps)
    if not found:
        why = "; ".join(
            f"{_listed([name for name in skipped if skipped[name] == reason])}: {reason}"
            for reason in dict.fromkeys(skipped.values())
        )
        raise NotApplicable(f"No layer of this model gains by factors ({why or 'none has a kernel'}).")
    cost = sum(candidate.cost(params.of) for candidate in found.values())
    return _Plan(flat, sized, found, skipped, (1 - params.amount) * cost)


def _listed(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")


def _skipped(plan: _Plan, chosen: Mapping[str, Choice]) -> dict[str, str]:
    whole = "the amount is reached without it, at less loss than if it were factored"
    return plan.skipped | {name: whole for name in plan.candidates if name not in chosen}


def _told(candidate: Candidate, way: Choice, error: float) -> dict[str, Any]:
    return {
        "method": way.method,
        "rank": way.rank[0] if len(way.rank) == 1 else list(way.rank),
        "parameters": [candidate.parameters, way.parameters],
        "macs": [candidate.macs, way.macs],
        "error": error,
    }


def _totals(
    plan: _Plan, model: Any, params: LowRankParams, input_shape: tuple[int, ...] | None
) -> dict[str, list[int]]:
    """Multiply-accumulates and parameters of the whole model, before and after."""
    from optimizers.tf import cost, shapes

    models = plan.sized, shapes.with_input_shape(model, input_shape)
    costs = [list(cost.layer_costs(each).values()) for each in models]
    return {kind: [sum(getattr(c, kind) for c in each) for each in costs] for kind in ("macs", "parameters")}


def _notes(plan: _Plan, totals: dict[str, list[int]], params: LowRankParams) -> list[str]:
    """Where the amount was not reached, and where it is not what the whole model loses."""
    what = "multiply-accumulates" if params.of == "macs" else "parameters"
    whole = sum(candidate.cost(params.of) for candidate in plan.candidates.values())
    before, after = totals[params.of]
    removed = (before - after) / whole
    notes = []
    if removed < params.amount - _SLACK:
        notes.append(
            f"Removed {removed:.0%} of the {what} of the layers that can be factored instead of {params.amount:.0%}: "
            "they are cut as far as they can be."
        )
    if removed > params.amount + _MORE:
        notes.append(
            f"Removed {removed:.0%} of the {what} of the layers that can be factored instead of {params.amount:.0%}: "
            "the fewest factors that there are remove that much."
        )
    if whole < _NEARLY_ALL * before:
        notes.append(
            f"The layers that can be factored have {whole / before:.0%} of the model's {what}; the whole model loses "
            f"{1 - after / before:.0%}."
        )
    return notes


TECHNIQUE = Technique(
    name="low_rank",
    version="3",
    title="Low-rank decomposition",
    summary="Replaces large kernels by products of smaller ones: fewer parameters and less work in the same "
    "architecture; accuracy has to be won back by training.",
    family="decomposition",
    params=LowRankParams,
    accepts=frozenset({"keras"}),
    produces="keras",
    apply=apply,
    needs=frozenset({"train"}),
    rehearse=rehearse,
    provides=frozenset({"structure"}),
    source="Kim et al. (2016), Compression of Deep Convolutional Neural Networks for Fast and Low Power Mobile "
    "Applications; Jaderberg et al. (2014), Speeding up Convolutional Neural Networks with Low Rank Expansions",
)
