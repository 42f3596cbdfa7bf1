"""Visitors: a secret token per browser, or who has signed in; what they may see, which shared runs they started.

The token never reaches the disk; files and scopes are named after its SHA-256.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import threading
from collections.abc import Iterable
from pathlib import Path

from optimizers.settings import Settings

COOKIE = "paretoscope_session"
"""The cookie in which a browser keeps its token."""
_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")
_MOST_RUNS = 1000
_lock = threading.Lock()
_TURNS = [threading.Lock() for _ in range(64)]


def new_token() -> str:
    """A token that nobody can guess: 256 random bits as 43 characters."""
    return secrets.token_urlsafe(32)


def is_token(text: object) -> bool:
    """Whether a text, say from a cookie, has the form of a token."""
    return isinstance(text, str) and _TOKEN.fullmatch(text) is not None


def scope_of(visitor: str) -> str:
    """The scope of what belongs to this visitor alone: a browser by its token, or a user by their identity."""
    return f"{'session' if is_token(visitor) else 'user'}:{_digest(visitor)[:32]}"


def remember(token: str, run_ids: Iterable[str], settings: Settings) -> None:
    """Notes that this browser started these runs; needed for runs of samples, whose scope is shared."""
    path = _file(token, settings)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _lock:
        known = remembered(token, settings)
        ids = [*known, *(run_id for run_id in run_ids if run_id not in known)][-_MOST_RUNS:]
        draft = path.with_suffix(f".{os.getpid()}.draft")
        draft.write_text(json.dumps({"runs": ids}), encoding="utf-8")
        draft.replace(path)


def remembered(token: str, settings: Settings) -> list[str]:
    """Ids of the runs that this browser started, oldest first; empty when there are none."""
    try:
        ids = json.loads(_file(token, settings).read_text(encoding="utf-8"))["runs"]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return [str(run_id) for run_id in ids] if isinstance(ids, list) else []


def _file(token: str, settings: Settings) -> Path:
    return settings.home / "sessions" / f"{_digest(token)}.json"


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def in_turn(scope: str) -> threading.Lock:
    """To be held from asking whether something may be added until it is: a visitor may ask in several windows at once.

    A few visitors may have to wait for each other.
    """
    return _TURNS[hash(scope) % len(_TURNS)]
