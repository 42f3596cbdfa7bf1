"""Channels as numbered atoms: every place of a tensor's last axis carries the number of the channel that it shows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Labels = np.ndarray
"""Atoms along an axis, shape (size,), int64. One atom may stand in several places, as after flattening an image."""


@dataclass(frozen=True)
class Reason:
    """Why channels have to stay.

    Attributes:
        layer: The layer that demands it; empty for the model's inputs and outputs.
        own: What is said of that layer itself.
        tied: What is said of other layers with the same channels.
    """

    layer: str
    own: str
    tied: str

    def about(self, layer: str) -> str:
        """The reason as a phrase about the layer of that name."""
        return self.own if layer == self.layer else self.tied


def because(layer: str, why: str, own: str = "") -> Reason:
    """A reason that a layer gives.

    Args:
        layer: Its name.
        why: Goes on after the name, e.g. ``which is frozen``.
        own: The same about the layer itself, where that is not the obvious phrase.
    """
    return Reason(layer, own or f"the layer is one {why}", f"its channels are bound to {layer}, {why}")


class Atoms:
    """A growing set of atoms, of which some are tied, to live or to go together, and some have to stay."""

    def __init__(self) -> None:
        self._parents: list[int] = []
        self._reasons: dict[int, Reason] = {}

    def new(self, count: int) -> Labels:
        """Fresh atoms, shape (count,)."""
        first = len(self._parents)
        self._parents.extend(range(first, first + count))
        return np.arange(first, first + count)

    def tie(self, one: Labels, other: Labels) -> None:
        """Ties the atoms at equal places of two axes of one size; of two reasons the older atom's is the one told."""
        for a, b in np.unique(np.stack([self.roots(one), self.roots(other)]), axis=1).T.tolist():
            low, high = sorted((self._root(a), self._root(b)))
            if low != high:
                self._parents[high] = low
                reason = self._reasons.pop(high, None)
                if reason is not None:
                    self._reasons.setdefault(low, reason)

    def freeze(self, labels: Labels, reason: Reason, *, foremost: bool = False) -> None:
        """Demands that atoms, and all that are tied to them, stay.

        Of several reasons the first one given is told, or the one given as the foremost.
        """
        for root in np.unique(self.roots(labels)).tolist():
            if foremost or root not in self._reasons:
                self._reasons[root] = reason

    def roots(self, labels: Labels) -> Labels:
        """For every place the atom that stands for all that are tied to it, shape as given."""
        found, places = np.unique(labels, return_inverse=True)
        return np.array([self._root(atom) for atom in found.tolist()], np.int64)[places].reshape(np.shape(labels))

    def reason(self, root: int) -> Reason | None:
        """Why a root has to stay; None where it may go."""
        return self._reasons.get(root)

    def _root(self, atom: int) -> int:
        while self._parents[atom] != atom:
            self._parents[atom] = self._parents[self._parents[atom]]
            atom = self._parents[atom]
        return atom
