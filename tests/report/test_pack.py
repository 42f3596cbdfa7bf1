"""Packs of evidence: what agrees, what was changed, and packs of strangers."""

from __future__ import annotations

import json
import zipfile

import pytest

from optimizers.errors import UserError
from optimizers.report.manifest import MANIFEST
from optimizers.report.pack import write
from optimizers.report.verification import verify


@pytest.fixture(scope="module")
def pack(queue, digits_runs, tmp_path_factory):
    target = tmp_path_factory.mktemp("pack") / "digits.zip"
    write(queue.driver, [run.id for run in digits_runs.values()], target)
    return target


def changed(pack, target, **members):
    """A copy of a pack with members replaced; None leaves one out. Functions get the old content."""
    with zipfile.ZipFile(pack) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            key = next((k for k in members if k in name), None)
            content = old.read(name) if key is None else members[key]
            content = content(old.read(name)) if callable(content) else content
            if content is not None:
                new.writestr(name, content)
    return target


def edited(change):
    """Changes the manifest as JSON."""

    def apply(content):
        told = json.loads(content)
        change(told)
        return json.dumps(told)

    return apply


def by_verdict(checks, verdict):
    return [(check.file, check.what) for check in checks if check.verdict == verdict]


def test_a_pack_of_ours_agrees_in_everything(queue, pack):
    manifest, checks = verify(queue.driver, pack)
    assert {check.verdict for check in checks} == {"agrees"}
    files = manifest.subjects[0].files
    assert [file.is_baseline for file in files] == [True, False, False]
    for file in files:
        told = {check.what for check in checks if check.file == file.path}
        assert {"SHA-256", "Bytes", "Accuracy", "File size", "Compressed size"} <= told


def test_a_changed_weight_is_found(queue, pack, tmp_path):
    def bent(content):
        middle = len(content) // 2
        return (
            content[:middle] + bytes(255 - byte for byte in content[middle : middle + 2000]) + content[middle + 2000 :]
        )

    _, checks = verify(queue.driver, changed(pack, tmp_path / "x.zip", int8=bent))
    assert ("models/1-int8.tflite", "SHA-256") in by_verdict(checks, "differs")
    assert all("int8" in file for file, _ in by_verdict(checks, "differs"))


def test_a_changed_report_and_a_stranger_s_file_are_found(queue, pack, tmp_path):
    target = changed(pack, tmp_path / "p.zip", **{"report.html": lambda content: content + b"<p>better</p>"})
    with zipfile.ZipFile(target, "a") as archive:
        archive.writestr("models/other.tflite", b"x")
    _, checks = verify(queue.driver, target)
    assert {file for file, _ in by_verdict(checks, "differs")} == {"report.html", "models/other.tflite"}


def test_a_stated_figure_that_is_not_true_is_found(queue, pack, tmp_path):
    def better(told):
        figure = told["subjects"][0]["files"][1]["measurements"]["accuracy"]
        figure.update(value=0.9999, low=0.9998, high=1.0)

    _, checks = verify(queue.driver, changed(pack, tmp_path / "x.zip", manifest=edited(better)))
    assert by_verdict(checks, "differs") == [("models/1-int8.tflite", "Accuracy")]


def test_missing_files_and_examples_are_told(queue, pack, tmp_path):
    _, checks = verify(queue.driver, changed(pack, tmp_path / "x.zip", int8=None, npz=None))
    assert ("models/1-int8.tflite", "Bytes") in by_verdict(checks, "differs")
    assert ("data/test.npz", "SHA-256") in by_verdict(checks, "differs")
    absent = [check for check in checks if check.what == "Accuracy"]
    assert {check.verdict for check in absent} == {"not measured again"}
    assert all("examples" in check.why for check in absent)


def test_a_pack_without_examples_is_measured_on_public_data(queue, digits_runs, tmp_path):
    target = tmp_path / "small.zip"
    write(queue.driver, [digits_runs["int8"].id], target, with_data=False)
    with zipfile.ZipFile(target) as archive:
        assert "data/test.npz" not in archive.namelist()
    _, checks = verify(queue.driver, target)
    assert {(check.verdict, check.why) for check in checks} == {("agrees", "")}
    assert "Accuracy" in {check.what for check in checks}


def test_other_data_are_not_taken_for_the_right_ones(queue, digits_runs, tmp_path):
    target = tmp_path / "small.zip"
    write(queue.driver, [digits_runs["int8"].id], target, with_data=False)
    _, checks = verify(queue.driver, target, data="sample:fashion_mnist")
    assert any("is not the data set that was measured on" in check.why for check in checks)


@pytest.mark.parametrize(
    "change",
    [
        lambda told: told["subjects"][0]["files"][0].update(path="../../etc/passwd"),
        lambda told: told["subjects"][0]["files"][0].update(path="models/../x"),
        lambda told: told["subjects"][0]["test"].update(path="/etc/passwd"),
        lambda told: told.update(format=2),
        lambda told: told.update(subjects=[]),
        lambda told: told["subjects"][0].pop("task"),
        lambda told: told.update(surprise=1),
    ],
)
def test_a_bent_manifest_is_refused_in_words(queue, pack, tmp_path, change):
    with pytest.raises(UserError, match=r"manifest\.json of this pack"):
        verify(queue.driver, changed(pack, tmp_path / "x.zip", manifest=edited(change)))


def test_addresses_in_a_pack_lead_to_no_file_of_ours(queue, pack, tmp_path):
    def private(told):
        told["subjects"][0]["test"].update(path="", uri="file:/etc/passwd")

    _, checks = verify(queue.driver, changed(pack, tmp_path / "x.zip", manifest=edited(private)))
    assert any("holds no examples" in check.why for check in checks)


@pytest.mark.parametrize("content", [b"", b"PK", b"no zip at all", b"PK\x05\x06" + b"\0" * 18])
def test_what_is_no_pack_is_refused_in_words(queue, tmp_path, content):
    target = tmp_path / "x.zip"
    target.write_bytes(content)
    with pytest.raises(UserError, match="no pack of evidence"):
        verify(queue.driver, target)


def test_a_file_that_is_no_model_ends_nothing(queue, pack, tmp_path):
    _, checks = verify(queue.driver, changed(pack, tmp_path / "x.zip", int8=b"x" * 5000))
    failed = [check for check in checks if check.verdict == "not measured again"]
    assert [check.file for check in failed] == ["models/1-int8.tflite"]
    assert failed[0].why.endswith(".")


@pytest.mark.parametrize("content", [b"x" * 100, b""])
def test_examples_that_cannot_be_read_are_told(queue, pack, tmp_path, content):
    _, checks = verify(queue.driver, changed(pack, tmp_path / "x.zip", npz=content))
    assert any("examples of the pack cannot be read" in check.why for check in checks)


def test_nothing_of_a_failed_pack_stays(queue, tmp_path):
    with pytest.raises(Exception, match="no finished file"):
        write(queue.driver, ["nobody"], tmp_path / "x.zip")
    assert list(tmp_path.iterdir()) == []
    assert MANIFEST == "manifest.json"
