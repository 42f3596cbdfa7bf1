"""Tables of single examples: what each was answered before and now, and the example itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from optimizers.findings import Column, Table

if TYPE_CHECKING:
    from optimizers.datasets.pictures import Album
    from optimizers.declarations import Part

_MOST_FEATURES = 12


def spread(part: Part, count: int) -> Part:
    """Examples of a part, evenly spread over it, since neighbours may be alike; all where there are not more."""
    import numpy as np

    from optimizers.declarations import Part

    chosen = np.linspace(0, len(part) - 1, min(count, len(part))).round().astype(int)
    return Part(part.x[chosen], part.y[chosen])


def example_table(
    name: str,
    title: str,
    album: Album,
    columns: Sequence[Column],
    rows: Sequence[tuple[int, dict[str, Any]]],
    note: str,
) -> Table:
    """A table whose rows tell of examples of the test part.

    Args:
        columns: What is told of each.
        rows: The example's number in the test part, and its cells.
        note: What stands under the table.
    """
    x = album.data.test.x
    features = album.columns[:_MOST_FEATURES]
    shown = [
        *([Column(name="picture", title="Example", picture=True)] if album.drawn else []),
        *columns,
        *(Column(name=f"feature:{feature}", title=feature) for feature in features),
        Column(name="number", title="Number", unit="count", help="Its place in the test part, counted from 0."),
    ]
    told = []
    for number, cells in rows:
        row = {**cells, "number": number}
        if album.drawn:
            row["picture"] = album.picture(x[number])
        own = album.cells(x[number])
        told.append(row | {f"feature:{feature}": own.get(feature) for feature in features})
    left = len(album.columns) - len(features)
    told_apart = f" {album.legend}" if album.legend and rows else ""
    more = f"{told_apart} {left} more features are not shown." if left else told_apart
    return Table(name=name, title=title, columns=tuple(shown), rows=tuple(told), note=f"{note}{more}", examples=True)
