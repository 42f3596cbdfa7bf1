"""Times LiteRT files in turn, each time in a fresh process.

Run as ``python -m optimizers.litert.rounds``: it loads LiteRT but no file, and answers each line of JSON on standard
input with one on standard output, from a copy of itself that ends afterwards. Loading files again and again in one
process leaves its memory scattered, and a small int8 file then takes up to 20% longer than in a new process; a device
that starts a program sees the latter.
"""

from __future__ import annotations

import ctypes
import json
import mmap
import os
import random
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, inf
from pathlib import Path
from time import perf_counter_ns
from typing import Any

import numpy as np

from optimizers.datasets.several import arrays_of
from optimizers.errors import NotApplicable, from_dict
from optimizers.litert import strain
from optimizers.litert.interpreter import inputs, load, quantized

_WARM_UP_NS = 5_000_000
_WARM_UP_RUNS = 5
_FEWEST_RUNS = 8
_SHORTEST_RUN_NS = 50_000
_SHORTEST_TURN_NS, _LONGEST_TURN_NS = 5_000_000, 50_000_000
"""When its turn begins, a file finds the caches full of the other one's weights: run by run, one of 1.5 MB took 8%
longer than by itself. In a turn of some milliseconds most runs find its own."""
_STATUS = Path("/proc/self/status")
_BATCH = 32
_PATIENCE_NS = 100_000_000
"""For which a turn waits until nobody else is at work on the same core. What disturbs lasts milliseconds or many
seconds: the former is worth waiting for, and of the latter another process finds the end."""
_ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Resident:
    """Resident memory of a process that loads a file and runs it once, in bytes.

    Attributes:
        peak: The highest, with Python, LiteRT and their code.
        added: How much of it is not there before the file is loaded. Pages of programs' code are not counted, which are
            read when something runs for the first time, whatever the file: what remains are the file itself, which is
            read into memory, weights unpacked or packed anew, activations, and the interpreter's own bookkeeping.
    """

    peak: int
    added: int


class Rounds:
    """Gives one round after the other; each takes place in a process of its own.

    Args:
        files: ``.tflite`` files.
        example: What goes in, shape (1, *input_shape) or with one field per input, real values; random values in range
            where there is none.
    """

    def __init__(self, files: Sequence[Path], example: np.ndarray | None = None) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="paretoscope-rounds-")
        self._files = [str(Path(file).resolve()) for file in files]
        self._example = ""
        if example is not None:
            self._example = str(Path(self._folder.name) / "example.npy")
            np.save(self._example, example, allow_pickle=False)
        self._server = subprocess.Popen(
            [sys.executable, "-m", "optimizers.litert.rounds"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=_ROOT,
            env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},  # the probes' matrices need no threads
        )
        self.strain = 1.0
        """Of the last round, see `optimizers.litert.strain`: the median of probes between its turns."""

    @property
    def process(self) -> int:
        """Id of the process whose copies take the times."""
        return self._server.pid

    def __enter__(self) -> Rounds:
        return self

    def __exit__(self, *problem: object) -> None:
        self._server.communicate()
        self._folder.cleanup()

    def round(
        self,
        *,
        threads: int,
        batch: int,
        seconds: float,
        backwards: bool,
        files: Sequence[int] | None = None,
        stretch: float = 1.0,
        calm: float = inf,
    ) -> list[np.ndarray]:
        """Milliseconds per run of each file, all of the same length, taken in turn forwards and backwards (A B B A …).

        A turn is as many runs in a row as take the fastest file 5 ms, or the slowest one 50 ms if that is fewer.

        Args:
            threads: CPU threads of the interpreters.
            batch: Examples in one run.
            seconds: Time after which no further turn starts, warm-up not counted; there are always two.
            backwards: Load and time the files in the opposite order.
            files: Numbers of those that take part, in order; all of them if left out.
            stretch: Times as long as ``seconds`` it may take until a slow file has eight runs.
            calm: The highest strain of an undisturbed machine. A turn waits for it, 0.1 s at most; not at all if left
                out.

        Raises:
            NotApplicable: LiteRT cannot run one of the files, or not with that batch.
        """
        chosen = self._files if files is None else [self._files[number] for number in files]
        told = self._ask(
            files=chosen,
            threads=threads,
            batch=batch,
            seconds=seconds,
            backwards=backwards,
            stretch=stretch,
            calm=min(calm, sys.float_info.max),  # JSON knows no infinity
        )
        self.strain = float(told["strain"])
        return [np.asarray(times, np.float64) for times in told["times"]]

    def memory(self, file: int, *, threads: int, batch: int = 1) -> Resident:
        """Resident memory of one more process that runs a file once; ``file`` is its number.

        Raises:
            NotApplicable: As `round`; or the system does not tell peaks, as Linux does.
        """
        told = self._ask(file=self._files[file], threads=threads, batch=batch)
        return Resident(*told["memory"])

    def _ask(self, **asked: Any) -> dict[str, Any]:
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.write(json.dumps({"example": self._example} | asked) + "\n")
        self._server.stdin.flush()
        told = json.loads(self._server.stdout.readline() or '{"died": 0}')
        if "died" in told:
            raise NotApplicable("LiteRT crashed while it was running this file.", detail=f"signal {told['died']}")
        if "error" in told:
            raise from_dict(told["error"])
        return dict(told)


def prepared(file: Path, threads: int, example: np.ndarray | None, batch: int = 1) -> Any:
    """An interpreter whose inputs are set.

    Raises:
        NotApplicable: The file does not run, or not with that batch.
    """
    interpreter = load(file, threads)
    if batch > 1:
        try:
            for detail in inputs(interpreter):
                interpreter.resize_tensor_input(detail["index"], [batch, *map(int, detail["shape"][1:])], strict=False)
            interpreter.allocate_tensors()
        except (RuntimeError, ValueError) as error:
            raise NotApplicable(f"This file cannot take {batch} examples at once.", detail=str(error)) from error
    rng = np.random.default_rng(0)
    details = inputs(interpreter)
    given = [None] * len(details) if example is None else arrays_of(example)
    for detail, real in zip(details, given, strict=True):
        value = in_range(rng, detail) if real is None else np.repeat(quantized(real, detail), batch, axis=0)
        interpreter.set_tensor(detail["index"], value)
    return interpreter


def in_range(rng: np.random.Generator, detail: dict[str, Any]) -> np.ndarray:
    """Random values that an input may hold; unquantized integers are taken as indices, so only 0 and 1 are safe."""
    dtype, shape = np.dtype(detail["dtype"]), tuple(detail["shape"])
    if not np.issubdtype(dtype, np.integer):
        return rng.standard_normal(shape).astype(dtype)
    if detail["quantization"][0] == 0 and dtype.itemsize > 1:
        return rng.integers(0, 2, shape).astype(dtype)
    bounds = np.iinfo(dtype)
    return rng.integers(bounds.min, bounds.max, shape, dtype=dtype, endpoint=True)


def _warmed_up(interpreter: Any) -> tuple[int, float]:
    """Number of invocations that make one run, and nanoseconds of one run, found while the caches warm up."""
    spent: list[int] = []
    total = 0
    while total < _WARM_UP_NS or (len(spent) < _WARM_UP_RUNS and total < 40 * _WARM_UP_NS):
        started = perf_counter_ns()
        interpreter.invoke()
        spent.append(perf_counter_ns() - started)
        total += spent[-1]
    once = max(1.0, float(np.median(spent)))
    repeat = ceil(_SHORTEST_RUN_NS / once)
    return repeat, repeat * once


def runs_in_a_row(lengths: Sequence[float]) -> int:
    """How many runs make a turn, from the nanoseconds that each file takes for one."""
    return max(1, min(ceil(_SHORTEST_TURN_NS / min(lengths)), int(_LONGEST_TURN_NS / max(lengths))))


def _run_ms(interpreter: Any, repeat: int) -> float:
    started = perf_counter_ns()
    for _ in range(repeat):
        interpreter.invoke()
    return (perf_counter_ns() - started) / repeat / 1e6


def _taken(asked: dict[str, Any]) -> dict[str, Any]:
    """Times of each file, in this process, and how strained the machine was meanwhile."""
    example = np.load(asked["example"], allow_pickle=False) if asked["example"] else None
    order = list(range(len(asked["files"])))
    if asked["backwards"]:
        order.reverse()
    ready = {i: prepared(Path(asked["files"][i]), asked["threads"], example, asked["batch"]) for i in order}
    warm = {i: _warmed_up(ready[i]) for i in order}
    in_a_row = runs_in_a_row([length for _, length in warm.values()])
    times: list[list[float]] = [[] for _ in order]
    strains: list[float] = []
    spent = 0
    while _goes_on(len(times[0]), in_a_row, spent / 1e9 / asked["seconds"], asked["stretch"]):
        _until_calm(asked["calm"])
        started = perf_counter_ns()
        for i in order:
            times[i] += [_run_ms(ready[i], warm[i][0]) for _ in range(in_a_row)]
        order.reverse()
        strains.append(strain.measure())
        spent += perf_counter_ns() - started
    return {"times": times, "strain": float(np.median(strains))}


def _until_calm(limit: float) -> None:
    """Waits until nobody disturbs, or patience has come to an end."""
    started = perf_counter_ns()
    while strain.measure() > limit and perf_counter_ns() - started < _PATIENCE_NS:
        pass


def _goes_on(runs: int, in_a_row: int, share: float, stretch: float) -> bool:
    """Whether another turn starts, after so many runs of each file and that share of the seconds asked for."""
    return runs < 2 * in_a_row or share < 1 or (runs < _FEWEST_RUNS and share < stretch)


def _remembered(asked: dict[str, Any]) -> tuple[int, int]:
    """What `Resident` holds, of this process, which starts with the memory of the one that it is a copy of."""
    if not _STATUS.exists():
        raise NotApplicable("The peak of resident memory is read from /proc, which only Linux has.")
    example = np.load(asked["example"], allow_pickle=False) if asked["example"] else None
    kept = _shuffled_counters()
    before, code = _resident("VmRSS"), _resident("RssFile")
    prepared(Path(asked["file"]), asked["threads"], example, asked["batch"]).invoke()
    peak = _resident("VmHWM")
    added = peak - before - (_resident("RssFile") - code)
    del kept
    return peak, max(0, added)


def _shuffled_counters() -> tuple[mmap.mmap, mmap.mmap]:
    """Makes the error of this process's peak independent of that of other copies; what is returned has to be kept.

    The kernel adds up pages of memory in batches of 32 for each processor, and what is not yet added up, up to some
    hundred KB, is missing in a peak. Copies of one process have the same error, and six that agreed to 0.1% were 4% off
    those of the next process. Some pages more or less, of memory and of a file, make it a different one in each copy.
    Memory that the interpreter of Python has freed goes back first, or LiteRT would use it, and it would not be added.
    """
    if hasattr(libc := ctypes.CDLL(None), "malloc_trim"):  # not in every C library
        libc.malloc_trim(0)
    count, chance = 2 * _BATCH, random.SystemRandom()
    memory = mmap.mmap(-1, count * mmap.PAGESIZE)
    for page in range(chance.randrange(count)):
        memory[page * mmap.PAGESIZE] = 1
    large = max(Path(np.__file__).parent.rglob("*.so"), key=lambda path: path.stat().st_size)
    with large.open("rb") as file:
        code = mmap.mmap(file.fileno(), count * mmap.PAGESIZE, prot=mmap.PROT_READ)
    code.madvise(mmap.MADV_RANDOM)  # no neighbours along with a page
    for page in range(chance.randrange(count)):
        code[page * mmap.PAGESIZE]
    return memory, code


def _resident(name: str) -> int:
    """A figure of this process in bytes: ``VmRSS`` is resident memory, ``RssFile`` its code, ``VmHWM`` the highest."""
    lines = _STATUS.read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))


def _answer(line: str) -> str:
    asked = json.loads(line)
    try:
        return json.dumps({"memory": _remembered(asked)} if "file" in asked else _taken(asked))
    except NotApplicable as error:
        return json.dumps({"error": error.to_dict()})


def main() -> None:
    """Answers until standard input ends. Nothing is ever loaded here, only in the copies."""
    import ai_edge_litert.interpreter  # noqa: F401  (once, for all copies)

    for line in sys.stdin:
        reading, writing = os.pipe()
        copy = os.fork()
        if copy == 0:
            os.close(reading)
            with os.fdopen(writing, "w", encoding="utf-8") as pipe:
                pipe.write(_answer(line))
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading, encoding="utf-8") as pipe:
            told = pipe.read()
        _, status = os.waitpid(copy, 0)
        code = os.waitstatus_to_exitcode(status)
        print(told if code == 0 else json.dumps({"died": -code}), flush=True)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    main()
