"""The first row of a table, as a race takes it: read like data files."""

from __future__ import annotations

import pytest

from optimizers.datasets.formats.csv_table import first_row
from optimizers.errors import DataRefused


@pytest.mark.parametrize(
    "content",
    [
        b"weight,origin\n1.5,Japan\n2.5,USA\n",
        b"weight;origin\n1,5;Japan\n2,5;USA\n",
        b"\xef\xbb\xbfweight\torigin\n1.5\tJapan\n",
        "weight,origin\r\n1.5,Japan\r\n".encode("utf-16"),
        b"weight,origin\n1.5,Japan\n2.5,cut in the midd",
    ],
)
def test_a_row_is_read_however_the_table_was_saved(content):
    assert first_row(content, "row.csv") == {"weight": 1.5, "origin": "Japan"}


def test_what_is_empty_is_absent_and_no_row_is_told():
    assert first_row(b"a,b\n1,\n", "row.csv") == {"a": 1}
    with pytest.raises(DataRefused, match="no row below"):
        first_row(b"a,b\n", "row.csv")
