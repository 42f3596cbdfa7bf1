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
    study = queue.searches.start(*MODEL.values(), wish(limits="size<=10MB"))
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


def test_without_limits_nothing_is_said_to_keep_them(visit, queue):
    study = queue.searches.start(*MODEL.values(), wish())
    assert queue.searches.wait(study.id, 60)
    text = shown(healthy(visit("search", search=study.id)))
    assert "**Best**" in text
    assert "limits" not in text.split("`")[0]


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
    assert not [n for n in app.number_input if n.key == "more_trials"]


def test_who_limited_the_trials_can_allow_more(visit, queue):
    from optimizers import sessions

    study = queue.searches.start(*MODEL.values(), wish(most_trials=2))
    sessions.remember(TOKEN, [study.id], queue.settings)
    queue.searches.wait(study.id, 60)
    app = healthy(visit("search", TOKEN, search=study.id))
    app.number_input(key="more_trials").set_value(3).run()
    app.button(key="extend").click().run()
    queue.searches.wait(study.id, 60)
    assert queue.searches.study(study.id).most_trials == 5
    assert len([trial for trial in queue.searches.view(study.id).trials if trial.state == "done"]) == 5


def test_who_only_looks_gets_no_say_over_the_certificate_and_a_deleted_one_comes_back(visit, queue, finished):
    from optimizers import sessions

    view = queue.searches.view(finished.id)
    run = queue.searches.certify(finished.id, view.best.outcome.trial.number)
    queue.wait([run.id], 60)
    app = healthy(visit("search", TOKEN, search=finished.id))
    assert app.get("page_link"), "the way to compare it"
    assert not sessions.remembered(TOKEN, queue.settings)

    sessions.remember(TOKEN, [finished.id], queue.settings)  # the owner
    app = healthy(visit("search", TOKEN, search=finished.id))
    assert run.id in sessions.remembered(TOKEN, queue.settings)
    assert queue.history.delete([run.id]) == [run.id]
    app.run()
    healthy(app).button(key="certify").click().run()
    (again,) = queue.searches.study(finished.id).certified.values()
    assert again != run.id
    queue.wait([again], 60)
    assert queue.history.run(again).state == "done"


def test_a_board_at_rest_notices_that_the_search_goes_on(visit, queue, finished, monkeypatch):
    from pages.components import search_board

    asked = []
    real = search_board.st.fragment
    monkeypatch.setattr(
        search_board.st,
        "fragment",
        lambda part, run_every=None: asked.append(run_every) or real(part, run_every=run_every),
    )
    app = healthy(visit("search", search=finished.id))
    assert asked[-1] > 2, "nothing happens, so it looks now and then"
    monkeypatch.setattr(queue.searches, "rests", lambda study_id: False)
    app.run()
    assert asked[-1] == 2


def test_another_search_is_for_the_same_model(visit, finished):
    app = healthy(visit("search", search=finished.id))
    next(b for b in app.button if b.label == "Another search").click().run()
    assert "search" not in app.query_params
    assert app.query_params["model"] in (MODEL["model"], [MODEL["model"]])
    assert app.text_input(key="search_limits").value == "accuracy>=-1pt"


def test_what_a_link_says_is_shown_as_it_is(visit):
    app = healthy(visit("search", **MODEL, search_limits="![x](http://elsewhere.example/a.png)"))
    (told,) = [c.value for c in app.caption if "elsewhere" in c.value]
    assert "![x](" not in told
