"""Finished runs of one sample that analyses look into."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session")
def runs(digits_runs):
    return digits_runs
