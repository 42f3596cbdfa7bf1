"""The page process stays light: whatever a page shows, nothing heavy is imported for it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
SCRIPT = """
import sys
import pages.components.queue as shared
from optimizers.engine.queue import JobQueue
from optimizers.recipe import parse
from optimizers.search.desk import Wish
from optimizers.settings import Settings
from streamlit.testing.v1 import AppTest
from tests.engine.fake_executor import FakeExecutor

queue = JobQueue(Settings(), FakeExecutor(Settings()))
shared.job_queue = lambda: queue
model = {"model": "sample:digits_cnn", "data": "sample:optdigits"}
runs = queue.submit(*model.values(), [parse("int8"), parse("float16")])
queue.wait([run.id for run in runs])
address = {"runs": ",".join(run.id for run in runs)}
wish = Wish(("size_bytes", "accuracy"), "accuracy>=-1pt", techniques=("int8", "magnitude_pruning"), most_trials=14)
study = queue.searches.start(*model.values(), wish)
queue.searches.wait(study.id)
visits = {"model": model, "optimize": model, "search": {"search": study.id}}
visits |= dict.fromkeys(("runs", "compare", "inspect", "race", "device", "deploy", "report"), address)
for page, params in visits.items():
    app = AppTest.from_file("app.py", default_timeout=60).run()
    app.switch_page(f"pages/{page}.py")
    app.query_params.update(params)
    app.run()
    assert not app.exception and not app.error, (page, app.exception, app.error)
queue.close()
heavy = {"tensorflow", "tf_keras", "keras", "tensorflow_model_optimization", "sklearn", "scipy"}
heavy |= {"ai_edge_litert.interpreter"}
print("HEAVY", sorted(heavy & set(sys.modules)))
"""


def test_no_page_imports_anything_heavy(tmp_path):
    env = os.environ | {"PARETOSCOPE_HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=ROOT, env=env, capture_output=True, text=True, timeout=300
    )
    assert "HEAVY []" in done.stdout, done.stdout + done.stderr
