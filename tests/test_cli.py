"""The command line: its promises about output, exit status and words."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from optimizers import registry
from optimizers.litert import interpreter
from optimizers.models.sample import manifest

ROOT = Path(__file__).parents[1]


def cli(*words, home=None):
    environment = {**os.environ, "NO_COLOR": "1", "COLUMNS": "120"}
    if home is not None:
        environment["PARETOSCOPE_HOME"] = str(home)
    command = [sys.executable, "-m", "optimizers", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, env=environment)


@pytest.mark.parametrize(
    ("what", "names"),
    [
        ("models", [f"sample:{name}" for name in manifest()]),
        ("datasets", [f"sample:{name}" for name in registry.dataset_origins()["sample"].list()]),
        ("techniques", list(registry.techniques())),
        ("metrics", list(registry.metrics())),
    ],
)
def test_lists_name_everything_as_text_and_as_json(what, names):
    done = cli(what, "--json")
    assert done.returncode == 0, done.stderr
    assert [entry.get("uri") or entry["name"] for entry in json.loads(done.stdout)] == names
    text = cli(what).stdout
    assert all(name in text for name in names)


def test_inspect_describes_a_model(tmp_path):
    done = cli("inspect", "sample:penguins_mlp", "--json", home=tmp_path)
    assert done.returncode == 0, done.stderr
    described = json.loads(done.stdout)
    assert described["parameters"] == manifest()["penguins_mlp"].parameters
    assert described["bridge_error"] < 1e-5
    assert "Dense" in cli("inspect", "sample:penguins_mlp", home=tmp_path).stdout


def test_data_are_prepared_from_a_path_that_is_relative(tmp_path):
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "mine.npz", x=rng.random((60, 4)), y=np.arange(60) % 3)
    path = os.path.relpath(tmp_path / "mine.npz", ROOT)
    done = cli("prepare", "--model", "sample:penguins_mlp", "--data", path, home=tmp_path / "home")
    assert "There is no file" not in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("report", "--out", "nowhere/x.html"),
        ("pack", "--out", "nowhere/x.zip"),
        ("results", "--out", "nowhere/x.csv"),
        ("results", "--out", "docs/x.json/", "--home", "README.md"),
        ("export", "some-run", "--to", "README.md"),
        ("run", "--model", "sample:penguins_mlp", "--recipe", "int8", "--keras", "README.md"),
    ],
)
def test_a_place_that_cannot_be_written_is_told_before_any_work(words, tmp_path):
    done = cli(*words, home=tmp_path)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "nowhere" in done.stderr or "README.md" in done.stderr
    assert not list(tmp_path.iterdir())


def test_whoever_interrupts_is_told_that_nothing_finished_is_lost(tmp_path):
    command = [sys.executable, "-m", "optimizers", "run", "--model", "sample:penguins_mlp", "--data", "sample:penguins",
               "--recipe", "weight_clustering(epochs=200)+int8", "--home", str(tmp_path)]  # fmt: skip
    heard = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # what runs in the background of a shell ignores it
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, preexec_fn=heard
    ) as work:
        deadline = time.monotonic() + 60
        while work.poll() is None and not list(tmp_path.glob("progress/*.json")) and time.monotonic() < deadline:
            time.sleep(0.2)
        work.send_signal(signal.SIGINT)
        _, told = work.communicate(timeout=60)
    assert work.returncode == 130
    assert "the same command goes on" in told


def test_a_run_prints_one_json_list_and_tells_progress_apart(tmp_path):
    home = tmp_path / "home"
    recipe = "magnitude_pruning(target_sparsity=0.8, epochs=2)+int8"
    words = ["run", "--model", "sample:penguins_mlp", "--data", "sample:penguins", "--recipe", "int8",
             "--recipe", recipe, "--json", "--home", home, "--budget", "2"]  # fmt: skip
    done = cli(*words)
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)
    assert [r["recipe"] for r in results] == ["int8", recipe]
    for result in results:
        assert result["state"] == "done"
        assert result["failure"] is None
        assert Path(result["artifact"]).is_relative_to(home)
        interpreter.load(Path(result["artifact"]))
        assert {"size_bytes", "compressed_bytes", "accuracy", "latency_ms", "latency_p90_ms"} <= set(
            result["measurements"]
        )
        for name, m in result["measurements"].items():
            timed = {"device", "threads", "others", "disturbed"} if registry.metric(name).device_bound else set()
            told = timed | ({"verdict"} if name == "speedup" else set())
            assert set(m) == {"value", "unit", "low", "high", "n"} | told
        assert "more than five classes" in result["absent"]["top5_accuracy"]
        difference, budget = result["differences"]["accuracy"], result["budget"]
        assert difference["value"] == pytest.approx((difference["gained"] - difference["lost"]) / difference["n"])
        assert (budget["metric"], budget["amount"], budget["allowed"]) == ("accuracy", 2.0, 0.02)
        assert (budget["state"] == "certified") == (budget["upper"] < 0.02)
    assert "int8: " in done.stderr
    again = json.loads(cli(*words).stdout)
    assert {stage["origin"] for result in again for stage in result["stages"]} == {"store"}
    assert [r["measurements"] for r in again] == [r["measurements"] for r in results]
    assert [r["budget"] for r in again] == [r["budget"] for r in results], "the first verdict stands, with its time"
    retimed = cli("retime", again[0]["id"], "--home", home, "--json")
    assert retimed.returncode == 0, retimed.stderr
    [told] = json.loads(retimed.stdout)
    known = again[0]["measurements"]
    assert all(told["before"][name]["value"] == known[name]["value"] for name in told["before"])
    assert told["after"].keys() >= {"latency_ms", "speedup"}
    assert told["after"]["latency_ms"]["measured_at"] > told["before"]["latency_ms"]["measured_at"]
    assert told["after"]["latency_ms"]["others"] >= 0


def test_a_run_that_fails_exits_with_one_and_says_why(tmp_path):
    words = ["run", "--model", "sample:occupancy_gru", "--data", "sample:occupancy", "--recipe",
             "int8(recurrent=fused)", "--json", "--home", tmp_path]  # fmt: skip
    done = cli(*words)
    assert done.returncode == 1
    result = json.loads(done.stdout)[0]
    assert result["state"] == "failed"
    assert result["artifact"] is None
    assert result["measurements"] == {}
    assert "unrolled" in result["failure"]["message"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"--model": "sample:no_such"}, "no sample model 'no_such'"),
        ({"--model": "missing.keras"}, "missing.keras"),
        ({"--model": "TEXT"}, "not a"),
        ({"--data": "sample:no_such"}, "no_such"),
        ({"--data": "NAN"}, "Column 'c' of data.csv has 60 missing values"),
        ({"--data": "sample:optdigits"}, "expects inputs of shape"),
        ({"--recipe": "int7"}, "no technique or preset 'int7'"),
        ({"--recipe": "int8+magnitude_pruning"}, "Move int8 to the end"),
        ({"--recipe": "weight_clustering(clusters=[8, 1])"}, r"clusters must be a whole number"),
        ({"--recipe": "magnitude_pruning(epochs=linear(1, 200, 200))"}, "at most 100 are allowed"),
        ({"--recipe": "int8(io=float64)"}, "must be one of float32, int8, got 'float64'"),
    ],
)
def test_bad_input_is_one_clear_sentence_and_status_two(tmp_path, changes, words):
    text, data = tmp_path / "model.keras", tmp_path / "data.csv"
    text.write_text("not a model")
    data.write_text("a,b,c,d,target\n" + "\n".join(f"{i},2,,4,{i % 3}" for i in range(60)))
    given = {"--model": "sample:penguins_mlp", "--data": "sample:penguins", "--recipe": "int8"} | changes
    given = {k: {"TEXT": text, "NAN": data}.get(v, v) for k, v in given.items()}
    done = cli("run", *[w for pair in given.items() for w in pair], "--json", "--home", tmp_path / "home")
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("Error: ")
    assert words in last
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["--model", "sample:penguins_mlp", "--certify", "1"], "name the search with --continue."),
        (["--continue", "x", "--limits", "size<=9KB", "--seed", "2"], "leave --limits and --seed out"),
        (["--continue", "x"], "There is no search 'x'"),
        ([], "Name a model to search for with --model"),
    ],
)
def test_options_that_a_search_would_ignore_are_refused(tmp_path, given, words):
    done = cli("search", *given, "--home", tmp_path)
    assert (done.returncode, words in done.stderr) == (2, True), done.stderr


@pytest.mark.slow
def test_an_optimized_model_comes_back_as_a_keras_3_file(tmp_path):
    import keras

    words = ["run", "--model", "sample:penguins_mlp", "--data", "sample:penguins", "--recipe", "int8", "--recipe",
             "magnitude_pruning(target_sparsity=0.5, epochs=1)", "--json", "--home", tmp_path / "home",
             "--keras", tmp_path / "out"]  # fmt: skip
    done = cli(*words)
    assert done.returncode == 0, done.stderr
    plain, pruned = json.loads(done.stdout)
    assert plain["keras"] is None
    assert "leaves a Keras model" in done.stderr
    kernels = [w.numpy() for w in keras.models.load_model(pruned["keras"]).weights if w.ndim == 2]
    assert sum((k == 0).sum() for k in kernels) > 0.3 * sum(k.size for k in kernels)
