"""The store: whole or not at all, first writer wins, damage is noticed."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from optimizers.engine.store import Store
from optimizers.errors import StoreDamaged
from optimizers.records import digest_of

KEY = digest_of("some result")


def put(store, key=KEY, content=b"TFL3"):
    with store.draft() as out:
        (out / "model.tflite").write_bytes(content)
        (out / "extra.json").write_text("{}")
        return store.commit(out, key, "tflite", "model.tflite", {"notes": ["said"]})


def test_what_was_put_can_be_read_back(tmp_path):
    store = Store(tmp_path)
    assert store.get(KEY) is None
    artifact = put(store)
    assert store.get(KEY) == artifact
    assert store.path(artifact).read_bytes() == b"TFL3"
    assert artifact.size_bytes == 4
    assert set(artifact.files) == {"model.tflite", "extra.json"}
    assert artifact.report == {"notes": ["said"]}
    assert list(store.artifacts()) == [artifact]
    store.verify(artifact)


def test_the_first_writer_wins(tmp_path):
    store = Store(tmp_path)
    first = put(store, content=b"first")
    second = put(store, content=b"second")
    assert second == first
    assert store.path(first).read_bytes() == b"first"


def test_a_draft_that_was_not_committed_leaves_nothing(tmp_path):
    store = Store(tmp_path)

    def break_off():
        with store.draft() as out:
            (out / "half").write_bytes(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        break_off()
    assert list((tmp_path / "drafts").iterdir()) == []
    assert list(store.artifacts()) == []


def test_drafts_of_dead_writers_are_swept_and_those_of_living_ones_are_not(tmp_path):
    store = Store(tmp_path)
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    (tmp_path / "drafts" / f"{dead.pid}-abc").mkdir()
    (tmp_path / "drafts" / f"{os.getpid()}-abc").mkdir()
    assert store.sweep() == 1
    assert [d.name for d in (tmp_path / "drafts").iterdir()] == [f"{os.getpid()}-abc"]


def test_damage_is_noticed(tmp_path):
    store = Store(tmp_path)
    artifact = put(store)
    path = store.path(artifact)
    path.write_bytes(b"TFL4")
    with pytest.raises(StoreDamaged, match="missing or changed"):
        store.verify(artifact)
    path.write_bytes(b"TFL3 and more")
    with pytest.raises(StoreDamaged, match="missing or changed"):
        store.path(artifact)
    path.unlink()
    with pytest.raises(StoreDamaged, match="missing or changed"):
        store.path(artifact)


@pytest.mark.parametrize("key", ["", "..", "../../etc/passwd", "A" * 64, KEY + "0"])
def test_a_key_is_never_a_path(tmp_path, key):
    with pytest.raises(ValueError, match="no store key"):
        Store(tmp_path).get(key)
