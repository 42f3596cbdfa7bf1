"""Words that others chose (file names, messages, layer names), made safe to stand in Markdown."""

from __future__ import annotations

import re

_SPECIAL = re.compile(r"([\\`*_{}\[\]()<>#+!|$~:-])")


def escaped(text: str) -> str:
    """The text so that Markdown shows it as it is."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def code(text: str) -> str:
    """The text as inline code."""
    return f"`{text.replace('`', chr(39))}`"


TASKS = {
    "classification": "Classification",
    "binary": "Binary classification",
    "regression": "Regression",
    "reconstruction": "Reconstruction",
    "fidelity": "Fidelity to the original",
}
"""Tasks as people read them."""
