"""Every kernel gets a handful of values that all its weights share, and goes on training with them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from optimizers.declarations import Property, Rehearsal, StageContext, StageReport, Technique
from optimizers.errors import Unexpected
from optimizers.params import param
from optimizers.techniques._training import TrainingParams, layers_param

if TYPE_CHECKING:
    import numpy as np

MAIN = "model.keras"


class WeightClusteringParams(TrainingParams):
    """Of weight clustering."""

    clusters: int = param(
        16,
        label="Clusters",
        help="Distinct values in each kernel; fewer compress better and cost more accuracy. Where zeros are kept, zero "
        "is one of them.",
        low=2,
        high=256,
        step=1,
    )
    distribution: Literal["uniform", "sensitivity"] = param(
        "uniform",
        label="Distribution over layers",
        help="Uniform gives every layer the same number; by sensitivity, layers get more where few values change the "
        "loss, and fewer elsewhere, as measured on validation examples.",
    )
    # On validation with 16 clusters (two seeds, int8) linear against k-means++: digits_cnn 0.995 and 0.988, digits_lstm
    # 0.984 and 0.987, fashion_cnn 0.847 and 0.860; level within what 300 to 600 examples can tell. The compressed files
    # are 13, 16 and 23% smaller, because evenly spaced values are used unevenly.
    initialization: Literal["linear", "density_based", "random", "kmeans_plus_plus"] = param(
        "linear",
        label="Initial values",
        help="Evenly spaced, denser where weights are, drawn at random, or by k-means++; training moves them anyway.",
        advanced=True,
    )
    # On validation with 16 clusters, folding after 2-D convolutions as well costs digits_cnn 0.7 points (two seeds) and
    # fashion_cnn 2.7 (one seed, the float model). It makes their compressed int8 files 6 and 8% smaller, float32 files
    # 24 and 21%.
    fold_batch_norm: Literal["where_needed", "always", "never"] = param(
        "where_needed",
        label="Fold batch normalization first",
        help="A file has the factors of a batch normalization in the kernel before it, which multiplies the number of "
        "values unless they are folded first. The int8 file of a 2-D convolution has them apart, so that it needs no "
        "folding and keeps more accuracy; always folding helps float32 and dynamic range files.",
        advanced=True,
    )
    per_channel: bool = param(
        False,
        label="Values for each output channel",
        help="Conv2D layers get that many values for every output channel: more accurate, but it compresses less.",
        advanced=True,
    )
    keep_earlier: Literal["auto", "nothing"] = param(
        "auto",
        label="Keep what earlier steps achieved",
        help="Zeros of an earlier pruning stay zeros unless this says nothing, which is there to compare with.",
        advanced=True,
    )
    layers: str = layers_param()


def apply(context: StageContext, params: WeightClusteringParams) -> StageReport:
    """Trains with shared weights and writes ``model.keras``: the same layers without wrappers, few values per kernel.

    Nested models are dissolved; as ``fold_batch_norm`` says, batch normalizations after clustered layers become part
    of these. Where they do not, negative factors of theirs become positive, and the channels before them change sign.

    Figures: ``layers`` with ``unique`` (most values in one of the layer's kernels, or in one output channel),
    ``sparsity`` and ``weights``; ``zeros_kept``; ``folded``, how many batch normalizations; ``sensitivity`` where it
    was measured; and those of the training.

    Raises:
        NotApplicable: No layer can be clustered, or training diverged.
        Unexpected: A kernel has more values than asked for, or zeros were lost.
    """
    from optimizers.tf import build, clustering, graph, kernels, masks, train

    wanted = _wanted(params, context.held)
    model, found, skipped, folded = _prepared(build.load_working(context.source), params, wanted)
    sensitivity: dict[str, Any] = {}
    if params.distribution == "sensitivity":
        numbers, sensitivity["sensitivity"] = clustering.numbers(model, context, found, wanted)
        wanted = replace(wanted, of_layers=numbers)
    before = {name: [v.numpy() for v in values] for name, values in kernels.by_layer(model).items()}
    clean = graph.rebuilt(model)
    train.seed_everything(context.seed)
    wrapped = clustering.wrapped(model, found, wanted)
    callbacks = [masks.KeepZeros(wrapped)] if wanted.keep_zeros else []
    training = train.tune(wrapped, context, params, callbacks=callbacks)
    result, clustered = clustering.stripped(wrapped, clean)
    rows = {name: clustering.described(result.get_layer(name), values, wanted) for name, values in clustered.items()}
    _verify(rows, wanted, before if wanted.keep_zeros else {}, kernels.by_layer(result))
    build.save_working(result, context.out / MAIN)
    figures: dict[str, Any] = {
        "layers": rows,
        "zeros_kept": wanted.keep_zeros,
        "folded": folded,
        **sensitivity,
        **training.figures,
    }
    return StageReport(MAIN, skipped=skipped, notes=(*training.notes, *_notes(params, wanted, folded)), figures=figures)


def rehearse(model: Any, params: WeightClusteringParams, held: frozenset[Property]) -> Rehearsal:
    """Every weight at the nearest of evenly spaced values, without the training that moves them."""
    from optimizers.tf import clustering

    wanted = _wanted(params, held)
    flat, found, skipped, folded = _prepared(model, params, wanted)
    clustering.one_shot(flat, found, wanted)
    notes = _notes(params, wanted, folded)
    if params.distribution == "sensitivity":
        notes += ("How many values each layer gets is decided by measured sensitivity; here all get the same number.",)
    return Rehearsal(flat, found, skipped, rounds=1, notes=notes)


def _wanted(params: WeightClusteringParams, held: frozenset[Property]) -> Any:
    from optimizers.tf import clustering

    keep = params.keep_earlier == "auto" and "sparsity" in held
    return clustering.Clusters(params.clusters, params.initialization, params.per_channel, keep, params.layers)


def _prepared(
    model: Any, params: WeightClusteringParams, wanted: Any
) -> tuple[Any, dict[str, str], dict[str, str], int]:
    """A flat copy, folded if asked for; what is clustered in it; what is not and why; how many norms were folded."""
    from optimizers.tf import clustering, folding, graph, qat_plan

    flat = graph.rebuilt(model)
    found, skipped = clustering.targets(flat, wanted)
    pairs = [name for name in folding.foldable(flat) if name in found and params.fold_batch_norm != "never"]
    if params.fold_batch_norm == "where_needed":
        pairs = [name for name in pairs if not qat_plan.keeps_factors_apart(flat.get_layer(name))]
    flat = folding.folded(flat, pairs) if pairs else flat
    folding.with_positive_factors(flat, [name for name in folding.foldable(flat) if name in found])
    return flat, found, skipped, len(pairs)


def _notes(params: WeightClusteringParams, wanted: Any, folded: int) -> tuple[str, ...]:
    found = []
    if wanted.keep_zeros:
        found.append("Weights that were zero stay zero; zero is one of the values.")
    if wanted.values > params.clusters:
        found.append(
            f"{wanted.values} values instead of {params.clusters}: one on either side of the zero that is kept."
        )
    if folded:
        found.append(f"{folded} batch normalizations became part of the layers before them.")
    return tuple(found)


def _verify(
    rows: dict[str, dict[str, Any]],
    wanted: Any,
    before: dict[str, list[np.ndarray]],
    after: dict[str, list[Any]],
) -> None:
    """Raises `Unexpected` where a kernel has more values than asked for, or a weight that was zero is not."""
    for name, row in rows.items():
        most = wanted.in_layer(name).values
        if row["unique"] > most:
            raise Unexpected(f"Layer {name} has {row['unique']} values after clustering where {most} were asked for.")
    for name, values in before.items():
        lost = sum(int((new.numpy()[old == 0] != 0).sum()) for old, new in zip(values, after[name], strict=True))
        if lost:
            raise Unexpected(f"{lost} weights of layer {name} were zero before clustering and are not any more.")


TECHNIQUE = Technique(
    name="weight_clustering",
    version="2",
    title="Weight clustering",
    summary="Lets the weights of a kernel share a few values: the compressed file shrinks several times, "
    "unpacked it is as large and as fast as before.",
    family="clustering",
    params=WeightClusteringParams,
    accepts=frozenset({"keras"}),
    produces="keras",
    apply=apply,
    rehearse=rehearse,
    needs=frozenset({"train"}),
    provides=frozenset({"clusters"}),
    preserves=frozenset({"sparsity", "structure"}),
    source="Han, Mao and Dally (2016), Deep Compression: Compressing Deep Neural Networks with Pruning, Trained "
    "Quantization and Huffman Coding, section 3",
)
