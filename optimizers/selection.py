"""Which layers a step works on, as people write it: ``conv*, dense_1`` or ``!classes``. Empty means all.

Patterns are separated by commas and may hold ``*`` and ``?``. A pattern with ``!`` in front takes layers out. Where
there are only such patterns, all other layers are chosen.
"""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

NOT_CHOSEN = "it is not among the chosen layers"
"""The reason a step gives for a layer that its ``layers`` parameter leaves out."""


def patterns(text: str) -> tuple[str, ...]:
    """The patterns of a choice, without white space.

    Example:
        ``"conv*, !conv1"`` gives ``("conv*", "!conv1")``.
    """
    return tuple(part.strip() for part in text.split(",") if part.strip())


def chosen(name: str, text: str) -> bool:
    """Whether the layer of that name is chosen."""
    parts = patterns(text)
    if any(fnmatchcase(name, part[1:].strip()) for part in parts if part.startswith("!")):
        return False
    wanted = [part for part in parts if not part.startswith("!")]
    return not wanted or any(fnmatchcase(name, part) for part in wanted)


def unknown(names: Iterable[str], text: str) -> tuple[str, ...]:
    """Patterns that match none of the names: most likely mistyped."""
    known = list(names)
    return tuple(
        part for part in patterns(text) if not any(fnmatchcase(name, part.removeprefix("!").strip()) for name in known)
    )
