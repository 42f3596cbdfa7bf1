"""What the techniques that end in a ``.tflite`` file share."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from optimizers.declarations import Property, Rehearsal, StageContext, StageReport
from optimizers.errors import NotApplicable
from optimizers.litert.file import LiteRtFile, is_litert
from optimizers.params import ParamSet, param
from optimizers.techniques import _brought

MAIN = "model.tflite"
_VERIFIED_EXAMPLES = 64
_RECURRENT_HELP = (
    "What becomes of LSTM, GRU and SimpleRNN: the fused cell or loop is smaller and unrolled steps are often faster, "
    "above all in 8 bits. Other models are not affected."
)
_GRANULARITY_HELP = (
    "One scale for each output channel is more precise; one per tensor keeps clustered weights clustered. Auto takes "
    "the former, or where weights were clustered tries all and takes the file that compresses best."
)
_SHARED_HELP = " Shared is one for all channels of a kernel, with the factors of batch normalization apart."
_WEIGHT_SCALE = _BIAS_SCALE = 12
"""Bytes of a scale (4) and a zero point (8) of an output channel. Biases have them only where activations have."""
_WIDER_BIAS = 12
"""More bytes of a channel in ``int16x8``, whose biases have 64 bits."""
_RANGES_LOST = "The converter cannot take the trained ranges of this model, so they were set from examples instead."
_WORDS = {
    "per_channel": "one scale per channel",
    "per_tensor": "one scale per tensor",
    "shared": "one scale per kernel",
}


def recurrent_param(default: str) -> Any:
    """The parameter ``recurrent``."""
    return param(default, label="Recurrent layers", help=_RECURRENT_HELP, advanced=True)


def calibration_param() -> Any:
    """The parameter ``calibration_samples``."""
    return param(
        200,
        label="Calibration examples",
        help="Training examples that set the ranges of activations; more are safer and take longer.",
        low=10,
        high=5000,
        step=10,
    )


def granularity_param(*, shared: bool = False) -> Any:
    """The parameter ``granularity``."""
    told = _GRANULARITY_HELP + (_SHARED_HELP if shared else "")
    return param("auto", label="Weight scales", help=told, advanced=True)


class FloatParams(ParamSet):
    """Of conversions that keep floating point weights."""

    recurrent: Literal["fused", "unrolled"] = recurrent_param("fused")


class DynamicRangeParams(ParamSet):
    """Of conversions that quantize weights only."""

    recurrent: Literal["fused", "unrolled"] = recurrent_param("fused")
    granularity: Literal["auto", "per_channel", "per_tensor"] = granularity_param()


def candidates(granularity: str, held: frozenset[Property], possible: Sequence[str]) -> tuple[str, ...]:
    """The granularities to try, of which the one with the smaller compressed file is kept."""
    if granularity != "auto":
        return (granularity,)
    return tuple(possible) if "clusters" in held else ("per_channel",)


def convert_stage(
    context: StageContext, mode: Any, *, recurrent: Any, granularities: Sequence[str] = ("per_channel",)
) -> StageReport:
    """Converts the stage's model without data and verifies it on random inputs in range.

    A ``.tflite`` file that was brought is taken as it is, or its kernels are stored in fewer bits.

    Args:
        context: Of the stage.
        mode, recurrent: As `optimizers.tf.convert.convert` takes them.
        granularities: To try.
    """
    if is_litert(context.source):
        return _brought.stage(context, mode, MAIN, "tensor" if granularities[0] == "per_tensor" else "channel")
    from optimizers.tf import build, convert, shapes

    steps = 1 + len(granularities)
    context.progress(0, steps)
    model = shapes.with_input_shape(build.load_working(context.source), context.input_shape)
    context.progress(1, steps)

    def run(granularity: Any) -> Any:
        return convert.convert(model, mode, seed=context.seed, recurrent=recurrent, granularity=granularity)

    return _kept(context, model, mode, recurrent, granularities, run, 1)


def calibrated_stage(
    context: StageContext,
    mode: Any,
    samples: int,
    *,
    io: Any,
    recurrent: Any,
    granularities: Sequence[str] = ("per_channel",),
) -> StageReport:
    """Converts with calibration on examples of the train part and verifies on examples of the validation part.

    A model out of quantization-aware training keeps the ranges that were trained; only what stayed float in training is
    calibrated.

    Args:
        context: Of the stage.
        mode, io, recurrent: As `optimizers.tf.convert.convert` takes them.
        samples: Calibration examples; all there are if the train part has fewer.
        granularities: To try.
    """
    from optimizers.tf import build, convert, qat_files, shapes

    trained = qat_files.is_qat(context.source)
    if trained or "shared" in granularities:  # only then, since it loads the toolkit, which takes a second
        from optimizers.tf import qat
    if trained:
        granularities = _of_rest(granularities, qat_files.all_quantized(context.source))
    steps = 2 + len(granularities)
    context.progress(0, steps)
    data = context.data()
    rng = np.random.default_rng(context.seed)
    picks = np.sort(rng.permutation(len(data.train))[:samples])
    examples = data.train.x[picks]
    context.progress(1, steps)
    model = shapes.with_input_shape(build.load_working(context.source), context.input_shape)
    reference = qat.with_ranges(model, context.source) if trained else None
    context.progress(2, steps)
    held_out = data.validation if len(data.validation) else data.train
    checked = np.sort(rng.permutation(len(held_out))[:_VERIFIED_EXAMPLES])

    def converted(granularity: Any, fake_quantize: Callable[[Any], Any] | None) -> Any:
        return convert.convert(
            model, mode, representative=examples, examples=held_out.x[checked], seed=context.seed, io=io,
            recurrent=recurrent, granularity="per_tensor" if granularity == "shared" else granularity,
            fake_quantize=fake_quantize, reference=reference,
        )  # fmt: skip

    def run(granularity: Any) -> Any:
        if not trained:
            shared = granularity == "shared"
            return converted(granularity, (lambda flat: qat.calibrated(flat, examples)) if shared else None)
        try:
            return converted(granularity, lambda flat: qat.with_ranges(flat, context.source))
        except NotApplicable:
            result = converted(granularity, None)
            return replace(result, notes=(_RANGES_LOST, *result.notes))

    return _kept(context, model, mode, recurrent, granularities, run, 2, calibration_examples=len(picks))


def _of_rest(granularities: Sequence[str], nothing_left: bool) -> Sequence[str]:
    """What there is to try for the kernels that were not quantized in training; the others have their scales."""
    if nothing_left:
        return ("per_channel",)
    return [name for name in granularities if name != "shared"] or ("per_tensor",)


def rehearsed(
    model: Any,
    mode: Any,
    recurrent: Any,
    notes: tuple[str, ...] = (),
    *,
    granularities: Sequence[str] = ("per_channel",),
) -> Rehearsal:
    """What a conversion stores in how many bits, and with how many scales.

    Of several granularities the file has the one that compresses best: one scale per kernel, where that is among them.

    Raises:
        NotApplicable: The model's structure rules the mode out, or the converter or LiteRT refuse it.
    """
    if isinstance(model, LiteRtFile):
        return _brought.rehearsed(model, mode)
    from optimizers.tf import convert, draft, stored_bits

    convert.check(model, mode, recurrent)
    by_channel = set(granularities) == {"per_channel"}
    found = stored_bits.stored(model, mode, recurrent)
    made = draft.made(model, mode, recurrent, found.bits, "per_channel" if by_channel else "per_tensor")
    touched = {name: f"{bits:.3g} bits" for name, bits in found.bits.items()}
    single = frozenset[str]() if by_channel else frozenset(found.bits)
    activations = 0 if mode == "dynamic_range" else _BIAS_SCALE + (_WIDER_BIAS if mode == "int16x8" else 0)
    return Rehearsal(
        model,
        touched,
        found.skipped,
        found.bits,
        notes=notes,
        size=made.size if made else None,
        beside=made.beside if made else None,
        one_scale=single,
        channel_bytes=_WEIGHT_SCALE + activations,
    )


def _kept(
    context: StageContext,
    model: Any,
    mode: Any,
    recurrent: Any,
    granularities: Sequence[str],
    run: Callable[[str], Any],
    done: int,
    **figures: Any,
) -> StageReport:
    """The report of the candidate whose file compresses best, which is written."""
    from optimizers.tf import stored_bits

    results: dict[str, Any] = {}
    refusal: NotApplicable | None = None
    for number, granularity in enumerate(granularities, start=1):
        try:
            results[granularity] = run(granularity)
        except NotApplicable as error:
            refusal = refusal or error
        context.progress(done + number, done + len(granularities))
    if refusal and not results:
        raise refusal
    sizes = {name: len(gzip.compress(result.file, 9, mtime=0)) for name, result in results.items()}
    best = min(sizes, key=lambda name: sizes[name])
    result = results[best]
    notes = (*result.notes, *_compared(best, sizes))
    (context.out / MAIN).write_bytes(result.file)
    for note in notes:
        context.log(note)
    told = {"granularity": best, "compressed_bytes": sizes} if len(granularities) > 1 else {}
    skipped = stored_bits.stored(model, mode, recurrent).skipped
    return StageReport(MAIN, skipped=skipped, notes=notes, figures={**result.figures, **told, **figures})


def _compared(best: str, sizes: dict[str, int]) -> tuple[str, ...]:
    if len(sizes) < 2:
        return ()
    others = ", ".join(f"{size:,} bytes with {_WORDS[name]}" for name, size in sizes.items() if name != best)
    return (f"Took the file with {_WORDS[best]}: {sizes[best]:,} bytes compressed, against {others}.",)
