"""The page Race, with real files answering."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from optimizers.live.race import Answer, Outcome, Share
from pages.components.race_board import Lane, verdict
from tests.pages.conftest import healthy, shown
from tests.pages.test_pages import OTHER, TOKEN, ran


@pytest.fixture
def run_id(queue):
    return ran(queue, "int8")[0]


def cards(app):
    return "".join(element.value for element in app.get("html"))


def settled(app):
    """The page once the answers are there; a slow machine needs a second look."""
    for _ in range(20):
        if "race-card" in cards(app):
            break
        app.run()
    return healthy(app)


def test_without_a_finished_run_the_page_says_what_to_do(visit):
    assert "no finished file to race" in shown(healthy(visit("race")))


def test_an_example_is_answered_by_every_file(visit, run_id):
    app = settled(visit("race", token=TOKEN, runs=run_id, ask="test", example="4"))
    assert app.number_input(key="example").value == 4
    assert cards(app).count("<article") == 2
    assert "sure" in cards(app)
    assert "the truth is" in shown(app)
    app.number_input(key="example").set_value(1796).run()
    assert cards(settled(app)).count("<article") == 2


def test_whoever_has_the_link_sees_sample_data_as_well(visit, run_id):
    assert cards(settled(visit("race", token=OTHER, runs=run_id, ask="test"))).count("<article") == 2


def test_a_link_says_who_races(visit, run_id):
    app = settled(visit("race", token=TOKEN, runs=run_id, ask="test", racers="int8"))
    assert cards(app).count("<article") == 1
    assert "racers=int8" in app.code[0].value, "the link to share"
    both = settled(visit("race", token=TOKEN, runs=run_id, ask="test", racers=["int8", "baseline"]))
    assert cards(both).count("<article") == 2
    other = settled(visit("race", token=TOKEN, runs=run_id, ask="test", racers="nobody"))
    assert cards(other).count("<article") == 2, "who is not known is left out"


def test_an_uploaded_picture_is_answered(visit, run_id):
    app = healthy(visit("race", token=TOKEN, runs=run_id, ask="upload"))
    stream = io.BytesIO()
    Image.new("L", (40, 30), 200).save(stream, "PNG")
    app.file_uploader[0].upload("a.png", stream.getvalue(), "image/png").run()
    assert cards(settled(app)).count("<article") == 2
    app.file_uploader[0].upload("b.png", b"no picture", "image/png").run()
    assert "not a picture that can be read" in shown(healthy(app))


def test_a_drawing_is_awaited(visit, run_id):
    assert "The answers appear here" in shown(healthy(visit("race", token=TOKEN, runs=run_id, ask="draw")))


LANES = [Lane("baseline", "baseline", 10, True), Lane("int8", "quantization", 5, False),
         Lane("tiny", "combined", 2, False)]  # fmt: skip


def outcome(*texts, values=(None, None, None), problems=("", "", "")):
    return Outcome(
        answers=tuple(
            Answer(artifact=str(i), text=text, value=value, problem=problem,
                   top=(Share(name=text, probability=0.9),) if value is None and not problem else ())
            for i, (text, value, problem) in enumerate(zip(texts, values, problems, strict=True))
        )
    )  # fmt: skip


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (outcome("7", "7", "7"), "All 3 answer 7"),
        (outcome("7", "1", "7"), "1 of 3 file differs from the baseline, which answers 7"),
        (outcome("7", "1", "2"), "2 of 3 files differ from the baseline, which answers 7"),
        (outcome("", "7", "7", problems=("no", "", "")), "Both answer 7"),
        (outcome("", "7", "8", problems=("no", "", "")), "1 of 2 file differs from int8, which answers 7"),
        (outcome("", "", "", problems=("no", "no", "no")), "No file could answer"),
        (outcome("20 mpg", "21 mpg", "19 mpg", values=(20.0, 21.0, 19.0)), "Answers from 19 mpg to 21 mpg"),
    ],
)
def test_the_verdict_tells_who_differs(found, words):
    assert verdict(LANES, found) == words
