"""Digits as somebody draws them: strokes of a round pen on square paper, off centre, of any size."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from optimizers.live.given import SIDE, Drawing

STROKES = {
    "0": [[(5, 1), (2, 3), (2, 9), (5, 11), (8, 9), (8, 3), (5, 1)]],
    "1": [[(4, 3), (6, 1), (6, 11)]],
    "2": [[(2, 3), (4, 1), (7, 2), (7, 5), (2, 11), (8, 11)]],
    "3": [[(2, 2), (5, 1), (7, 3), (5, 6), (8, 8), (5, 11), (2, 10)]],
    "4": [[(6, 11), (6, 1), (2, 8), (8, 8)]],
    "5": [[(8, 1), (3, 1), (3, 6), (6, 5), (8, 8), (6, 11), (2, 10)]],
    "6": [[(7, 1), (3, 5), (2, 9), (5, 11), (7, 9), (6, 6), (3, 7)]],
    "7": [[(2, 1), (8, 1), (4, 11)]],
    "8": [[(5, 6), (2, 4), (5, 1), (8, 4), (5, 6), (2, 8), (5, 11), (8, 8), (5, 6)]],
    "9": [[(7, 5), (5, 6), (3, 4), (5, 1), (7, 3), (7, 6), (6, 11)]],
}
"""Corners of each digit's strokes in a field of 10 x 12."""


def ink(digit: str, size: float = 1.0, right: int = 0, pen: float = 0.09) -> np.ndarray:
    """Ink from 0 to 1, shape (SIDE, SIDE): a digit in the middle, moved to the right by some pixels."""
    fine = 4
    image = Image.new("L", (SIDE * fine, SIDE * fine))
    draw, unit = ImageDraw.Draw(image), SIDE * fine * 0.07 * size
    width = int(SIDE * fine * pen)
    for stroke in STROKES[digit]:
        points = [
            (SIDE * fine / 2 + right * fine + (x - 5) * unit, SIDE * fine / 2 + (y - 6) * unit) for x, y in stroke
        ]
        draw.line(points, fill=255, width=width, joint="curve")
        for x, y in points:
            draw.ellipse([x - width / 2, y - width / 2, x + width / 2, y + width / 2], fill=255)
    return np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BOX), np.float32) / 255


def drawing(digit: str, **how: float) -> Drawing:
    """The same as a page sends it."""
    return Drawing(ink=np.rint(ink(digit, **how) * 255).astype(np.uint8).tobytes().hex())
