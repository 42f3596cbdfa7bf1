"""Reads what a file consists of, for metrics that need no predictions."""

from __future__ import annotations

from optimizers.declarations import Evidence
from optimizers.errors import ModelRefused, NotApplicable
from optimizers.litert.census import Census, census
from optimizers.litert.file import LiteRtFile


def structure(evidence: Evidence) -> LiteRtFile:
    """The file's graphs and weights. Raises `NotApplicable` where it cannot be taken apart."""
    file = LiteRtFile(evidence.file.read_bytes())
    try:
        assert file.graphs, "a file has at least one"
    except ModelRefused as error:
        raise NotApplicable(error.message, detail=error.detail) from error
    return file


def counted(evidence: Evidence) -> Census:
    """What its weights hold. Raises `NotApplicable` where it cannot be taken apart."""
    try:
        return census(evidence.file)
    except ModelRefused as error:
        raise NotApplicable(error.message, detail=error.detail) from error
