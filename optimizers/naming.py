"""Names of files that people take along."""

from __future__ import annotations

import re

_OTHERS = re.compile(r"[^A-Za-z0-9_.+-]+")


def file_stem(*words: str, most: int = 120) -> str:
    """The words as one name that every file system takes, without an ending.

    Examples:
        ``file_stem("my model", "p(a=0.8)+int8")`` gives ``my_model-p_a_0.8_+int8``.
    """
    return _OTHERS.sub("_", "-".join(words))[:most].strip("_.-") or "file"


def without_ending(name: str) -> str:
    """A file's name as a model's name: ``my.keras`` is ``my``."""
    return name.rpartition(".")[0] or name
