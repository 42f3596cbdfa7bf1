"""The ways to store each layer, what each of them costs and loses, and the choice among them within a size."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil, inf, isfinite, prod
from typing import Any

import numpy as np

from optimizers.datasets.several import one_by_one
from optimizers.declarations import StageContext
from optimizers.errors import NotApplicable
from optimizers.litert import edge_quantizer
from optimizers.litert.edge_quantizer import Key, Storage
from optimizers.litert.file import LiteRtFile
from optimizers.litert.interpreter import predict
from optimizers.techniques import _low_bit
from optimizers.techniques._allocation import Option, allocate
from optimizers.techniques._low_bit import FloatFile
from optimizers.techniques._training import TrainingParams

ENOUGH = "it stays in float32, the target is met without it"
_FEWEST_EXAMPLES = 64
_MOST_MACS = 1e12
_PROBES = 16
_ROUNDS = 20
_WORTH_IT = 0.9
_SMALLEST = 1e-7


@dataclass(frozen=True)
class Choice:
    """One way to store a layer, and what this alone does to the file.

    Attributes:
        plan: How its kernels are stored; none where they stay in float32.
        bytes: By how much the file grows, below zero if it shrinks.
        damage: How far the file's answers are from those of the float32 file, as `Probe.divergence` measures it.
        rise: By how much the loss rises; on a finite sample it may fall by luck.
    """

    plan: Mapping[Key, Storage]
    bytes: int = 0
    damage: float = 0.0
    rise: float = 0.0


Choices = dict[str, list[Choice]]
"""By layer, the first being float32, from the most to the fewest bytes."""


def ways(lowest: int, *, integers: bool) -> list[Storage]:
    """What is tried with every layer: half precision, then 8, 4 and 2 bits, down to the lowest."""
    found = [Storage(16)]
    for width in (8, 4, 2):
        if width >= lowest:
            found += [Storage(width, "channel", 0, integers), Storage(width, "tensor", 0, integers)]
    return found


def choices(file: FloatFile, layers: Iterable[str], tried: Sequence[Storage], *, least_in_convolutions: int) -> Choices:
    """Ways to store each layer that save bytes over the one before; nothing is measured yet.

    One scale per tensor is less precise than one per channel, so it is a choice only where it saves a tenth of the
    layer's bytes.
    """
    found: Choices = {}
    for name in layers:
        found[name] = [Choice({})]
        for way in tried:
            settled = {
                (w.subgraph, w.name): edge_quantizer.settled(w, held(w, way, least_in_convolutions))
                for w in file.kernels[name]
            }
            plan = {key: storage for key, storage in settled.items() if isinstance(storage, Storage)}
            now = _low_bit.planned_bytes(file, name, plan)
            then = _low_bit.planned_bytes(file, name, found[name][-1].plan)
            if now < then * (_WORTH_IT if way.per == "tensor" else 1):
                found[name].append(Choice(plan))
    return found


def held(weight: Any, way: Storage, least_in_convolutions: int) -> Storage:
    """What is wanted of a kernel, where convolutions may not have too few bits."""
    few = way.bits < least_in_convolutions and _low_bit.is_convolution(weight)
    return replace(way, bits=least_in_convolutions) if few else way


def without_integers(found: Choices) -> Choices:
    """The same choices with every kernel unpacked to floating point."""
    return {
        name: [Choice({key: replace(s, integers=False) for key, s in choice.plan.items()}) for choice in layer]
        for name, layer in found.items()
    }


def alike(found: Choices, width: int) -> dict[str, int]:
    """For each layer the number of its smallest choice with at least so many bits."""
    return {
        name: max(n for n, choice in enumerate(layer) if all(s.bits >= width for s in choice.plan.values()))
        for name, layer in found.items()
    }


def together(found: Choices, taken: Mapping[str, int]) -> dict[Key, Storage]:
    """The plan of the whole file, with the number of the choice for each layer."""
    return {key: storage for name, layer in found.items() for key, storage in layer[taken[name]].plan.items()}


def smallest(file: FloatFile, found: Choices, most: int, usual: int) -> dict[Key, Storage]:
    """The plan with every layer at its fewest bytes.

    Args:
        file, found: The float32 file, and the choices.
        most: Largest size that is allowed, in bytes.
        usual: Size of the float32 file that people compare with.

    Raises:
        NotApplicable: Even so the file is larger than allowed.
    """
    plan = together(found, {name: len(layer) - 1 for name, layer in found.items()})
    size = len(edge_quantizer.quantized(file.content, file.weights, plan))
    if size > most:
        raise _out_of_reach(file, found, size, most, usual)
    return plan


def _out_of_reach(file: FloatFile, found: Choices, size: int, most: int, usual: int) -> NotApplicable:
    least = ceil(100 * size / usual)
    left = [name for name in file.kernels if name not in found]
    which = f"all layers but {', '.join(left)}" if left else "all layers"
    told = f"No file of this model can be as small as {most:,} bytes: with {which} at the fewest bits it has {size:,}, "
    if least > 100:
        return NotApplicable(
            f"{told}{size / usual:.1f} times the float32 file, because the operators that it then needs take more room "
            "than its weights. Convert it to float32, or to full int8."
        )
    return NotApplicable(
        f"{told}{least}% of the float32 file. Set target to at least {least / 100:.2f}, or allow layers fewer bits."
    )


@dataclass(frozen=True)
class Probe:
    """Measures files on held-out examples.

    Attributes:
        x: Examples, shape (n, *input_shape) or with one field per input.
        rows: Some of them one by one, as a file takes them.
        part: Which part of the data they are from.
        loss: From a file's answers, shape (n, outputs), to their mean loss on the labels.
        output: What the answers mean: ``probabilities``, ``logits`` or ``values``.
        notes: Sentences.
        spread: What answers are divided by, shape (outputs,): where a model has several outputs how much each of them
            varies, so that none outweighs the others.
        things: Of how many things of an example a class is told, such as its labels or positions.
        judged: Which of them count, shape (n * things,), bool; all unless given.
    """

    x: np.ndarray
    rows: list[list[np.ndarray]]
    part: str
    loss: Callable[[np.ndarray], float]
    output: str
    notes: tuple[str, ...] = ()
    spread: np.ndarray | None = None
    things: int = 1
    judged: np.ndarray | None = None

    def answers(self, content: bytes) -> np.ndarray:
        """What a file answers in LiteRT, shape (n, outputs)."""
        found = predict(content, self.x).reshape(len(self.x), -1)
        return found if self.spread is None else found / self.spread

    def divergence(self, answers: np.ndarray, wanted: np.ndarray) -> float:
        """How far answers are from others: the mean Kullback-Leibler divergence, or squared difference of values.

        It is by how much the loss is expected to rise where the wanted answers tell the truth about the labels, without
        the luck of the few labels that there are.
        """
        if self.output == "values":
            return float(np.square(answers - wanted, dtype=np.float64).sum(axis=1).mean())
        got, want = self._probabilities(answers), self._probabilities(wanted)
        each = (want * np.log(want / got) - want + got).sum(axis=1)
        return float((each if self.judged is None else each[self.judged]).mean())

    def _probabilities(self, answers: np.ndarray) -> np.ndarray:
        """Shape (n * things, classes), two where there is one answer, none of them zero."""
        values = answers.astype(np.float64).reshape(len(answers) * self.things, -1)
        if self.output == "logits":
            values = np.concatenate([np.zeros_like(values), values], axis=1) if values.shape[1] == 1 else values
            values = np.exp(values - values.max(axis=1, keepdims=True))
            values /= values.sum(axis=1, keepdims=True)
        elif values.shape[1] == 1:
            values = np.concatenate([1 - values, values], axis=1)
        return np.maximum(values, _SMALLEST)


def probe(context: StageContext, model: Any, examples: int, measurements: int) -> Probe:
    """A probe on the validation part, or on the train part where that is empty.

    Args:
        context: Of the stage: data, and the seed that draws the examples.
        model: A tf_keras model or a `LiteRtFile`; it decides which loss suits the task.
        examples: How many, unless the model is so large that measuring would take hours.
        measurements: How many files will be measured.

    Raises:
        NotApplicable: The model's output does not suit the task.
    """
    from optimizers.tf import cost
    from optimizers.tf.heads import SumOfHeads, flat, heads
    from optimizers.tf.meanings import label_loss, meaning, things_of
    from optimizers.tf.objective import objective, output_of
    from optimizers.tf.outputs import each_activation, outputs

    data, brought = context.data(), isinstance(model, LiteRtFile)
    macs = model.macs if brought else cost.macs(model)
    dtypes = [np.float32 if brought else tensor.dtype.as_numpy_dtype for tensor in model.inputs]
    widths = [prod(tensor.shape[1:]) for tensor in model.outputs]

    def ask(x: np.ndarray) -> np.ndarray:
        return predict(model.content, x).reshape(len(x), -1) if brought else outputs(model, x)

    each = heads(model.activations if brought else each_activation(model), data, ask) if data.targets else ()
    if each:
        output, on_labels = "values", SumOfHeads(each)
    elif len(widths) > 1:
        output, on_labels = "values", label_loss("values", sum(widths), "regression")
    elif brought:
        output = meaning(model.activation, model.width, data, ask)
        on_labels = label_loss(output, model.width, data.task, things_of(data))
    else:
        output = output_of(model, data)
        on_labels = objective(model, context, TrainingParams(learn_from="labels")).loss
    part = "validation" if len(data.validation) else "train"
    pool = data.validation if part == "validation" else data.train
    affordable = int(_MOST_MACS / max(1, macs * measurements))
    wanted = min(examples, len(pool))
    count = min(wanted, max(_FEWEST_EXAMPLES, affordable))
    picks = np.sort(np.random.default_rng(context.seed).permutation(len(pool))[:count])
    x, y = pool.x[picks], pool.y[picks]
    spread = _spread(ask(x) if each else y, widths) if len(widths) > 1 else None
    if spread is None and data.task == "regression" and widths[0] > 1:  # R² is the mean over numbers, whatever units
        y = y.reshape(len(y), -1)
        spread = np.where(y.std(axis=0) > 0, y.std(axis=0), 1.0)
    y = flat(y, each) if each else (y if spread is None else y / spread).reshape(len(y), -1)
    rows = one_by_one(x[:_PROBES], dtypes)
    large = f"The model is large, so each layer was measured on {count} examples instead of {wanted}."

    def loss(answers: np.ndarray) -> float:
        told = answers * spread if each else answers
        return float(on_labels(y, told)) if np.isfinite(told).all() else inf

    things = 1 if output == "values" else things_of(data)
    judged = y.reshape(-1) >= 0 if things > 1 else None
    return Probe(x, rows, part, loss, output, (large,) if count < wanted else (), spread, things, judged)


def _spread(y: np.ndarray, widths: Sequence[int]) -> np.ndarray:
    """For each number of an answer by how much the output that it belongs to varies; 1 where it does not."""
    outputs = np.split(y, np.cumsum(widths)[:-1], axis=1)
    return np.concatenate([np.full(output.shape[1], float(output.std()) or 1.0) for output in outputs])


def measured(file: FloatFile, found: Choices, of: Probe, tick: Callable[[], None]) -> Choices:
    """The choices with what each of them alone does to the size of the file and to its answers.

    Choices with which the loss is no finite number are left out.

    Args:
        file, found: The float32 file, and the choices.
        of: What is measured on.
        tick: Called after each measurement.

    Raises:
        NotApplicable: The float32 file's loss is no finite number.
    """
    wanted = of.answers(file.content)
    before = of.loss(wanted)
    if not isfinite(before):
        raise NotApplicable(f"The model's loss on the {of.part} part is no finite number, so none can rise.")
    # written anew by the quantizer a file changes its size a little, once however many layers are changed
    plain = edge_quantizer.rewritten_bytes(file.content)
    told: Choices = {}
    for name, layer in found.items():
        told[name] = layer[:1]
        for choice in layer[1:]:
            content = edge_quantizer.quantized(file.content, file.weights, choice.plan)
            answers = of.answers(content)
            rise = of.loss(answers) - before
            if isfinite(rise):
                damage = of.divergence(answers, wanted)
                told[name].append(Choice(choice.plan, len(content) - plain, damage, rise))
            tick()
    return told


def best(file: FloatFile, found: Choices, most: int, usual: int) -> tuple[dict[str, int], int]:
    """For each layer the number of its choice with which the file loses least, and the size predicted for that file.

    Sizes add up but for how the file is padded, so the budget is lowered by what a file exceeds it.

    Args:
        file, found: The float32 file, and the measured choices.
        most: Largest size that is allowed, in bytes.
        usual: Size of the float32 file that people compare with.

    Raises:
        NotApplicable: No file is small enough.
    """
    options = {name: [Option(c.bytes, c.damage) for c in layer] for name, layer in found.items()}
    plain = edge_quantizer.rewritten_bytes(file.content)
    budget, size = most - plain, 0
    for _ in range(_ROUNDS):
        taken = allocate(options, budget)
        size = len(edge_quantizer.quantized(file.content, file.weights, together(found, taken)))
        if size <= most:
            return taken, plain + sum(found[name][number].bytes for name, number in taken.items())
        budget -= size - most
    raise _out_of_reach(file, found, size, most, usual)
