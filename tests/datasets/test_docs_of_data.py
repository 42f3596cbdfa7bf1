"""docs/data.md tells the truth: its options are those there are, and so are its formats."""

from __future__ import annotations

import re
from pathlib import Path

from optimizers import registry
from optimizers.datasets.preparation import Preparation
from optimizers.params import fields

PAGE = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")


def rows(section: str) -> list[list[str]]:
    table = PAGE.split(f"## {section}")[1].split("\n## ")[0]
    return [line.strip("|").split("|") for line in table.splitlines() if line.startswith(("| `", "| ."))]


def test_every_option_is_listed_with_its_choices():
    listed = {name: set(re.findall(r"`(\w+)`", row[1])) for row in rows("Preparation")
              for name in re.findall(r"`(\w+)`", row[0])}  # fmt: skip
    declared = {field.name: field for field in fields(Preparation)}
    assert set(listed) == set(declared)
    for name, field in declared.items():
        assert listed[name] == set(field.choices), name


def test_every_ending_is_listed():
    listed = {ending for row in rows("Files") for ending in re.findall(r"`\.(\w+)`", row[0])}
    assert listed == {ending for known in registry.data_formats().values() for ending in known.endings}
