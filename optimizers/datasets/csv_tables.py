"""Reads a ``.csv`` file that a stranger may have made: numbers, words, and one column to predict."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from optimizers.errors import DataRefused

if TYPE_CHECKING:
    import numpy as np

TARGET_NAMES = ("target", "label", "class", "y")
MAX_COLUMNS = 10_000
MAX_WORDS = 100
"""Most different words in a column that is turned into one-hot columns."""

MAX_WORD_LENGTH = 200
MAX_CELLS = 20_000_000
_MISSING = frozenset({"", "na", "n/a", "nan", "null", "?"})


@dataclass(frozen=True)
class CsvTable:
    """The columns of a file: float64 numbers or words, each of shape (n,). ``target`` is a column's name."""

    columns: Mapping[str, np.ndarray]
    target: str
    notes: tuple[str, ...]

    @property
    def categorical(self) -> tuple[str, ...]:
        """Features that hold words."""
        words = (name for name, values in self.columns.items() if values.dtype.kind == "U")
        return tuple(name for name in words if name != self.target)


def read_table(path: Path, name: str, target: str = "") -> CsvTable:
    """The columns of a CSV file with a line of column names, separated by comma, semicolon or tab; UTF-8.

    ``target`` names the column to predict; left out, it is the column named target, label, class or y (in this order,
    in upper or lower case), else the last one.
    ``name`` is what people call the file, for messages. A nameless first column that counts the rows is left out.

    Raises:
        DataRefused: Not a CSV file, no column names, lines of different length, missing or infinite values, a column of
            very many different or very long words.
    """
    header, lines = _lines(_text(path, name), name)
    if not lines:
        raise DataRefused(f"{name} has column names but no rows; add examples.", code="too-few")
    columns = {title: _column([line[number] for line in lines], title, name) for number, title in enumerate(header)}
    notes: tuple[str, ...] = ()
    first = header[0]
    if first == "":
        columns = _without_row_numbers(columns, name)
        notes = ("The nameless first column counts the rows and was left out.",)
    target = _target(tuple(columns), target, name)
    if len(columns) < 2:
        raise DataRefused(f"{name} has one column; it needs features and a column to predict.", code="no-labels")
    table = CsvTable(columns, target, (*notes, f"The column to predict is {target!r}."))
    for feature in table.categorical:
        words = len(set(columns[feature].tolist()))
        if words > MAX_WORDS:
            raise DataRefused(
                f"Column {feature!r} of {name} holds {words} different words, more than {MAX_WORDS}; remove it or turn "
                "it into numbers.",
                code="too-many-words",
            )
    return table


def _text(path: Path, name: str) -> str:
    data = path.read_bytes()
    if b"\0" in data:
        raise DataRefused(f"{name} is neither an NPZ nor a CSV file; choose one of these.", code="unknown-format")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise DataRefused(
            f"{name} is neither an NPZ file nor text in UTF-8; save the table as CSV in UTF-8.",
            code="unknown-format",
        ) from None


def _lines(text: str, name: str) -> tuple[list[str], list[list[str]]]:
    """The column names, and the values of every further line that is not blank."""
    text = text.lstrip("\r\n")
    separator = max(",;\t", key=text.partition("\n")[0].count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        header = [title.strip() for title in next(reader, [])]
        _check_header(header, name)
        lines = []
        for line in reader:
            if line and (len(line) > 1 or line[0].strip()):
                if len(line) != len(header):
                    raise DataRefused(
                        f"Line {reader.line_num} of {name} has {len(line)} values, but the header has {len(header)}; "
                        "correct it.",
                        code="not-csv",
                    )
                lines.append(line)
                if len(lines) * len(header) > MAX_CELLS:
                    raise DataRefused(
                        f"{name} has more than {MAX_CELLS:,} values; use fewer rows or save it as NPZ.",
                        code="too-large",
                    )
    except csv.Error as error:
        raise DataRefused(
            f"Line {reader.line_num} of {name} is not valid CSV; save the table again as CSV.",
            code="not-csv",
            detail=str(error),
        ) from None
    return header, lines


def _check_header(header: list[str], name: str) -> None:
    if not any(header):
        raise DataRefused(f"{name} has no column names in its first line; add them.", code="no-header")
    if len(header) > MAX_COLUMNS:
        raise DataRefused(
            f"{name} has {len(header)} columns, more than {MAX_COLUMNS}; save it as NPZ.", code="too-many-columns"
        )
    if all(_is_number(title) for title in header):
        raise DataRefused(
            f"The first line of {name} holds numbers instead of column names; add a line of names.", code="no-header"
        )
    doubled = sorted({title for title in header if header.count(title) > 1})
    if doubled:
        raise DataRefused(f"{name} has several columns named {doubled[0]!r}; rename them.", code="doubled-column")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _column(cells: list[str], title: str, name: str) -> np.ndarray:
    """Whole numbers as int64, numbers as float64, anything else as words; shape (n,)."""
    import numpy as np

    words = [cell.strip() for cell in cells]
    missing = sum(word.lower() in _MISSING for word in words)
    if missing:
        raise DataRefused(
            f"Column {title!r} of {name} has {missing} missing value{'s' if missing > 1 else ''}; fill them or remove "
            "these rows.",
            code="not-finite",
        )
    try:
        numbers = np.array([float(word) for word in words], dtype=np.float64)
    except ValueError:
        longest = max(len(word) for word in words)
        if longest > MAX_WORD_LENGTH:
            raise DataRefused(
                f"Column {title!r} of {name} holds a text of {longest} characters; remove the column.",
                code="too-many-words",
            ) from None
        return np.array(words, dtype=np.str_)
    infinite = int((~np.isfinite(numbers)).sum())
    if infinite:
        raise DataRefused(
            f"Column {title!r} of {name} has {infinite} infinite value{'s' if infinite > 1 else ''}; correct or remove "
            "these rows.",
            code="not-finite",
        )
    decimal = any(mark in word for word in words for mark in ".eE")
    whole = not decimal and bool(np.all(np.abs(numbers) < 2**53))
    return numbers.astype(np.int64) if whole else numbers


def _without_row_numbers(columns: dict[str, np.ndarray], name: str) -> dict[str, np.ndarray]:
    import numpy as np

    counted = columns[""]
    if counted.dtype.kind != "i" or np.any(np.diff(counted) != 1):
        raise DataRefused(f"The first column of {name} has no name; name it or remove it.", code="no-header")
    return {title: values for title, values in columns.items() if title != ""}


def _target(titles: tuple[str, ...], wanted: str, name: str) -> str:
    if wanted and wanted not in titles:
        some = ", ".join(titles[:12]) + (" …" if len(titles) > 12 else "")
        raise DataRefused(f"{name} has no column {wanted!r} to predict; it has: {some}.", code="no-column")
    if wanted:
        return wanted
    lower = {title.lower(): title for title in reversed(titles)}
    return next((lower[name] for name in TARGET_NAMES if name in lower), titles[-1])
