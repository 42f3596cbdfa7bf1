"""Who waits for whom on one machine: work, timing that wants to be alone, and people who look at a page."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from optimizers.engine.lanes import Lane, lane

_SECONDS = 10.0


class Holder:
    """Holds a lane in a thread of its own until it is told to leave, and gives way once when told to."""

    def __init__(self, folder: Path, kind: Lane) -> None:
        self.waited, self.inside, self.leave = threading.Event(), threading.Event(), threading.Event()
        self.asked, self.back = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._hold, args=(folder, kind), daemon=True)
        self._thread.start()

    def _hold(self, folder: Path, kind: Lane) -> None:
        with lane(folder, kind, self.waited.set) as give_way:
            self.inside.set()
            while not self.leave.wait(0.01):
                if self.asked.is_set():
                    give_way()
                    self.back.set()
                    return
        self.back.set()

    def end(self) -> None:
        self.leave.set()
        self._thread.join(_SECONDS)
        assert not self._thread.is_alive()


def _inside(holder: Holder) -> bool:
    return holder.inside.wait(_SECONDS)


def test_timing_waits_for_work_and_work_for_timing(tmp_path: Path) -> None:
    work = Holder(tmp_path, "work")
    assert _inside(work)
    other = Holder(tmp_path, "work")
    assert _inside(other), "work shares the lane"
    timing = Holder(tmp_path, "alone")
    assert timing.waited.wait(_SECONDS)
    late = Holder(tmp_path, "work")
    assert late.waited.wait(_SECONDS), "work that comes later queues behind who wants to be alone"
    assert not timing.inside.is_set()
    work.end()
    other.end()
    assert _inside(timing)
    assert not late.inside.is_set()
    timing.end()
    assert _inside(late)
    late.end()


def test_who_is_alone_lets_people_go_first_and_goes_on_after_them(tmp_path: Path) -> None:
    timing = Holder(tmp_path, "alone")
    assert _inside(timing)
    people = [Holder(tmp_path, "interactive") for _ in range(3)]
    assert all(person.waited.wait(_SECONDS) for person in people)
    assert not any(person.inside.is_set() for person in people), "not in the middle of a piece"
    work = Holder(tmp_path, "work")
    assert work.waited.wait(_SECONDS)

    timing.asked.set()
    assert all(_inside(person) for person in people)
    assert not timing.back.is_set()
    assert not work.inside.is_set(), "work does not slip in with them"
    for person in people:
        person.end()
    assert timing.back.wait(_SECONDS)
    timing.end()
    assert _inside(work)
    work.end()


def test_nobody_waits_nothing_is_given_away(tmp_path: Path) -> None:
    told: list[str] = []

    def wait() -> None:
        told.append("waits")

    with lane(tmp_path, "alone", wait) as give_way:
        for _ in range(100):
            give_way()
        person = Holder(tmp_path, "interactive")
        assert person.waited.wait(_SECONDS)
        assert not person.inside.is_set()
    assert told == []
    assert _inside(person)
    person.end()


def test_only_who_is_alone_gives_way(tmp_path: Path) -> None:
    ways: list[Callable[[], None]] = []
    with lane(tmp_path, "work") as work, lane(tmp_path, "interactive") as person:
        ways += [work, person]
        work()
        person()
    assert len(ways) == 2
