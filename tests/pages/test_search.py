"""The page Search over an executor without TensorFlow."""

from __future__ import annotations

import time

import pytest

from optimizers.search.desk import Wish
from tests.pages.conftest import MODEL, healthy, shown

TOKEN = "s" * 43


def wish(**more):
    given = {"objectives": ("size_bytes", "accuracy"), "seconds": 600, "techniques": ("int8", "float16")}
    return Wish(**{**given, "most_trials": 2, **more})


@pytest.fixture
def finished(queue):
    study = queue.searches.start(*MODEL.values(), wish())
    assert queue.searches.wait(study.id, 60)
    return study


def test_without_a_model_it_leads_to_the_choice_of_one(visit):
    app = healthy(visit("search"))
    assert "Say what you want" in shown(app)


def test_the_form_asks_for_what_suits_the_task_and_tells_what_is_wrong(visit):
    app = healthy(visit("search", **MODEL))
    assert app.text_input(key="search_limits").value == "accuracy>=-1pt"
    app.text_input(key="search_limits").set_value("speeed>=2").run()
    assert "speeed" in shown(healthy(app))
    assert app.button(key="go").disabled


def test_pressing_search_begins_one_and_shows_it(visit, queue):
    app = visit("search", TOKEN, **MODEL)
    app.multiselect(key="search_techniques").set_value(["int8", "float16"])
    app.number_input(key="search_trials").set_value(2).run()
    app.button(key="go").click().run()
    healthy(app)
    (study,) = queue.searches.studies()
    assert app.query_params["search"] in (study.id, [study.id])
    assert study.objectives == ("size_bytes", "accuracy")
    queue.searches.wait(study.id, 60)
    app.run()
    assert "Best" in shown(healthy(app))


def test_a_search_shows_its_best_its_front_and_its_trials_and_says_on_which_data(visit, queue, finished):
    app = healthy(visit("search", search=finished.id))
    text = shown(app)
    assert "**Best**" in text
    assert "on validation data" in text
    assert "Keeps all limits" in text
    assert not [b for b in app.button if b.key in ("pause", "stop", "certify", "extend")]  # somebody else's


def test_others_files_of_trials_are_not_compared_as_if_measured_on_test_data(visit, queue, finished):
    trial = queue.searches.view(finished.id).trials[0]
    app = healthy(visit("compare", runs=trial.run_id))
    assert "names trials of a search" in shown(app)
    app = healthy(visit("runs"))
    assert "int8" not in shown(app)


def test_an_unknown_search_is_told(visit):
    assert "no search" in shown(healthy(visit("search", search="nobody")))


def test_the_owner_can_stop_and_extend(visit, queue):
    from optimizers import sessions

    queue.driver.executor.pause = 0.3
    study = queue.searches.start(*MODEL.values(), wish(most_trials=None, techniques=()))
    sessions.remember(TOKEN, [study.id], queue.settings)
    app = healthy(visit("search", TOKEN, search=study.id))
    app.button(key="stop").click().run()
    deadline = time.monotonic() + 30
    while not queue.searches.rests(study.id) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert queue.searches.study(study.id).state == "stopped"
    app.run()
    assert [b.key for b in healthy(app).button if b.key == "extend"]
