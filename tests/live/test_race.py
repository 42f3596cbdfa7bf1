"""Real files answer in a measuring process, and pages never wait for them."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from optimizers.engine import origins
from optimizers.engine.racing import MOST_RACERS, RaceDesk, Racer, disagreements, race
from optimizers.engine.store import Store
from optimizers.errors import UserError
from optimizers.litert.interpreter import predict
from optimizers.live import race as racing
from optimizers.live.given import Numbered
from optimizers.recipe import parse
from optimizers.records import LayerRow, ModelSummary, TensorSpec
from tests.engine.fake_executor import TINY
from tests.live.handwriting import drawing

MODEL = ModelSummary(
    format="x", keras_version="3", inputs=(TensorSpec(name="x", shape=(8, 8, 1), dtype="float32"),),
    outputs=(TensorSpec(name="y", shape=(10,), dtype="float32"),),
    layers=(LayerRow(name="dense", kind="Dense", output_shape=(10,), parameters=1),), parameters=1,
    trainable_parameters=1, activation="softmax",
).model_dump(mode="json")  # fmt: skip
DIGITS = "sample:optdigits"
A, B, BROKEN, GONE = ("a" * 64, "b" * 64, "c" * 64, "d" * 64)


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("PARETOSCOPE_HOME", str(tmp_path))
    store = Store(tmp_path / "store")
    for key, content in ((A, TINY.read_bytes()), (B, TINY.read_bytes() + b"!"), (BROKEN, b"\0" * 100)):
        with store.draft() as out:
            (out / "model").write_bytes(content)
            store.commit(out, key, "tflite", "model", {})
    return store


def asked(given, *keys):
    racers = [{"artifact": key, "summary": MODEL} for key in keys]
    digest = origins.resolve_dataset(DIGITS).digest
    return racing.Outcome.model_validate(
        racing.race(None, racers=racers, dataset=DIGITS, digest=digest, given=given.model_dump())
    )


def test_every_file_gives_the_answer_that_litert_gives(store):
    outcome = asked(Numbered(number=3), A, B)
    data = origins.load_dataset(DIGITS)
    scores = predict(TINY, data.test.x[3:4])[0]
    assert outcome.truth == data.summary.classes[int(data.test.y[3])]
    for answer in outcome.answers:
        assert answer.text == data.summary.classes[int(scores.argmax())]
        assert answer.top[0].probability == pytest.approx(scores.max() / scores.sum(), rel=1e-4)
        assert [s.probability for s in answer.top] == sorted((s.probability for s in answer.top), reverse=True)
        assert answer.n >= 3
        assert answer.ms > 0
    assert outcome.picture.startswith("data:image/png;base64,")


def test_a_file_that_cannot_answer_says_why_and_the_others_go_on(store):
    outcome = asked(drawing("7"), A, BROKEN, GONE)
    assert outcome.answers[0].text
    assert not outcome.truth
    assert "cannot run" in outcome.answers[1].problem
    assert "no longer in the store" in outcome.answers[2].problem


@pytest.fixture
def finished(queue):
    """Racers: the baseline and two files, all finished."""
    runs = queue.submit("sample:digits_cnn", DIGITS, [parse("int8"), parse("float16")])
    queue.wait([run.id for run in runs])
    runs = queue.history.runs([run.id for run in runs])
    return [Racer(runs[0], is_baseline=True), *(Racer(run) for run in runs)]


def test_the_desk_answers_at_once_and_later_knows(queue, finished):
    gate, executor = threading.Event(), queue.driver.executor
    real = executor.race
    executor.race = lambda *args, **params: gate.wait(30) and real(*args, **params)
    desk = RaceDesk(queue.driver)
    assert desk.look(finished, Numbered(number=0)).pending
    gate.set()
    sight = desk.look(finished, Numbered(number=0), patience=30)
    assert len(sight.outcome.answers) == 3
    assert desk.look(finished, Numbered(number=0)).outcome is sight.outcome
    desk.again(finished, Numbered(number=0))
    assert desk.look(finished, Numbered(number=0), patience=30).outcome is not sight.outcome
    assert "counted from 0" in desk.look(finished, Numbered(number=10**6), patience=30).problem
    desk.close()


def test_only_files_for_the_same_data_race_and_not_too_many(queue, finished):
    other = finished[1].run.model_copy(
        update={"dataset": finished[1].run.dataset.model_copy(update={"digest": "0" * 64})}
    )
    with pytest.raises(UserError, match="same data"):
        race(queue.driver, [finished[0], Racer(other)], Numbered(number=0))
    with pytest.raises(UserError, match="can race"):
        race(queue.driver, finished * MOST_RACERS, Numbered(number=0))
    with pytest.raises(UserError, match="can race"):
        race(queue.driver, [], Numbered(number=0))


def test_examples_on_which_files_differ_are_found_in_what_they_answered_when_measured(queue, finished):
    from optimizers.engine.plan import predictions_key, scope_of

    assert disagreements(queue.driver, finished) == []
    y = np.zeros(6, np.int64)
    answers = ([0, 1, 2, 3, 4, 5], [0, 1, 2, 3, 4, 5], [0, 9, 2, 3, 4, 6])
    for racer, decided in zip(finished, answers, strict=True):
        run = racer.run
        digest = run.baseline_digest if racer.is_baseline else run.artifact_digest
        with queue.store.draft() as out:
            np.savez_compressed(out / "predictions.npz", scores=np.eye(10, dtype=np.float32)[decided], y=y)
            key = predictions_key(digest, run.dataset, scope_of(run.model, run.dataset))
            queue.store.commit(out, key, "predictions", "predictions.npz", {})
    assert disagreements(queue.driver, finished) == [1, 5]
    assert disagreements(queue.driver, finished[:2]) == []
