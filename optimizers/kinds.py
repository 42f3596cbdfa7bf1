"""What each task is: what its answers are, and whether it is known which of them are right.

Losses (`optimizers.tf.objective`), decisions and probabilities (`optimizers.metrics._evidence`), and words on pages
follow from these few properties rather than from the names of tasks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from optimizers.records import Task


@dataclass(frozen=True)
class Kind:
    """One task.

    Attributes:
        title: As people read it.
        decides: What classes are told apart of: each ``example``, each ``label`` of an example, or each ``position`` in
            it. Empty where answers are numbers.
        labelled: Whether it is known what is right, so that files can be held against each other example by example.
        quality: How well a model does when data are tried on it, in words.
    """

    title: str
    decides: Literal["", "example", "label", "position"] = ""
    labelled: bool = True
    quality: str = "squared error"

    @property
    def one_class(self) -> bool:
        """Whether every example has one class."""
        return self.decides == "example"


KINDS: Mapping[Task, Kind] = {
    "classification": Kind("Classification", "example", quality="accuracy"),
    "binary": Kind("Binary classification", "example", quality="accuracy"),
    "multilabel": Kind("Several labels per example", "label", quality="share of right labels"),
    "segmentation": Kind("A class at every position", "position", quality="share of right positions"),
    "regression": Kind("Regression"),
    "reconstruction": Kind("Reconstruction", quality="squared error, as a share of the input's variance"),
    "fidelity": Kind("Fidelity to the original", labelled=False),
    "several": Kind("Several outputs", quality="loss, as a share of that of the best constant answers"),
}
ONE_CLASS = frozenset(task for task, kind in KINDS.items() if kind.one_class)
"""Tasks in which an answer is right or wrong as a whole."""
