"""A process to be killed: begins a search or goes on with the one that an earlier process left, and ends with it."""

from __future__ import annotations

from optimizers.engine.queue import JobQueue
from optimizers.search.desk import Wish
from optimizers.settings import Settings
from tests.engine.fake_executor import FakeExecutor

TRIALS = 10


def main() -> None:
    settings = Settings()
    queue = JobQueue(settings, FakeExecutor(settings, pause=0.3))
    if not queue.searches.studies():
        techniques = ("magnitude_pruning", "int8", "float16", "dynamic_range")
        wish = Wish(("size_bytes", "accuracy"), seconds=3600, techniques=techniques, most_trials=TRIALS)
        queue.searches.start("sample:digits_cnn", "sample:optdigits", wish)
    queue.searches.wait(queue.searches.studies()[0].id)
    queue.close()


if __name__ == "__main__":
    main()
