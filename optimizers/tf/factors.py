"""Kernels as products of smaller ones: singular value decompositions of three kinds, and Tucker decompositions.

Kernels are NumPy arrays of shape (*window, inputs, outputs) as Keras keeps them; that of a Dense layer has no window.
The parts of a kernel are kernels themselves, in the order in which they are applied.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from math import ceil, prod
from typing import Any, Literal, Protocol

import numpy as np
from threadpoolctl import ThreadpoolController

Method = Literal["svd", "channel", "spatial", "tucker2"]
Rank = tuple[int, ...]
_TINY = 1e-9
"""Singular values below this part of the largest are rounding errors."""

# LiteRT 2.3 (XNNPACK, float32, one thread, AVX2), 179 pairs of a layer and its factors. Time goes up in steps of 16
# outputs, those up to 8 cost half a step, and each output costs as much as 10 inputs more than there are. With that,
# and an operator at the price of 2,000 multiply-accumulates in a layer that runs once and 7,500 in one that runs at
# many places, the ratio of times is predicted within 17% (one standard deviation). The smallest Dense that gained
# was 64x64 (1.2 to 1.3 times faster; 32x32 became slower), the smallest convolution one of 4x4 places, 8 to 16.
_LANES = 16
_START = 10
_OPERATOR = {False: 2_000, True: 7_500}


class Decomposition(Protocol):
    """A kernel that has been decomposed once, for any rank."""

    method: Method

    def ranks(self, round_to: int) -> list[Rank]:
        """Ranks to choose from, see `steps`; each of two goes its own way."""

    def error(self, rank: Rank) -> float:
        """How far the product of the parts is from the kernel: Frobenius norm of the difference over the kernel's."""

    def parts(self, rank: Rank) -> list[np.ndarray]:
        """Kernels, one after the other, that stand for the kernel; float32."""


def decomposed(kernel: np.ndarray, method: Method, sweeps: int = 0) -> Decomposition:
    """The decomposition of a kernel by a method.

    Args:
        kernel: Shape (*window, inputs, outputs).
        method: ``svd`` and ``channel`` split into the whole window with few outputs and a 1x1 window; ``spatial`` (two
            window axes) into a window as high and one as wide as the kernel's; ``tucker2`` into a 1x1 window, the whole
            window between few channels, and a 1x1 window.
        sweeps: Of higher-order orthogonal iteration, for ``tucker2`` only.
    """
    with _one_thread():
        return Tucker2(kernel, sweeps) if method == "tucker2" else Pair(kernel, method)


def steps(most: int, round_to: int) -> list[int]:
    """Ranks from low to high: ``round_to``, its halves that are whole, its multiples, and the highest there is.

    Above ten times ``round_to`` each is at least a tenth more than the one before, so that there are never many.

    Example:
        ``steps(40, 12)`` gives ``[3, 6, 12, 24, 36, 40]``.
    """
    found = [round_to]
    while found[0] % 2 == 0:
        found.insert(0, found[0] // 2)
    while found[-1] < most:
        found.append(round_to * max(found[-1] // round_to + 1, ceil(1.1 * found[-1] / round_to)))
    return sorted({min(rank, most) for rank in found})


def product(method: Method, parts: Sequence[np.ndarray]) -> np.ndarray:
    """The one kernel that does what the parts do one after the other.

    Args:
        method: That made the parts.
        parts: Shapes (*window, inputs, r) and (*window, r, outputs), for ``tucker2`` three.

    Returns:
        Shape (*window, inputs, outputs).
    """
    first, last = parts[0], parts[-1]
    with _one_thread():
        if method == "spatial":
            return np.asarray(np.tensordot(first[:, 0], last[0], (2, 1)).transpose(0, 2, 1, 3))
        last = last.reshape(last.shape[-2:])
        if method == "tucker2":
            return np.asarray(first.reshape(first.shape[-2:]) @ parts[1] @ last)
        return np.asarray(first @ last)


class Pair:
    """Two kernels by a singular value decomposition of one of the kernel's unfoldings.

    Both parts get the root of the singular values, so that they are about equally large and train alike.

    Source: Denton et al. (2014), "Exploiting Linear Structure Within Convolutional Networks for Efficient Evaluation",
    for matrices; Zhang et al. (2015), "Accelerating Very Deep Convolutional Networks for Classification and Detection",
    section 3.1, for ``channel``; Jaderberg et al. (2014), "Speeding up Convolutional Neural Networks with Low Rank
    Expansions", scheme 2, for ``spatial``.
    """

    def __init__(self, kernel: np.ndarray, method: Method) -> None:
        self.method = method
        self._shape = kernel.shape
        left, squares, right = _split(self._unfolded(kernel.astype(np.float64)))
        self._left, self._right = left.astype(np.float32), right.astype(np.float32)
        self._tails = np.append(np.cumsum(squares[::-1])[::-1], 0.0)

    def _unfolded(self, kernel: np.ndarray) -> np.ndarray:
        """(window, inputs) by outputs, or (height, inputs) by (width, outputs)."""
        if self.method != "spatial":
            return kernel.reshape(-1, kernel.shape[-1])
        height, width, inputs, outputs = kernel.shape
        return kernel.transpose(0, 2, 1, 3).reshape(height * inputs, width * outputs)

    def ranks(self, round_to: int) -> list[Rank]:
        return [(rank,) for rank in steps(self._left.shape[1], round_to)]

    def error(self, rank: Rank) -> float:
        return _root_share(self._tails[rank[0]], self._tails[0])

    def parts(self, rank: Rank) -> list[np.ndarray]:
        left, right = self._left[:, : rank[0]], self._right[: rank[0]]
        if self.method != "spatial":
            window = self._shape[:-2]
            return [left.reshape(*window, -1, rank[0]), right.reshape(*(1 for _ in window), *right.shape)]
        height, width, inputs, outputs = self._shape
        row = right.reshape(rank[0], width, outputs).transpose(1, 0, 2)
        return [left.reshape(height, 1, inputs, rank[0]), row[None]]


class Tucker2:
    """Three kernels: few combinations of the inputs, a small core, and outputs as combinations of a few.

    Bases come from the singular vectors of the input and of the output unfolding (HOSVD). The core of lower ranks is
    then a corner of the full core, so that one pass over it gives the error of all pairs of ranks. Sweeps of
    higher-order orthogonal iteration (HOOI) fit each basis anew while the other is held, for the ranks in use.

    Source: Kim et al. (2016), "Compression of Deep Convolutional Neural Networks for Fast and Low Power Mobile
    Applications", section 3.1; De Lathauwer et al. (2000), "On the best rank-1 and rank-(R1, …, RN) approximation of
    higher-order tensors", for the sweeps.
    """

    method: Method = "tucker2"

    def __init__(self, kernel: np.ndarray, sweeps: int = 0) -> None:
        self._kernel, self._sweeps = kernel, sweeps
        inputs, outputs = _basis(np.moveaxis(kernel, -2, 0)), _basis(np.moveaxis(kernel, -1, 0))
        energies = np.square(inputs.T @ kernel @ outputs).reshape(-1, inputs.shape[1], outputs.shape[1]).sum(axis=0)
        self._held = np.pad(energies.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
        self._inputs, self._outputs = inputs.astype(np.float32), outputs.astype(np.float32)

    def ranks(self, round_to: int) -> list[Rank]:
        window = prod(self._kernel.shape[:-2])
        inside, outside = (steps(basis.shape[1], round_to) for basis in (self._inputs, self._outputs))
        # the window takes all outputs of the core from each input and the other way round: more cannot be told apart
        return [(a, b) for a in inside for b in outside if a <= window * b and b <= window * a]

    def error(self, rank: Rank) -> float:
        return _root_share(self._held[-1, -1] - self._held[rank], self._held[-1, -1])

    def parts(self, rank: Rank) -> list[np.ndarray]:
        inputs, outputs = self._inputs[:, : rank[0]], self._outputs[:, : rank[1]]
        with _one_thread():
            for _ in range(self._sweeps):
                inputs = _basis(np.moveaxis(self._kernel @ outputs, -2, 0))[:, : rank[0]]
                outputs = _basis(np.moveaxis(inputs.T @ self._kernel, -1, 0))[:, : rank[1]]
            core = inputs.T.astype(np.float64) @ self._kernel @ outputs
        one = (1,) * (self._kernel.ndim - 2)
        made = inputs.reshape(*one, *inputs.shape), core, outputs.T.reshape(*one, *outputs.T.shape)
        return [part.astype(np.float32) for part in made]


_BLAS = ThreadpoolController()


def _one_thread() -> AbstractContextManager[Any]:
    """Linear algebra on one thread: where other work keeps the cores busy, two waited 20 times longer than one took."""
    limited: AbstractContextManager[Any] = _BLAS.limit(limits=1, user_api="blas")
    return limited


def _split(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Factors (m, k) and (k, n) of a matrix (m, n), k the smaller side, and the squares of its k singular values.

    Singular vectors of the smaller side are eigenvectors of a matrix of that size, found several times faster than a
    decomposition of the whole; the other factor is the matrix seen from them, so that the product is exact.
    """
    tall = matrix.shape[0] >= matrix.shape[1]
    squares, vectors = np.linalg.eigh(matrix.T @ matrix if tall else matrix @ matrix.T)
    squares, vectors = np.maximum(squares[::-1], 0.0), vectors[:, ::-1]
    values = np.sqrt(squares)
    roots = np.sqrt(np.maximum(values, _TINY * values[0])) if values[0] > 0 else np.ones_like(values)
    if tall:
        return matrix @ vectors / roots, squares, roots[:, None] * vectors.T
    return vectors * roots, squares, vectors.T @ matrix / roots[:, None]


def _basis(unfolding: np.ndarray) -> np.ndarray:
    """Left singular vectors of (n, …) as columns, the strongest first; at most as many as there are columns."""
    matrix = unfolding.reshape(len(unfolding), -1).astype(np.float64)
    vectors = np.linalg.eigh(matrix @ matrix.T)[1][:, ::-1]
    return np.asarray(vectors[:, : min(matrix.shape)])


def _root_share(part: float, whole: float) -> float:
    return float(np.sqrt(max(part, 0.0) / whole)) if whole > 0 else 0.0


def relative_error(kernel: np.ndarray, other: np.ndarray) -> float:
    """Frobenius norm of the difference of two kernels over that of the first; 0 where the first is all zeros."""
    difference = kernel.astype(np.float64) - other
    return _root_share(float(np.square(difference).sum()), float(np.square(kernel.astype(np.float64)).sum()))


# what factors cost ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Places:
    """At how many places a layer works for one example, summed over its calls: on its input, after a first pass along
    the height, and on its output."""

    before: int
    between: int
    after: int


@dataclass(frozen=True)
class Work:
    """Kernels and the places that they are used at."""

    kernels: tuple[tuple[int, tuple[int, ...]], ...]

    @property
    def macs(self) -> int:
        return sum(places * prod(shape) for places, shape in self.kernels)

    @property
    def parameters(self) -> int:
        return sum(prod(shape) for _, shape in self.kernels)

    @property
    def time(self) -> float:
        """What LiteRT takes for it on the scale of multiply-accumulates, as fitted above."""
        return sum(
            _OPERATOR[places > 1] + places * _lanes(shape[-1]) * (prod(shape[:-1]) + _START)
            for places, shape in self.kernels
        )


def _lanes(outputs: int) -> int:
    return _LANES // 2 if 2 * outputs <= _LANES else _LANES * ceil(outputs / _LANES)


def work(method: Method, rank: Rank, shape: tuple[int, ...], places: Places) -> Work:
    """What the factors of a kernel of that shape do."""
    *window, inputs, outputs = shape
    last = places.after, (rank[-1], outputs)
    if method == "tucker2":
        return Work(((places.before, (inputs, rank[0])), (places.after, (*window, *rank)), last))
    if method == "spatial":
        column = places.between, (window[0], 1, inputs, rank[0])
        return Work((column, (places.after, (1, window[1], rank[0], outputs))))
    return Work(((places.after, (*window, inputs, rank[0])), last))
