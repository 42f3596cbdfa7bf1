"""Whether timing repeats itself: the same pair again and again, a file against itself, and one that is truly slower.

With --short on the command line there are fewer repetitions and only one sample model; it then takes about two minutes.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np

from optimizers.engine.queue import JobQueue
from optimizers.engine.versions import device
from optimizers.litert.latency import Timing, time_in_turn
from optimizers.litert.ratio import PRECISION, verdict
from optimizers.models.sample import manifest
from optimizers.recipe import parse
from optimizers.settings import Settings

TITLE = "Latency repeats itself"
_SHORT = "--short" in sys.argv
_MODELS = ("digits_cnn",) if _SHORT else ("digits_cnn", "digits_resnet", "fashion_mobilenet")
_TIMES = 5
_AGAINST_ITSELF = 3 if _SHORT else 25
_SLOWER = 4 if _SHORT else 20
_ALTERNATIONS = 1 if _SHORT else 11
_TURN_SECONDS = 2.0
_TOOL_RUNS = 2000
_LAYERS, _MORE_LAYERS = 20, 22
_CROWDS, _CROWDED = (0, 1, 2, 4), 5

_BUSY = """import os
import numpy as np
a, owner = np.ones((256, 256), np.float32), os.getppid()
while os.getppid() == owner:
    b = a @ a
"""
_TOOL = """import sys
from ai_edge_litert.tools import benchmark_litert_model as tool
tool.round = lambda value, digits: value  # it would round to 10 microseconds
tool.main()
"""


@contextlib.contextmanager
def busy_cores(count: int = 1) -> Iterator[None]:
    """So many processes multiply matrices meanwhile."""
    one_thread = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
    processes = [subprocess.Popen([sys.executable, "-c", _BUSY], env=one_thread) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def sample_files() -> dict[str, tuple[Path, Path]]:
    """By sample model its int8 file and its float32 file."""
    queue = JobQueue(Settings())
    found = {}
    try:
        for name in _MODELS:
            (run,) = queue.submit(f"sample:{name}", manifest()[name].dataset, [parse("int8")])
            queue.wait([run.id])
            done = queue.history.run(run.id)
            artifacts = [queue.store.get(key) for key in (done.artifact_key, done.baseline_key)]
            assert artifacts[0] is not None, f"{name}: {done.failure}"
            assert artifacts[1] is not None
            found[name] = (queue.store.path(artifacts[0]), queue.store.path(artifacts[1]))
    finally:
        queue.close()
    return found


def made_files(folder: Path) -> tuple[Path, Path, Path]:
    """Float32 files of 20 and of 22 equal convolutions, whose time is theirs, and of one addition, which takes none."""
    os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tf_keras

    from optimizers.tf.convert import convert

    def written(name: str, shape: tuple[int, ...], layers: Sequence[Any]) -> Path:
        model = tf_keras.Sequential([tf_keras.layers.InputLayer(shape), *layers])
        path = folder / f"{name}.tflite"
        path.write_bytes(convert(model, "float32").file)
        return path

    def stacked(layers: int) -> Path:
        many = [tf_keras.layers.Conv2D(32, 3, padding="same", activation="relu") for _ in range(layers)]
        return written(f"{layers}", (16, 16, 32), many)

    tf_keras.utils.set_random_seed(0)
    return stacked(_LAYERS), stacked(_MORE_LAYERS), written("empty", (1,), [tf_keras.layers.Dense(1)])


def timed(file: Path, baseline: Path) -> tuple[Timing, float]:
    """A measurement as every run makes it, and how many seconds it took."""
    started = monotonic()
    [found] = time_in_turn([file], baseline, seconds=Settings().timing_seconds)
    return found, monotonic() - started


def tool_ms(file: Path) -> float:
    """Median of ``litert-benchmark``, not rounded."""
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "result.json"
        command = [sys.executable, "-c", _TOOL, "--model", str(file), "--num_runs", str(_TOOL_RUNS),
                   "--warmup_runs", "200", "--result_json", str(result)]  # fmt: skip
        subprocess.run(command, check=True, capture_output=True)
        return float(json.loads(result.read_text("utf-8"))["latency"]["median_ms"])


def repeated(pairs: dict[str, tuple[Path, Path]]) -> list[str]:
    """The same pair five times."""
    lines = [
        f"| pair | ratio, {_TIMES} times | spread | intervals that hold another's ratio | their width | seconds |",
        "|---|---|--:|--:|--:|--:|",
    ]
    held, asked, spreads = 0, 0, []
    for name, (file, baseline) in pairs.items():
        found = [timed(file, baseline) for _ in range(_TIMES)]
        ratios = [timing.ratio for timing, _ in found]
        values = np.array([ratio.value for ratio in ratios])
        holds = [a.low <= b.value <= a.high for i, a in enumerate(ratios) for j, b in enumerate(ratios) if i != j]
        held, asked = held + sum(holds), asked + len(holds)
        spreads.append(float(np.ptp(values) / np.median(values)))
        widths, seconds = [ratio.width for ratio in ratios], [spent for _, spent in found]
        lines.append(
            f"| {name} | {', '.join(f'{v:.3f}' for v in values)} | {100 * spreads[-1]:.1f}% "
            f"| {sum(holds)} of {len(holds)} | {100 * min(widths):.1f} to {100 * max(widths):.1f}% "
            f"| {min(seconds):.0f} to {max(seconds):.0f} |"
        )
    summary = (
        f"The ratio's spread (largest minus smallest, over the median) is at most {100 * max(spreads):.1f}%; an "
        f"interval holds the ratio of another measurement {held} of {asked} times ({100 * held / asked:.0f}%)."
    )
    return [summary, "", *lines]


def medians(file: Path) -> tuple[float, float]:
    """Our median and the one of ``litert-benchmark`` in milliseconds, measured in turn; the least of all turns.

    A virtual machine's speed goes up and down by a fifth within seconds, so single turns cannot agree, but both tools
    meet it at its fastest now and then.
    """
    ours, theirs = [], []
    for _ in range(_ALTERNATIONS):
        ours.append(float(np.median(time_in_turn([file], file, seconds=_TURN_SECONDS)[0].times_ms)))
        theirs.append(tool_ms(file))
    return min(ours), min(theirs)


def agreeing(files: dict[str, Path], empty: Path) -> list[str]:
    """Our median beside the one of ``litert-benchmark``, also without what a call costs more in the tool."""
    lines = [
        "| file | our median | `litert-benchmark` | difference | without the dearer call |",
        "|---|--:|--:|--:|--:|",
    ]
    least, least_of_tool = medians(empty)
    dearer = least_of_tool - least
    apart = []
    for name, file in files.items():
        own, other = medians(file)
        apart.append((own / other - 1, own / (other - dearer) - 1))
        lines.append(
            f"| {name} | {1e3 * own:.1f} µs | {1e3 * other:.1f} µs | {100 * apart[-1][0]:+.1f}% "
            f"| {100 * apart[-1][1]:+.1f}% |"
        )
    plain, fair = (sum(abs(pair[i]) <= 0.05 for pair in apart) for i in (0, 1))
    summary = (
        f"The least of {_ALTERNATIONS} medians each, taken in turn. "
        f"{plain} of {len(apart)} agree within 5% as they are, {fair} of {len(apart)} without the "
        f"{1e3 * dearer:.2f} µs that a call costs more in the tool: it reads the clock around every call and finds "
        f"signature and buffers by name, so for a file with one tiny operator it tells {1e3 * least_of_tool:.2f} µs "
        f"where we tell {1e3 * least:.2f} µs. Its figures, which it rounds to 10 µs, are taken before rounding."
    )
    return [summary, "", *lines]


def against_itself(files: dict[str, Path]) -> list[str]:
    """How often the same file twice is called indistinguishable."""
    lines = ["| file against itself | measurements | called indistinguishable | farthest ratio |", "|---|--:|--:|--:|"]
    same, asked = 0, 0
    for name, file in files.items():
        ratios = [timed(file, file)[0].ratio for _ in range(_AGAINST_ITSELF)]
        calls = sum(verdict(r.value, r.low, r.high) == "indistinguishable" for r in ratios)
        farthest = max((r.value for r in ratios), key=lambda value: abs(value - 1))
        same, asked = same + calls, asked + len(ratios)
        lines.append(f"| {name} | {len(ratios)} | {calls} | {farthest:.4f} |")
    return [f"A file against itself is called indistinguishable {same} of {asked} times.", "", *lines]


def slower(slow: Path, base: Path) -> list[str]:
    """Whether 10% more of the same work is found."""
    true = _LAYERS / _MORE_LAYERS
    ratios = [timed(slow, base)[0].ratio for _ in range(_SLOWER)]
    called = sum(verdict(r.value, r.low, r.high) == "slower" for r in ratios)
    holds = sum(r.low <= true <= r.high for r in ratios)
    values = [ratio.value for ratio in ratios]
    return [
        f"{_MORE_LAYERS} equal convolutions against {_LAYERS} are 10% more work, so the ratio should be {true:.3f}. It "
        f"was called slower {called} of {len(ratios)} times; the ratios were {min(values):.3f} to {max(values):.3f}, "
        f"and {holds} of {len(ratios)} intervals hold {true:.3f}.",
    ]


def crowded(pairs: dict[str, tuple[Path, Path]]) -> list[str]:
    """The same pairs beside more and more processes that take all they can get."""
    names = list(pairs)
    lines = ["| busy processes | cores that others kept busy | " + " | ".join(names) + " | seconds |",
             f"|--:|--:|{'---|' * len(names)}--:|"]  # fmt: skip
    alone: dict[str, list[Timing]] = {}
    held, asked = 0, 0
    for count in _CROWDS:
        with busy_cores(count):
            found = {name: [timed(*pair) for _ in range(_CROWDED)] for name, pair in pairs.items()}
        timings = {name: [timing for timing, _ in told] for name, told in found.items()}
        alone = alone or timings
        for name, own in timings.items():
            middle = float(np.median([timing.ratio.value for timing in alone[name]]))
            held += sum(t.ratio.low <= middle <= t.ratio.high for t in own)
            asked += len(own)
        others = [timing.others for own in timings.values() for timing in own if timing.others is not None]
        spent = [seconds for told in found.values() for _, seconds in told]
        cells = [", ".join(f"{timing.ratio.value:.3f}" for timing in timings[name]) for name in names]
        lines.append(
            f"| {count} | {np.median(others):.2f} | {' | '.join(cells)} | {min(spent):.0f} to {max(spent):.0f} |"
        )
    return [f"{held} of {asked} intervals hold the median ratio of the undisturbed machine.", "", *lines]


def lines() -> list[str]:
    """The tables."""
    load = [os.getloadavg()[0]]
    with tempfile.TemporaryDirectory() as folder:
        pairs = sample_files()
        few, more, empty = made_files(Path(folder))
        stack = f"{_LAYERS} convolutions, float32"
        kinds: Sequence[str] = ("int8", "float32")
        files = {
            f"{name}, {kind}": file for name, pair in pairs.items() for kind, file in zip(kinds, pair, strict=True)
        }
        with busy_cores():
            told = repeated({f"{name}, int8 to float32": pair for name, pair in pairs.items()} | {
                "22 to 20 convolutions": (more, few)
            })  # fmt: skip
            load.append(os.getloadavg()[0])
            itself = against_itself(
                {name: file for name, file in files.items() if "mobilenet" not in name} | {stack: few}
            )
            found = slower(more, few)
        many = crowded({f"{name}, int8 to float32": pair for name, pair in pairs.items()})
        agree = agreeing(files | {stack: few}, empty)
    load.append(os.getloadavg()[0])
    return [
        f"{device()}, one thread, one core kept busy with multiplying matrices; at most {Settings().timing_seconds:g} "
        f"seconds for each measurement, which ends when the interval is narrower than {100 * PRECISION:g}% of the "
        f"ratio. The load average of the machine was {min(load):.1f} to {max(load):.1f} meanwhile.",
        "", "**The same pair, again and again.** ", *told,
        "", "**A file against itself.** ", *itself,
        "", "**A file that is truly slower.** ", *found,
        "", "**Where others take the machine.** ", *many,
        "", "**Beside LiteRT's own tool**, with no core kept busy by us. ", *agree,
    ]  # fmt: skip
