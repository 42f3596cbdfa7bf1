"""How long the server takes for each page, and for a click in Compare, when the history holds very many runs.

    python -m benchmarks.many_runs [RUNS]

Fills a history with that many finished runs of one visitor (10,000 unless told; 500 of them are compared where a click
is timed), opens every page as that visitor and prints the median of five times in milliseconds. Pages run in
Streamlit's own test harness, in one process, without a browser: what is timed is what the server does.
"""

from __future__ import annotations

import logging
import os
import statistics
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

APP = Path(__file__).parents[1] / "app.py"
_REPEATS = 5
_COMPARED = 500
_LINKED = 12
_RECIPES = (
    "int8",
    "float16",
    "dynamic_range",
    "magnitude_pruning+int8",
    "weight_clustering+int8",
    "structured_pruning",
)


def main(count: int) -> None:
    logging.disable(logging.WARNING)
    home = Path(tempfile.mkdtemp(prefix="paretoscope-"))
    os.environ["PARETOSCOPE_HOME"] = str(home)
    from optimizers.engine.queue import JobQueue
    from optimizers.settings import Settings
    from pages.components import queue as shared
    from serving.warming import warm
    from tests.engine.fake_executor import FakeExecutor

    warm()  # as the server does when it starts
    queue = JobQueue(Settings(), FakeExecutor(Settings()))
    shared.job_queue = lambda: queue  # type: ignore[assignment]
    token, ids, real = fill(queue, count)
    print(f"{count:,} runs, {sum(f.stat().st_size for f in home.glob('history.db*')) / 1e6:.0f} MB of history")
    model = {"model": "sample:digits_cnn", "data": "sample:optdigits"}
    few = {"runs": ",".join(ids[:_LINKED])}
    visits = {"start": {}, "model": model, "optimize": model, "search": model, "runs": {}}
    visits |= dict.fromkeys(("compare", "inspect", "deploy", "device", "report"), few) | {"race": {"runs": real}}
    print("\n| page | first visit, ms | again, ms |\n|---|--:|--:|")
    for page, params in visits.items():
        first, again = timed(page, token, params)
        print(f"| {page} | {first:.0f} | {again:.0f} |", flush=True)
    first, again = timed("runs", token, {"q": "pruning int8"})
    print(f"| runs, searched | {first:.0f} | {again:.0f} |")
    click, drawn = clicked(queue, token, ids[:_COMPARED])
    print(f"\nA click among {_COMPARED} points: {click:.0f} ms, of which the chart itself takes {drawn:.0f} ms.")
    queue.close()


def fill(queue, count: int) -> tuple[str, list[str], str]:
    """A visitor's token, ids of finished runs that are theirs, newest first, and the id of one that has a file."""
    import numpy as np

    from optimizers import sessions
    from optimizers.recipe import parse
    from optimizers.records import Measurement

    token, random = sessions.new_token(), np.random.default_rng(0)
    scope = sessions.scope_of(token)
    (sample,) = queue.submit("sample:digits_cnn", "sample:optdigits", [parse("int8")])
    queue.wait([sample.id])
    sample = queue.history.run(sample.id)
    known = queue.history.measurements([sample.artifact_digest, sample.baseline_digest])
    runs, measured = [], []
    for number in range(count):
        digest, text = f"{number:064x}", _RECIPES[number % len(_RECIPES)]
        runs.append(
            sample.model_copy(
                update={
                    "id": f"run{number:06d}", "scope": scope, "recipe": text, "seed": number, "artifact_digest": digest,
                    "steps": tuple(step.record() for step in parse(text).steps),
                    "created_at": sample.created_at - timedelta(minutes=number),
                }
            )
        )  # fmt: skip
        for old in known:
            if old.artifact_digest == sample.artifact_digest:
                value = old.value * float(random.uniform(0.8, 1.0))
                measured.append(
                    Measurement(**{**old.__dict__, "artifact_digest": digest, "value": value, "scope": scope})
                )
    queue.history.add(runs)
    queue.history.record(measured)
    return token, [run.id for run in runs], sample.id


def timed(page: str, token: str, params: dict[str, str]) -> tuple[float, float]:
    """Milliseconds of a first visit, and the median of five more turns of the same visitor."""
    from streamlit.testing.v1 import AppTest

    app = AppTest.from_file(str(APP), default_timeout=300)
    app.session_state["session_token"] = token
    app.run()
    if page != "start":
        app.switch_page(f"pages/{page}.py")
    for name, value in params.items():
        app.query_params[name] = value
    started = time.perf_counter()
    app.run()
    first = time.perf_counter() - started
    assert not app.exception, (page, app.exception)
    again = []
    for _ in range(_REPEATS):
        started = time.perf_counter()
        app.run()
        again.append(time.perf_counter() - started)
    return 1000 * first, 1000 * statistics.median(again)


def clicked(queue, token: str, ids: list[str]) -> tuple[float, float]:
    """Milliseconds of a turn of Compare after another point was chosen, and of making the figure alone."""
    from streamlit.testing.v1 import AppTest

    from optimizers.figures.tradeoff import identity, tradeoff
    from optimizers.history.frames import comparison, headline
    from pages.components.links import CHOSEN

    frame = comparison(queue.history, ids)
    app = AppTest.from_file(str(APP), default_timeout=300)
    app.session_state["session_token"] = token
    app.run()
    app.switch_page("pages/compare.py")
    app.query_params["runs"] = ",".join(ids)
    app.run()
    times, drawn = [], []
    for number in range(_REPEATS):
        app.session_state[CHOSEN] = identity(frame.iloc[10 + number])
        started = time.perf_counter()
        app.run()
        times.append(time.perf_counter() - started)
        started = time.perf_counter()
        tradeoff(frame, "size_bytes", str(headline(frame)))
        drawn.append(time.perf_counter() - started)
    assert not app.exception, app.exception
    return 1000 * statistics.median(times), 1000 * statistics.median(drawn)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
