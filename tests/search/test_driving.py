"""Searches over an executor without TensorFlow: nothing is lost, repeated or seen that must not be."""

from __future__ import annotations

import time
from collections import Counter

import pytest

from optimizers import limits
from optimizers.engine.queue import JobQueue
from optimizers.errors import Cancelled, InvalidParameter, NotApplicable, UnknownName
from optimizers.forecast import Forecast
from optimizers.history.searches import Searches
from optimizers.qualifying import judge_row
from optimizers.search import goals
from optimizers.search.desk import Wish
from optimizers.search.foresight import broken_limits
from optimizers.search.records import Study, Trial
from optimizers.settings import Settings
from tests.engine.fake_executor import FakeExecutor
from tests.engine.waiting import wait_until
from tests.figures.conftest import comparison_row

MODEL, DATA = "sample:digits_cnn", "sample:optdigits"
FEW = ("magnitude_pruning", "int8", "float16", "dynamic_range")


class Counting(FakeExecutor):
    """Has measured accuracy on a thousand examples."""

    def evaluate(self, on_event, cancelled, **params):
        told = super().evaluate(on_event, cancelled, **params)
        for measurement in told["measurements"]:
            measurement["n"] = 1000
        return told


@pytest.fixture
def opened(tmp_path, monkeypatch):
    """Opens queues that share a home, each with an executor of its own; closes them all at the end."""
    monkeypatch.setenv("PARETOSCOPE_HOME", str(tmp_path / "home"))
    settings, queues = Settings(workers=2), []

    def open_queue(pause=0.0, executor=Counting, **options):
        queue = JobQueue(settings, executor(settings, pause), **options)
        queues.append(queue)
        return queue

    yield open_queue
    for queue in queues:
        queue.close()


def wish(**more):
    return Wish(**{"objectives": ("size_bytes", "accuracy"), "seconds": 600, "techniques": FEW, **more})


def searched(queue, **more):
    study = queue.searches.start(MODEL, DATA, wish(**more))
    assert queue.searches.wait(study.id, 60)
    return queue.searches.view(study.id)


def test_cheap_recipes_come_before_trainings_and_short_ones_before_full_ones(opened):
    queue = opened()
    view = searched(queue, most_trials=9)
    assert (view.study.state, view.study.problem, view.study.ended) == ("done", "", "trials")
    efforts = [trial.effort for trial in view.trials]
    assert efforts[:3] == ["none"] * 3
    assert "short" in efforts
    assert {t.promoted_from is not None for t in view.trials if t.effort == "full"} == {True}
    assert [t.number for t in view.trials] == list(range(9))
    assert len({t.recipe for t in view.trials}) == 9


def test_trials_are_measured_on_validation_data_and_only_the_winner_on_test_data(opened):
    queue = opened()
    view = searched(queue, most_trials=5, limits="accuracy>=-1pt")
    runs = {r.id: r for r in queue.history.runs(study=view.study.id)}
    assert {r.part for r in runs.values()} == {"validation"}
    assert set(view.certified) == {view.best.outcome.trial.number}
    final = view.certified[view.best.outcome.trial.number]
    assert (final.part, final.study, final.state) == ("test", "", "done")
    assert [r.id for r in queue.history.runs()] == [final.id]
    verdicts = queue.history.verdicts(final.dataset.digest)
    assert [(v.metric, v.budget) for v in verdicts] == [("accuracy", 1.0)]
    assert queue.searches.certify(view.study.id, view.best.outcome.trial.number).id == final.id


def test_nothing_is_timed_unless_speed_is_asked_for(opened):
    queue = opened()
    searched(queue, most_trials=2, limits="size<=1B")  # nothing keeps it, so nothing is certified
    assert queue.driver.executor.asked["time_latency"] == 0
    queue = opened()
    view = searched(queue, most_trials=2, objectives=("latency_ms", "accuracy"))
    assert queue.driver.executor.asked["time_latency"] > 0
    assert all(trial.timed_of for trial in view.trials)


def test_where_nothing_keeps_the_limits_the_nearest_miss_is_named_with_what_is_missing(opened):
    view = searched(opened(), most_trials=3, limits="size<=1B")
    assert view.best.standing == "nearest miss"
    assert any("too much" in sentence for sentence in view.best.missing)
    assert view.certified == {}


class Collapsing(Counting):
    """Trains what never gets any better than chance."""

    def run_stage(self, on_event, cancelled, **params):
        def worse(event):
            on_event(event | {"step": 8, "metrics": {"loss": 1.0, "epoch": 9, "val_accuracy": 0.1}})

        training = params["technique"] == "magnitude_pruning"
        return super().run_stage(worse if training else on_event, cancelled, **params)


def test_a_training_far_from_its_limit_is_stopped(opened):
    view = searched(opened(pause=3.0, executor=Collapsing), most_trials=4, limits="accuracy>=-1pt", seconds=20)
    stopped = [trial for trial in view.trials if "Stopped late in its training" in trial.reason]
    assert stopped
    assert {trial.state for trial in stopped} == {"failed"}
    assert all("magnitude_pruning" in trial.recipe for trial in stopped)


class Unprunable(Counting):
    """Has a model that cannot be pruned."""

    def rehearse(self, on_event, cancelled, **params):
        if "magnitude_pruning" in [step["technique"] for step in params["steps"]]:
            self.count("refused")
            raise NotApplicable("This model has no layer to prune.")
        return super().rehearse(on_event, cancelled, **params)


def test_a_technique_that_cannot_work_is_asked_about_a_few_times_only(opened):
    queue = opened(executor=Unprunable)
    view = searched(queue, techniques=(*FEW, "weight_clustering"), most_trials=10)
    assert view.study.problem == ""
    assert sum(trial.state == "done" for trial in view.trials) == 10
    assert queue.driver.executor.asked["refused"] <= 4
    assert sum(trial.state == "rejected" for trial in view.trials) <= 4


class Foreseeing(Counting):
    """Foresees that one conversion is impossible, and that files after a training are large."""

    def rehearse(self, on_event, cancelled, **params):
        names = [step["technique"] for step in params["steps"]]
        size = 5000 if {"magnitude_pruning", "float16"} & {*names} else 50
        time.sleep(size / 1e5)
        if "float16" in names:
            raise NotApplicable("This model has no float16 form.")
        return Forecast(steps=(), size_bytes=size, compressed_bytes=size, parameters=1, macs=1).model_dump(mode="json")


def test_a_nearer_miss_is_made_once_nothing_seems_to_keep_the_limits(model_ref, data_ref):
    study = Study(
        id="s", scope="", model=model_ref, dataset=data_ref, objectives=("size_bytes",), limits="size<=1KB", seconds=60
    )
    file = Trial(study="s", number=0, params={}, recipe="int8", effort="none", state="done")
    row = comparison_row("int8", "a", "quantization", 0.95, 9000.0, 0.02)
    known = [goals.Outcome(file, row, judge_row(row, limits.parse("size<=1KB")), (9000.0,), 0.0)]
    out = [file.model_copy(update={"number": n, "state": "rejected"}) for n in range(1, 7)]

    def broken(size: int, trials: list[Trial]) -> dict[str, tuple[str, float]]:
        foreseen = Forecast(steps=(), size_bytes=size, compressed_bytes=size, parameters=1, macs=1)
        return broken_limits(study, foreseen, known, trials)

    assert broken(5000, out[:3])
    assert not broken(5000, out)
    assert broken(9000, out), "no nearer than what there is"


def test_what_the_forecast_rules_out_is_never_started(opened):
    queue = opened(executor=Foreseeing)
    view = searched(queue, limits="size<=1KB", techniques=("magnitude_pruning", "float16", "dynamic_range"))
    # Prunings differ in many ways, and all are too large.
    assert (view.study.state, view.study.ended) == ("done", "forecasts")
    states = Counter(trial.state for trial in view.trials)
    assert states["done"] >= 1
    assert states["rejected"] >= 1
    assert view.study.spent > 0.05 * (states["rejected"] - 1)  # looking ahead takes of the time, too
    reasons = {trial.reason for trial in view.trials if trial.state == "rejected"}
    assert any("File size would be about 5" in reason for reason in reasons)
    assert any("no float16 form" in reason for reason in reasons)
    assert queue.driver.executor.asked["float16"] == queue.driver.executor.asked["magnitude_pruning"] == 0


def test_a_search_can_be_paused_resumed_stopped_and_extended(opened):
    queue = opened(pause=0.3)
    study = queue.searches.start(MODEL, DATA, wish())
    wait_until(lambda: queue.searches.view(study.id).outcomes)
    queue.searches.pause(study.id)
    assert queue.searches.wait(study.id, 30)
    paused = queue.searches.view(study.id)
    assert paused.study.state == "paused"
    assert {trial.state for trial in paused.trials} <= {"done", "rejected"}
    queue.searches.go_on(study.id)
    wait_until(lambda: len(queue.searches.view(study.id).trials) > len(paused.trials))
    queue.searches.stop(study.id)
    assert queue.searches.wait(study.id, 30)
    stopped = queue.searches.view(study.id)
    assert stopped.study.state == "stopped"
    assert "running" not in {trial.state for trial in stopped.trials}
    assert stopped.certified == {}  # on demand only
    queue.searches.go_on(study.id, more_seconds=600)
    wait_until(lambda: len(queue.searches.view(study.id).outcomes) > len(stopped.outcomes) + 2)
    queue.searches.stop(study.id)
    again = queue.searches.view(study.id)
    assert again.trials[: len(paused.trials)] == paused.trials


def test_a_search_whose_process_ends_goes_on_in_the_next_one(opened):
    queue = opened(pause=0.4)
    study = queue.searches.start(MODEL, DATA, wish(most_trials=6))
    wait_until(lambda: len(queue.searches.view(study.id).outcomes) >= 2)
    before = {t.number: t for t in queue.searches.view(study.id).trials if t.state == "done"}
    queue.close()
    other = opened()
    assert other.searches.wait(study.id, 60)
    view = other.searches.view(study.id)
    assert view.study.state == "done"
    assert {n: t for n, t in ((t.number, t) for t in view.trials) if n in before} == before
    assert len({t.recipe for t in view.trials}) == len(view.trials) == 6
    assert {t.state for t in view.trials} == {"done"}
    assert len(other.history.runs(study=study.id)) == 6  # what was under way went on; nothing was asked for twice


def test_two_processes_never_drive_the_same_search(opened):
    queue = opened(pause=0.4)
    study = queue.searches.start(MODEL, DATA, wish(most_trials=4))
    wait_until(lambda: queue.searches.view(study.id).trials)
    other = opened()  # resumes what it finds
    assert queue.searches.wait(study.id, 60)
    assert len(other.history.runs(study=study.id)) == 4


def test_a_search_ends_when_its_time_is_over_and_keeps_what_it_found(opened):
    queue = opened(pause=0.5)
    view = searched(queue, seconds=8)
    assert view.study.state == "done"
    assert view.study.ended in ("", "dear"), "by its time, or since nothing would have ended in it"
    assert view.best is not None
    assert {trial.state for trial in view.trials} <= {"done", "cut"}


class Kept(Counting):
    """Has to wait for other work before the first step."""

    WAITS = 2.0

    def run_stage(self, on_event, cancelled, **params):
        if self.asked["waited"] == 0:
            self.count("waited")
            on_event({"type": "waiting", "why": "Somebody else is being timed."})
            time.sleep(self.WAITS)
            on_event({"type": "started"})
        return super().run_stage(on_event, cancelled, **params)


def test_waiting_for_other_work_is_not_charged(opened):
    queue, started = opened(executor=Kept, visited=False), time.monotonic()
    view = searched(queue, most_trials=1)
    assert queue.driver.executor.asked["waited"] == 1
    assert view.study.spent < time.monotonic() - started - 0.7 * Kept.WAITS


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"limits": "speeed>=2"}, "speeed"),
        ({"objectives": ("mae",)}, "no sense for classification"),
        ({"objectives": ("accuracy", "accuracy")}, "once"),
        ({"seconds": 0.5}, "5 seconds"),
        ({"most_trials": 0}, "at least 1"),
        ({"techniques": ("magnitude_pruning",)}, "no recipe is possible"),
    ],
)
def test_nonsense_is_refused_before_anything_begins(opened, given, words):
    queue = opened()
    with pytest.raises(InvalidParameter, match=words):
        queue.searches.start(MODEL, DATA, wish(**given))
    for bad in ({"board": "no such board"}, {"techniques": ("no_such",)}):
        with pytest.raises(UnknownName):
            queue.searches.start(MODEL, DATA, wish(**bad))
    assert queue.searches.studies() == []
    with pytest.raises(UnknownName, match="no search"):
        queue.searches.view("nobody")


def test_searches_are_listed_by_whose_they_are(opened):
    queue = opened()
    study = searched(queue, most_trials=1).study
    assert queue.searches.studies(["session:x"]) == []
    assert [s.id for s in queue.searches.studies(["session:x"], [study.id])] == [study.id]
    assert Searches(queue.history).update(study.id, only_from=("paused",), state="running") is None


def stopped(opened):
    """A queue and its search of two trials, both of which were cut."""
    queue = opened(pause=1.0)
    study = queue.searches.start(MODEL, DATA, wish(most_trials=2))
    wait_until(lambda: len([t for t in queue.searches.view(study.id).trials if t.run_id]) == 2)
    queue.searches.stop(study.id)
    assert queue.searches.wait(study.id, 60)
    return queue, study


def test_a_trial_that_was_cut_goes_on_once_and_counts_once(opened):
    queue, study = stopped(opened)
    cut = queue.searches.view(study.id).trials
    assert [t.state for t in cut] == ["cut", "cut"]
    queue.searches.go_on(study.id, more_trials=2)
    assert queue.searches.wait(study.id, 60)
    trials = queue.searches.view(study.id).trials
    assert [t.state for t in trials] == ["done"] * 4
    assert len({t.recipe for t in trials}) == 4


def test_trials_that_were_cut_go_on_also_where_no_new_ones_are_allowed(opened):
    queue, study = stopped(opened)
    queue.searches.go_on(study.id)
    assert queue.searches.wait(study.id, 60)
    assert [t.state for t in queue.searches.view(study.id).trials] == ["done", "done"]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_winner_whose_process_died_before_it_was_judged_is_judged_by_the_next_one(opened, monkeypatch):
    first = opened()
    monkeypatch.setattr("optimizers.search.certifying.certify", _dies)
    study = first.searches.start(MODEL, DATA, wish(most_trials=2, limits="accuracy>=-10pt"))
    first.searches.wait(study.id, 60)
    monkeypatch.undo()
    first.close()
    assert not Searches(first.history).study(study.id).certified
    second = opened(resume=True)
    assert second.searches.wait(study.id, 60)
    wait_until(lambda: second.searches.rests(study.id))
    assert len(second.searches.view(study.id).certified) == 1
    assert second.history.verdicts(study.dataset.digest)


def _dies(*_):
    raise SystemExit


class LookingLong(Counting):
    """Whose forecasts end only when they are cancelled."""

    def rehearse(self, on_event, cancelled, **params):
        while not cancelled() and not self.closed.is_set():
            time.sleep(0.01)
        raise Cancelled("Looking ahead was cancelled.")


@pytest.mark.parametrize("stopped", [True, False])
def test_looking_ahead_ends_when_the_time_is_over_or_the_search_is_stopped(opened, stopped):
    queue = opened(executor=LookingLong)
    study = queue.searches.start(MODEL, DATA, wish(seconds=5 if not stopped else 600))
    if stopped:
        queue.searches.stop(study.id)
    assert queue.searches.wait(study.id, 60)
    assert queue.searches.study(study.id).state == ("stopped" if stopped else "done")


class Dear(Counting):
    """Whose recipes take long, as far as forecasts tell."""

    def rehearse(self, on_event, cancelled, **params):
        return {**super().rehearse(on_event, cancelled, **params), "seconds": 1000.0}


def test_files_without_training_are_made_however_little_time_there_is(opened):
    view = searched(opened(executor=Dear), seconds=5)
    assert {trial.effort for trial in view.trials} == {"none"}
    assert view.best is not None
