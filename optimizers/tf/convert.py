"""From a tf_keras model to a LiteRT file at batch size 1, checked against the model before it is handed out."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np
import tensorflow as tf
import tf_keras
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from optimizers.datasets.several import one_by_one
from optimizers.errors import NotApplicable
from optimizers.litert import names, operators
from optimizers.litert.trial import loads
from optimizers.tf import keras3_only, levels, steps, verify
from optimizers.tf import recurrent as rnn
from optimizers.tf.outputs import answers

Mode = Literal["float32", "dynamic_range", "float16", "int8", "int16x8"]
Io = Literal["float32", "int8", "int16"]
Recurrent = Literal["fused", "unrolled"]
Granularity = Literal["per_channel", "per_tensor"]

_CALIBRATED = ("int8", "int16x8")
_IO = {"dynamic_range": ("float32",), "float16": ("float32",), "float32": ("float32",)} | {
    "int8": ("float32", "int8"),
    "int16x8": ("float32", "int16"),
}
_TYPES = {"int8": tf.int8, "int16": tf.int16}
_LARGE = 64 << 20
"""Bytes of weights beyond which they are handed to the converter as variables, not as constants of the graph."""


@dataclass(frozen=True)
class Conversion:
    """A verified file. ``figures`` are plain JSON and were all measured on ``file``; ``notes`` are sentences."""

    file: bytes
    figures: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def convert(
    model: Any,
    mode: Mode,
    *,
    representative: np.ndarray | None = None,
    io: Io = "float32",
    recurrent: Recurrent = "fused",
    granularity: Granularity = "per_channel",
    examples: np.ndarray | None = None,
    seed: int = 0,
    fake_quantize: Callable[[Any], Any] | None = None,
    reference: Any = None,
) -> Conversion:
    """A LiteRT file of a model, for one example at a time.

    The model is not changed. Recurrent layers become the fused cell or a loop, as the converter has it, or are unrolled
    into plain operators first.

    Args:
        model: A built tf_keras model whose dimensions, but for the batch, are all known.
        mode: How weights and activations are stored; ``int8`` and ``int16x8`` calibrate.
        representative: Calibration examples, shape (n, *input_shape) or with one field per input; needed by the modes
            that calibrate.
        io: Type of the file's inputs and outputs. With ``int8`` or ``int16`` no float operator is tolerated inside.
        recurrent: What becomes of LSTM, GRU and SimpleRNN layers.
        granularity: One scale per output channel, or one per weight tensor, which keeps clustered weights clustered.
        examples: Real examples to verify with, likewise; random ones in range where there are none.
        seed: For random examples.
        fake_quantize: Gives a model with fake quantization, whose ranges the file then has, from the model with its
            recurrent layers as they will be; layers must keep their names. What it leaves float is calibrated.
        reference: What the file's outputs are compared with; the model unless given.

    Raises:
        NotApplicable: The mode cannot be had for this model, or LiteRT cannot run the result.
        ConversionWrong: The file does not do what the model does.
    """
    if mode not in get_args(Mode) or io not in _IO[mode]:
        raise ValueError(f"No conversion to {mode!r} with {io!r} inputs and outputs.")
    if mode in _CALIBRATED and (representative is None or not len(representative)):
        raise NotApplicable(f"Conversion to {mode} needs calibration examples, and there are none.")
    check(model, mode, recurrent)
    given, specs = model, _specs(model)
    original = model if reference is None else reference
    if recurrent == "unrolled" and rnn.layers(model):
        model = rnn.unrolled(model)
    fused = bool(rnn.layers(model)) and not rnn.all_unrolled(model)
    stepping = any(isinstance(m, tf_keras.layers.RNN) and not m.unroll for m in model.submodules)
    if mode in _CALIBRATED and (stepping or keras3_only.loops(model)):
        _refuse_loops(model, specs, mode, fused)
    if fake_quantize is not None:
        model = fake_quantize(model)
    if model is not given:
        steps.shorten(rnn.layers(model))

    def run(strict: bool) -> bytes:
        return _run(model, specs, fused, mode, io, granularity, representative, strict)

    content = names.shortened(_with_fallback(run, mode, io))
    found = operators.operators(content)
    custom = sorted(name for name in found if name.startswith(("custom:", "FLEX")))
    if custom:
        raise NotApplicable(f"LiteRT alone cannot run these operators of the converted file: {', '.join(custom)}.")
    trouble = loads(content) if mode in _CALIBRATED else ""
    if trouble:
        told = next((words for place, words in _TROUBLES.items() if place in trouble), trouble)
        raise NotApplicable(f"The file converted to {mode} cannot be run: {told}.", detail=f"{trouble}, {dict(found)}")
    left, integer_only = operators.float_operators(content), operators.integer_only(content)
    if io != "float32" and not integer_only:
        named = f" ({', '.join(sorted(left))})" if left else ""
        raise NotApplicable(f"Some operators{named} stay in floating point, so the file is not fit for {io} hardware.")
    figures, notes = verify.against_model(original, content, mode, _probes(original, specs, examples, seed))
    figures |= {"operators": dict(sorted(found.items())), "integer_only": integer_only}
    if mode in _CALIBRATED:
        figures["float_operators"] = dict(sorted(left.items()))
    lost = levels.lost_columns(representative) if mode == "int8" and representative is not None else ()
    return Conversion(content, figures, (*_remarks(content, mode, left, fused), *lost, *notes))


_TROUBLES = {
    "kernels/div.cc": "it divides by numbers that whole numbers round to 0, such as the sum of a mask or a range of "
    "values; dynamic_range and float16 divide in floating point",
}
"""What LiteRT means, by where it stops."""


def check(model: Any, mode: Mode, recurrent: Recurrent) -> None:
    """Raises `NotApplicable` where the model's structure alone rules a mode out."""
    if mode not in _CALIBRATED:
        return
    if recurrent == "unrolled" or not rnn.layers(model) or rnn.all_unrolled(model):
        return
    if mode == "int16x8":
        raise NotApplicable(
            "A recurrent layer has no int16x8 version unless it is unrolled; set recurrent to 'unrolled'."
        )
    if len(model.inputs) > 1:  # the converter fails, or sets ranges with which the file answers wrongly
        raise NotApplicable(
            f"In a model with several inputs a recurrent layer has no {mode} version unless it is unrolled; set "
            "recurrent to 'unrolled'."
        )


def _remarks(content: bytes, mode: Mode, left: Mapping[str, int], fused: bool) -> tuple[str, ...]:
    if mode in _CALIBRATED and left:
        return (f"These operators have no {mode} version here and stay in floating point: {', '.join(sorted(left))}.",)
    if mode == "dynamic_range" and not operators.tensor_types(content)["INT8"]:
        fused_too = ", and so does a fused LSTM with one such matrix; unrolled it is quantized" if fused else ""
        return (f"No weight was quantized: tensors under 1024 values stay in float{fused_too}.",)
    return ()


def _specs(model: Any) -> list[tf.TensorSpec]:
    specs = []
    for position, tensor in enumerate(model.inputs):
        shape = tuple(tensor.shape[1:])
        if None in shape:
            shown = ", ".join("any" if d is None else str(d) for d in shape)
            raise NotApplicable(
                f"Input {tensor.name!r} has an open dimension ({shown}); a LiteRT file needs fixed ones."
            )
        specs.append(tf.TensorSpec([1, *shape], tensor.dtype, name=_numbered("input", position, len(model.inputs))))
    return specs


def _numbered(what: str, position: int, count: int) -> str:
    """A name that sorts by its number: with variables the converter sorts inputs and outputs by name."""
    return f"{what}_{position:0{len(str(count - 1))}}"


def _concrete(model: Any, specs: list[tf.TensorSpec]) -> Any:
    def call(*x: Any) -> Any:
        found = answers(model, x)
        if len(found) == 1:
            return found[0]
        return {_numbered("output", number, len(found)): tensor for number, tensor in enumerate(found)}

    return tf.function(call, autograph=False).get_concrete_function(*specs)


def _run(
    model: Any,
    specs: list[tf.TensorSpec],
    fused: bool,
    mode: Mode,
    io: Io,
    granularity: Granularity,
    representative: np.ndarray | None,
    strict: bool,
) -> bytes:
    """The converter's result.

    Fused cells keep their variables: frozen, an LSTM is no longer recognised. So do large models: constants of a graph
    are copied over and over, and take 24 times their bytes at the peak where variables take 8.
    """
    concrete = _concrete(model, specs)
    held = list(concrete.graph.variables)
    as_variables = fused or sum(each.dtype.size * each.shape.num_elements() for each in held) > _LARGE
    if as_variables:
        # the variables alone: handing over the model would trace and save every layer again, which takes seconds
        variables = tf.Module()
        variables.held = held
        converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], variables)
    else:
        converter = tf.lite.TFLiteConverter.from_concrete_functions([convert_variables_to_constants_v2(concrete)])
    if mode != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if mode == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if granularity == "per_tensor":
        converter._experimental_disable_per_channel = True
        converter._experimental_disable_per_channel_quantization_for_dense_layers = True
    if mode in _CALIBRATED:
        ops = tf.lite.OpsSet
        wanted = (
            ops.TFLITE_BUILTINS_INT8
            if mode == "int8"
            else ops.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
        )
        converter.target_spec.supported_ops = [wanted] if strict else [wanted, ops.TFLITE_BUILTINS]
        converter.representative_dataset = _calibration(representative, specs, by_name=as_variables)
        if io != "float32":
            converter.inference_input_type = converter.inference_output_type = _TYPES[io]
    return bytes(converter.convert())


def _calibration(
    examples: np.ndarray | None, specs: list[tf.TensorSpec], by_name: bool
) -> Callable[[], Iterator[list[np.ndarray] | dict[str, np.ndarray]]]:
    """Examples as the converter asks for them: by the names of inputs where the file has these, else in order."""
    assert examples is not None, "checked by convert()"
    rows = one_by_one(examples, [spec.dtype.as_numpy_dtype for spec in specs])
    named = [spec.name for spec in specs]
    return lambda: iter([dict(zip(named, row, strict=True)) for row in rows] if by_name else rows)


def _with_fallback(run: Callable[[bool], bytes], mode: Mode, io: Io) -> bytes:
    """Where an operator has no integer version it may stay float, unless inputs and outputs are to be integers."""
    try:
        return run(True)
    except Exception as error:
        reason = _refusal(error, mode)
        if mode not in _CALIBRATED or io != "float32" or reason.code == "unsupported-operators":
            raise reason from error
    try:
        return run(False)
    except Exception as error:
        raise _refusal(error, mode) from error


def _refusal(error: Exception, mode: Mode) -> NotApplicable:
    """The converter's complaint as one sentence; its own words are the detail."""
    if isinstance(error, NotApplicable):
        return error
    text = str(error)
    flex = sorted(set(re.findall(r"\btf\.([A-Z]\w+)", text)))
    if flex:
        return NotApplicable(
            f"LiteRT has no built-in operator for: {', '.join(flex)}.",
            code="unsupported-operators",
            detail=text[:20_000],
        )
    unquantizable = re.search(r"not yet supported for op: '(\w+)'", text)
    if unquantizable:
        return NotApplicable(f"The operator {unquantizable[1]} has no {mode} version.", detail=text[:20_000])
    return NotApplicable(
        f"The converter refused this model for {mode}.", detail=f"{type(error).__name__}: {text}"[:20_000]
    )


def _refuse_loops(model: Any, specs: list[tf.TensorSpec], mode: Mode, fused: bool) -> None:
    """Raises where a recurrent layer becomes a loop: calibrating one ends the process without a word."""
    try:
        content = _run(model, specs, fused, "float32", "float32", "per_channel", None, True)
    except Exception as error:
        raise _refusal(error, "float32") from error
    if operators.operators(content)["WHILE"]:
        layers = [module for module in model.submodules if isinstance(module, tf_keras.layers.RNN)]
        own = {type(layer).__name__ for layer in layers if not layer.unroll}
        kinds = ", ".join(sorted({*own, *keras3_only.loops(model)}))
        way_out = "; set recurrent to 'unrolled'" if fused else ""
        raise NotApplicable(f"A recurrent layer ({kinds}) becomes a loop, which {mode} cannot have{way_out}.")


def _probes(model: Any, specs: list[tf.TensorSpec], examples: np.ndarray | None, seed: int) -> list[list[np.ndarray]]:
    if examples is not None:
        return one_by_one(examples, [spec.dtype.as_numpy_dtype for spec in specs])
    return verify.random_inputs(model, seed)
