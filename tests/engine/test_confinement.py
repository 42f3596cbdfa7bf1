"""What a process may do that reads a stranger's file: limits that are real, no network, a scratch folder of its own."""

from __future__ import annotations

import os
import platform
import signal
import sys
from pathlib import Path

import pytest

from optimizers.engine.executor import LocalExecutor
from optimizers.engine.worker import Task
from optimizers.errors import ReadingStopped, Unexpected
from optimizers.settings import Settings

linux = pytest.mark.skipif(sys.platform != "linux", reason="the kernel limits memory and sockets on Linux only")


@pytest.fixture
def executor(tmp_path):
    executor = LocalExecutor(Settings(home=tmp_path / "home", reading_seconds=1, reading_mib=100))
    yield executor
    executor.close()


def read(executor, name, pool="reader", reading=True, **params):
    log = str(executor._settings.logs / "task.log")
    task = Task(f"tests.engine.fake_tasks:{name}", params, pool, "interactive", log, reading)
    return executor.run(task, lambda event: None, lambda: False)


@linux
def test_too_much_memory_is_one_sentence_and_the_process_lives_on(executor):
    pid = read(executor, "echo", value=1)["pid"]
    for _ in range(2):
        with pytest.raises(ReadingStopped, match=r"more than 100 MiB of memory .+\.$") as caught:
            read(executor, "allocate", mib=300)
        assert caught.value.code == "memory"
    assert read(executor, "echo", value=1)["pid"] == pid
    assert read(executor, "allocate", mib=50)


@linux
def test_limits_end_with_the_task(executor):
    assert read(executor, "echo", value=1)
    assert read(executor, "allocate", reading=False, mib=300) == 300 * 2**20
    assert read(executor, "write", reading=False, mib=70) == 70 * 2**20


def test_too_much_computing_is_one_sentence_and_the_next_file_is_read(executor):
    with pytest.raises(ReadingStopped, match=r"more than 1 seconds of computing time .+\.$") as caught:
        read(executor, "compute")
    assert caught.value.code == "time"
    assert read(executor, "echo", value=1)


def test_reading_writes_no_large_files(executor):
    with pytest.raises(Unexpected, match="File too large"):
        read(executor, "write", mib=70)
    assert read(executor, "write", mib=10)


@pytest.mark.parametrize(("name", "params"), [("segfault", {}), ("die", {"number": int(signal.SIGABRT)})])
def test_a_crash_is_told_as_what_it_means_for_the_file(executor, name, params):
    with pytest.raises(ReadingStopped, match=r"^This file could not be read: .+\.$"):
        read(executor, name, **params)


@pytest.mark.skipif(platform.machine() not in ("x86_64", "aarch64"), reason="the filter is for these processors")
@linux
def test_no_network_for_what_reads_files_of_strangers(executor):
    refused = {"AF_UNIX": "opened", "AF_INET": "PermissionError", "AF_INET6": "PermissionError"}
    assert read(executor, "families") == refused


@pytest.mark.parametrize("crash", [False, True])
def test_scratch_files_go_with_their_process(executor, crash):
    path = Path(read(executor, "leave_behind"))
    assert path.exists()
    if crash:
        with pytest.raises(ReadingStopped):
            read(executor, "segfault")
    else:
        executor.close()
    assert not path.exists()
    assert not path.parent.exists()
    assert path.parent != Path(os.environ.get("TMPDIR", "/tmp"))


def test_unexpected_faults_name_no_folder_of_the_server(executor, tmp_path):
    with pytest.raises(Unexpected) as caught:
        read(executor, "lost", path=str(tmp_path / "secret-folder" / "gone.bin"))
    assert "gone.bin" in caught.value.message
    assert "secret-folder" not in caught.value.message
