"""All hostile files, by group."""

from __future__ import annotations

from tests.hostile.archives import tar_files, zip_files
from tests.hostile.arrays import arrays
from tests.hostile.code import code
from tests.hostile.cut import disguises, truncations
from tests.hostile.files import Group
from tests.hostile.giants import giants
from tests.hostile.graphs import flatbuffers, saved_models
from tests.hostile.hdf5 import hdf5
from tests.hostile.labour import labour
from tests.hostile.parquet import parquet
from tests.hostile.pictures import pictures
from tests.hostile.tables import tables

GROUPS: dict[str, Group] = {
    "code in the description": code,
    "giants": giants,
    "labour": labour,
    "zip": zip_files,
    "tar": tar_files,
    "hdf5": hdf5,
    "SavedModel": saved_models,
    "flatbuffer": flatbuffers,
    "npz": arrays,
    "csv": tables,
    "parquet": parquet,
    "images": pictures,
    "cut off": truncations,
    "disguised": disguises,
}
