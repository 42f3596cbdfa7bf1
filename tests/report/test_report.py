"""Reports and tables, made from real runs."""

from __future__ import annotations

import io
import json
import re
from html.parser import HTMLParser

import pandas as pd
import pytest

from optimizers.cli.common import run_named
from optimizers.engine.queue import JobQueue
from optimizers.errors import NotApplicable, UserError
from optimizers.history.frames import measurements_of
from optimizers.recipe import parse
from optimizers.report.content import content
from optimizers.report.html import document
from optimizers.report.markdown import table
from optimizers.report.results import COLUMNS, FORMATS, encoded, form_of, results
from optimizers.settings import Settings
from tests.engine.fake_executor import FakeExecutor


@pytest.fixture(scope="module")
def ids(digits_runs):
    return [run.id for run in digits_runs.values()]


@pytest.fixture(scope="module")
def told(queue, ids):
    return content(queue.history, queue.store, ids)


class Outside(HTMLParser):
    """Collects whatever an element would fetch from somewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.found, self.scripts, self._script = [], [], None

    def handle_starttag(self, tag, attrs):
        self.found += [value for name, value in attrs if name in ("src", "href", "srcset", "data", "action")]
        self._script = [] if tag == "script" else self._script

    def handle_data(self, data):
        if self._script is not None:
            self._script.append(data)

    def handle_endtag(self, tag):
        if tag == "script":
            self.scripts.append("".join(self._script))
            self._script = None


def parsed(page):
    parser = Outside()
    parser.feed(page)
    return parser


def test_a_report_needs_nothing_from_outside(told):
    page = document(told)
    assert parsed(page).found == []
    assert "url(http" not in page
    assert "default-src 'none'" in page


def test_a_report_tells_every_file_with_its_hash_and_figures(told, queue, digits_runs):
    page = document(told)
    for run in digits_runs.values():
        assert run.artifact_digest in page
    assert len(told.files) == 3
    assert [file.is_baseline for file in told.files] == [True, False, False]
    accuracy = measurements_of(queue.history, digits_runs["int8"])["accuracy"].value
    assert f"{100 * accuracy:.1f}%" in page
    embedded = json.loads(parsed(page).scripts[0])
    assert embedded["rows"][1]["accuracy"] == pytest.approx(accuracy)
    assert len(embedded["charts"]) >= 4


def test_words_of_strangers_stay_words(queue, ids):
    nasty = "</script><script>alert(1)</script><img src=x onerror=alert(1)>"
    page = document(content(queue.history, queue.store, ids, nasty), note=nasty)
    assert parsed(page).found == []
    assert len(parsed(page).scripts) == 3
    assert not re.search(r"<img[^>]*onerror", page)


def test_names_of_models_cannot_end_the_embedded_data(told):
    frame = told.frame.assign(model="</script><script>alert(1)</script>")
    page = document(type(told)(**{**told.__dict__, "frame": frame}))
    assert len(parsed(page).scripts) == 3
    assert json.loads(parsed(page).scripts[0])["rows"][0]["model"].startswith("</script>")


def test_without_a_file_there_is_no_report(queue):
    with pytest.raises(NotApplicable, match="no finished file"):
        content(queue.history, queue.store, ["nobody"])


@pytest.mark.parametrize("form", FORMATS)
def test_tables_hold_every_measurement(queue, ids, digits_runs, form):
    raw = encoded(results(queue.history, ids), form)
    read = {"csv": pd.read_csv, "json": pd.read_json, "parquet": pd.read_parquet}[form](io.BytesIO(raw))
    files = {run.artifact_digest for run in digits_runs.values()}
    assert set(read["file_sha256"]) == files
    assert not read.duplicated(["file_sha256", "metric", "device"]).any()
    assert {"accuracy", "size_bytes", "latency_ms"} <= set(read["metric"])
    assert read[read["metric"] == "accuracy"]["low"].notna().all()


def test_a_name_without_a_format_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"\.csv, \.json or \.parquet"):
        form_of(tmp_path / "results.xlsx")


def test_the_table_in_markdown_has_a_row_per_file(told):
    lines = table(told).splitlines()
    assert len(lines) == 2 + len(told.files)
    assert len({line.count("|") - line.count("\\|") for line in lines}) == 1


def test_repeats_over_seeds_are_told(told, tmp_path, monkeypatch):
    assert told.repeated == ()
    assert "Over seeds" not in document(told)
    monkeypatch.setenv("PARETOSCOPE_HOME", str(tmp_path))
    queue = JobQueue(Settings(), FakeExecutor(Settings()))
    recipes = [parse("magnitude_pruning+int8"), parse("dynamic_range")]
    runs = queue.submit("sample:digits_cnn", "sample:optdigits", recipes, seed=[0, 1, 2])
    queue.wait([run.id for run in runs])
    found = content(queue.history, queue.store, [run.id for run in runs])
    queue.close()
    (accuracy,) = found.repeated
    assert accuracy.title == "Accuracy over seeds, digits_cnn on optdigits"
    assert accuracy.sentence.startswith("Not separated by 3 seeds: ")
    assert {row[1]: row[5] for row in accuracy.rows} == {
        "baseline": "any", "magnitude_pruning+int8": "0, 1, 2", "dynamic_range": "any",
    }  # fmt: skip
    assert accuracy.sentence in document(found).replace("&#39;", "'")
    text = table(found)
    assert "| `magnitude_pruning+int8`, seed 2 |" in text
    assert f"**{accuracy.title}.** {accuracy.sentence}" in text


def test_trials_of_a_search_are_not_reported_as_if_measured_on_test_data(queue, digits_runs, ids):
    trial = digits_runs["int8"].model_copy(update={"id": "trial", "part": "validation", "study": "search"})
    queue.history.add([trial])
    try:
        with pytest.raises(NotApplicable, match="no finished file"):
            content(queue.history, queue.store, ["trial"])
        assert results(queue.history, ["trial"]).empty
        with pytest.raises(UserError, match=r"trial of a search.*search --continue search --certify"):
            run_named(queue, "trial")
        assert run_named(queue, ids[0]).id == ids[0]
    finally:
        queue.history.delete(["trial"])


def test_json_has_numbers_as_exact_as_csv() -> None:
    table = pd.DataFrame([dict.fromkeys(COLUMNS) | {"value": 1.2345678901e-9, "low": 3.3e-12}], columns=list(COLUMNS))
    (row,) = json.loads(encoded(table, "json"))
    assert (row["value"], row["low"], row["high"]) == (1.2345678901e-9, 3.3e-12, None)
