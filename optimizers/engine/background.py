"""Work that pages ask for and do not wait for: asked again a moment later, the answer is there."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from typing import Any, TypeVar

from optimizers.errors import Cancelled

Found = TypeVar("Found")


class Background:
    """Does work in threads of its own, the same work once. Safe to use from several threads.

    Args:
        name: Of the threads.
        threads: That work at the same time.
        remembered: Answers that are kept for those who ask again, until somebody calls `forget`.
        lasting: Problems that are kept as well; after others, such as of a file that is missing now, the work is done
            anew when somebody asks again.
    """

    def __init__(self, name: str, threads: int, remembered: int, lasting: tuple[type[Exception], ...] = ()) -> None:
        self._lasting = lasting
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._most = remembered
        self._asked: dict[Hashable, Future[Any]] = {}
        self._lock = threading.Lock()

    def ask(self, key: Hashable, work: Callable[[], Found], patience: float = 0.0) -> Found | None:
        """The answer if it is known within so many seconds, else None; the work goes on.

        Args:
            key: Names the work.
            work: Is done if nothing of that name is under way or remembered. Does not return None.
            patience: Seconds.

        Raises:
            Exception: What the work raised.
        """
        with self._lock:
            future = self._asked.get(key)
            if future is None:
                while len(self._asked) >= self._most:
                    self._asked.pop(next(iter(self._asked))).cancel()
                future = self._asked[key] = self._threads.submit(work)
        try:
            found: Found = future.result(timeout=patience)
        except TimeoutError:
            if future.done():  # the work itself raised it
                raise
            return None
        except CancelledError:  # so many others have asked meanwhile that this one was dropped
            self.forget(key)
            raise Cancelled("Too much is being asked at the same time; try again.") from None
        except Exception as problem:
            if not isinstance(problem, self._lasting):
                self.forget(key)
            raise
        return found

    def __contains__(self, key: Hashable) -> bool:
        """Whether the work is under way or its answer remembered."""
        with self._lock:
            return key in self._asked

    def knows(self, key: Hashable) -> bool:
        """Whether there is nothing to wait for: the work has ended, or nobody has asked for it."""
        with self._lock:
            future = self._asked.get(key)
        return future is None or future.done()

    def forget(self, key: Hashable) -> None:
        """The work is done anew when somebody asks again. What is under way ends first."""
        with self._lock:
            if key in self._asked and self._asked[key].done():
                del self._asked[key]

    def close(self) -> None:
        """Waits until nothing is at work; what that work waits for must have been ended before."""
        self._threads.shutdown(wait=True, cancel_futures=True)
