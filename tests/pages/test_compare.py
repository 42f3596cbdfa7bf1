"""The page Compare: limits, views, what is looked at, and an address that opens the same picture."""

from __future__ import annotations

import json
import threading

from optimizers.errors import ConversionWrong
from pages.components import links, selection
from pages.components.text import escaped
from tests.engine.waiting import wait_until
from tests.pages.conftest import healthy, shown
from tests.pages.test_pages import TOKEN, ran


def test_limits_name_the_best_or_the_nearest_and_are_part_of_the_address(visit, queue):
    ids = ran(queue, "int8", "float16")
    app = healthy(visit("compare", token=TOKEN, runs=",".join(ids)))
    assert not app.success
    app.button(key="add:size<=0.5x").click().run()
    assert healthy(app).text_input(key="limits").value == "size<=0.5x"
    assert app.query_params["limits"] == "size<=0.5x"
    app.text_input(key="limits").set_value("at most 1 GB").run()
    assert "is the best that keeps all limits" in healthy(app).success[0].value
    app.text_input(key="limits").set_value("size<=1B").run()
    assert "No file is sure to keep all limits. The nearest is" in healthy(app).info[0].value
    app.text_input(key="limits").set_value("size<=1").run()
    assert "lacks a unit" in healthy(app).warning[0].value
    app.text_input(key="limits").set_value("size<=1GB").run()
    app.button(key="no_limits").click().run()
    assert not healthy(app).success
    elsewhere = healthy(visit("compare", runs=",".join(ids), limits="size<=1GB", best="File size"))
    assert "with file size" in elsewhere.success[0].value


def test_every_view_can_be_linked_to(visit, queue):
    ids = ran(queue, "int8", "float16")
    for view in ("2-D", "3-D", "Parallel", "Bars"):
        app = healthy(visit("compare", runs=",".join(ids), view=view, limits="size<=1GB", x="Latency (median)"))
        assert app.segmented_control(key="view").value == view
    healthy(visit("compare", runs=",".join(ids), view="<nonsense>", x="<nonsense>", limits="<b>", best="?"))


def test_up_to_four_files_stand_side_by_side_and_the_address_names_them(visit, queue):
    ids = ran(queue, "int8", "float16", "dynamic_range", "int16x8", "low_bit")
    app = healthy(visit("compare", token=TOKEN, runs=",".join(ids), file=ids[1], beside=",".join(ids)))
    assert app.session_state[links.CHOSEN] == ids[1]
    assert app.session_state["files_beside"] == [ids[0], ids[2], ids[3]]
    table = app.table[0].value
    assert len(table.columns) == selection.MOST
    assert "Accuracy" in table.index
    app.multiselect(key="files_beside").set_value([ids[4]]).run()
    assert app.query_params["beside"] == ids[4]
    app.multiselect(key="files_beside").set_value([]).run()
    assert not healthy(app).table
    assert "beside" not in app.query_params
    assert any(f"file={ids[1]}" in code.value for code in app.code)


def test_a_step_tells_its_settings_in_words(visit, queue):
    ids = ran(queue, "magnitude_pruning(layers='conv*, !conv1', patience=2)+int8")
    app = visit("compare", token=TOKEN, runs=ids[0])
    assert "Layers: **" not in shown(healthy(app))  # filled when it is opened
    app.session_state["step-1"] = True
    told = shown(healthy(app.run()))
    assert "Layers: **" + escaped("conv*, !conv1") + "**" in told
    assert "Early stopping patience: **2**" in told
    app = visit("compare", token=TOKEN, runs=ran(queue, "magnitude_pruning+int8")[0])
    app.session_state["step-1"] = True
    told = shown(healthy(app.run()))
    assert "Layers: **all**" in told
    assert "****" not in told


def test_checked_rows_are_looked_at(visit, queue):
    ids = ran(queue, "int8", "float16")
    app = healthy(visit("compare", token=TOKEN, runs=",".join(ids)))
    assert json.loads(json.dumps(app.session_state["table"]))["selection"]["rows"] == [1]
    assert app.dataframe[0].value["Variant"].tolist() == ["baseline", "int8", "float16"]


def test_looking_at_others_keeps_the_order_and_the_latest(monkeypatch):
    state, address = {links.CHOSEN: "a", "files_beside": ["b"]}, {}
    monkeypatch.setattr(selection.st, "session_state", state)
    monkeypatch.setattr(selection.st, "query_params", address)
    selection.look_at(["c", "b", "a"])
    assert selection.looked_at() == ["a", "b", "c"]
    selection.look_at(["a", "b", "c", "d", "e"])
    assert selection.looked_at() == ["a", "c", "d", "e"]
    selection.look_at(["e"])
    assert selection.looked_at() == ["e"]
    assert address == {"file": "e"}


def test_one_file_alone_and_failed_runs_beside_it(visit, queue):
    queue.driver.executor.fail["float16"] = ConversionWrong("The outputs differ.")
    ids = ran(queue, "int8", "float16")
    app = healthy(visit("compare", token=TOKEN, runs=",".join(ids), limits="size<=1GB", view="Parallel"))
    assert "The outputs differ" in shown(app)
    assert not app.table
    only = healthy(visit("compare", token=TOKEN, runs=ids[1]))
    assert "The outputs differ" in shown(only)


def test_what_is_measured_meanwhile_is_seen_at_the_next_click(visit, queue):
    ids = ran(queue, "int8")
    app = healthy(visit("compare", token=TOKEN, runs=",".join(ids), limits="size<=1GB"))
    assert app.success
    digest = queue.history.run(ids[0]).artifact_digest
    (size,) = [m for m in queue.history.measurements([digest]) if m.metric == "size_bytes"]
    before = queue.history.changes
    queue.history.record([size.model_copy(update={"value": 5e9})])
    assert queue.history.changes > before
    assert "5.00 GB" in shown(healthy(app.run()))


def test_what_a_shared_link_names_is_looked_at_on_the_next_pages(visit, queue):
    ids = ran(queue, "int8", "float16")
    app = healthy(visit("report", runs=",".join(ids)))
    app.switch_page("pages/compare.py")
    del app.query_params["runs"]
    assert "All figures" in shown(healthy(app.run()))
    assert app.query_params["runs"] in (",".join(ids), [",".join(ids)])


def test_what_nobody_named_makes_place_for_what_is_newer(visit, queue):
    (first,) = ran(queue, "int8")
    app = healthy(visit("compare", token=TOKEN))
    healthy(app.run())  # now the address names it, but nobody did
    (second,) = ran(queue, "float16")
    del app.query_params["runs"]
    app.switch_page("pages/deploy.py")
    healthy(app.run())
    assert all(run_id in str(app.query_params["runs"]) for run_id in (first, second))


def test_files_are_timed_again_by_whoever_may_start_runs_on_them(visit, queue, monkeypatch):
    ids = ran(queue, "int8", "float16")
    executor, seen = queue.driver.executor, threading.Event()
    timed, plain = executor.asked["timed"], executor.time_latency
    monkeypatch.setattr(executor, "time_latency", lambda *args, **params: seen.wait(20) and plain(*args, **params))
    app = healthy(visit("compare", token=TOKEN, runs=",".join(ids)))
    app.button(key="time_again").click().run()
    assert [button.label for button in healthy(app).button if button.key == "cancel_timing"] == ["Cancel"]
    seen.set()
    runs = queue.history.runs(ids)
    wait_until(lambda: (sight := queue.retiming.look(runs)) and not sight.pending)
    assert executor.asked["timed"] == timed + 3
    assert [toast.value for toast in healthy(app.run()).toast] == ["3 files were timed again, in turn."]
    assert not healthy(app.run()).toast
    private = [run.model_copy(update={"id": f"p{run.id}", "model": run.model.model_copy(update={"scope": "somebody"})})
               for run in runs]  # fmt: skip
    queue.history.add(private)
    app = healthy(visit("compare", token=TOKEN, runs=",".join(run.id for run in private)))
    assert "time_again" not in [button.key for button in app.button]
