"""What the techniques share that store kernels in fewer bits than a float32 file: the file, its layers, the report."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from optimizers.declarations import Rehearsal, StageContext, StageReport
from optimizers.errors import NotApplicable
from optimizers.litert import edge_quantizer
from optimizers.litert.edge_quantizer import Key, Quantized, Storage
from optimizers.litert.file import LiteRtFile, is_litert
from optimizers.litert.weights import StoredWeight
from optimizers.params import param
from optimizers.selection import NOT_CHOSEN, chosen, unknown

Recurrent = Literal["automatic", "fused", "unrolled"]
Compute = Literal["dynamic", "weight_only"]
_CONVOLUTIONS = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV"})
_SLOW_BITS = (4, 2)
_NAMES_SHOWN = 6
_NOT_FLOAT = "its kernel is not in float32"


def recurrent_param() -> Any:
    """The parameter ``recurrent``."""
    return param(
        "automatic",
        label="Recurrent layers",
        help="The fused LSTM cell can only stay in float32; written out step by step it can be quantized, in a file "
        "with more operators. Automatic writes out models with an LSTM and leaves the loop of a GRU or SimpleRNN.",
        advanced=True,
    )


# Measured with LiteRT 2.3 on one thread of a two-core x86-64 machine, in turn with float32 (times its speed): 8 bits in
# integers 1.1 on digits_resnet, 0.7 on fashion_cnn, 0.55 on fashion_mobilenet, 1.5 on digits_lstm; 8 bits unpacked 1.0
# on all; 4 bits in integers 0.3 to 0.4 on the three convolutional ones and 1.6 on digits_lstm; 4 bits unpacked 0.3 on
# the convolutional ones and 0.8 on digits_lstm.
def mode_param() -> Any:
    """The parameter ``mode``."""
    return param(
        "dynamic",
        label="Computing",
        help="Dynamic also quantizes activations on the fly and multiplies integers: fast for dense and recurrent "
        "layers. Weight only unpacks weights and computes in float32: 8 bits are then as fast as float32 and as "
        "accurate, fewer bits are slower.",
    )


def convolutions_param() -> Any:
    """The parameter ``convolutions``."""
    return param(
        "same",
        label="Convolutions",
        help="Convolutions with fewer than 8 bits are unpacked at every run, which takes about three times as long as "
        "float32; int8 keeps them at 8 bits.",
    )


@dataclass(frozen=True)
class FloatFile:
    """The float32 file of a model, with its kernels by layer.

    Attributes:
        model: The tf_keras model, or the `LiteRtFile` that was brought.
        content: The file that is quantized.
        weights: All of the file.
        kernels: By layer, in the model's order, those that the file holds; none where they cannot be told.
        unrolled: Whether recurrent layers are written out step by step.
    """

    model: Any
    content: bytes
    weights: tuple[StoredWeight, ...]
    kernels: Mapping[str, tuple[StoredWeight, ...]]
    unrolled: bool


def load(context: StageContext) -> Any:
    """The stage's model: a `LiteRtFile` where such a file was brought, else a tf_keras model with fixed dimensions."""
    if is_litert(context.source):
        return LiteRtFile(context.source.read_bytes())
    from optimizers.tf import build, shapes

    return shapes.with_input_shape(build.load_working(context.source), context.input_shape)


def float_file(model: Any, recurrent: Recurrent, seed: int) -> FloatFile:
    """The model as a verified float32 file.

    Args:
        model: A tf_keras model with fixed dimensions, or a `LiteRtFile`, whose recurrent layers stay as they are.
        recurrent: What becomes of recurrent layers; automatic unrolls where there is an LSTM.
        seed: For the random examples that it is verified with.

    Raises:
        NotApplicable: LiteRT has no operators for this model, or it holds no kernels.
        ConversionWrong: The file does not do what the model does.
    """
    if isinstance(model, LiteRtFile):
        return _brought(model)
    from optimizers.litert.layers import layers_of
    from optimizers.litert.weights import weights
    from optimizers.tf import convert, kernels
    from optimizers.tf import recurrent as rnn

    kinds = {type(layer).__name__ for layer in rnn.layers(model)}
    unrolled = bool(kinds) and (recurrent == "unrolled" or (recurrent == "automatic" and "LSTM" in kinds))
    content = convert.convert(model, "float32", recurrent="unrolled" if unrolled else "fused", seed=seed).file
    stored = weights(content)
    arrays = {name: [np.asarray(v) for v in found] for name, found in kernels.by_layer(model).items()}
    owners = layers_of(stored, arrays)
    by_layer = {
        name: tuple(w for i, w in enumerate(stored) if owners.get(i) == name and _quantizable(w)) for name in arrays
    }
    if not arrays:
        raise NotApplicable("No layer of this model has a kernel, so there is nothing to store in fewer bits.")
    return FloatFile(model, content, stored, by_layer, unrolled)


def _brought(file: LiteRtFile) -> FloatFile:
    kernels = {name: tuple(w for w in found if _quantizable(w)) for name, found in file.kernels.items()}
    if not any(kernels.values()):
        raise NotApplicable(
            "No kernel of this .tflite file is in float32, so there is nothing left to store in fewer bits; give the "
            "float32 file or the Keras model."
        )
    return FloatFile(file, file.content, file.weights, kernels, False)


def after(file: FloatFile, plan: Mapping[Key, Storage]) -> Any:
    """The model as quantization would leave it: a `LiteRtFile` with its kernels stored as planned where one was
    brought, else the model itself."""
    if isinstance(file.model, LiteRtFile):
        return LiteRtFile(edge_quantizer.quantized(file.content, file.weights, plan))
    return file.model


def rehearsed(file: FloatFile, plan: Mapping[Key, Storage], skipped: Mapping[str, str], *more_notes: str) -> Rehearsal:
    """What is foretold of storing kernels as planned, from the file that it makes."""
    from optimizers.tf import draft

    made, left, width = edge_quantizer.quantized(file.content, file.weights, plan), after(file, plan), bits(file, plan)
    beside = None if isinstance(left, LiteRtFile) else draft.beside(made, left, width)
    told, all_notes = described(file, plan), (*more_notes, *notes(file, plan))
    return Rehearsal(left, told, skipped, width, notes=all_notes, size=len(made), beside=beside)


def baseline_bytes(file: FloatFile, seed: int) -> int:
    """Size of the float32 file that people compare with: recurrent layers as fused cells or loops."""
    from optimizers.tf import convert

    return len(convert.convert(file.model, "float32", seed=seed).file) if file.unrolled else len(file.content)


def _quantizable(weight: StoredWeight) -> bool:
    """A float kernel that operators multiply by; what is added to activations stays as it is."""
    return weight.kernel and weight.dtype == "FLOAT32" and set(weight.kinds) != {"ADD"}


def planned(
    file: FloatFile, layers: str, wanted: Callable[[str, StoredWeight], Storage | str]
) -> tuple[dict[Key, Storage], dict[str, str]]:
    """How each kernel is to be stored, and the layers that stay as they are, with the reason.

    Args:
        file: From `float_file`.
        layers: Which layers are chosen.
        wanted: From layer and kernel to what is wanted of it, or why it is left alone.

    Raises:
        NotApplicable: Patterns match no layer, or no kernel can be stored in fewer bits.
    """
    refuse_unknown(file.kernels, layers)
    plan: dict[Key, Storage] = {}
    skipped: dict[str, str] = {}
    for name, found in file.kernels.items():
        if not chosen(name, layers):
            skipped[name] = NOT_CHOSEN
            continue
        reasons = []
        for weight in found:
            storage = wanted(name, weight)
            storage = storage if isinstance(storage, str) else edge_quantizer.settled(weight, storage)
            if isinstance(storage, str):
                reasons.append(storage)
            else:
                plan[weight.subgraph, weight.name] = storage
        if not found:
            brought = isinstance(file.model, LiteRtFile)
            skipped[name] = _NOT_FLOAT if brought else "its weights are not found by themselves in the converted file"
        elif len(reasons) == len(found):
            skipped[name] = "; ".join(dict.fromkeys(reasons))
    if not plan:
        told = "; ".join(f"{name}: {reason}" for name, reason in skipped.items())
        raise NotApplicable(f"No layer of this model can be stored in fewer bits ({told}).")
    return plan, skipped


def refuse_unknown(names: Mapping[str, Any], layers: str) -> None:
    """Raises `NotApplicable` where a pattern of a choice of layers matches none of the names."""
    missed = unknown(names, layers)
    if missed:
        shown = ", ".join(list(names)[:_NAMES_SHOWN]) + (", …" if len(names) > _NAMES_SHOWN else "")
        raise NotApplicable(f"No layer with a kernel matches {', '.join(missed)}; there are: {shown}.")


def bits(file: FloatFile, plan: Mapping[Key, Storage]) -> dict[str, float]:
    """Mean bits of one stored kernel value by layer, for the layers that the plan touches."""
    found = {}
    for name, kernels in file.kernels.items():
        if any((w.subgraph, w.name) in plan for w in kernels):
            sizes = [(_bits(w, plan), w.values.size) for w in kernels]
            found[name] = sum(b * n for b, n in sizes) / sum(n for _, n in sizes)
    return found


def _bits(weight: StoredWeight, plan: Mapping[Key, Storage]) -> int:
    storage = plan.get((weight.subgraph, weight.name))
    return storage.bits if storage else weight.bits


def planned_bytes(file: FloatFile, layer: str, plan: Mapping[Key, Storage]) -> int:
    """About how many bytes the kernels of a layer take in the file."""
    return sum(
        edge_quantizer.stored_bytes(w, plan[key]) if (key := (w.subgraph, w.name)) in plan else w.stored_bytes
        for w in file.kernels[layer]
    )


def is_convolution(weight: StoredWeight) -> bool:
    """Whether a kernel belongs to a convolution, which is slow with fewer than eight bits."""
    return bool(_CONVOLUTIONS & set(weight.kinds))


def described(file: FloatFile, plan: Mapping[Key, Storage]) -> dict[str, str]:
    """For each layer that the plan touches, in a few words, how it is stored."""
    return {
        name: f"{value:g} bits" + ("" if value == round(value) else " on average")
        for name, value in bits(file, plan).items()
    }


def figures(file: FloatFile, plan: Mapping[Key, Storage]) -> dict[str, dict[str, Any]]:
    """For each layer that the plan touches its bits, weights, what shares a scale, and how it is computed with."""
    widths = bits(file, plan)
    found: dict[str, dict[str, Any]] = {}
    for name, width in widths.items():
        kernels = [w for w in file.kernels[name] if (w.subgraph, w.name) in plan]
        storages = [plan[w.subgraph, w.name] for w in kernels]
        found[name] = {
            "bits": width,
            "weights": sum(w.values.size for w in file.kernels[name]),
            "scales": sorted({f"block of {s.block}" if s.block else f"per {s.per}" for s in storages if s.bits < 16}),
            "computes": "integer" if all(s.integers for s in storages) else "float",
        }
    return found


def notes(file: FloatFile, plan: Mapping[Key, Storage]) -> tuple[str, ...]:
    """Sentences on layers of which only a part is touched, and on what the plan costs in speed."""
    told: list[str] = []
    for name, kernels in file.kernels.items():
        left = [w for w in kernels if (w.subgraph, w.name) not in plan]
        if left and len(left) < len(kernels):
            count = sum(w.values.size for w in left)
            told.append(f"Of layer {name} {count:,} weights stay in float32: they cannot be stored in fewer bits.")
    slow = [
        name
        for name, kernels in file.kernels.items()
        if any(_bits(w, plan) in _SLOW_BITS and is_convolution(w) for w in kernels)
    ]
    if slow:
        counted = "One convolution has" if len(slow) == 1 else f"{len(slow)} convolutions have"
        told.append(
            f"{counted} fewer than 8 bits and will be unpacked at every run, which usually makes the file slower than "
            "float32; set convolutions to int8 where speed matters."
        )
    return tuple(told)


def verified(file: FloatFile, result: Quantized, examples: Sequence[Sequence[np.ndarray]], mode: str) -> dict[str, Any]:
    """Figures on how close a quantized file comes to its model.

    Raises:
        ConversionWrong: It answers in another shape, not finitely, or the same to everything.
    """
    from optimizers.litert.operators import operators
    from optimizers.tf import verify

    found, _ = verify.against_model(file.model, result.file, mode, [list(example) for example in examples])
    return {**found, "operators": dict(sorted(operators(result.file).items()))}


def report(
    main: str, file: FloatFile, result: Quantized, skipped: Mapping[str, str], found: Mapping[str, Any]
) -> StageReport:
    """The report of a stage that stored kernels in fewer bits.

    Args:
        main: Name of the file.
        file, result: Before and after.
        skipped: Layers left alone, and why.
        found: Further figures.
    """
    widths = [(_bits(w, result.plan), w.values.size) for kernels in file.kernels.values() for w in kernels]
    return StageReport(
        main,
        skipped=skipped,
        notes=(*notes(file, result.plan), *result.notes),
        figures={
            "layers": figures(file, result.plan),
            "mean_bits": sum(b * n for b, n in widths) / sum(n for _, n in widths),
            "size_bytes": len(result.file),
            **found,
        },
    )
