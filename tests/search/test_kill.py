"""kill -9 at random moments: no finished trial is lost or done again, and the search goes on to its end."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from optimizers.history.database import History
from optimizers.history.searches import Searches
from optimizers.settings import Settings
from tests.processes import end_with_parent
from tests.search.kill_target import TRIALS

ROOT = Path(__file__).parents[2]


def start(home):
    environment = {**os.environ, "PARETOSCOPE_HOME": str(home), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "tests.search.kill_target"]
    return subprocess.Popen(command, env=environment, cwd=ROOT, preexec_fn=end_with_parent)


def finished(settings):
    """Finished trials by number, of the only search there may be."""
    if not (settings.home / "history.db").exists():
        return {}
    history = History(settings.history_url)
    searches = Searches(history)
    found = {t.number: t for s in searches.studies() for t in searches.trials(s.id) if t.state == "done"}
    history.close()
    return found


@pytest.mark.parametrize("kills", [1, pytest.param(12, marks=pytest.mark.slow)])
def test_a_search_that_is_killed_goes_on_and_loses_nothing(tmp_path, kills):
    settings = Settings(home=tmp_path / "home")
    random.seed(kills)
    before = {}
    for _ in range(kills):
        process = start(settings.home)
        time.sleep(random.uniform(1.5, 6.0))
        process.kill()
        process.wait()
        after = finished(settings)
        assert {number: after.get(number) for number in before} == before
        before = after
    assert start(settings.home).wait(300) == 0
    history = History(settings.history_url)
    searches = Searches(history)
    (study,) = searches.studies()
    trials = searches.trials(study.id)
    runs = history.runs(study=study.id)
    history.close()
    assert (study.state, study.problem) == ("done", "")
    assert [t.number for t in trials] == list(range(TRIALS))
    assert {t.state for t in trials} == {"done"}
    assert len({t.recipe for t in trials}) == TRIALS
    assert {number: trials[number] for number in before} == before
    assert sorted(r.recipe for r in runs) == sorted(t.recipe for t in trials)
    assert {r.state for r in runs} == {"done"}
