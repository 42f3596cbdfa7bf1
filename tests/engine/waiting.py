"""Waiting for what another thread or process does."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest


def wait_until(condition: Callable[[], object]) -> None:
    """Fails the test where something does not become true within twelve seconds."""
    for _ in range(600):
        if condition():
            return
        time.sleep(0.02)
    pytest.fail("waited twelve seconds in vain")
