"""The corpus as uploads through the queue and its worker processes: no process dies, and the next file is read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from optimizers.engine.queue import JobQueue
from tests.hostile.corpus import GROUPS
from tests.hostile.doors import FrontDoor
from tests.hostile.files import HostileFile
from tests.hostile.sound import csv, keras_archive

GOOD = (
    HostileFile("good.keras", keras_archive(), harmless=True),
    HostileFile("good.csv", csv(), "data", harmless=True),
)
REPRESENTATIVES = {
    "code in the description": ("lambda.keras", "lambda-of-keras-2.h5", "layer-from-os.keras"),
    "giants": ("operation-Tile.h5", "steps-of-LSTM-True.keras", "models-called-by-models.keras"),
    "zip": ("path-0.keras", "bomb-weights.keras"),
    "tar": ("symlink.tar.gz", "sparse.tar.gz"),
    "hdf5": ("external-storage.keras", "objects.h5"),
    "SavedModel": ("WriteFile.zip", "PyFunc-beside-a-description.zip"),
    "npz": ("pickled-x.npz",),
    "csv": ("encoding-utf-32.csv",),
}


@pytest.fixture(scope="module", autouse=True)
def home(queue: JobQueue) -> Iterator[None]:
    """Files are left in the home of the queue, where worker processes look for them."""
    patch = pytest.MonkeyPatch()
    patch.setenv("PARETOSCOPE_HOME", str(queue.settings.home))
    yield
    patch.undo()


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    return tmp_path / "marker"


def _asked(queue: JobQueue, files: Iterator[HostileFile]) -> list[str]:
    door = FrontDoor(queue)
    found = [fault for file in files for fault in door.ask(file).faults(file)]
    found += [f"{name}: ended a worker process" for name in door.deaths]
    found += [f"{file.name} is no longer read" for file in GOOD if door.ask(file).problem is not None]
    return found


@pytest.mark.filterwarnings("ignore")
def test_representatives_are_refused_and_good_files_read(queue: JobQueue, marker: Path) -> None:
    groups = ((GROUPS[group](marker), names) for group, names in REPRESENTATIVES.items())
    chosen = [file for files, names in groups for file in files if file.name in names]
    assert len(chosen) == sum(map(len, REPRESENTATIVES.values()))
    assert _asked(queue, iter(chosen)) == []
    assert not marker.exists()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("group", GROUPS)
def test_every_file(group: str, queue: JobQueue, marker: Path) -> None:
    assert _asked(queue, GROUPS[group](marker)) == []
    assert not marker.exists()
