"""Words that others chose (file names, messages, layer names), made safe to stand in Markdown."""

from __future__ import annotations

import re

from optimizers.kinds import KINDS

_SPECIAL = re.compile(r"([\\`*_{}\[\]()<>#+!|$~:-])")


def escaped(text: str) -> str:
    """The text so that Markdown shows it as it is."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def code(text: str) -> str:
    """The text as inline code."""
    return f"`{text.replace('`', chr(39))}`"


TASKS = {task: kind.title for task, kind in KINDS.items()}
"""Tasks as people read them."""
