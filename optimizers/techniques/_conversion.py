"""What the techniques that end in a ``.tflite`` file share."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from optimizers.declarations import StageContext, StageReport
from optimizers.params import ParamSet, param

MAIN = "model.tflite"
_VERIFIED_EXAMPLES = 64
_RECURRENT_HELP = (
    "What becomes of LSTM, GRU and SimpleRNN: the fused cell or loop is smaller and unrolled steps are often faster, "
    "above all in 8 bits. Other models are not affected."
)
_GRANULARITY_HELP = (
    "One scale for each output channel is more precise; one per tensor keeps clustered weights clustered, so that "
    "the file compresses better."
)


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


def granularity_param() -> Any:
    """The parameter ``granularity``."""
    return param("per_channel", label="Weight scales", help=_GRANULARITY_HELP, advanced=True)


class FloatParams(ParamSet):
    """Of conversions that keep floating point weights."""

    recurrent: Literal["fused", "unrolled"] = recurrent_param("fused")


class DynamicRangeParams(ParamSet):
    """Of conversions that quantize weights only."""

    recurrent: Literal["fused", "unrolled"] = recurrent_param("fused")
    granularity: Literal["per_channel", "per_tensor"] = granularity_param()


def convert_stage(context: StageContext, mode: Any, **options: Any) -> StageReport:
    """Converts the stage's model without data and verifies it on random inputs in range.

    Args:
        context: Of the stage.
        mode, options: As `optimizers.tf.convert.convert` takes them.
    """
    from optimizers.tf import build, convert, shapes

    context.progress(0, 2)
    model = shapes.with_input_shape(build.load_working(context.source), context.input_shape)
    context.progress(1, 2)
    result = convert.convert(model, mode, seed=context.seed, **options)
    return _kept(context, result, 2)


def calibrated_stage(context: StageContext, mode: Any, samples: int, **options: Any) -> StageReport:
    """Converts with calibration on examples of the train part and verifies on examples of the validation part.

    Args:
        context: Of the stage.
        mode, options: As `optimizers.tf.convert.convert` takes them.
        samples: Calibration examples; all there are if the train part has fewer.
    """
    from optimizers.tf import build, convert, shapes

    context.progress(0, 3)
    data = context.data()
    rng = np.random.default_rng(context.seed)
    picks = np.sort(rng.permutation(len(data.train))[:samples])
    context.progress(1, 3)
    model = shapes.with_input_shape(build.load_working(context.source), context.input_shape)
    context.progress(2, 3)
    held_out = data.validation if len(data.validation) else data.train
    checked = np.sort(rng.permutation(len(held_out))[:_VERIFIED_EXAMPLES])
    result = convert.convert(
        model,
        mode,
        representative=data.train.x[picks],
        examples=held_out.x[checked],
        seed=context.seed,
        **options,
    )
    return _kept(context, result, 3, calibration_examples=len(picks))


def _kept(context: StageContext, result: Any, steps: int, **figures: Any) -> StageReport:
    (context.out / MAIN).write_bytes(result.file)
    context.progress(steps, steps)
    for note in result.notes:
        context.log(note)
    return StageReport(MAIN, notes=result.notes, figures={**result.figures, **figures})
