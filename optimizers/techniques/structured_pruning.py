"""Whole filters, units and attention heads are removed, a few more in every round, and the rest is trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from optimizers.declarations import Property, Rehearsal, StageContext, StageReport, Technique
from optimizers.params import param
from optimizers.techniques._training import TrainingParams, layers_param

MAIN = "model.keras"


class StructuredPruningParams(TrainingParams):
    """Of the removal of channels."""

    amount: float = param(
        0.5,
        label="Amount",
        help="Share of the model's multiply-accumulates, or of its channels, that is removed; more is smaller and "
        "faster and costs accuracy.",
        low=0.05,
        high=0.95,
        step=0.05,
        percent=True,
    )
    of: Literal["macs", "channels"] = param(
        "macs",
        label="Amount of what",
        help="Multiply-accumulates decide about speed; channels count the same in every layer, whatever they cost.",
    )
    distribution: Literal["sensitivity", "uniform"] = param(
        "sensitivity",
        label="Distribution over layers",
        help="By sensitivity, layers lose more where it raises the loss least, as measured on validation examples; "
        "uniform takes about the same share from each.",
    )
    # Validation loss after the default pruning of five sample models, against l2: bn_scale 12% lower, taylor 4% lower,
    # l1 1% lower (geometric means); bn_scale is never worse.
    criterion: Literal["bn_scale", "l2", "l1", "taylor"] = param(
        "bn_scale",
        label="Which channels go",
        help="Those with the smallest scale in batch normalization (where there is none, the smallest l2 norm), the "
        "smallest weights (l2 or l1 norm), or the least influence on the loss (taylor).",
        advanced=True,
    )
    round_to: int = param(
        8,
        label="Round channels to",
        help="Layers keep a multiple of this many channels, as processors compute these fastest, even if a little more "
        "is removed than asked for; small layers take a half or a quarter of it.",
        low=1,
        high=64,
        step=1,
        advanced=True,
    )
    rounds: int = param(
        1,
        label="Rounds",
        help="Channels are removed in so many steps with a full training after each; more can keep more accuracy when "
        "much is removed, and take proportionally longer.",
        low=1,
        high=10,
        step=1,
        advanced=True,
    )
    start: Literal["kept", "fresh"] = param(
        "kept",
        label="Start from",
        help="The weights that were kept, or fresh ones: the same small network trained from nothing, in one round, to "
        "compare with.",
        advanced=True,
    )
    layers: str = layers_param()

    @property
    def trainings(self) -> int:
        """How many rounds there are: one where nothing that is learned before the last cut would be kept."""
        return 1 if self.start == "fresh" else self.rounds


def apply(context: StageContext, params: StructuredPruningParams) -> StageReport:
    """Writes ``model.keras``: the same model with fewer channels, trained on.

    Figures: ``layers`` with what each layer had ``before`` and ``after``; ``macs`` and ``parameters`` before and after;
    ``criterion``, ``rounds``, ``sensitivity`` where it was measured, and those of the training.

    Raises:
        NotApplicable: No layer can lose channels, or training diverged.
    """
    from optimizers.tf import build, masks, train
    from optimizers.tf.channels import pruning

    context.data()
    train.seed_everything(context.seed)
    whole = build.load_working(context.source)
    work = pruning.Pruning(whole, params, context.input_shape)
    history: dict[str, list[float]] = {}
    said: dict[str, list[int]] = {}
    figures: dict[str, Any] = {}
    for number in range(params.trainings):
        portion = context.portion(number, params.trainings)
        work.cut((number + 1) / params.trainings, portion)
        keep: list[Any] = []
        if params.start == "fresh":
            work.start_afresh()
        elif "sparsity" in context.held:
            keep = [masks.KeepZeros(work.model)]
        training = train.tune(work.model, portion, params, callbacks=keep)
        figures |= _counted_on(training.figures, len(history.get("loss", ())))
        for name, values in training.history.items():
            history.setdefault(name, []).extend(values)
        for note in training.notes:
            said.setdefault(note, []).append(number + 1)
    build.save_working(work.model, context.out / MAIN)
    notes = [_of_rounds(note, rounds, params.trainings) for note, rounds in said.items()]
    if params.start == "fresh" and "sparsity" in context.held:
        notes.append("The zeros of earlier steps are gone, because training started from fresh weights.")
    done = work.done()
    figures |= {**done.figures, "history": history, "epochs": len(history["loss"]), "rounds": params.trainings}
    return StageReport(MAIN, skipped=done.skipped, notes=(*notes, *done.notes), figures=figures)


def _counted_on(figures: Mapping[str, Any], before: int) -> dict[str, Any]:
    """The figures of a round of training with epochs counted from the first round on."""
    found = dict(figures)
    if stopping := found.get("early_stopping"):
        epochs = {name: stopping[name] + before for name in ("best_epoch", "stopped_epoch") if stopping[name]}
        found["early_stopping"] = stopping | epochs
    return found


def _of_rounds(note: str, rounds: Sequence[int], trainings: int) -> str:
    """What a training said, with the rounds in which it did."""
    if trainings == 1:
        return note
    which = "Every round" if len(rounds) == trainings else f"Round {' and '.join(map(str, rounds))}"
    return f"{which}: {note}"


def rehearse(model: Any, params: StructuredPruningParams, held: frozenset[Property]) -> Rehearsal:
    """The same model with fewer channels, every layer having lost about the same share, before training."""
    from optimizers.tf.channels import pruning

    work = pruning.Pruning(model, params)
    work.cut(1.0)
    done = work.done()
    notes = list(done.notes)
    if params.distribution == "sensitivity":
        notes.append(
            "How much each layer loses is decided by measured sensitivity; here all lose about the same share."
        )
    return Rehearsal(work.model, done.touched, done.skipped, rounds=params.trainings, notes=tuple(notes))


TECHNIQUE = Technique(
    name="structured_pruning",
    version="2",
    title="Structured pruning",
    summary="Removes whole filters, units and attention heads: the model becomes smaller and faster everywhere; "
    "accuracy has to be won back by training.",
    family="pruning",
    params=StructuredPruningParams,
    accepts=frozenset({"keras"}),
    produces="keras",
    apply=apply,
    needs=frozenset({"train"}),
    rehearse=rehearse,
    provides=frozenset({"structure"}),
    # training moves shared values apart; zeros of earlier pruning are kept at zero
    preserves=frozenset({"sparsity", "structure"}),
    source="Li et al. (2017), Pruning filters for efficient ConvNets; Molchanov et al. (2017), Pruning convolutional "
    "neural networks for resource efficient inference",
)
