"""Comma-separated values: a line of column names, then numbers, words, true or false; UTF-8, or UTF-16 with its mark.

Between columns are commas, semicolons, tabs or spaces.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optimizers.datasets import tables
from optimizers.declarations import DataFormat, RawData
from optimizers.errors import DataRefused

if TYPE_CHECKING:
    import numpy as np

    from optimizers.datasets.preparation import Preparation

_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_NO_TEXT = re.compile(rb"[\x00-\x06\x0e-\x1a]")
"""Control characters that no table holds, but what begins a damaged archive."""
_SPACED = re.compile(r'"[^"]*"|\S+')
_COMMA = re.compile(r"[-+]?\d+,\d+(?:[eE][-+]?\d+)?")
_LONGEST_LINE = 4 << 20
_MISSING = frozenset({"", "na", "n/a", "nan", "null", "?"})


def is_text(path: Path, start: bytes) -> bool:
    """Whether it may be text at all. Asked last."""
    return path.is_file() and (start.startswith(_UTF16) or not _NO_TEXT.search(start))


def read(path: Path, name: str, preparation: Preparation) -> RawData:
    """Features and labels. A nameless first column that counts the rows is left out, and an empty last one.

    Raises:
        DataRefused: Not a CSV file, no column names, lines of different length, missing or infinite values, a column of
            very many different or very long words.
    """
    header, lines, separator = _lines(_text(path.read_bytes(), name), name)
    if not lines:
        raise DataRefused(f"{name} has column names but no rows; add examples.", code="too-few")
    if len(header) > 2 and header[-1] == "" and not any(line[-1].strip() for line in lines):
        header = header[:-1]  # a separator at the end of every line
    columns = {
        title: _column([line[number] for line in lines], title, name, separator) for number, title in enumerate(header)
    }
    notes: tuple[str, ...] = ()
    if header[0] == "":
        columns = _without_row_numbers(columns, name)
        notes = ("The nameless first column counts the rows and was left out.",)
    raw = tables.raw_data(columns, preparation.target, name)
    return replace(raw, notes=(*notes, *raw.notes))


def first_row(data: bytes, name: str) -> dict[str, Any]:
    """The first row of a table by the names of its columns: numbers, truth values or words. Raises as `read`."""
    text = _text(data, name).lstrip("\r\n")
    header, lines, separator = _lines("\n".join(text.splitlines()[:2]), name)
    if not lines:
        raise DataRefused(f"{name} has column names but no row below them; add one.", code="too-few")
    cells = zip(header, lines[0], strict=True)
    return {title: _column([cell], title, name, separator)[0].item() for title, cell in cells if cell.strip()}


def _text(data: bytes, name: str) -> str:
    if data.startswith(_UTF16):
        data = data.decode("utf-16", errors="replace").encode("utf-8", errors="replace")
    if b"\0" in data:
        raise DataRefused(
            f"{name} holds bytes that are no text; save the table as CSV in UTF-8.", code="unknown-format"
        )
    _check_lines(data, name)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise DataRefused(
            f"{name} is not text in UTF-8; save the table as CSV in UTF-8.",
            code="unknown-format",
        ) from None


def _check_lines(data: bytes, name: str) -> None:
    """Refuses lines that no table has, before they are taken apart."""
    start = 0
    while start + _LONGEST_LINE < len(data):
        end = start + _LONGEST_LINE
        found = max(data.rfind(b"\n", start, end), data.rfind(b"\r", start, end))
        if found < 0:
            raise DataRefused(
                f"{name} has a line of more than {_LONGEST_LINE >> 20} MiB; save a table with a line for each example.",
                code="not-csv",
            )
        start = found + 1


def _lines(text: str, name: str) -> tuple[list[str], list[list[str]], str]:
    """The column names, the values of every further line that is not blank, and what stands between columns."""
    text = text.lstrip("\r\n")
    separator = _separator(*text.split("\n", 2)[:2])
    spaced = separator == " "
    stream = (
        (" ".join(_SPACED.findall(line)) for line in text.splitlines()) if spaced else io.StringIO(text, newline="")
    )
    reader = csv.reader(stream, delimiter=separator, strict=True)
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
                tables.check_cells(len(lines) * len(header), name)
    except csv.Error as error:
        raise DataRefused(
            f"Line {reader.line_num} of {name} is not valid CSV; save the table again as CSV.",
            code="not-csv",
            detail=str(error),
        ) from None
    return header, lines, separator


def _separator(first: str, second: str = "") -> str:
    """What stands between columns, by the first lines: a space for any number of spaces and tabs."""
    found = max(",;\t", key=lambda sign: (first.count(sign), first.count(sign) == second.count(sign)))
    cells = [cell.split() for cell in (first + found + second).split(found)]
    several = any(len(cell) > 1 and all(map(tables.is_number, cell)) for cell in cells)
    return " " if found not in first or (found == "\t" and several) else found


def _check_header(header: list[str], name: str) -> None:
    if not any(header):
        raise DataRefused(f"{name} has no column names in its first line; add them.", code="no-header")
    if _are_values(header):
        raise DataRefused(
            f"The first line of {name} holds numbers instead of column names; add a line of names.", code="no-header"
        )
    if len(header) == 1:
        raise DataRefused(
            f"{name} has one column, since its first line holds no comma, semicolon, tab or space; use one of these "
            "between columns, and add a line of their names.",
            code="no-labels",
        )
    tables.check_titles(header, name)


def _are_values(header: list[str]) -> bool:
    """Whether a first line is an example already; years, or pixels with numbers in ascending order, are names."""
    numbers = [title for title in header if tables.is_number(title)]
    if len(numbers) == len(header) or not all(title.isdecimal() for title in numbers):
        return bool(numbers)
    return any(float(left) >= float(right) for left, right in pairwise(numbers))


def _column(cells: list[str], title: str, name: str, separator: str) -> np.ndarray:
    """Whole numbers as int64, numbers as float64, true and false as bool, anything else as words; shape (n,)."""
    import numpy as np

    known = _numbers(cells)
    if known is not None:
        return known
    words = [cell.strip() for cell in cells]
    gaps = sum(word.lower() in _MISSING for word in words)
    if gaps:
        raise tables.missing(title, name, gaps)
    if {word.lower() for word in words} == {"true", "false"}:
        return np.array([word.lower() == "true" for word in words])
    if not all(map(tables.is_number, words)):
        commas = next((word for word in words if _COMMA.fullmatch(word)), "")
        if not commas or not all(_COMMA.fullmatch(word) or tables.is_number(word) for word in words):
            tables.check_words(words, title, name)
            return np.array(words, dtype=np.str_)
        if separator == ",":  # may as well stand between thousands
            raise DataRefused(
                f"Column {title!r} of {name} holds numbers with commas, such as {commas}; save the table without them, "
                "or with semicolons between columns.",
                code="decimal-comma",
            )
        words = [word.replace(",", ".") for word in words]
    numbers = np.array([float(word) for word in words], dtype=np.float64)
    numbers = tables.numbers(numbers, title, name)
    decimal = any(mark in word for word in words for mark in ".eE")
    whole = not decimal and bool(np.all(np.abs(numbers) < 2**53))
    return numbers.astype(np.int64) if whole else numbers


def _numbers(cells: list[str]) -> np.ndarray | None:
    """Cells that are all finite numbers, as most columns are; None where one is anything else."""
    import numpy as np

    try:
        found = np.fromiter(map(float, cells), np.float64, len(cells))
    except ValueError:
        return None
    text = "\n".join(cells)
    if not np.isfinite(found).all() or "_" in text:
        return None
    whole = not any(mark in text for mark in ".eE") and bool(np.all(np.abs(found) < 2**53))
    return found.astype(np.int64) if whole else found


def _without_row_numbers(columns: dict[str, np.ndarray], name: str) -> dict[str, np.ndarray]:
    import numpy as np

    counted = columns[""]
    if counted.dtype.kind != "i" or np.any(np.diff(counted) != 1):
        raise DataRefused(f"The first column of {name} has no name; name it or remove it.", code="no-header")
    return {title: values for title, values in columns.items() if title != ""}


FORMAT = DataFormat(
    name="csv", title="Tables as text (CSV)", endings=("csv", "tsv", "txt"), rank=90, recognises=is_text, read=read
)
