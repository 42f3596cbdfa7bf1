"""Tasks on a Dask cluster: the same contract as the local executor, on whatever machines the scheduler knows.

Every task of ours is one Dask task, see `optimizers.engine.site`. Files travel through the store, not through Dask.
"""

from __future__ import annotations

import json
import logging
import queue
import re
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optimizers.engine import given
from optimizers.engine.executor import Executor, LocalExecutor
from optimizers.engine.site import identity, in_words, name_of_device, work
from optimizers.engine.store import open_store
from optimizers.engine.versions import measuring_versions, work_versions
from optimizers.engine.worker import OnEvent, Task
from optimizers.errors import Cancelled, Unreachable, UserError, from_dict
from optimizers.settings import Settings

if TYPE_CHECKING:
    from distributed import Client, Future

_KEY = re.compile(r"[0-9a-f]{64}")
_CONNECTING_SECONDS = 20.0
_DEVICES_SECONDS = 60.0
_QUIET_SECONDS = 2.0
_KEPT_SECONDS = 1.0
_TICK = 0.2
_log = logging.getLogger(__name__)


def executor_of(settings: Settings, *, visited: bool = False) -> Executor:
    """Where tasks are computed, by the settings."""
    if settings.dask:
        return DaskExecutor(settings)
    if settings.measure_on or settings.work_on:
        raise UserError(
            "PARETOSCOPE_MEASURE_ON and PARETOSCOPE_WORK_ON name labels of Dask workers; set PARETOSCOPE_DASK as well."
        )
    return LocalExecutor(settings, visited=visited)


class DaskExecutor:
    """Gives tasks to the workers of a cluster.

    A worker that is lost costs nothing but time: the scheduler gives its task to another one. When the scheduler is
    lost, tasks are given to the next one that answers at the same address. When the app is lost, the scheduler cancels
    what it had asked for, and workers kill it.

    Args:
        settings: ``dask`` is the scheduler's address. Certificates for ``tls://`` come from Dask's own configuration,
            such as ``DASK_DISTRIBUTED__COMM__TLS__CA_FILE``.
    """

    def __init__(self, settings: Settings) -> None:
        try:
            import distributed  # noqa: F401
        except ImportError:
            raise UserError("PARETOSCOPE_DASK is set, but Dask is missing; install requirements-scale.txt.") from None
        self._settings = settings
        self._store = open_store(settings)
        self._identity = identity(settings)
        self._published: set[str] = set()
        self._listening: dict[str, queue.SimpleQueue[dict[str, Any] | None]] = {}
        self._client: Client | None = None
        self._topic = ""
        self._here: LocalExecutor | None = None
        self._devices: tuple[float, frozenset[str]] = (0.0, frozenset())
        self._ended: list[tuple[float, Future]] = []
        self._lock = threading.RLock()
        self._closed = threading.Event()

    def run(self, task: Task, on_event: OnEvent, cancelled: Callable[[], bool]) -> Any:
        if task.here:
            return self._local().run(task, on_event, cancelled)
        self._publish(task)
        bundles = given.packed(task.params, self._settings)
        while True:
            told = self._once(task, bundles, on_event, lambda: cancelled() or self._closed.is_set())
            if told is None or told.get("again"):
                _log.warning("A task was lost with its worker or its scheduler and is given again")
                continue
            if "error" in told:
                raise from_dict(told["error"])
            return told["result"]

    def devices(self) -> frozenset[str]:
        asked, known = self._devices
        if known and time.monotonic() - asked < _DEVICES_SECONDS:
            return known
        client, _ = self._connected(self._closed.is_set)
        label, workers = self._settings.measure_on, client.scheduler_info(n_workers=-1)["workers"]
        chosen = [address for address, told in workers.items() if not label or label in told["resources"]]
        if chosen:
            known = frozenset(client.run(name_of_device, workers=chosen, on_error="ignore").values())
        self._devices = (time.monotonic(), known)
        return known

    def close(self) -> None:
        self._closed.set()
        with self._lock:
            client, self._client = self._client, None
            here, self._here = self._here, None
            self._ended.clear()
        if here is not None:
            here.close()
        if client is not None:
            client.close(timeout=5)

    # --------------------------------------------------------------------------------------------------------------

    def _once(
        self, task: Task, bundles: dict[str, str], on_event: OnEvent, cancelled: Callable[[], bool]
    ) -> dict[str, Any] | None:
        """What a worker answered, or None when the task was lost on the way."""
        client, topic = self._connected(cancelled)
        task_id = uuid.uuid4().hex
        events: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._listening[task_id] = events
        label = self._settings.measure_on if task.lane == "alone" else self._settings.work_on
        payload = {
            "id": task_id,
            "topic": topic,
            "task": asdict(task),
            "given": bundles,
            "store": self._identity,
            "measuring": measuring_versions(),
            "work": work_versions() if task.pool == "tensorflow" else {},
        }
        try:
            future = client.submit(
                work,
                json.dumps(payload),
                key=f"paretoscope-{task_id}",
                pure=False,
                resources={label: 1} if label else None,
                priority=10 if task.lane == "interactive" else 0,
            )
            future.add_done_callback(lambda _: events.put(None))
            self._let_go()
            answer = self._follow(future, events, task, label, on_event, cancelled)
            if future.status == "finished":
                found: dict[str, Any] = json.loads(answer or future.result())
                with self._lock:
                    self._ended.append((time.monotonic(), future))
                return found
            if future.status == "error":
                raise in_words(future.exception())
            return None
        except (OSError, RuntimeError) as problem:  # the client has closed meanwhile
            _log.warning("The connection to the scheduler was lost: %s", problem)
            return None
        finally:
            self._listening.pop(task_id, None)

    def _let_go(self) -> None:
        """Lets the cluster forget what ended a while ago.

        Dask sends what clients say at most every 10 ms. The next task of a run, which is often there at once, would
        wait for that after each word about the one before it; so these go along behind a task.
        """
        with self._lock:
            old = time.monotonic() - _KEPT_SECONDS
            self._ended = [(ended, future) for ended, future in self._ended if ended > old]

    def _follow(
        self,
        future: Future,
        events: queue.SimpleQueue[dict[str, Any] | None],
        task: Task,
        label: str,
        on_event: OnEvent,
        cancelled: Callable[[], bool],
    ) -> str:
        """Passes on what a worker tells until the task has ended; its answer if that came, too. Raises `Cancelled`."""
        started, heard, answer = time.monotonic(), False, ""
        while True:
            if cancelled():
                future.cancel(force=True)
                raise Cancelled("The run was cancelled.")
            try:
                event = events.get(timeout=_TICK)
            except queue.Empty:
                if not heard and time.monotonic() - started > _QUIET_SECONDS:
                    heard = True
                    of = f" with the label {label}" if label else ""
                    why = f"Waiting for a free worker of the cluster{of}."
                    on_event({"type": "waiting", "why": why})
                    if task.lane == "interactive":  # of which no page and no run tells
                        _log.warning(why)
                continue
            if event is None:
                return answer
            heard = True
            if event["type"] == "answer":
                answer = event["whole"]
            elif event["type"] == "log":
                _append(Path(task.log), event["text"])
            else:
                on_event(event)

    def _connected(self, cancelled: Callable[[], bool]) -> tuple[Client, str]:
        """A client, and the topic on which its workers tell. Raises `Unreachable` when no scheduler answers."""
        from distributed import Client

        deadline = time.monotonic() + _CONNECTING_SECONDS
        while True:
            with self._lock:
                if self._client is not None and self._client.status == "running":
                    return self._client, self._topic
                if self._client is None or self._client.status == "closed":
                    try:
                        self._client = Client(self._settings.dask, timeout=5, set_as_default=False)
                        self._topic = f"paretoscope-{uuid.uuid4().hex}"
                        self._client.subscribe_topic(self._topic, self._hear)
                        continue
                    except (OSError, TimeoutError) as problem:
                        why = " ".join(str(problem).split())[:200]
                    except AssertionError:  # Dask's, where a busy machine did not start its thread within 10 seconds
                        why = "Dask's client did not start"
                    except (ValueError, TypeError) as problem:  # an address or certificates that cannot be used
                        raise Unreachable(
                            f"The Dask scheduler {self._settings.dask} cannot be reached as it is configured "
                            f"({' '.join(str(problem).split())[:200]}); correct PARETOSCOPE_DASK, or Dask's settings "
                            "of certificates (DASK_DISTRIBUTED__COMM__TLS__CA_FILE and its neighbours)."
                        ) from problem
                else:
                    why = "the connection was lost"
            if cancelled():
                raise Cancelled("The run was cancelled.")
            if time.monotonic() > deadline:
                raise Unreachable(
                    f"The Dask scheduler {self._settings.dask} does not answer ({why}); runs go on when it is back."
                )
            time.sleep(0.2)

    def _hear(self, event: tuple[float, str]) -> None:
        told = json.loads(event[1])
        listener = self._listening.get(told["id"])
        if listener is not None:
            listener.put(told["event"])

    def _publish(self, task: Task) -> None:
        """Results that the task names and that lie in the folder since before there was a ``PARETOSCOPE_STORE``."""
        if self._store.behind is None:
            return
        for key in given.strings(task.params):
            if _KEY.fullmatch(key) and key not in self._published:
                known = self._store.local(key)
                if known is not None:
                    self._store.publish(known)
                    self._published.add(key)

    def _local(self) -> LocalExecutor:
        """For tasks that need files of this machine."""
        with self._lock:
            if self._here is None:
                self._here = LocalExecutor(self._settings)
            return self._here


def _append(log: Path, text: str) -> None:
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a", encoding="utf-8") as stream:
        stream.write(text)
