"""Files for deployment are true: every setting exists, images are pinned, what the image gets is what the app needs."""

from __future__ import annotations

import fnmatch
import re
import subprocess
from pathlib import Path

import pytest
import yaml
from streamlit import config

from optimizers.settings import Settings

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
FILES = [ROOT / "Dockerfile", *sorted(p for p in DEPLOY.rglob("*") if p.is_file() and p.name != ".env")]
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
KUBERNETES = [
    part for path in sorted((DEPLOY / "kubernetes").glob("*.yaml")) for part in yaml.safe_load_all(path.read_text())
]


def everything(node, name):
    """All values of that key, at any depth."""
    if isinstance(node, dict):
        found = [node[name]] if name in node else []
        return found + [value for child in node.values() for value in everything(child, name)]
    return [value for child in node for value in everything(child, name)] if isinstance(node, list) else []


@pytest.mark.parametrize("path", FILES, ids=[path.relative_to(ROOT).as_posix() for path in FILES])
def test_every_setting_that_is_named_exists(path):
    text = path.read_text(encoding="utf-8")
    ours = set(re.findall(r"PARETOSCOPE_([A-Z_]+)", text))
    assert ours <= {name.upper() for name in Settings.model_fields}
    options = {option.env_var for option in config.get_config_options().values()}
    assert set(re.findall(r"STREAMLIT_[A-Z_]+", text)) <= options


def test_every_image_has_a_version():
    images = [
        *everything(COMPOSE, "image"),
        *everything(KUBERNETES, "image"),
        re.search(r"ARG BASE=(\S+)", DOCKERFILE)[1],
    ]
    for image in images:
        assert image == "paretoscope" or re.search(r":[\w.-]*\d+[.-]\d+", image), image


def test_the_image_runs_as_nobody_special_and_tells_its_health():
    assert re.findall(r"^USER (\S+)", DOCKERFILE, re.MULTILINE)[-1] == "10001:10001"
    assert "HEALTHCHECK" in DOCKERFILE
    assert "/healthz" in DOCKERFILE
    for installing in re.findall(r"RUN apt-get.*?(?=\n[A-Z])", DOCKERFILE, re.DOTALL):
        assert "--no-install-recommends" in installing
        assert "rm -rf /var/lib/apt/lists" in installing


def test_probes_ask_what_is_answered():
    paths = {probe["path"] for probe in everything(KUBERNETES, "httpGet")}
    assert paths == {"/healthz", "/readyz", "/health"}  # the last one is the scheduler's own


def test_the_image_has_the_whole_app_and_nothing_else():
    """As Docker reads ``.dockerignore``: the last line that fits decides."""
    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]

    def taken(path):
        parents = [path, *(parent.as_posix() for parent in Path(path).parents if parent.as_posix() != ".")]
        ignored = False
        for rule in rules:
            pattern = rule.removeprefix("!").rstrip("/")
            names = [Path(p).name for p in parents] if pattern.startswith("**/") else parents
            if any(fnmatch.fnmatch(name, pattern.removeprefix("**/")) for name in names):
                ignored = not rule.startswith("!")
        return not ignored

    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("this is no git checkout")
    files = listed.stdout.splitlines()
    roots = {name.partition("/")[0] for name in files if taken(name)}
    assert roots == {"app.py", "optimizers", "pages", "sample_models", "serving", "static", ".streamlit",
                     "requirements.txt", "requirements-scale.txt", "requirements-targets.txt", "LICENSE"}  # fmt: skip
    for secret in (".streamlit/secrets.toml", "deploy/.env", ".env", ".git/config"):
        assert not taken(secret)
