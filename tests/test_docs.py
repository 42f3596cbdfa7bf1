"""The documentation is true: links lead somewhere, settings are listed, commands exist, folders are there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import typer

from optimizers.cli import app
from optimizers.settings import Settings

ROOT = Path(__file__).parents[1]
DOCS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def ids(paths):
    return [path.relative_to(ROOT).as_posix() for path in paths]


@pytest.mark.parametrize("path", DOCS, ids=ids(DOCS))
def test_links_lead_to_files(path):
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", path.read_text(encoding="utf-8")):
        if not target.startswith(("http://", "https://", "mailto:")):
            assert (path.parent / target).exists(), target


@pytest.mark.parametrize("path", DOCS, ids=ids(DOCS))
def test_paths_that_are_named_exist(path):
    for name in re.findall(r"`((?:optimizers|pages|sample_models|scripts|tests|docs|benchmarks)/[\w./-]*)`",
                           path.read_text(encoding="utf-8")):  # fmt: skip
        assert (ROOT / name).exists(), name


def test_every_setting_is_documented_with_its_meaning():
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    for name, info in Settings.model_fields.items():
        row = re.search(rf"\| `PARETOSCOPE_{name.upper()}` \| ([^|]+) \| ([^|]+) \|", text)
        assert row, name
        assert row[2].strip() == info.description
        if info.default_factory is None:
            assert row[1].strip() == str(info.default)
    documented = set(re.findall(r"PARETOSCOPE_([A-Z_]+)", "".join(p.read_text(encoding="utf-8") for p in DOCS)))
    assert documented <= {name.upper() for name in Settings.model_fields}


def commands():
    found = []
    for path in DOCS:
        for block in re.findall(r"```(?:bash|sh)\n(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL):
            for line in block.replace("\\\n", " ").splitlines():
                words = shlex.split(line, comments=True)
                if words:
                    found.append(words)
    return found


def test_commands_in_the_docs_exist():
    declared = typer.main.get_command(app).commands
    known = {
        name: {o for parameter in command.params for o in (*parameter.opts, *parameter.secondary_opts)} | {"--help"}
        for name, command in declared.items()
    }
    for words in commands():
        if words[0].startswith("scripts/"):
            assert (ROOT / words[0]).exists(), words
        elif "optimizers" in words:
            rest = words[words.index("optimizers") + 1 :]
            assert rest[0] in known, words
            for option in [w for w in rest if w.startswith("--")]:
                assert option.partition("=")[0] in known[rest[0]], words
