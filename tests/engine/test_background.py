"""Work that is asked for again and again until its answer is there."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from optimizers.engine.background import Background
from optimizers.errors import Cancelled, DataRefused, ModelRefused
from tests.engine.waiting import wait_until


class Work:
    """Counts how often it is done, and is done when it may be."""

    def __init__(self, answer: object = "answer") -> None:
        self.done, self.may_end, self._answer = 0, threading.Event(), answer

    def __call__(self) -> object:
        assert self.may_end.wait(10)
        self.done += 1
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


@pytest.fixture
def background() -> Iterator[Background]:
    opened = Background("test", 2, remembered=3, lasting=(DataRefused,))
    yield opened
    opened.close()


def test_nobody_waits_longer_than_they_say_and_the_work_is_done_once(background: Background) -> None:
    work = Work()
    assert [background.ask("a", work) for _ in range(5)] == [None] * 5
    assert not background.knows("a")
    work.may_end.set()
    assert background.ask("a", work, patience=10) == "answer"
    assert background.knows("a")
    assert background.ask("a", work) == "answer"
    assert work.done == 1
    background.forget("a")
    assert background.ask("a", work, patience=10) == "answer"
    assert work.done == 2


def test_what_is_under_way_is_not_forgotten(background: Background) -> None:
    work = Work()
    background.ask("a", work)
    background.forget("a")
    background.ask("a", work)
    work.may_end.set()
    wait_until(lambda: background.knows("a"))
    assert work.done == 1


@pytest.mark.parametrize(
    ("problem", "done"),
    [(DataRefused("There are no examples."), 1), (ModelRefused("The file is not there."), 2)],
    ids=["lasting", "passing"],
)
def test_what_goes_wrong_is_told_to_all_who_ask_and_tried_anew_where_it_passes(
    background: Background, problem: Exception, done: int
) -> None:
    work = Work(problem)
    work.may_end.set()
    for _ in range(2):
        with pytest.raises(type(problem), match=str(problem)):
            background.ask("a", work, patience=10)
    assert work.done == done


def test_the_oldest_make_room_and_are_told_so(background: Background) -> None:
    busy, waiting = [Work(), Work()], Work()
    for number, work in enumerate(busy):
        background.ask(number, work)
    problems: list[Exception] = []

    def ask() -> None:
        try:
            background.ask("waits", waiting, patience=10)
        except Cancelled as problem:
            problems.append(problem)

    asking = threading.Thread(target=ask)
    asking.start()
    wait_until(lambda: not background.knows("waits"))
    others = [Work() for _ in range(3)]
    for number, work in enumerate(others):
        background.ask(f"other {number}", work)
    asking.join(10)
    assert "try again" in str(problems[0])
    assert waiting.done == 0
    for work in (*busy, *others):
        work.may_end.set()
    assert background.ask("other 2", others[2], patience=10) == "answer"
