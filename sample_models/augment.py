"""Slightly changed copies of training images. Used while the sample models are built, never inside them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Augmentation:
    """How far an image may be changed.

    Attributes:
        rotate: Largest rotation, in degrees.
        zoom: Largest relative change of size.
        shift: Largest displacement, in pixels.
        flip: Whether left and right are exchanged in half of the images.
        erase: Side of the largest square that is replaced by zeros in half of the images, in pixels.
    """

    rotate: float = 0.0
    zoom: float = 0.0
    shift: float = 0.0
    flip: bool = False
    erase: int = 0

    def __call__(self, x: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """Changed copies: float32, same shape (n, h, w, 1). Pixels from outside are zero, others interpolated."""
        n, height, width, _ = x.shape
        angle = np.deg2rad(random.uniform(-self.rotate, self.rotate, (n,)))
        scale = 1 + random.uniform(-self.zoom, self.zoom, (n,))
        mirror = np.where(random.random(n) < 0.5, -1.0, 1.0) if self.flip else np.ones(n)
        shift = random.uniform(-self.shift, self.shift, (2, n))
        rows, columns = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
        v, u = rows - (height - 1) / 2, columns - (width - 1) / 2
        cos, sin = (f(angle)[:, None, None] / scale[:, None, None] for f in (np.cos, np.sin))
        source_v = cos * v - sin * u + (height - 1) / 2 + shift[0, :, None, None]
        source_u = mirror[:, None, None] * (sin * v + cos * u) + (width - 1) / 2 + shift[1, :, None, None]
        changed = _sampled(x[..., 0], source_v, source_u)
        if self.erase:
            size = random.integers(1, self.erase + 1, (n,)) * (random.random(n) < 0.5)
            top, left = random.integers(0, height, (n,)), random.integers(0, width, (n,))
            inside_rows = (rows >= top[:, None, None]) & (rows < (top + size)[:, None, None])
            inside_columns = (columns >= left[:, None, None]) & (columns < (left + size)[:, None, None])
            changed[inside_rows & inside_columns] = 0
        return changed[..., np.newaxis].astype(np.float32)


def _sampled(images: np.ndarray, v: np.ndarray, u: np.ndarray) -> np.ndarray:
    """Bilinear values of images (n, h, w) at positions v, u (n, h, w)."""
    n, height, width = images.shape
    which = np.arange(n)[:, None, None]
    v0, u0 = np.floor(v).astype(int), np.floor(u).astype(int)
    total = np.zeros_like(v)
    for dv in (0, 1):
        for du in (0, 1):
            row, column = v0 + dv, u0 + du
            weight = (1 - np.abs(v - row)) * (1 - np.abs(u - column))
            inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
            value = images[which, np.clip(row, 0, height - 1), np.clip(column, 0, width - 1)]
            total += np.where(inside, weight * value, 0)
    return total
