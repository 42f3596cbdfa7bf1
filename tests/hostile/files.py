"""What a hostile file is, what would prove that it did harm, and how an answer to it must read."""

from __future__ import annotations

import base64
import marshal
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

WAYS_OUT = re.compile(
    r"\b(save|use|give|copy|replace|build|pack|choose|upload|make|call|add|remove|correct|rename|name|scale|number|fill|"
    r"keep|leave|take|feed|compute|train|check|raises|must|needs|needed|convert|lower|raise)\b"
)
_TWO_SENTENCES = re.compile(r"[.!?] [A-Z]")


@dataclass(frozen=True)
class HostileFile:
    """A file as a visitor uploads it.

    Attributes:
        name: What it is called; for people and for messages.
        content: Its bytes.
        kind: Whether it is offered as a model or as data.
        codes: Codes of the refusals that are right; empty when any refusal is.
        harmless: It may also be read, because what is bad in it is never looked at or does no harm.
        confined: The limits of a worker process answer it; without them it would take too much memory or time.
    """

    name: str
    content: bytes
    kind: Literal["model", "data"] = "model"
    codes: tuple[str, ...] = ()
    harmless: bool = False
    confined: bool = False


Group = Callable[[Path], Iterator[HostileFile]]
"""Files of one topic. Their payloads would create the file at the given path."""


def payload(marker: Path) -> str:
    """Python source of an expression that creates the marker."""
    return f"open({str(marker)!r}, 'w').close()"


def dumped_lambda(marker: Path) -> list[object]:
    """A Lambda's function as Keras stores it: marshalled bytecode, defaults and closure."""
    code = compile(f"lambda x: ({payload(marker)}, x)[1]", "model", "eval").co_consts[0]
    return [base64.b64encode(marshal.dumps(code)).decode(), None, None]


class Pickled:
    """An object whose unpickling creates the marker."""

    def __init__(self, marker: Path) -> None:
        self._marker = marker

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return exec, (payload(self._marker),)


def faults_of_sentence(message: str) -> list[str]:
    """What keeps a message from being one clear sentence that says what to do."""
    faults = []
    if not message.endswith("."):
        faults.append("has no full stop")
    if len(message.splitlines()) != 1 or not message.isprintable():
        faults.append("is not one line of plain text")
    if _TWO_SENTENCES.search(message):
        faults.append("is more than one sentence")
    if not WAYS_OUT.search(message):
        faults.append("does not say what to do")
    if len(message) > 500:
        faults.append(f"has {len(message)} characters")
    if re.search(r"/(tmp\w+|paretoscope-\w+|optimizers)/", message):
        faults.append("names a folder of this machine")
    return faults
