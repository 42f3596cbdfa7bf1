"""What a pack of evidence says about the files in it."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Literal

from pydantic import Field, ValidationError

from optimizers.errors import UserError
from optimizers.records import Measurement, Record, StepRecord, Target, Task

MANIFEST = "manifest.json"
REPORT = "report.html"
FORMAT: Literal[1] = 1
_NAME = r"^(models|data)/[A-Za-z0-9_+-][A-Za-z0-9_.+-]{0,200}$"


class PackedFile(Record):
    """One deployable file, and what was measured on it, by metric."""

    path: str = Field(pattern=_NAME)
    sha256: str
    size_bytes: int
    recipe: str
    is_baseline: bool = False
    seed: int = 0
    run_id: str = ""
    steps: tuple[StepRecord, ...] = ()
    measurements: dict[str, Measurement] = Field(default_factory=dict)


class PackedTest(Record):
    """The test part in the form in which the files take it; ``path`` is empty where it was left out of the pack."""

    path: str = Field(default="", pattern=_NAME + "|^$")
    sha256: str = ""
    examples: int
    uri: str = ""


class PackedSubject(Record):
    """One model on one data set: the first of ``files`` is the baseline."""

    model: str
    model_sha256: str
    data: str
    data_sha256: str
    task: Task
    activation: str
    outputs: int
    targets: tuple[Target, ...] = ()
    test: PackedTest
    files: tuple[PackedFile, ...] = Field(min_length=1)


class Manifest(Record):
    """A whole pack. ``others`` are SHA-256 digests of what lies beside the files: the report and the table."""

    format: Literal[1] = FORMAT
    title: str
    made: datetime
    versions: dict[str, str]
    subjects: tuple[PackedSubject, ...] = Field(min_length=1, max_length=60)
    others: dict[str, str] = Field(default_factory=dict, max_length=20)

    @property
    def named(self) -> frozenset[str]:
        """Every member that a pack should have."""
        files = [file.path for subject in self.subjects for file in subject.files]
        tests = [subject.test.path for subject in self.subjects if subject.test.path]
        return frozenset((*files, *tests, *self.others, MANIFEST))


def parse(content: bytes) -> Manifest:
    """The manifest that a pack holds. Raises `UserError` with what is wrong in it."""
    try:
        return Manifest.model_validate(json.loads(content))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the whole"
        raise UserError(
            f"{MANIFEST} of this pack is not what `python -m optimizers pack` writes: {place}: {first['msg']}. Ask for "
            "the pack again."
        ) from None
    except (ValueError, RecursionError):
        raise UserError(f"{MANIFEST} of this pack is no JSON; ask for the pack again.") from None
