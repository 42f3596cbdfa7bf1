"""A page stands while what it needs is still being read."""

from __future__ import annotations

import contextlib
import threading

import pytest

from optimizers.errors import ModelRefused
from optimizers.recipe import parse
from tests.pages.conftest import MODEL, shown


@pytest.fixture
def slow(queue, monkeypatch):
    """Reading a model, and preparing what another device gets, end when this says so."""
    monkeypatch.setattr("pages.components.soon.PATIENCE", 0.3)
    may_end, read = threading.Event(), queue.driver.inspect_model
    calls = []

    def inspect(uri, *args):
        calls.append(uri)
        assert may_end.wait(30)
        return read(uri, *args)

    monkeypatch.setattr(queue.driver, "inspect_model", inspect)
    yield may_end, calls
    may_end.set()


def ended(queue):
    """Waits for what is being read; a browser's page would come again by itself."""
    for key in list(queue.readings._asked):
        with contextlib.suppress(ModelRefused):
            queue.readings.ask(key, lambda: None, 30)


@pytest.mark.parametrize("page", ["model", "optimize", "search"])
def test_the_page_stands_while_its_model_is_read_and_fills_afterwards(visit, queue, slow, page):
    may_end, calls = slow
    app = visit(page, **MODEL)
    assert not app.exception
    assert "Reading the model" in shown(app)
    assert app.title[0].value
    app.run()
    assert len(set(calls)) == len(calls) == 1, "asked again, it is still the same reading"
    may_end.set()
    for _ in range(4):  # model, data, what is proposed for them
        ended(queue)
        app.run()
    assert "Reading the" not in shown(app)
    assert "digits\\_cnn" in shown(app)


def test_a_file_is_looked_into_once_its_model_is_read_and_the_page_stands_before(visit, queue, slow):
    may_end, calls = slow
    may_end.set()
    [run] = queue.submit("sample:digits_cnn", "sample:optdigits", [parse("int8")])
    queue.wait([run.id])
    may_end.clear()
    calls.clear()
    app = visit("inspect", runs=run.id)
    assert not app.exception
    assert "Reading the model" in shown(app)
    assert app.selectbox
    assert calls == ["sample:digits_cnn"]
    may_end.set()
    ended(queue)
    app.run()
    assert "Reading the model" not in shown(app)
    assert app.subheader


def test_what_a_visitor_chose_stays_when_a_slow_machine_takes_long_to_find_what_is_known(visit, queue, slow):
    may_end, _ = slow
    may_end.set()
    app = visit("optimize", **MODEL)
    for _ in range(2):
        ended(queue)
        app.run()
    app.toggle[0].set_value(True).run()
    may_end.clear()
    threading.Timer(2.0, may_end.set).start()  # longer than a page has patience
    app.run()
    assert "Reading the model" not in shown(app)
    assert app.toggle[0].value


def test_a_refusal_comes_as_late_as_an_answer(visit, queue, slow, monkeypatch):
    may_end, _ = slow
    refused = ModelRefused("The file is damaged; save it again.")

    def refuse(uri, *args):
        assert may_end.wait(30)
        raise refused

    monkeypatch.setattr(queue.driver, "inspect_model", refuse)
    app = visit("optimize", **MODEL)
    assert "Reading the model" in shown(app)
    may_end.set()
    ended(queue)
    app.run()
    assert app.error[0].value == refused.message
    assert "Reading the model" not in shown(app)
