"""Every page: empty, filled, and given a bad address."""

from __future__ import annotations

import io

import pytest

from optimizers import registry, sessions, uploads
from optimizers.errors import ConversionWrong
from optimizers.recipe import parse
from tests.engine.fake_executor import FakeExecutor
from tests.pages.conftest import MODEL, healthy, shown

NO_MODELS = [
    "file:/etc/passwd",
    "/etc/passwd",
    "sample:",
    "sample:nothing",
    "upload:../../x",
    "upload:" + "0" * 32,
    "x",
]
TOKEN, OTHER = sessions.new_token(), sessions.new_token()


def ran(queue, *recipes, token=TOKEN):
    runs = queue.submit(MODEL["model"], MODEL["data"], [parse(recipe) for recipe in recipes])
    sessions.remember(token, [run.id for run in runs], queue.settings)
    queue.wait([run.id for run in runs], 60)
    return [run.id for run in runs]


def button(app, label):
    return next(b for b in app.button if b.label == label)


@pytest.mark.parametrize(
    ("page", "words"),
    [
        ("model", "Choose a model"),
        ("optimize", "Choose a model first"),
        ("runs", "Nothing has been run in this browser yet"),
        ("compare", "nothing to compare yet"),
        ("deploy", "no finished file to deploy yet"),
        ("report", "nothing to report yet"),
    ],
)
def test_every_page_says_what_to_do_when_it_is_empty(visit, page, words):
    assert words in shown(healthy(visit(page)))


@pytest.mark.parametrize("page", ["model", "optimize"])
@pytest.mark.parametrize(
    "model",
    ["file:/etc/passwd", "/etc/passwd", "sample:", "sample:nothing", "upload:../../x", "upload:" + "0" * 32, "x"],
)
def test_an_address_that_names_no_model_is_refused_in_words(visit, page, model):
    app = healthy(visit(page, model=model, data=MODEL["data"]))
    assert len(app.error) == 1
    assert "passwd" not in app.error[0].value


@pytest.mark.parametrize("page", ["model", "optimize"])
def test_an_address_that_names_no_data_is_refused_in_words(visit, page):
    app = healthy(visit(page, model=MODEL["model"], data="file:/etc/passwd"))
    assert len(app.error) == 1


@pytest.mark.parametrize("page", ["runs", "compare"])
@pytest.mark.parametrize("runs", ["nonsense", "../../etc", "a,b,c", "", "x" * 5000])
def test_an_address_that_names_no_run_is_answered_in_words(visit, page, runs):
    assert not healthy(visit(page, runs=runs)).error


def test_choosing_a_sample_puts_it_into_the_address_and_shows_it(visit):
    app = visit("model")
    app.radio(key="sample").set_value("digits_cnn").run()
    assert "650" in shown(healthy(app))
    assert app.query_params["model"] == MODEL["model"]
    assert app.query_params["data"] == MODEL["data"]


def test_an_address_restores_the_choice(visit):
    app = healthy(visit(**MODEL))
    assert app.radio(key="sample").value == "digits_cnn"
    assert button(app, "Optimize this model")


def test_a_sample_without_data_takes_its_own(visit):
    assert healthy(visit("optimize", model=MODEL["model"])).query_params["data"] == MODEL["data"]


def test_data_that_do_not_fit_are_told_and_nothing_else_breaks(visit):
    app = healthy(visit(model=MODEL["model"], data="sample:auto_mpg"))
    assert len(app.error) == 1
    assert app.dataframe


def test_toggling_two_techniques_offers_each_and_both(visit):
    app = visit("optimize", **MODEL)
    assert button(app, "Run").disabled
    app.toggle(key="on:int8").set_value(True).run()
    app.toggle(key="on:magnitude_pruning").set_value(True).run()
    assert not button(healthy(app), "Run 3 variants").disabled
    assert all(f"`{text}`" in shown(app) for text in ("int8", "magnitude_pruning", "magnitude_pruning+int8"))


def test_settings_become_part_of_the_recipe(visit):
    app = visit("optimize", **MODEL)
    app.toggle(key="on:magnitude_pruning").set_value(True).run()
    app.slider(key="set:magnitude_pruning.target_sparsity").set_value(80).run()
    assert "`magnitude_pruning(target_sparsity=0.8)`" in shown(healthy(app))


def test_an_impossible_order_is_explained_and_cannot_be_run(visit):
    app = visit("optimize", **MODEL)
    app.toggle(key="on:int8").set_value(True).run()
    app.toggle(key="on:magnitude_pruning").set_value(True).run()
    app.button(key="icon-up:int8").click().run()
    assert "accepts a Keras model, but step 1 (int8) produces a .tflite file" in shown(healthy(app))
    assert button(app, "Run 3 variants").disabled
    app.button(key="icon-down:int8").click().run()
    assert not button(app, "Run 3 variants").disabled


def test_recipes_can_be_typed_and_removed_again(visit):
    app = visit("optimize", **MODEL)
    app.text_input(key="typed_recipe").set_value("int8+float16")
    button(app, "Add to the comparison").click().run()
    assert "Keep only one of them" in healthy(app).error[0].value
    app.text_input(key="typed_recipe").set_value("magnitude_pruning(target_sparsity=0.7)+float16")
    button(app, "Add to the comparison").click().run()
    assert "`magnitude_pruning(target_sparsity=0.7)+float16`" in shown(healthy(app))
    button(app, "Remove magnitude_pruning(target_sparsity=0.7)+float16").click().run()
    assert button(healthy(app), "Run").disabled


def test_run_queues_the_variants_and_shows_them(visit, queue):
    app = visit("optimize", token=TOKEN, **MODEL)
    app.toggle(key="on:int8").set_value(True).run()
    button(app, "Run 1 variant").click().run()
    (run_id,) = sessions.remembered(TOKEN, queue.settings)
    assert app.query_params["runs"] == run_id
    assert "Runs" in [title.value for title in healthy(app).title]


def test_finished_runs_tell_what_they_achieved_and_failed_ones_why(visit, queue):
    queue.driver.executor.fail["float16"] = ConversionWrong("The outputs differ by 3.5.")
    ran(queue, "int8", "float16")
    page = shown(healthy(visit("runs", token=TOKEN)))
    assert "1.64 KB" in page
    assert "The outputs differ by 3\\.5\\." in page or "The outputs differ by 3.5" in page
    assert "Float16 weights" in page


def test_others_do_not_see_my_runs_but_whoever_has_the_link_does(visit, queue):
    (run_id,) = ran(queue, "int8")
    assert "Nothing has been run" in shown(healthy(visit("runs", token=OTHER)))
    assert "`int8`" in shown(healthy(visit("runs", token=OTHER, runs=run_id)))
    assert "digits\\_cnn" in shown(healthy(visit("compare", token=OTHER, runs=run_id)))


def test_whoever_has_the_link_may_look_but_neither_repeat_nor_read_the_log(visit, queue):
    queue.driver.executor.fail["int8"] = ConversionWrong("The outputs differ.")
    (run_id,) = ran(queue, "int8")
    mine, theirs = (healthy(visit("runs", token=token, runs=run_id)) for token in (TOKEN, OTHER))
    assert f"retry:{run_id}" in [button.key for button in mine.button]
    assert f"retry:{run_id}" not in [button.key for button in theirs.button]
    assert "Log" in [expander.label for expander in mine.expander]
    assert "Log" not in [expander.label for expander in theirs.expander]
    assert "The outputs differ" in shown(theirs)


def test_a_comparison_shows_its_files_figures_and_failures(visit, queue):
    queue.driver.executor.fail["float16"] = ConversionWrong("The outputs differ.")
    ids = ran(queue, "int8", "magnitude_pruning+int8", "float16")
    app = healthy(visit("compare", token=OTHER, runs=",".join(ids)))
    assert "Not measured" in shown(app)
    assert "The outputs differ" in shown(app)
    assert app.selectbox(key="chosen_file").options == ["baseline", "int8", "magnitude_pruning+int8"]
    app.selectbox(key="chosen_file").set_value(ids[1]).run()
    assert "`magnitude_pruning+int8`" in [text.value for text in healthy(app).markdown]
    assert len(app.download_button) == 2


@pytest.mark.parametrize("own", [True, False])
def test_only_whoever_brought_the_data_puts_their_examples_into_a_pack(visit, queue, monkeypatch, own):
    ids = ran(queue, "int8")
    packed = []
    monkeypatch.setattr("pages.components.session.sees_examples", lambda run: own)
    monkeypatch.setattr("pages.components.take_along._packed", lambda *given: packed.append(given[-1]) or bytes)
    app = healthy(visit("report", token=OTHER, runs=",".join(ids)))
    assert app.checkbox[0].disabled != own
    app.session_state["report_data"] = True
    healthy(app.run())
    assert packed[-1] is own


@pytest.mark.parametrize("name", list(registry.analyses()))
def test_every_analysis_can_be_linked_to(visit, queue, name):
    ids = ran(queue, "int8")
    app = healthy(visit("inspect", runs=",".join(ids), what=name))
    assert registry.analysis(name).title in [subheader.value for subheader in app.subheader]
    assert app.query_params["what"] == name
    assert any(code.value.endswith(f"&file={ids[0]}&what={name}") for code in app.code)
    healthy(visit("inspect", runs=",".join(ids), what="<nonsense>"))


def test_every_file_can_be_linked_to(visit, queue):
    ids = ran(queue, "int8", "float16")
    for chosen in ids:
        app = healthy(visit("inspect", runs=",".join(ids), file=chosen, what="operators"))
        assert app.selectbox(key="chosen_file").value == chosen
        assert app.query_params["file"] == chosen


def test_axes_can_be_chosen(visit, queue):
    ids = ran(queue, "int8")
    app = visit("compare", runs=",".join(ids))
    app.selectbox(key="x").set_value("latency_ms").run()
    app.selectbox(key="size").set_value(None).run()
    healthy(app)


def test_a_comparison_without_an_address_takes_my_latest_runs(visit, queue):
    ids = ran(queue, "int8", "float16")
    assert sorted(healthy(visit("compare", token=TOKEN)).query_params["runs"].split(",")) == sorted(ids)


def test_uploads_are_listed_for_their_owner_only(visit, queue):
    uri = uploads.keep(io.BytesIO(b"PK"), "mine.keras", "model", sessions.scope_of(TOKEN), queue.settings)
    assert "another browser" in healthy(visit(token=OTHER, model=uri, data=MODEL["data"])).error[0].value
    mine = healthy(visit(token=TOKEN, model=uri, data=MODEL["data"]))
    assert mine.selectbox(key="own_model").value == uri
    app = visit("model", token=OTHER)
    app.segmented_control(key="source").set_value("Your own model").run()
    assert not [box for box in healthy(app).selectbox if box.key == "own_model"]


def test_data_that_came_before_their_model_are_told(visit, queue):
    uploads.keep(io.BytesIO(b"a,b\n1,2\n"), "my*table.csv", "data", sessions.scope_of(TOKEN), queue.settings)
    app = visit("model", token=TOKEN)
    app.segmented_control(key="source").set_value("Your own model").run()
    assert "my_table.csv (8 bytes). Bring the model" in healthy(app).info[0].value.replace("\\", "")


def test_a_fault_of_ours_is_one_sentence(visit, monkeypatch):
    def broken(*args, **kwargs):
        raise RuntimeError("secret detail")

    monkeypatch.setattr("pages.components.start.hero", broken)
    app = visit()  # the others are run without app.py here, and so without its boundary
    assert not app.exception
    assert "could not be shown (RuntimeError)" in app.error[0].value
    assert "secret detail" not in shown(app)


def test_a_model_without_data_is_compared_on_random_inputs_of_a_chosen_range(visit):
    app = visit(model=MODEL["model"], data="drawn:8x8x1/0..1")
    assert healthy(app)
    assert "no accuracy can be measured" in shown(app)
    app.number_input[1].set_value(255.0)
    button(app, "Draw from this range").click().run()
    assert healthy(app)
    assert app.query_params["data"] in ("drawn:8x8x1/0..255", ["drawn:8x8x1/0..255"])
    assert healthy(visit("optimize", model=MODEL["model"], data="drawn:8x8x1/0..255"))


@pytest.mark.parametrize("data", ["drawn:8x8x1/9..1", "drawn:999999999x999999999/0..1", "drawn:x"])
def test_nonsense_about_random_inputs_is_refused(visit, data):
    assert healthy(visit(model=MODEL["model"], data=data))


def test_every_input_of_a_model_with_several_has_its_own_range(visit, monkeypatch):
    image, words = ({"shape": (8, 8, 1), "dtype": "float32"}, {"shape": (5,), "dtype": "int32"})
    told = FakeExecutor.inspect_model

    def inspected(*given, **asked):
        inputs = [{"name": "image", **image}, {"name": "words", **words}]
        return {**told(*given, **asked), "inputs": inputs, "input_ranges": (None, {"low": 0, "high": 9, "whole": True})}

    monkeypatch.setattr(FakeExecutor, "inspect_model", inspected)
    app = visit(model=MODEL["model"], data="drawn:")
    assert healthy(app)
    assert [field.label for field in app.number_input] == [
        "Lowest of image", "Highest of image", "Lowest of words", "Highest of words"]  # fmt: skip
    app.number_input[3].set_value(4.0)
    button(app, "Draw from these ranges").click().run()
    assert healthy(app)
    assert app.query_params["data"] in ("drawn:8x8x1/0..1,5/int32/0..4", ["drawn:8x8x1/0..1,5/int32/0..4"])
    assert healthy(visit("optimize", model=MODEL["model"], data="drawn:8x8x1/0..1,5/int32/0..4"))
    assert "or compare on random inputs" in shown(visit(**MODEL))


def test_deploy_offers_downloads_and_programs_of_the_chosen_file(queue, visit):
    ids = ran(queue, "int8")
    app = healthy(visit("deploy", runs=",".join(ids)))
    labels = [button.label for button in app.get("download_button")]
    assert labels[:4] == [".tflite", "C array", "Metadata (JSON)", "Everything (ZIP)"]
    assert next(tab.label for tab in app.tabs) == "Python"
    programs = [block.value for block in app.code if "digits_cnn-int8.tflite" in block.value]
    assert len(programs) == 1, "a browser colours only what is looked at"
    assert "Interpreter" in programs[0]
    assert "takes float32 8 × 8 × 1, gives float32 10" in shown(app)


def test_one_click_on_the_start_page_leads_to_the_comparison_of_a_sample(queue, visit):
    app = healthy(visit())
    assert "small and fast" in shown(app)
    button(app, "Try it with a sample").click().run()
    asked = queue.history.runs()
    assert len(asked) == 5
    assert app.query_params["runs"] == ",".join(run.id for run in reversed(asked))
    queue.wait([run.id for run in asked], 60)
    assert "All figures" in shown(healthy(app.run()))


def test_what_is_known_of_the_sample_is_not_asked_for_again(queue, visit):
    ran(queue, "int8", "float16")
    button(visit(), "Try it with a sample").click().run()
    assert len(queue.history.runs()) == 5


def test_the_start_page_leads_back_to_what_was_compared(queue, visit):
    ran(queue, "int8")
    assert "Where you left off" in shown(healthy(visit(token=TOKEN)))
    assert "Where you left off" not in shown(healthy(visit(token=OTHER)))


def test_runs_are_tagged_found_deleted_and_brought_back(queue, visit):
    first, second = ran(queue, "int8", "float16")
    app = healthy(visit("runs", token=TOKEN))
    app.multiselect(key=f"tags:{first}").set_value(["keep <b>"])
    app.text_area(key=f"note:{first}").set_value("Shown on Monday").run()
    app.button(key=f"keep:{first}").click().run()
    assert "Shown on Monday" in shown(healthy(app))
    found = shown(healthy(visit("runs", token=TOKEN, q="monday KEEP")))
    assert "`int8`" in found
    assert "`float16`" not in found
    assert "No run matches" in shown(healthy(visit("runs", token=TOKEN, q="nothing like it")))
    app.button(key=f"delete:{second}").click().run()
    assert "`float16`" not in shown(healthy(app))
    assert [run.id for run in queue.history.runs()] == [first]
    app.button(key="undo_delete").click().run()
    assert "`float16`" in shown(healthy(app))


def test_runs_of_others_are_not_deleted(queue, visit):
    (run_id,) = ran(queue, "int8")
    app = healthy(visit("runs", token=OTHER, runs=run_id))
    assert not [b for b in app.button if b.key == f"delete:{run_id}"]


@pytest.mark.parametrize(("first", "then"), [("compare", "inspect"), ("inspect", "deploy"), ("deploy", "compare")])
@pytest.mark.parametrize("picked", [0, 1, None])
def test_the_file_that_is_looked_at_stays_on_the_next_page(visit, queue, first, then, picked):
    ids = ran(queue, "int8", "float16")
    app = healthy(visit(first, token=TOKEN, runs=",".join(ids)))
    if picked is not None:
        app.selectbox(key="chosen_file").set_value(ids[picked]).run()
    before = app.selectbox(key="chosen_file").value
    assert healthy(app.switch_page(f"pages/{then}.py").run()).selectbox(key="chosen_file").value == before
    app.query_params["runs"], app.query_params["file"] = ",".join(ids), ids[1]
    assert healthy(app.switch_page(f"pages/{first}.py").run()).selectbox(key="chosen_file").value is not None


def test_the_link_to_a_race_leads_to_the_same_example(visit, queue):
    ids = ran(queue, "int8")
    app = healthy(visit("race", token=TOKEN, runs=",".join(ids), ask="test", example="3"))
    assert any("ask=test" in code.value and "example=3" in code.value for code in app.code)


def test_an_unknown_sample_is_called_a_model(visit):
    told = healthy(visit("search", model="sample:nope")).error[0].value
    assert "nope" in told
    assert "data set" not in told
