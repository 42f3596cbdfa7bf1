"""Programs are templates in ``templates/``, filled with what is known about the file."""

from __future__ import annotations

import json
import textwrap
from functools import cache
from pathlib import Path
from typing import Any

from optimizers.deployment import Deployable

_WIDTH = 100
_CONTROL = dict.fromkeys((*range(32), 127, 133, 8232, 8233), " ")


@cache
def _environment() -> Any:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # programs, not HTML: whatever comes from a file goes through `text` or `remark`
    )
    environment.filters |= {"text": text, "kotlin": kotlin, "remark": remark, "number": number}
    return environment


def text(value: object) -> str:
    """A string literal that Python, JavaScript, Swift and C++ all read alike, whatever is in it."""
    kept = "".join(c for c in str(value).translate(_CONTROL) if c.isprintable() or c == " ")
    return json.dumps(kept, ensure_ascii=False)


def kotlin(value: object) -> str:
    """A string literal of Kotlin, where a dollar sign starts an expression."""
    return text(value).replace("$", "\\$")


def remark(value: object) -> str:
    """Words for a comment: one line that ends no comment and continues none."""
    kept = "".join(c for c in str(value).translate(_CONTROL) if c.isprintable() or c == " ")
    return kept.replace("*/", "* /").replace('"""', "'''").rstrip("\\ ")


def number(value: float) -> str:
    """A number with all its digits, as every language reads it."""
    return repr(float(value))


def filled(template: str, file: Deployable, /, **more: Any) -> bytes:
    """The template of that name filled for a file, as UTF-8."""
    notes = [line for note in file.notes for line in textwrap.wrap(remark(note), _WIDTH)]
    content: str = _environment().get_template(template).render(file=file, notes=notes, **more)
    return content.encode()
