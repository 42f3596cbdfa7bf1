"""Numbers that a model looks up in a table, such as those of words: are they all in it?"""

from __future__ import annotations

from collections.abc import Iterator

from optimizers.datasets.several import arrays_of
from optimizers.declarations import Dataset
from optimizers.errors import DataRefused
from optimizers.records import DatasetSummary, InputRange, ModelSummary


def check_summary(model: ModelSummary, data: DatasetSummary, called: str) -> None:
    """Raises `DataRefused` where examples with one input go beyond the model's table, as far as the summary tells."""
    if data.values is not None and not data.drawn:
        _check(next(_tables(model), None), data.values.low, data.values.high, called)


def check_examples(model: ModelSummary, data: Dataset, called: str) -> None:
    """Raises `DataRefused` where any example goes beyond a table of the model.

    Args:
        model: What is known of the model.
        data: In the form that the model takes.
        called: What people call the data, for messages.
    """
    for place, known in enumerate(_tables(model)):
        for part in (data.train, data.validation, data.test):
            if known is not None and len(part):
                x = arrays_of(part.x)[place]
                of = f"{called} ({model.inputs[place].name})" if len(model.inputs) > 1 else called
                _check(known, float(x.min()), float(x.max()), of)


def _tables(model: ModelSummary) -> Iterator[InputRange | None]:
    return (known if known is not None and known.strict else None for known in model.input_ranges)


def _check(known: InputRange | None, low: float, high: float, called: str) -> None:
    if known is None or (low >= known.low and high <= known.high):
        return
    wrong = low if low < known.low else high
    raise DataRefused(
        f"The model looks numbers from 0 to {known.high:.0f} up in a table, but {called} holds {wrong:.0f}; choose "
        f"data made for this model, or, for words, prepare them with words={known.high + 1:.0f}, which makes larger "
        "numbers 2 (unknown) and those below 0 padding.",
        code="unknown-words",
    )
