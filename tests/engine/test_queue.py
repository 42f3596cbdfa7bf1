"""The queue: nothing is computed twice, nothing is lost, everything can be cancelled, tried again and resumed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from optimizers import registry
from optimizers.cli import repeating as repeated
from optimizers.engine.queue import JobQueue
from optimizers.errors import ConversionWrong, InvalidRecipe, UnknownName
from optimizers.history.frames import comparison, differences_of, pareto
from optimizers.recipe import parse
from optimizers.settings import Settings
from tests.engine.fake_executor import FakeExecutor
from tests.engine.waiting import wait_until

MODEL, DATA = "sample:digits_cnn", "sample:optdigits"


@pytest.fixture
def settings(tmp_path, monkeypatch):
    monkeypatch.setenv("PARETOSCOPE_HOME", str(tmp_path / "home"))
    return Settings(workers=2)


@pytest.fixture
def opened(settings):
    """Opens queues that share a home, each with an executor of its own; closes them all at the end."""
    queues = []

    def open_queue(pause=0.0, **options):
        queue = JobQueue(settings, FakeExecutor(settings, pause), **options)
        queues.append(queue)
        return queue

    yield open_queue
    for queue in queues:
        queue.close()


def finished(queue, runs):
    queue.wait([r.id for r in runs], 60)
    return [queue.history.run(r.id) for r in runs]


def test_runs_share_stages_also_at_the_same_time(opened):
    queue = opened(pause=0.5)
    recipes = [parse("magnitude_pruning"), parse("magnitude_pruning+int8"), parse("int8")]
    runs = finished(queue, queue.submit(MODEL, DATA, recipes))
    assert [r.state for r in runs] == ["done"] * 3
    asked = queue.driver.executor.asked
    assert asked["magnitude_pruning"] == 1
    assert asked["float32"] == 2  # of the original and of the pruned model
    assert asked["int8"] == 2
    assert asked["inspect_model"] >= 1
    assert len({r.baseline_digest for r in runs}) == 1


def test_the_same_run_asked_for_twice_is_answered_from_the_store(opened):
    queue = opened()
    first = finished(queue, queue.submit(MODEL, DATA, [parse("magnitude_pruning+int8")]))[0]
    before = dict(queue.driver.executor.asked)
    second = finished(queue, queue.submit(MODEL, DATA, [parse("magnitude_pruning+int8")]))[0]
    work = ("magnitude_pruning", "int8", "float32", "evaluate", "time_latency")
    assert {k: queue.driver.executor.asked[k] for k in work} == {k: before[k] for k in work}
    assert second.artifact_digest == first.artifact_digest
    assert {stage.origin for stage in first.stages} == {"computed"}
    assert {stage.origin for stage in second.stages} == {"store"}


def test_repeats_compute_again_only_what_depends_on_chance(opened):
    queue = opened()
    recipes = [parse("dynamic_range"), parse("magnitude_pruning+dynamic_range"), parse("magnitude_pruning+float16")]
    runs = finished(queue, queue.submit(MODEL, DATA, recipes, seed=[4, 5, 6]))
    assert [(r.recipe, r.seed) for r in runs if r.seed != 4] == [(r.text, s) for s in (5, 6) for r in recipes[1:]]
    assert len(runs) == 7
    asked = queue.driver.executor.asked
    assert asked["magnitude_pruning"] == 3
    assert asked["dynamic_range"] == 1 + 3
    assert asked["float16"] == 3
    told = repeated.told(queue.history, [r.id for r in runs])
    assert [one["metric"] for one in told] == ["accuracy", "size_bytes"]
    places = {place["recipe"]: place for place in told[0]["places"]}
    assert places["magnitude_pruning+float16"]["n"] == 3
    assert places["dynamic_range"]["by_chance"] is False


def test_a_file_is_held_against_its_baseline_again_when_a_metric_has_a_new_version(opened, monkeypatch):
    queue = opened()
    first = finished(queue, queue.submit(MODEL, DATA, [parse("int8")]))[0]
    before = queue.driver.executor.asked["evaluate"]
    difference = differences_of(queue.history, first)["accuracy"]
    assert (difference.artifact_digest, difference.baseline_digest) == (first.artifact_digest, first.baseline_digest)
    monkeypatch.setattr("optimizers.engine.driver.metric_versions", lambda: {"accuracy": "next"})
    finished(queue, queue.submit(MODEL, DATA, [parse("int8")]))
    assert queue.driver.executor.asked["evaluate"] == 2 * before


def test_a_file_is_timed_again_when_a_metric_has_a_new_version_or_there_is_a_new_one(opened, monkeypatch):
    queue = opened()
    finished(queue, queue.submit(MODEL, DATA, [parse("int8")]))
    asked = queue.driver.executor.asked
    before = asked["time_latency"]
    known = dict(registry.metrics())
    for changed in (
        {"speedup": replace(known["speedup"], version="99")},
        {"newest": replace(known["latency_p90_ms"], name="newest")},
    ):
        monkeypatch.setattr(registry, "metrics", lambda changed=changed: known | changed)
        finished(queue, queue.submit(MODEL, DATA, [parse("int8")]))
        assert asked["time_latency"] > before, f"{list(changed)} was not noticed"
        before = asked["time_latency"]


def test_another_seed_changes_what_is_random_and_nothing_else(opened):
    queue = opened()
    for seed in (0, 1):
        finished(queue, queue.submit(MODEL, DATA, [parse("magnitude_pruning"), parse("float16")], seed=seed))
    asked = queue.driver.executor.asked
    assert asked["magnitude_pruning"] == 2
    assert asked["float16"] == 1


def test_one_failure_does_not_touch_the_others(opened):
    queue = opened()
    queue.driver.executor.fail["int8"] = ConversionWrong("The outputs differ.")
    bad, good = finished(queue, queue.submit(MODEL, DATA, [parse("int8"), parse("float16")]))
    assert bad.state == "failed"
    assert bad.failure.message == "The outputs differ."
    assert bad.failure.stage
    assert good.state == "done"
    del queue.driver.executor.fail["int8"]
    queue.retry(bad.id)
    assert finished(queue, [bad])[0].state == "done"


def test_a_fault_in_the_driver_fails_the_run_in_words(opened):
    queue = opened()
    queue.driver.executor.fail["int8"] = ZeroDivisionError("oops")
    assert finished(queue, queue.submit(MODEL, DATA, [parse("int8")]))[0].failure.message == (
        "The run failed unexpectedly (ZeroDivisionError: oops)."
    )


def test_running_and_waiting_runs_can_be_cancelled(opened):
    queue = opened(pause=30)
    runs = queue.submit(MODEL, DATA, [parse("int8"), parse("float16"), parse("dynamic_range")])
    wait_until(lambda: any(p is not None and p.of for p in (queue.progress(run.id) for run in runs)))
    for run in reversed(runs):
        queue.cancel(run.id)
    assert [r.state for r in finished(queue, runs)] == ["cancelled"] * 3
    assert queue.progress(runs[0].id) is None


def test_a_run_can_be_cancelled_by_another_process(opened):
    queue, other = opened(pause=30), opened(resume=False)
    runs = queue.submit(MODEL, DATA, [parse("int8")])
    wait_until(lambda: other.progress(runs[0].id) is not None)
    other.cancel(runs[0].id)
    assert finished(queue, runs)[0].state == "cancelled"


def test_after_a_restart_interrupted_runs_go_on_from_their_last_finished_stage(opened):
    queue = opened(pause=0.3)
    runs = queue.submit(MODEL, DATA, [parse("magnitude_pruning+int8")])
    wait_until(lambda: queue.driver.executor.asked["int8"])
    queue.close()
    again = opened()
    assert finished(again, runs)[0].state == "done"
    assert again.driver.executor.asked["magnitude_pruning"] == 0
    assert again.driver.executor.asked["int8"] == 1


def test_a_second_process_leaves_runs_alone_that_are_being_driven(opened):
    queue = opened(pause=1.0)
    runs = queue.submit(MODEL, DATA, [parse("int8")])
    wait_until(lambda: queue.driver.executor.asked["float32"])
    other = opened()
    assert finished(queue, runs)[0].state == "done"
    assert other.driver.executor.asked["int8"] == 0


def test_waiting_is_for_runs_that_another_process_drives_too(opened):
    queue, other = opened(resume=False), opened(pause=0.5)
    runs = other.submit(MODEL, DATA, [parse("int8")])
    wait_until(lambda: other.driver.executor.asked["float32"])
    assert finished(queue, runs)[0].state == "done"
    assert queue.driver.executor.asked["int8"] == 0


def test_a_run_whose_driver_has_gone_is_continued_by_whoever_waits_for_it(opened):
    queue, other = opened(resume=False), opened(pause=0.5)
    runs = other.submit(MODEL, DATA, [parse("int8")])
    wait_until(lambda: other.driver.executor.asked["float32"])
    other.close()
    assert finished(queue, runs)[0].state == "done"
    assert queue.driver.executor.asked["int8"] == 1


def test_trials_of_a_search_are_measured_apart_and_stand_among_nothing_else(opened):
    queue = opened()
    trial = finished(queue, queue.submit(MODEL, DATA, [parse("int8")], study="s1", timed=False))[0]
    asked = queue.driver.executor.asked
    assert (trial.part, trial.state, asked["evaluate"], asked["time_latency"]) == ("validation", "done", 2, 0)
    assert queue.history.runs() == []
    assert queue.history.counts() == {}
    assert [run.id for run in queue.history.runs(study="s1")] == [trial.id]
    assert [run.id for run in queue.history.runs([trial.id])] == [trial.id]
    assert comparison(queue.history, [trial.id]).empty
    seen = comparison(queue.history, [trial.id], part="validation")
    assert list(seen["accuracy"]) == [0.9, 0.9]
    assert seen["latency_ms"].isna().all() if "latency_ms" in seen else True
    assert "accuracy" in differences_of(queue.history, trial)

    final = finished(queue, queue.submit(MODEL, DATA, [parse("int8")]))[0]
    assert {stage.origin for stage in final.stages} == {"store"}
    assert (asked["evaluate"], asked["timed"]) == (4, 2)
    measured = queue.history.measurements([final.artifact_digest])
    assert {m.dataset_digest for m in measured if m.metric == "accuracy"} == {
        trial.examples_digest,
        final.examples_digest,
    }
    assert trial.examples_digest != final.examples_digest == final.dataset.digest


def test_nonsense_is_refused_before_anything_is_queued(opened):
    queue = opened()
    with pytest.raises(UnknownName, match="no_such"):
        queue.submit("sample:no_such", DATA, [parse("int8")])
    with pytest.raises(UnknownName, match="no_such"):
        queue.submit(MODEL, "sample:no_such", [parse("int8")])
    with pytest.raises(InvalidRecipe):
        queue.submit(MODEL, DATA, [type(parse("int8"))(())])
    assert queue.history.runs() == []


def test_a_comparison_holds_the_baseline_once_and_differences_to_it(opened):
    queue = opened()
    recipes = [parse(text) for text in ("int8", "float16", "float32")]
    runs = finished(queue, queue.submit(MODEL, DATA, recipes))
    frame = comparison(queue.history, [r.id for r in runs])
    assert list(frame["variant"]) == ["float32", "int8", "float16"]
    assert list(frame["is_baseline"]) == [True, False, False]
    assert set(frame["size_bytes_change"]) == {0.0}
    assert list(pareto(frame, ["size_bytes", "accuracy"])) == [True] * 3
    assert comparison(queue.history, []).empty
    assert comparison(queue.history, ["nonsense"]).empty


def test_a_default_that_is_written_out_makes_no_other_variant(opened):
    queue = opened()
    default = registry.technique("magnitude_pruning").params().target_sparsity
    texts = ("magnitude_pruning+int8", f"magnitude_pruning(target_sparsity={default})+int8")
    runs = [run for seed, text in enumerate(texts) for run in queue.submit(MODEL, DATA, [parse(text)], seed=seed)]
    frame = comparison(queue.history, [run.id for run in finished(queue, runs)])
    assert frame["variant"].tolist() == ["float32", texts[0], texts[0]]
    told = repeated.told(queue.history, [run.id for run in runs])
    assert [one["metric"] for one in told] == ["accuracy", "size_bytes"]
