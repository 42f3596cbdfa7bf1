"""The command that asks several files the same."""

from __future__ import annotations

import json
from contextlib import nullcontext

import pytest
from PIL import Image
from typer.testing import CliRunner

from optimizers.cli.common import app
from optimizers.errors import UserError
from optimizers.recipe import parse


@pytest.fixture
def told(queue, monkeypatch):
    """What the command prints for a finished run."""
    monkeypatch.setattr("optimizers.cli.racing.Opened", lambda home: nullcontext(queue))
    (run,) = queue.submit("sample:digits_cnn", "sample:optdigits", [parse("int8")])
    queue.wait([run.id])

    def told(*words):
        done = CliRunner().invoke(app, ["race", run.id, *map(str, words)])
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done.stdout

    return told


def test_every_file_answers_an_example(told):
    found = json.loads(told("--example", 3, "--json"))
    assert len(found["answers"]) == 2
    assert found["truth"]
    assert {answer["text"] for answer in found["answers"]} == {found["answers"][0]["text"]}
    lines = told("--example", 3).splitlines()
    assert [line.partition(":")[0] for line in lines] == ["baseline", "int8", "truth"]


def test_a_picture_file_is_answered_and_a_row_is_not_what_this_model_takes(told, tmp_path):
    Image.new("L", (30, 30), 90).save(tmp_path / "a.png")
    assert told("--picture", tmp_path / "a.png").count(" ms") == 2
    (tmp_path / "row.csv").write_text("a,b\n1,2\n")
    with pytest.raises(UserError, match="no rows"):
        told("--row", tmp_path / "row.csv")


@pytest.mark.parametrize("words", [(), ("--example", 1, "--row", "x.csv"), ("--picture", "missing.png")])
def test_what_is_asked_is_one_thing_that_exists(told, words):
    with pytest.raises(UserError, match=r"Give one of|cannot be read"):
        told(*words)
