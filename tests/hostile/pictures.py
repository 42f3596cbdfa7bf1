"""ZIP files of images that declare more than they hold, hold more than they declare, or are something else."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from tests.hostile.archives import _link
from tests.hostile.files import HostileFile
from tests.hostile.sound import zipped


def pictures(marker: Path) -> Iterator[HostileFile]:
    """Files offered as data: two classes of sound images, and one that is odd."""
    for name, ending, content in _bad(marker):
        yield HostileFile(f"{name}.zip", _among_others(f"odd.{ending}", content), "data")
    for name, ending, content in _odd():
        yield HostileFile(f"{name}.zip", _among_others(f"odd.{ending}", content), "data", harmless=True)
    for name, folders in {
        "climbing": ("../../x", "/etc"),
        "of-devices": ("CON", "NUL"),
        "turned-round": ("\u202egpj", "b"),
        "of-symbols": ("🙂" * 60, "b"),
        "with-markup": ("<script>", "<!--"),
        "deep": ("d/" * 300 + "a", "d/" * 300 + "b"),
    }.items():
        inside = {f"{folder}/{i}.png": _sound(i) for folder in folders for i in range(10)}
        yield HostileFile(f"folders-{name}.zip", zipped(inside), "data", harmless=True)
    yield HostileFile("link.zip", _linked(), "data", harmless=True)
    large = _blank(7000)  # 2 MB of file, as many bytes when unpacked as may be read, and twice when divided
    inside = {f"{'ab'[number % 2]}/{number}.png": large for number in range(40)}
    yield HostileFile("many-large.zip", zipped(inside), "data", codes=("too-large",))


def _blank(side: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (side, side)).save(buffer, "PNG")
    return buffer.getvalue()


def _bad(marker: Path) -> Iterator[tuple[str, str, bytes]]:
    for side in (0, 60_000, (1 << 31) - 1):
        yield f"png-of-side-{side}", "png", _png(side, side)
    yield "gif-of-side-60000", "gif", _gif((60_000, 60_000), (60_000, 60_000))
    sizes = struct.pack("<IiiHHIIiiII", 40, 60_000, 60_000, 1, 24, 0, 0, 0, 0, 0, 0)
    yield "bmp-of-side-60000", "bmp", b"BM" + struct.pack("<IHHI", 1 << 30, 0, 0, 54) + sizes + bytes(100)
    yield "ppm-of-giant-side", "ppm", b"P6 99999999 99999999 255\n"
    yield "ppm-of-a-long-number", "ppm", b"P6 " + b"9" * 1_000_000 + b" 1 255\n"
    yield "ppm-cut-off", "ppm", b"P5 8 8 255\n\0"
    jpeg = bytearray(_saved("JPEG"))
    place = jpeg.index(b"\xff\xc0")
    jpeg[place + 5 : place + 9] = struct.pack(">HH", 65_000, 65_000)
    yield "jpeg-of-side-65000", "jpg", bytes(jpeg)
    yield "jpeg-of-marks", "jpg", b"\xff\xd8" + b"\xff" * 1_000_000
    yield "postscript", "png", f"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n({marker}) (w) file\n".encode()
    yield "drawing", "png", b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>"
    yield "archive", "png", zipped({"x": b"y"})
    yield "tiff", "png", _saved("TIFF")
    yield "nothing", "png", b""


def _odd() -> Iterator[tuple[str, str, bytes]]:
    bomb = zlib.compress(bytes(30 << 20), 9)
    pixels = zlib.compress(bytes(8 * 25))
    yield "png-with-too-many-pixels", "png", _png(8, 8, bomb)
    for kind, head in ((b"zTXt", b"a\0\0"), (b"iTXt", b"a\0\1\0\0\0"), (b"iCCP", b"a\0\0")):
        yield f"png-bomb-in-{kind.decode()}", "png", _png(8, 8, pixels, _chunk(kind, head + bomb))
    yield "png-with-an-end", "png", _sound(0) + bytes(10 << 20)
    yield "gif-with-a-frame-outside", "gif", _gif((8, 8), (60_000, 60_000))
    yield "jpeg-cut-off", "jpg", _saved("JPEG")[:300]
    yield "tiff-by-name", "tif", _saved("TIFF")


def _among_others(name: str, content: bytes) -> bytes:
    return zipped({f"{folder}/{i}.png": _sound(i) for folder in "ab" for i in range(10)} | {f"a/{name}": content})


@cache
def _sound(shade: int) -> bytes:
    return _saved("PNG", shade)


def _saved(kind: str, shade: int = 0) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.full((8, 8, 3), shade, np.uint8)).save(stream, kind)
    return stream.getvalue()


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _png(width: int, height: int, pixels: bytes = b"", more: bytes = b"") -> bytes:
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return (
        b"\x89PNG\r\n\x1a\n"
        + header
        + more
        + _chunk(b"IDAT", pixels or zlib.compress(bytes(99)))
        + _chunk(b"IEND", b"")
    )


def _gif(screen: tuple[int, int], frame: tuple[int, int]) -> bytes:
    head = b"GIF89a" + struct.pack("<HH", *screen) + b"\x80\0\0\0\0\0\xff\xff\xff,"
    return head + struct.pack("<HHHH", 0, 0, *frame) + b"\0\x02\x02\x44\x01\0;"


def _linked() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for i in range(20):
            archive.writestr(f"{'ab'[i % 2]}/{i}.png", _sound(i))
        archive.writestr(_link("a/link.png"), "/etc/passwd")
    return stream.getvalue()
