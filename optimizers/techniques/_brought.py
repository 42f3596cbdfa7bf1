"""Conversions of a ``.tflite`` file that was brought: taken as it is, or its kernels stored in fewer bits."""

from __future__ import annotations

from typing import Literal

from optimizers.declarations import Rehearsal, StageContext, StageReport
from optimizers.litert import edge_quantizer
from optimizers.litert.edge_quantizer import Key, Per, Storage
from optimizers.litert.file import LiteRtFile
from optimizers.litert.weights import StoredWeight
from optimizers.techniques import _low_bit
from optimizers.techniques._low_bit import FloatFile

Mode = Literal["float32", "float16", "dynamic_range"]
_AS_IT_IS = "The .tflite file is taken as it is, byte for byte."
_FEWEST_VALUES = 1024
"""Of kernels that are stored in 8 bits, as the converter has it."""
_EXAMPLES = 16


def stage(context: StageContext, mode: Mode, main: str, per: Per = "channel") -> StageReport:
    """Writes the file that was brought, or one with its float32 kernels in half precision or 8 bits.

    Raises:
        NotApplicable: No kernel is in float32, or the quantizer refuses the file.
        ConversionWrong: The new file answers in another shape, not finitely, or is off by more than its mode allows.
    """
    context.progress(0, 2)
    model = _low_bit.load(context)
    if mode == "float32":
        (context.out / main).write_bytes(model.content)
        context.progress(2, 2)
        return StageReport(main, notes=(_AS_IT_IS,), figures={"size_bytes": len(model.content)})
    file = _low_bit.float_file(model, "automatic", context.seed)
    plan, skipped = _planned(file, mode, per)
    examples = model.random_inputs(context.seed, _EXAMPLES)
    result = edge_quantizer.checked(file.content, file.weights, plan, examples)
    context.progress(1, 2)
    found = _low_bit.verified(file, result, examples, mode)
    (context.out / main).write_bytes(result.file)
    context.progress(2, 2)
    return _low_bit.report(main, file, result, skipped, found)


def rehearsed(model: LiteRtFile, mode: Mode, per: Per = "channel") -> Rehearsal:
    """The file as `stage` would leave it."""
    if mode == "float32":
        return Rehearsal(model, notes=(_AS_IT_IS,))
    file = _low_bit.float_file(model, "automatic", 0)
    plan, skipped = _planned(file, mode, per)
    return Rehearsal(_low_bit.after(file, plan), _low_bit.described(file, plan), skipped, _low_bit.bits(file, plan))


def _planned(file: FloatFile, mode: Mode, per: Per) -> tuple[dict[Key, Storage], dict[str, str]]:
    def wanted(name: str, weight: StoredWeight) -> Storage | str:
        if mode == "float16":
            return Storage(16)
        if weight.values.size < _FEWEST_VALUES:
            return f"it has fewer than {_FEWEST_VALUES:,} weights"
        return Storage(8, per, 0, integers=True)

    return _low_bit.planned(file, "", wanted)
