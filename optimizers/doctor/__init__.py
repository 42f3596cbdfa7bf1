"""Looks after a home: is everything in the store and the history whole, do they agree, and is the machine fit?

Safe while the app works: what somebody writes or runs at the moment is left alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

from optimizers.records import now
from optimizers.settings import Settings

Level = Literal["fine", "note", "problem"]
_SHOWN = 10


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        check: Its name, the same in every version.
        level: ``fine``, worth knowing (``note``), or a ``problem``.
        message: One sentence.
        items: Keys, ids or names that it is about.
        repaired: Whether the problem is gone now.
    """

    check: str
    level: Level
    message: str
    items: tuple[str, ...] = ()
    repaired: bool = False

    @property
    def open(self) -> bool:
        """Whether there is something left to do."""
        return self.level == "problem" and not self.repaired

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return asdict(self)

    def __str__(self) -> str:
        mark = "repaired" if self.repaired else self.level
        more = f" and {len(self.items) - _SHOWN} more" if len(self.items) > _SHOWN else ""
        shown = f" ({', '.join(self.items[:_SHOWN])}{more})" if self.items else ""
        return f"{mark:8} {self.check}: {self.message}{shown}"


def examine(settings: Settings, *, repair: bool = False, prune: bool = False, deep: bool = False) -> Iterator[Finding]:
    """Looks at everything and tells what it found, one finding per check.

    Args:
        settings: Whose home.
        repair: Remove what is damaged or half-written, let runs whose result or driver is gone go on, and forget what
            was measured on files that are gone.
        prune: Also delete results that no run refers to.
        deep: Also read every file behind ``PARETOSCOPE_STORE``, not only whether it is there.
    """
    from optimizers.doctor import behind, machine, records, results

    begun = now()
    yield from machine.examine(settings)
    yield from results.uploads(settings, repair=repair)
    here = yield from results.examine(settings, repair=repair)
    sound = yield from behind.examine(settings, here, repair=repair, deep=deep)
    yield from records.examine(settings, sound, begun=begun, repair=repair, prune=prune)
