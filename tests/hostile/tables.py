"""CSV files with formulas, odd encodings, odd quoting and sizes that hurt."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from pathlib import Path

from tests.hostile.files import HostileFile
from tests.hostile.sound import csv

_FORMULAS = ("=1+1", "=cmd|' /C calc'!A0", "@SUM(1+1)", "+1+1", '-2+3+cmd|" /C calc"!A0', "\t=1", "=DDE(0)")


def tables(marker: Path) -> Iterator[HostileFile]:
    """Files offered as data. Where a table is odd but readable, reading it is right."""
    for name, content in _readable(marker):
        yield HostileFile(f"{name}.csv", content, "data", harmless=True)
    for name, content in _unreadable(marker):
        yield HostileFile(f"{name}.csv", content, "data")


def _readable(marker: Path) -> Iterator[tuple[str, bytes]]:
    for i, formula in enumerate((*_FORMULAS, f"=WEBSERVICE({marker})")):
        quoted = '"' + formula.replace('"', '""') + '"'
        yield f"formula-in-a-cell-{i}", _rows("a,b,label", f"{{i}},{quoted},{{odd}}")
        yield f"formula-in-the-header-{i}", _rows(f"a,{quoted},label", "{i},{odd},{odd}")
        yield f"formula-as-label-{i}", _rows("a,label", f"{{i}},{quoted}").replace(quoted.encode(), b"other", 20)
    yield "byte-order-mark", codecs.BOM_UTF8 + csv()
    yield "mac-line-ends", csv().replace(b"\n", b"\r")
    yield "mixed-line-ends", csv().replace(b"\n", b"\r\n", 20)
    yield "blank-lines", csv().replace(b"\n", b"\n\n\n")
    yield "right-to-left", _rows("\u202egpj.a,b,label", "{i},{odd},{odd}")
    yield "zero-width", _rows("a\u200b,a,label", "{i},{odd},{odd}")
    yield "combining", _rows("e\u0301,\u00e9,label", "{i},{odd},{odd}")
    yield "markup", _rows("<img src=x onerror=alert(1)>,b,label", "{i},<b>{odd}</b>,{odd}")
    yield "terminal-codes", _rows("a\x1b[2J,b,label", "{i},{odd},{odd}")
    yield "arabic-digits", _rows("a,label", "{arabic},{odd}")
    yield "encoding-utf-16", _rows("größe,label", "{i},{odd}").decode().encode("utf-16")
    yield "underscores", _rows("a,label", "1_0{odd},{odd}")
    yield "line-breaks-in-cells", _rows("a,label", '"red\nblue{odd}",{odd}')
    yield "tabs-and-commas", _rows("a\tb,c\tlabel", "{i}\t1,5\t{odd}")
    yield "wide", _rows(",".join(f"c{i}" for i in range(9000)), "1," * 8999 + "{odd}", 20)


def _unreadable(marker: Path) -> Iterator[tuple[str, bytes]]:
    for encoding in ("utf-16-le", "utf-32", "latin-1", "cp1252", "shift_jis", "utf-7"):
        text = _rows("größe,label" if encoding != "shift_jis" else "サイズ,label", "{i},{odd}").decode()
        if encoding != "utf-7":
            yield f"encoding-{encoding}", text.encode(encoding)
    yield "broken-utf-8", csv()[:100] + b"\xc3\x28\xf0\x9f" + csv()[100:]
    yield "surrogates", csv() + b"\xed\xa0\x80"
    yield "zero-bytes", csv().replace(b"red", b"r\0d")
    yield "zeros", bytes(10_000)
    yield "noise", bytes(range(256)) * 40
    yield "open-quote", csv() + b'\n"1,2,3'
    yield "quote-inside", csv() + b'\n1,"a"b,0'
    yield "one-long-line", b"a" * (8 << 20)
    yield "one-long-line-of-values", b"1," * (3 << 20)
    yield "one-long-line-of-spaces", b"a\ty\n" + b"\t \t" * (2 << 20)
    yield "one-long-cell", b"a,label\n" + b"x" * (2 << 20) + b",1\n"
    yield "commas", b"," * 1_000_000
    yield "line-ends", b"\n" * 1_000_000
    yield "too-many-columns", b",".join(b"c%d" % i for i in range(200_000)) + b"\n"
    yield "doubled-columns", b",".join([b"c"] * 9_000) + b"\n" + b",".join([b"1"] * 9_000)
    yield "ragged", csv() + b"\n1,2"
    yield "no-header", b"\n".join(b"%d,%d" % (i, i % 2) for i in range(40))
    yield "missing", _rows("a,label", ",{odd}")
    yield "infinite", _rows("a,label", "inf,{odd}")
    yield "overflowing", _rows("a,label", "1e400,{odd}")
    yield "long-number", _rows("a,label", "9" * 100_000 + ",{odd}")
    yield "many-words", _rows("a,label", "word{i},{odd}", 5000)
    yield "many-classes", _rows("a,label", "{i},word{i}", 5000)
    yield "one-class", _rows("a,label", "{i},1")
    yield "few-rows", csv(3)
    yield "web-page", b"<!DOCTYPE html><html><body>Please, log in, first</body></html>"
    yield "script", f"#!/bin/sh\ntouch {marker}\n".encode()
    yield "json", b'{"a": [1, 2, 3], "label": [0, 1, 0]}'


def _rows(header: str, row: str, count: int = 40) -> bytes:
    arabic = str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")
    lines = (row.format(i=i, odd=i % 2, arabic=str(i).translate(arabic)) for i in range(count))
    return "\n".join([header, *lines]).encode()
