"""What a worker process may not do: keep core dumps, reach the network, and, while it reads a stranger's file, use
more memory, computing time or disk than reading takes. And that trainings and the like let pages come first.

All of it works without privileges. It is a second wall: the readers execute nothing from a file in the first place.
"""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from optimizers.errors import ReadingStopped
from optimizers.settings import Settings

WRITTEN_BYTES = 64 << 20
"""Largest file that reading a model or a data set may write: a description, some previews, a log."""

_USUAL = os.getpriority(os.PRIO_PROCESS, 0)
_THREADS = Path("/proc/self/task")
_SESSION = Path("/proc/self/autogroup")
"""Where Linux schedules by session, a process' own niceness counts within its session only, and a worker has one of its
own; this is the niceness of the session."""
_UNLIMITED = resource.RLIM_INFINITY


def no_core_dumps() -> None:
    """A crash leaves no copy of the memory on the disk."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


@cache
def come_after_pages(niceness: int) -> None:
    """Where the machine has too little for all, this process gets what others leave, from now on; 0 changes nothing."""
    if not niceness:
        return
    wanted = _USUAL + niceness
    os.setpriority(os.PRIO_PROCESS, 0, wanted)
    if _THREADS.exists():  # on Linux each has a niceness of its own, and those that start later take their parent's
        for thread in _THREADS.iterdir():
            with suppress(OSError):  # it has just ended
                os.setpriority(os.PRIO_PROCESS, int(thread.name), wanted)
    with suppress(OSError):
        if _SESSION.exists():
            _SESSION.write_text(f"{niceness}", encoding="ascii")


@contextmanager
def reading_limits(seconds: float, mib: int) -> Iterator[None]:
    """Soft limits of this process for one task, lifted at its end.

    Args:
        seconds: Computing time of all threads together. Beyond it the kernel ends the process (SIGXCPU).
        mib: Memory beyond what the process holds now. Beyond it an allocation fails (MemoryError, or an abort in native
            code). Linux only; elsewhere the owner watches the resident memory. Counted is writable private memory
            (RLIMIT_DATA): address space (RLIMIT_AS) says little, since TensorFlow alone maps over 2 GiB of it and uses
            a quarter.
    """
    limits = {
        resource.RLIMIT_CPU: int(sum(os.times()[:2]) + seconds) + 1,
        resource.RLIMIT_FSIZE: WRITTEN_BYTES,
    }
    held = _data_bytes()
    if held:
        limits[resource.RLIMIT_DATA] = held + (mib << 20)
    before = {which: resource.getrlimit(which) for which in limits}
    for which, most in limits.items():
        hard = before[which][1]
        resource.setrlimit(which, (most if hard == _UNLIMITED else min(most, hard), hard))
    try:
        yield
    finally:
        for which, pair in before.items():
            resource.setrlimit(which, pair)


def _data_bytes() -> int:
    """Writable private memory of this process, as RLIMIT_DATA counts it; 0 where that is not known."""
    status = Path("/proc/self/status")
    if not status.exists():
        return 0
    lines = status.read_text(encoding="ascii", errors="replace").splitlines()
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith("VmData:")), 0)


def too_much_memory(settings: Settings, detail: str = "") -> ReadingStopped:
    """What a file is told that needs more memory than reading may take."""
    return ReadingStopped(
        f"This file was not read because that takes more than {settings.reading_mib} MiB of memory "
        "(PARETOSCOPE_READING_MIB raises the limit); use a smaller model or fewer examples.",
        code="memory",
        detail=detail,
    )


_ARCHITECTURES = {"x86_64": (0xC000003E, 41), "aarch64": (0xC00000B7, 198)}
"""Number of the architecture in Linux's audit.h, and of its system call ``socket``."""


def no_network() -> bool:
    """Forbids this process, for good, all sockets but local ones. Returns False where that is not possible.

    Linux on x86-64 and ARM64 only. To be called before any thread starts: threads inherit the filter when they begin.

    Source: https://www.kernel.org/doc/html/latest/userspace-api/seccomp_filter.html
    """
    if sys.platform != "linux" or platform.machine() not in _ARCHITECTURES:
        return False
    audit, socket_call = _ARCHITECTURES[platform.machine()]
    load, equal, answer = 0x20, 0x15, 0x06
    local, allow, refuse = 1, 0x7FFF0000, 0x00050000 | 13  # AF_UNIX, SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO | EACCES
    program = b"".join(
        struct.pack("=HBBI", *instruction)
        for instruction in (
            (load, 0, 0, 4),  # seccomp_data.arch
            (equal, 0, 4, audit),
            (load, 0, 0, 0),  # seccomp_data.nr
            (equal, 0, 2, socket_call),
            (load, 0, 0, 16),  # seccomp_data.args[0], the address family
            (equal, 0, 1, local),
            (answer, 0, 0, allow),
            (answer, 0, 0, refuse),
        )
    )
    code = ctypes.create_string_buffer(program, len(program))
    filter_program = struct.pack("HP", len(program) // 8, ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    no_new_privileges, set_seccomp, filter_mode = 38, 22, 2
    steps = ((no_new_privileges, 1, 0, 0, 0), (set_seccomp, filter_mode, filter_program))
    return all(libc.prctl(*step) == 0 for step in steps)
