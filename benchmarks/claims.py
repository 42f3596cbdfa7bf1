"""What is said of the techniques, held against our own files: sizes, speed, combinations, distillation."""

from __future__ import annotations

from collections.abc import Callable
from statistics import mean

from benchmarks.tables import Result, disagreement, paired, run_all
from optimizers.engine.queue import JobQueue
from optimizers.figures import format as shown
from optimizers.litert.weights import weights
from optimizers.registry import metric

SEEDS = range(5)
LARGE = ("digits_resnet", "fashion_cnn", "digits_cnn")
CONVOLUTIONAL = ("digits_resnet", "fashion_cnn", "digits_cnn", "fashion_mobilenet")
PRUNE, CLUSTER, QAT = "magnitude_pruning(target_sparsity=0.6)", "weight_clustering", "quantization_aware_training"


def sizes(queue: JobQueue, only: list[str]) -> list[str]:
    """Bytes of the kernels in the file, and of the whole file, against float32."""
    lines = [
        "The kernels alone shrink as arithmetic says (4x for 8 bits, 2x for 16). The file also holds 32-bit biases, a "
        "scale for each channel and the description of the graph, and these do not shrink.\n",
        "| model | recipe | kernels | file |", "|---|---|--:|--:|",
    ]  # fmt: skip
    for model in LARGE:
        found = run_all(queue, model, ("float32", "dynamic_range", "int8", "float16"))
        base = found["float32"][0]
        for recipe in ("dynamic_range", "int8", "float16"):
            one = found[recipe][0]
            kernels = _kernel_bytes(queue, base) / _kernel_bytes(queue, one)
            lines.append(f"| {model} | `{recipe}` | {kernels:.2f}x | {_ratio(base, one, 'size_bytes'):.2f}x |")
    return lines


def _kernel_bytes(queue: JobQueue, result: Result) -> int:
    artifact = queue.store.get(result.run.artifact_key)
    assert artifact is not None
    stored = {weight.buffer: weight.stored_bytes for weight in weights(queue.store.path(artifact)) if weight.kernel}
    return sum(stored.values())


def _ratio(base: Result, one: Result, name: str) -> float:
    return base.values[name] / one.values[name]


def speed(queue: JobQueue, only: list[str]) -> list[str]:
    """The headline claims about speed."""
    lines = [
        "\"10-50% faster convolutional models\" and \"up to 3x faster RNNs\": what came out here.\n",
        "| model | recipe | speed-up |", "|---|---|--:|",
    ]  # fmt: skip
    recipes = dict.fromkeys(CONVOLUTIONAL, ("dynamic_range", "int8", "float16"))
    recipes["digits_lstm"] = ("int8", "dynamic_range(recurrent=unrolled)", "float32(recurrent=unrolled)",
                              "int8(recurrent=fused)")  # fmt: skip
    recipes["occupancy_gru"] = ("int8", "dynamic_range(recurrent=unrolled)", "float32(recurrent=unrolled)")
    for model, asked in recipes.items():
        for recipe, results in run_all(queue, model, asked).items():
            said = results[0].refusal or shown.value(metric("speedup"), results[0].values["speedup"])
            lines.append(f"| {model} | `{recipe}` | {said} |")
    return lines


def combined(queue: JobQueue, only: list[str]) -> list[str]:
    """Collaborative optimization against the same steps chained without regard for one another."""
    naive = "keep_earlier=nothing"
    chains = {
        "PQAT": (f"{PRUNE}+{QAT}", f"{PRUNE}+{QAT}({naive})"),
        "CQAT": (f"{CLUSTER}+{QAT}", f"{CLUSTER}+{QAT}({naive})"),
        "PCQAT": (f"{PRUNE}+{CLUSTER}+{QAT}", f"{PRUNE}+{CLUSTER}({naive})+{QAT}({naive})"),
    }
    lines = [
        "The same steps and the same training, five seeds: each step keeping what the ones before it achieved, against "
        "the same steps chained without regard for one another. Zeros and distinct values are read from the final int8 "
        "file (median over layers with 500 weights and more).\n",
        "| model | chain | zeros | distinct values | compressed | naive: zeros | distinct values | compressed | "
        "accuracy above naive (95% interval) |", "|---|---|--:|--:|--:|--:|--:|--:|--:|",
    ]  # fmt: skip
    for model in ("digits_cnn",):
        for name, (kept, lost) in chains.items():
            found = run_all(queue, model, (kept, lost), SEEDS)
            sides = [_kept(queue, found[recipe]) for recipe in (kept, lost)]
            accuracies = [[r.values["accuracy"] for r in found[recipe]] for recipe in (kept, lost)]
            lines.append(f"| {model} | {name} | {sides[0]} | {sides[1]} | {paired(*accuracies).points} |")
    return lines


def _kept(queue: JobQueue, results: list[Result]) -> str:
    zeros, unique, sizes = [], [], []
    for result in results:
        artifact = queue.store.get(result.run.artifact_key)
        assert artifact is not None
        stored = [w for w in weights(queue.store.path(artifact)) if w.kernel and w.values.size >= 500]
        zeros.append(sorted(w.sparsity for w in stored)[len(stored) // 2])
        unique.append(sorted(w.unique for w in stored)[len(stored) // 2])
        sizes.append(result.values["compressed_bytes"])
    return f"{mean(zeros):.0%} | {mean(unique):.0f} | {shown.size(mean(sizes))}"


_BOTH = "learn_from=both"
_STRUCTURE = f"structured_pruning({_BOTH})"
# 0.87 was best on validation examples among seven recipes that make digits_resnet 40 times smaller: as many zeros in
# every layer lose less (99.3% right, log loss 0.027) than shares by sensitivity (99.0%, 0.050) or twice the epochs.
COMPRESSION = (
    f"magnitude_pruning(target_sparsity=0.8, {_BOTH})+weight_clustering({_BOTH})+int8",
    f"magnitude_pruning(target_sparsity=0.9, {_BOTH})+weight_clustering({_BOTH})+int8",
    f"magnitude_pruning(target_sparsity=0.9, {_BOTH})+weight_clustering({_BOTH})+quantization_aware_training({_BOTH})",
    f"{_STRUCTURE}+magnitude_pruning(target_sparsity=0.8, {_BOTH})+weight_clustering({_BOTH})+int8",
    f"{_STRUCTURE}+magnitude_pruning(target_sparsity=0.87, {_BOTH})+weight_clustering({_BOTH})+int8",
    f"{_STRUCTURE}+magnitude_pruning(target_sparsity=0.9, {_BOTH})+weight_clustering({_BOTH})+int8",
)


def compression(queue: JobQueue, only: list[str]) -> list[str]:
    """Prune, cluster, quantize: compressed size against the compressed float32 file."""
    lines = [
        "Gzip of the file against gzip of the float32 file. The last column counts the test examples that only one of "
        "the two gets right, with the exact McNemar test; a loss is called proven at the 5% level. The recipe with a "
        "sparsity of 0.87 was chosen on validation examples.\n",
        "| model | recipe | compressed | smaller | accuracy | float32 | against float32 |",
        "|---|---|--:|--:|--:|--:|---|",
    ]
    for model in ("digits_resnet",):
        found = run_all(queue, model, ("float32", *COMPRESSION))
        base = found["float32"][0]
        for recipe in COMPRESSION:
            one = found[recipe][0]
            if one.refusal:
                lines.append(f"| {model} | `{recipe}` | {one.refusal} | | | | |")
                continue
            lines.append(
                f"| {model} | `{recipe}` | {shown.size(one.values['compressed_bytes'])} | "
                f"{_ratio(base, one, 'compressed_bytes'):.1f}x | {one.values['accuracy']:.2%} | "
                f"{base.values['accuracy']:.2%} | {disagreement(queue, base.run, one.run).words} |"
            )
    return lines


def structure(queue: JobQueue, only: list[str]) -> list[str]:
    """Structured pruning at half the multiply-accumulates, beside the same small network trained from nothing."""
    kept, fresh = "structured_pruning(distribution=uniform)", "structured_pruning(distribution=uniform, start=fresh)"
    lines = [
        "Half of the multiply-accumulates, the same share everywhere. The network of the same shape trained from "
        "nothing on the same budget stands beside it.\n",
        "| model | speed-up (95% interval) | parameters | accuracy | original | from nothing |",
        "|---|--:|--:|--:|--:|--:|",
    ]  # fmt: skip
    for model in CONVOLUTIONAL:
        found = run_all(queue, model, ("float32", kept, fresh))
        base, pruned, scratch = (found[recipe][0] for recipe in ("float32", kept, fresh))
        artifact = queue.store.get(pruned.run.stages[0].key)
        assert artifact is not None
        parameters = artifact.report["figures"]["parameters"]
        fewer = parameters["before"] / parameters["after"]
        measured = {m.metric: m for m in queue.history.measurements([pruned.run.artifact_digest])}
        ratio = measured["speedup"]
        lines.append(
            f"| {model} | {ratio.value:.2f}x ({ratio.low:.2f}x to {ratio.high:.2f}x) | {fewer:.1f}x fewer | "
            f"{pruned.values['accuracy']:.1%} | {base.values['accuracy']:.1%} | {scratch.values['accuracy']:.1%} |"
        )
    return lines


def distillation(queue: JobQueue, only: list[str]) -> list[str]:
    """Students that learn from a teacher against the same students on labels alone, over five seeds."""
    settings = {
        "all labels": "",
        "one label in ten": ", labelled=0.1",
        "one label in fifty": ", labelled=0.02",
    }
    lines = [
        "The same student, the same training, five seeds: learning from the teacher's answers and the labels, against "
        "the labels alone. With few labels the answers on the unlabelled rest are what helps.\n",
        "| model | smaller | labels | with teacher | labels alone | difference (95% interval) |",
        "|---|--:|---|--:|--:|--:|",
    ]  # fmt: skip
    for model, width, asked in (("digits_resnet", 0.3, tuple(settings)), ("fashion_cnn", 0.3, ("all labels",))):
        for said in asked:
            more = settings[said]
            taught = f"distillation(width={width}{more})"
            alone = f"distillation(width={width}{more}, learn_from=labels)"
            found = run_all(queue, model, (taught, alone), SEEDS)
            both = [[r.values["accuracy"] for r in found[recipe]] for recipe in (taught, alone)]
            artifact = queue.store.get(found[taught][0].run.stages[0].key)
            assert artifact is not None
            parameters = artifact.report["figures"]["parameters"]
            lines.append(
                f"| {model} | {parameters['teacher'] / parameters['student']:.1f}x | {said} | {mean(both[0]):.2%} | "
                f"{mean(both[1]):.2%} | {paired(*both).points} |"
            )
    return lines


def recovery(queue: JobQueue, only: list[str]) -> list[str]:
    """Learning from the original instead of the labels while a pruned model is repaired."""
    lines = [
        "| model | recipe | with the original | labels alone | difference (95% interval) |",
        "|---|---|--:|--:|--:|",
    ]
    for model, step in (
        ("digits_lstm", "magnitude_pruning(target_sparsity=0.8{})"),
        ("fashion_cnn", "structured_pruning(amount=0.75{})"),
    ):
        recipes = (step.format(", learn_from=both"), step.format(""))
        found = run_all(queue, model, recipes, SEEDS)
        both = [[r.values["accuracy"] for r in found[recipe]] for recipe in recipes]
        lines.append(
            f"| {model} | `{recipes[1]}` | {mean(both[0]):.2%} | {mean(both[1]):.2%} | {paired(*both).points} |"
        )
    return lines


SECTIONS: dict[str, tuple[str, Callable[[JobQueue, list[str]], list[str]]]] = {
    "sizes": ("Size against arithmetic", sizes),
    "speed": ("Speed against the claims", speed),
    "compression": ("Prune, cluster, quantize", compression),
    "combined": ("Combined against chained", combined),
    "structure": ("Structured pruning", structure),
    "distillation": ("Distillation", distillation),
    "recovery": ("Distillation as recovery", recovery),
}
