from __future__ import annotations

import re
import zipfile

import pytest

from optimizers import registry
from optimizers.datasets import sample as data
from optimizers.errors import UnknownName
from optimizers.models import sample
from optimizers.records import digest_of_path
from sample_models import DATA, MODELS
from sample_models.specs import SPECS

NAMES = tuple(sample.manifest())

FLOORS = {
    "digits_cnn": 0.97,
    "digits_resnet": 0.98,
    "digits_lstm": 0.97,
    "digits_transformer": 0.97,
    "fashion_cnn": 0.83,
    "fashion_mobilenet": 0.82,
    "occupancy_gru": 0.95,
    "penguins_mlp": 0.95,
    "mpg_mlp": 0.85,
    "digits_cnn_h5": 0.97,
    "penguins_mlp_savedmodel": 0.95,
}


def test_the_manifest_lists_what_can_be_built_and_nothing_else():
    assert NAMES == tuple(SPECS) == tuple(FLOORS)
    assert {entry.path.name for entry in sample.manifest().values()} == {file.name for file in MODELS.iterdir()}


@pytest.mark.parametrize("name", NAMES)
def test_entries_describe_their_files(name):
    entry = sample.manifest()[name]
    assert digest_of_path(entry.path) == entry.sha256
    assert entry.path.stat().st_size == entry.size_bytes
    assert entry.licence == "Apache-2.0"
    assert entry.description.endswith(".")
    assert entry.dataset.removeprefix("sample:") in data.ORIGIN.list()
    assert entry.is_variant_of is None or entry.is_variant_of in NAMES


@pytest.mark.parametrize("name", NAMES)
def test_models_are_as_good_as_a_demonstration_needs(name):
    entry = sample.manifest()[name]
    summary = data.load(entry.dataset.removeprefix("sample:")).summary
    assert entry.baseline == entry.figures[0]
    assert entry.baseline.value >= FLOORS[name]
    assert entry.baseline.n == summary.n_test
    assert entry.baseline.name == {"regression": "r2"}.get(summary.task, "accuracy")
    assert entry.task == summary.task


def test_the_origin_resolves_names():
    origin = registry.model_origins()["sample"]
    assert origin.list() == NAMES
    path, ref = origin.resolve("digits_cnn")
    assert (ref.uri, ref.name, ref.scope) == ("sample:digits_cnn", "digits_cnn", "shared")
    assert ref.digest == sample.manifest()["digits_cnn"].sha256 == digest_of_path(path)
    with pytest.raises(UnknownName, match="There is no sample model 'vgg'; known are: digits_cnn, "):
        origin.resolve("vgg")


@pytest.mark.parametrize("file", sorted(MODELS.glob("*.keras")), ids=lambda file: file.stem)
def test_files_hold_neither_dates_nor_memory_addresses(file):
    with zipfile.ZipFile(file) as archive:
        assert {info.date_time[0] for info in archive.infolist()} == {2026}
        assert b'"date_saved": "2026-01-01@00:00:00"' in archive.read("metadata.json")
        numbers = re.findall(rb'"shared_object_id": (\d+)', archive.read("config.json"))
        assert max((int(number) for number in numbers), default=0) < 1000


def test_the_saved_model_has_keras_metadata():
    with zipfile.ZipFile(MODELS / "penguins_mlp_savedmodel.zip") as archive:
        assert {"keras_metadata.pb", "saved_model.pb", "variables/variables.index"} <= set(archive.namelist())


def test_every_data_file_is_attributed():
    told = (DATA / "ATTRIBUTION.md").read_text("utf-8")
    for file in DATA.iterdir():
        assert file.name == "ATTRIBUTION.md" or f"`{file.name}`" in told
