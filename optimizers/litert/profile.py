"""Times every operator of LiteRT files by itself, in turn with the whole files.

Neither LiteRT for Python nor the benchmark that comes with it tells the time of operators. Each operator is cut out
(`optimizers.litert.slices`), fed what it gets inside the model, and invoked; a call of a file without operators is
subtracted, and of an operator that the delegate takes also what a call of the delegate costs, since it takes
neighbours in one call. What is left out that way is the effect of neighbours on each other, such as caches, so the sum
is compared with the whole and the difference is told.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from time import perf_counter_ns
from typing import Any

import numpy as np

from optimizers.datasets.several import arrays_of
from optimizers.errors import NotApplicable
from optimizers.litert import strain
from optimizers.litert.delegation import Delegation, delegation
from optimizers.litert.interpreter import inputs, load, quantized
from optimizers.litert.operators import CASTS
from optimizers.litert.slices import Cutter, Slice, smallest
from optimizers.litert.stopwatch import Stopwatch

_SHORTEST_RUN_NS = 50_000
_WARM_UP_RUNS = 5
_AGAIN_WARM = 5
_MIN_ROUNDS, _MAX_ROUNDS = 20, 400
_BATCHES = 10
_CALLS = 200


@dataclass(frozen=True)
class Piece:
    """One operator.

    Attributes:
        number: Place in the order of computation.
        kind: As the schema names it.
        names: Of the tensors that it gives.
        delegated: Whether the CPU delegate computes it.
        floating: Whether it computes with floating point numbers.
        at_load: It unpacks constants once, when the file is loaded; its times are zero.
        ms: Milliseconds without the cost of calls, shape (rounds,); empty where it cannot be run by itself. May come
            out below zero for what takes hardly any time.
        problem: Why not.
    """

    number: int
    kind: str
    names: tuple[str, ...]
    delegated: bool
    floating: bool
    at_load: bool
    ms: np.ndarray
    problem: str = ""


@dataclass(frozen=True)
class Profile:
    """One file. All times are milliseconds of the same rounds, shape (rounds,).

    ``call_ms`` is a call without operators, ``delegate_ms`` what one call of the delegate adds.
    ``neighbours`` has for each conversion between types the operators before it and after it.
    """

    pieces: tuple[Piece, ...]
    whole_ms: np.ndarray
    call_ms: np.ndarray
    delegate_ms: np.ndarray
    delegation: Delegation
    neighbours: Mapping[int, tuple[tuple[int, ...], tuple[int, ...]]]


@dataclass(frozen=True)
class Estimate:
    """Milliseconds with a 95% interval."""

    value: float
    low: float
    high: float


def total(times: Sequence[np.ndarray]) -> Estimate:
    """The sum of medians over rounds.

    The interval is that of batch means: the rounds are split into ten stretches, and the spread of what each of them
    gives tells how far the whole may be off. Neighbouring rounds resemble each other; stretches hardly do.

    Args:
        times: One array for each summand, shape (rounds,); those without rounds are left out.

    Source: Law, "Simulation modeling and analysis", section 9.5.3 (batch means).
    """
    from scipy.stats import t

    known = [ms for ms in times if ms.size]
    if not known:
        return Estimate(0.0, 0.0, 0.0)
    stacked = np.stack(known)
    value = float(np.median(stacked, axis=1).sum())
    batches = np.array_split(stacked, min(_BATCHES, stacked.shape[1]), axis=1)
    sums = np.array([np.median(batch, axis=1).sum() for batch in batches])
    half = float(t.ppf(0.975, len(sums) - 1) * sums.std(ddof=1) / np.sqrt(len(sums)))
    return Estimate(value, value - half, value + half)


def profiles(
    files: Sequence[bytes],
    example: np.ndarray,
    *,
    threads: int = 1,
    seconds: float = 4.0,
    progress: Callable[[int, int], None] = lambda step, of: None,
) -> tuple[Profile, ...]:
    """Profiles of files, taken in turn in this process, so that whatever slows the machine down slows all.

    Args:
        files: ``.tflite`` files of one model.
        example: What goes in, shape (1, *input_shape) or with one field per input, real values.
        threads: CPU threads.
        seconds: Time after which no further round starts. A round times every file and every operator once, for at
            least 50 µs.
        progress: Told how far it is. What that takes is not counted.

    Raises:
        NotApplicable: LiteRT cannot run a file, or cannot run it without its delegate.
    """
    empty, adds = load(smallest(), threads), load(smallest(adds=True), threads)
    prepared = [_Prepared(content, example, threads) for content in files]
    timed = [empty, adds, *(interpreter for one in prepared for interpreter in one.interpreters)]
    repeats = [_warmed_up(interpreter) for interpreter in timed]
    rounds: list[list[float]] = []
    strains: list[float] = []
    watch = Stopwatch()
    tell = watch.stopped(progress)
    while len(rounds) < _MAX_ROUNDS:
        spent = watch.seconds()
        if spent >= seconds and len(rounds) >= _MIN_ROUNDS:
            break
        tell(min(99, int(100 * min(spent / seconds, 1.0))), 100)
        rounds.append([_run_ms(i, repeat) for i, repeat in zip(timed, repeats, strict=True)])
        strains.append(strain.measure())
    progress(100, 100)
    times = np.asarray(rounds)
    quiet = np.asarray(strains) <= strain.of_this_machine().limit(strains)
    if quiet.sum() >= _MIN_ROUNDS:  # those in which somebody else was at work on the same core do not count
        times = times[quiet]
    call, delegate = times[:, 0], times[:, 1] - times[:, 0]
    found, column = [], 2
    for one in prepared:
        width = len(one.interpreters)
        found.append(one.profile(call, delegate, times[:, column : column + width]))
        column += width
    return tuple(found)


def shortest_call_ms(threads: int = 1) -> float:
    """Milliseconds of a call of a file without operators, at best: no answer of any file can take less."""
    empty = load(smallest(), threads)
    return min(_run_ms(empty, _CALLS) for _ in range(_MIN_ROUNDS))


def values_inside(content: bytes, example: np.ndarray, threads: int = 1) -> Any:
    """An interpreter without delegate that answered one example and kept all tensors.

    Raises:
        NotApplicable: LiteRT cannot run the file without its delegate.
    """
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    try:
        interpreter = Interpreter(
            model_content=content,
            num_threads=threads,
            experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
            experimental_preserve_all_tensors=True,
        )
        interpreter.allocate_tensors()
        interpreter.reset_all_variables()
        for detail, value in zip(inputs(interpreter), arrays_of(example), strict=True):
            interpreter.set_tensor(detail["index"], quantized(value, detail))
        interpreter.invoke()
    except (RuntimeError, ValueError) as error:
        raise NotApplicable(
            "LiteRT cannot run this file without its CPU delegate, so its operators cannot be told apart.",
            detail=str(error),
        ) from error
    return interpreter


class _Prepared:
    """One file with an interpreter for the whole and one for each operator that is timed."""

    def __init__(self, content: bytes, example: np.ndarray, threads: int) -> None:
        self._cutter = Cutter(content)
        self._delegation = delegation(content, threads)
        whole = load(content, threads)
        for detail, value in zip(inputs(whole), arrays_of(example), strict=True):
            whole.set_tensor(detail["index"], quantized(value, detail))
        self.interpreters = [whole]
        self._columns: dict[int, int] = {}
        self._problems: dict[int, str] = {}
        inside = values_inside(content, example, threads)
        shapes = {int(d["index"]): d["shape"] for d in inside.get_tensor_details()}
        for number in range(len(self._cutter.kinds)):
            if number in self._cutter.at_load:
                continue
            try:
                piece = self._cutter.cut([number], shapes)
                interpreter = load(piece.content, threads)
                fill(interpreter, piece, inside)
                interpreter.invoke()
            except (NotApplicable, RuntimeError, ValueError) as error:
                self._problems[number] = error.message if isinstance(error, NotApplicable) else str(error)
                continue
            self._columns[number] = len(self.interpreters)
            self.interpreters.append(interpreter)

    def profile(self, call_ms: np.ndarray, delegate_ms: np.ndarray, times: np.ndarray) -> Profile:
        """The profile; ``times`` has one column per interpreter."""
        cutter = self._cutter

        def own(number: int) -> np.ndarray:
            if number not in self._columns:
                return np.empty(0)
            calls = call_ms + delegate_ms if number in self._delegation.operators else call_ms
            return np.asarray(times[:, self._columns[number]] - calls)

        pieces = tuple(
            Piece(
                number,
                kind,
                cutter.names(number),
                number in self._delegation.operators,
                number in cutter.floating,
                number in cutter.at_load,
                own(number),
                self._problems.get(number, ""),
            )
            for number, kind in enumerate(cutter.kinds)
        )
        casts = [number for number, kind in enumerate(cutter.kinds) if kind in CASTS]
        neighbours = {number: (cutter.writers(number), cutter.readers(number)) for number in casts}
        return Profile(pieces, times[:, 0], call_ms, delegate_ms, self._delegation, neighbours)


def fill(interpreter: Any, piece: Slice, inside: Any) -> None:
    """Gives a slice what it gets inside the model: the tensors of an interpreter from `values_inside`."""
    interpreter.reset_all_variables()
    for tensor in piece.inputs:
        interpreter.set_tensor(piece.places[tensor], inside.get_tensor(tensor))


def _warmed_up(interpreter: Any) -> int:
    """Number of invocations that make one run."""
    spent = []
    for _ in range(_WARM_UP_RUNS):
        started = perf_counter_ns()
        interpreter.invoke()
        spent.append(perf_counter_ns() - started)
    return max(1, ceil(_SHORTEST_RUN_NS / max(1.0, float(np.median(spent)))))


def _run_ms(interpreter: Any, repeat: int) -> float:
    for _ in range(_AGAIN_WARM):  # many others ran since, and took its place in the caches
        interpreter.invoke()
    started = perf_counter_ns()
    for _ in range(repeat):
        interpreter.invoke()
    return (perf_counter_ns() - started) / repeat / 1e6
