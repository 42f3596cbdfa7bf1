"""Parquet tables of numbers and words."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from optimizers.datasets import tables
from optimizers.declarations import DataFormat, RawData
from optimizers.errors import DataRefused

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from optimizers.datasets.preparation import Preparation

MAGIC = b"PAR1"


def is_parquet(path: Path, start: bytes) -> bool:
    """Whether the file begins as Parquet does."""
    return start.startswith(MAGIC)


def read(path: Path, name: str, preparation: Preparation) -> RawData:
    """Features and labels; an index that pandas stored is left out.

    Raises:
        DataRefused: Damaged, columns of other types than numbers, truth values and words, missing values, too large.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    # Arrow's own allocators reserve far more memory than they use, which a reading process may not have.
    pa.set_memory_pool(pa.system_memory_pool())
    try:
        with path.open("rb") as stream, pa.PythonFile(stream, mode="r") as source:
            file = pq.ParquetFile(source, memory_map=False)
            schema = file.schema_arrow
            index = _index(schema)
            titles = [title for title in schema.names if title not in index]
            tables.check_titles(titles, name)
            tables.check_cells(file.metadata.num_rows * len(titles), name)
            for title in titles:
                _check_type(schema.field(title).type, title, name)
            if not titles or not file.metadata.num_rows:
                raise DataRefused(f"{name} has no rows; add examples.", code="too-few")
            content = file.read(columns=titles, use_threads=False)
        columns = {title: _column(content.column(title), title, name) for title in titles}
    except MemoryError:
        raise
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        raise DataRefused(
            f"{name} is not a readable Parquet file; save it again, or as CSV.", code="damaged", detail=str(error)
        ) from None
    return tables.raw_data(columns, preparation.target, name)


def _index(schema: pa.Schema) -> set[str]:
    """Columns in which pandas keeps row labels that have no name."""
    return {title for title in schema.names if title.startswith("__index_level_")}


def _check_type(kind: pa.DataType, title: str, name: str) -> None:
    import pyarrow.types as of

    values = kind.value_type if of.is_dictionary(kind) else kind
    tests = (of.is_integer, of.is_floating, of.is_boolean, of.is_string, of.is_large_string, of.is_decimal)
    if not any(test(values) for test in tests):
        raise DataRefused(
            f"Column {title!r} of {name} holds {kind}, but only numbers, truth values and words can be used; convert "
            "or remove it.",
            code="odd-dtype",
        )


def _column(values: pa.ChunkedArray, title: str, name: str) -> np.ndarray:
    """Whole numbers as int64, other numbers as float64, truth values and words as such; shape (n,)."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.types as of

    if of.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    if values.null_count:
        raise tables.missing(title, name, values.null_count)
    if of.is_boolean(values.type):
        return np.asarray(values.to_numpy(), bool)
    if of.is_string(values.type) or of.is_large_string(values.type):
        coded = values.combine_chunks().dictionary_encode()  # each word is looked at once, however often it occurs
        words = [str(word).strip() for word in coded.dictionary.to_pylist()]
        tables.check_words(words, title, name)
        return np.asarray(np.array(words, dtype=np.str_)[coded.indices.to_numpy()])
    if of.is_integer(values.type) and not of.is_uint64(values.type):
        whole: np.ndarray = values.cast(pa.int64()).to_numpy()
        return whole
    found = values.cast(pa.float64()).to_numpy()
    gaps = int(np.isnan(found).sum())
    if gaps:
        raise tables.missing(title, name, gaps)
    return tables.numbers(found, title, name)


FORMAT = DataFormat(
    name="parquet", title="Parquet tables", endings=("parquet", "pq"), rank=30, recognises=is_parquet, read=read
)
