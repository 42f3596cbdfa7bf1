"""A test run ends and names the test, whatever a test does to its process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import end_with_parent

ROOT = Path(__file__).parents[1]
FINE = "def test_fine():\n    pass\n\n\n"


def run(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Runs the tests of a folder with the project's settings, as ``scripts/check`` does."""
    settings = ["-c", str(ROOT / "pyproject.toml"), "--rootdir", str(folder), "-p", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", str(folder), *settings, "-n", "1", "--dist", "loadfile", *options]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, timeout=300, preexec_fn=end_with_parent
    )


@pytest.mark.parametrize(
    ("does", "options", "told"),
    [
        ("import os\n    os.abort()", [], "Fatal Python error: Aborted"),
        ("import time\n    time.sleep(600)", ["-o", "faulthandler_timeout=3"], "Timeout (0:00:03)!"),
    ],
    ids=["crash", "hang"],
)
def test_a_run_ends_after_a_test_that_crashes_or_hangs(
    does: str, options: list[str], told: str, tmp_path: Path
) -> None:
    (tmp_path / "test_bad.py").write_text(f"{FINE}def test_bad():\n    {does}\n")
    (tmp_path / "test_other.py").write_text(FINE)
    done = run(tmp_path, *options)
    assert done.returncode == 1, done.stdout
    assert "crashed while running 'test_bad.py::test_bad'" in done.stdout
    assert told in done.stdout + done.stderr
