"""The app in AppTest, over a queue whose executor needs no TensorFlow."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest
from streamlit.components.v2 import manifest_scanner
from streamlit.testing.v1 import AppTest

from optimizers.engine.queue import JobQueue
from optimizers.settings import Settings
from tests.engine.fake_executor import FakeExecutor

APP = Path(__file__).parents[2] / "app.py"
MODEL = {"model": "sample:digits_cnn", "data": "sample:optdigits"}


@pytest.fixture(scope="session", autouse=True)
def installed_components():
    """Looks for components among the installed packages once; every AppTest does so anew, which takes a second."""
    patch = pytest.MonkeyPatch()
    found = functools.cache(manifest_scanner.scan_component_manifests)
    patch.setattr(manifest_scanner, "scan_component_manifests", found)
    yield
    patch.undo()


@pytest.fixture
def queue(tmp_path, monkeypatch):
    """A queue in an empty home, which the pages use as theirs."""
    monkeypatch.setenv("PARETOSCOPE_HOME", str(tmp_path / "home"))
    settings = Settings()
    queue = JobQueue(settings, FakeExecutor(settings))
    monkeypatch.setattr("pages.components.queue.job_queue", lambda: queue)
    monkeypatch.setattr("pages.components.soon.PATIENCE", 60.0)  # AppTest does not come back for what takes longer
    yield queue
    queue.close()


@pytest.fixture
def visit(queue):
    """Opens a page as a new visitor, or as the one whose token is given."""

    def visit(page="start", token=None, **params):
        app = AppTest.from_file(str(APP), default_timeout=60)
        if token is not None:
            app.session_state["session_token"] = token
        if page != "start":
            app.run()
            app.switch_page(f"pages/{page}.py")
        for name, value in params.items():
            app.query_params[name] = value
        return app.run()

    return visit


def shown(app) -> str:
    """All text on a page, its messages included."""
    kinds = ("title", "subheader", "markdown", "caption", "error", "warning", "info", "code")
    return "\n".join(str(element.value) for kind in kinds for element in getattr(app, kind))


def healthy(app):
    """The page, after making sure that it shows no traceback and no apology."""
    assert not app.exception
    assert "could not be shown" not in shown(app)
    return app
