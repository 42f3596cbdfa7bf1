"""The corpus against the readers themselves: nothing runs, and every file is answered in one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.hostile import sound
from tests.hostile.corpus import GROUPS
from tests.hostile.doors import ask_reader
from tests.hostile.files import HostileFile

_SLOW = ("giants", "labour")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("group", [pytest.param(g, marks=pytest.mark.slow if g in _SLOW else ()) for g in GROUPS])
def test_every_file_is_answered_in_one_sentence(group: str, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    files = (file for file in GROUPS[group](marker) if not file.confined)
    faults = [fault for file in files for fault in ask_reader(file, tmp_path).faults(file)]
    assert not faults, "\n".join(faults)
    assert not marker.exists()


@pytest.mark.filterwarnings("ignore")
def test_sound_files_are_read(tmp_path: Path) -> None:
    """Else the corpus, which is made from them, would prove nothing."""
    members = sound.saved_model_members()
    models = (sound.keras_archive(), sound.whole_hdf5(), sound.zipped(members), sound.tarred(members), sound.tflite())
    files = [HostileFile("model", content) for content in models]
    files += [HostileFile("data", content, "data") for content in (sound.npz(), sound.csv())]
    assert [ask_reader(file, tmp_path).problem for file in files] == [None] * 7
