"""Locks by name between everybody who uses the same history: processes of one host, or of many.

With SQLite all are on one host, and the kernel keeps the locks: they come back the moment their holder dies. With any
other database a lock is a row in it, a lease that its holder renews and that ends some time after the holder has died.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Protocol

import sqlalchemy as sa
from filelock import FileLock

from optimizers.engine import lanes
from optimizers.errors import UserError
from optimizers.history.database import History
from optimizers.history.tables import leases
from optimizers.settings import Settings

LEASE_SECONDS = 20.0
_FLAG = "flag"
_POLL_SECONDS = 0.2
_FLAG_SECONDS = 1.0
"""How old an answer about a flag may be."""
_log = logging.getLogger(__name__)


class Claim(Protocol):
    """A lock that is held."""

    @property
    def lost(self) -> bool:
        """Whether it is not held any more although nobody gave it back."""

    def release(self) -> None:
        """Gives it back."""


class Locks(Protocol):
    """Locks and flags by name."""

    shared: bool
    """Whether other hosts may use the same ones."""

    def exclusive(
        self, name: str, check: Callable[[], None], on_wait: Callable[[], None]
    ) -> AbstractContextManager[None]:
        """Holds the lock of that name; while waiting, ``check`` is called many times a second and may raise."""

    def claim(self, name: str) -> Claim | None:
        """The lock of that name, held, or None when somebody else holds it."""

    def flag(self, name: str) -> bool:
        """Whether that flag is up; everybody sees it within a second."""

    def raise_flag(self, name: str) -> None: ...

    def lower_flag(self, name: str) -> None: ...

    def flags(self) -> list[str]:
        """Names of all flags that are up."""

    def sweep(self) -> None:
        """Forgets locks whose holders are gone, which are free anyway."""

    def close(self) -> None:
        """Gives everything back."""


def locks_of(settings: Settings, history: History) -> Locks:
    """Leases in the history where several hosts may share it, else files."""
    if history.engine.dialect.name == "sqlite":
        return FileLocks(settings.locks)
    return Leases(history.engine)


class _FileClaim:
    lost = False

    def __init__(self, lock: FileLock) -> None:
        self._lock = lock

    def release(self) -> None:
        self._lock.release()


class FileLocks:
    """Locks of one host, as files in a folder."""

    shared = False

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def exclusive(
        self, name: str, check: Callable[[], None], on_wait: Callable[[], None]
    ) -> AbstractContextManager[None]:
        return lanes.exclusive(self._folder, name, check, on_wait)

    def claim(self, name: str) -> Claim | None:
        lock = lanes.try_exclusive(self._folder, name)
        return None if lock is None else _FileClaim(lock)

    def flag(self, name: str) -> bool:
        return self._flag(name).exists()

    def raise_flag(self, name: str) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._flag(name).touch()

    def lower_flag(self, name: str) -> None:
        self._flag(name).unlink(missing_ok=True)

    def flags(self) -> list[str]:
        return sorted(path.name.removesuffix(f".{_FLAG}") for path in self._folder.glob(f"*.{_FLAG}"))

    def sweep(self) -> None:
        """Nothing to do: a file that nobody has locked may be locked the next moment."""

    def close(self) -> None:
        """Nothing to do: the kernel gives locks back."""

    def _flag(self, name: str) -> Path:
        return self._folder / f"{name}.{_FLAG}"


class _Lease:
    def __init__(self, owner: Leases, name: str, holder: str) -> None:
        self._owner, self.name, self.holder = owner, name, holder
        self.renewed = time.monotonic()
        self.taken = False

    @property
    def lost(self) -> bool:
        return self.taken or time.monotonic() - self.renewed > self._owner.seconds

    def release(self) -> None:
        self._owner.give_back(self)


class Leases:
    """Locks of many hosts, as rows of a table. One clock counts, the database's.

    Args:
        engine: Of the history.
        seconds: How long after its holder's last sign of life a lock is free again.
    """

    shared = True

    def __init__(self, engine: sa.Engine, seconds: float = LEASE_SECONDS) -> None:
        self.seconds = seconds
        self._engine = engine
        self._now = _clock(engine.dialect.name)
        self._held: dict[str, _Lease] = {}
        self._seen: dict[str, tuple[float, bool]] = {}
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._renewing: threading.Thread | None = None

    @contextmanager
    def exclusive(self, name: str, check: Callable[[], None], on_wait: Callable[[], None]) -> Iterator[None]:
        waiting = False
        while True:
            check()
            claim = self.claim(name)
            if claim is not None:
                break
            if not waiting:
                on_wait()
            waiting = True
            time.sleep(_POLL_SECONDS)
        try:
            yield
        finally:
            claim.release()

    def claim(self, name: str) -> Claim | None:
        lease = _Lease(self, name, uuid.uuid4().hex)
        values = {"holder": lease.holder, "expires": self._now + self.seconds}
        with self._engine.begin() as connection:
            free = sa.and_(leases.c.name == name, leases.c.expires < self._now)
            taken = connection.execute(sa.update(leases).where(free).values(values)).rowcount
        if not taken:
            try:
                with self._engine.begin() as connection:
                    connection.execute(sa.insert(leases).values(name=name, **values))
            except sa.exc.IntegrityError:
                return None
        with self._lock:
            self._held[lease.holder] = lease
            if self._renewing is None:
                self._renewing = threading.Thread(target=self._renew, daemon=True, name="leases")
                self._renewing.start()
        return lease

    def give_back(self, lease: _Lease) -> None:
        """Ends a lease. Where the database is away it ends by itself."""
        with self._lock:
            self._held.pop(lease.holder, None)
        with suppress(sa.exc.DBAPIError), self._engine.begin() as connection:
            mine = sa.and_(leases.c.name == lease.name, leases.c.holder == lease.holder)
            connection.execute(sa.delete(leases).where(mine))

    def flag(self, name: str) -> bool:
        known = self._seen.get(name)
        if known is not None and time.monotonic() - known[0] < _FLAG_SECONDS:
            return known[1]
        with self._engine.connect() as connection:
            query = sa.select(leases.c.name).where(leases.c.name == _flagged(name), leases.c.holder == _FLAG)
            up = connection.execute(query).first() is not None
        self._seen[name] = (time.monotonic(), up)
        return up

    def raise_flag(self, name: str) -> None:
        with suppress(sa.exc.IntegrityError), self._engine.begin() as connection:  # it is up already
            connection.execute(sa.insert(leases).values(name=_flagged(name), holder=_FLAG, expires=1e18))
        self._seen.pop(name, None)

    def lower_flag(self, name: str) -> None:
        with self._engine.begin() as connection:
            connection.execute(sa.delete(leases).where(leases.c.name == _flagged(name), leases.c.holder == _FLAG))
        self._seen.pop(name, None)

    def flags(self) -> list[str]:
        with self._engine.connect() as connection:
            query = sa.select(leases.c.name).where(leases.c.holder == _FLAG).order_by(leases.c.name)
            return [name.removeprefix(_flagged("")) for name in connection.execute(query).scalars()]

    def sweep(self) -> None:
        with self._engine.begin() as connection:
            connection.execute(sa.delete(leases).where(leases.c.expires < self._now))

    def close(self) -> None:
        self._closing.set()
        if self._renewing is not None:
            self._renewing.join()
        for lease in list(self._held.values()):
            self.give_back(lease)

    def _renew(self) -> None:
        while not self._closing.wait(self.seconds / 4):
            with self._lock:
                held = dict(self._held)
            if not held:
                continue
            started = time.monotonic()
            mine = leases.c.holder.in_(list(held))
            try:
                with self._engine.begin() as connection:
                    connection.execute(sa.update(leases).where(mine).values(expires=self._now + self.seconds))
                    kept = set(connection.execute(sa.select(leases.c.holder).where(mine)).scalars())
            except sa.exc.DBAPIError as problem:
                _log.warning("Locks could not be renewed: %s", type(problem).__name__)
                continue
            for holder, lease in held.items():
                lease.renewed = started
                lease.taken = holder not in kept


def _flagged(name: str) -> str:
    """The row of a flag; a lock of the same name has one of its own."""
    return f"{_FLAG}:{name}"


def _clock(dialect: str) -> sa.ColumnElement[float]:
    """The database's time in seconds, as SQL."""
    known: dict[str, str] = {
        "postgresql": "extract(epoch from clock_timestamp())::float8",
        "mysql": "unix_timestamp(now(6))",
        "mariadb": "unix_timestamp(now(6))",
        "sqlite": "((julianday('now') - 2440587.5) * 86400.0)",
    }
    if dialect not in known:
        raise UserError(f"A history in {dialect} cannot be shared between hosts; use one of {', '.join(known)}.")
    return sa.literal_column(known[dialect], sa.Float)
