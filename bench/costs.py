"""What other processes cost: their CPU time, their memory."""

from __future__ import annotations

import time
from pathlib import Path
from typing import NamedTuple

_SCHED = 2  # the kernel's number of the clock that counts user and system time of all threads, ended ones included


class Memory(NamedTuple):
    """Resident bytes of a process: all, all but what it shares with others in memory (the lanes), the most that it ever had."""

    resident: int
    less_lanes: int
    peak: int


def cpu_secs(pid: int) -> float:
    """Return the CPU time of a process, to the nanosecond: the clock of ``clock_getcpuclockid``."""
    return time.clock_gettime(~pid << 3 | _SCHED)


def memory(pid: int) -> Memory:
    """Return the memory of a process."""
    lines = (line.partition(":") for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines())
    found = {name: int(text.split()[0]) * 1024 for name, _, text in lines if name in {"VmRSS", "RssShmem", "VmHWM"}}
    return Memory(found["VmRSS"], found["VmRSS"] - found["RssShmem"], found["VmHWM"])


def aggregator_pid() -> int:
    """Return the aggregator of this process's tree."""
    from shmrerun import _core
    from shmrerun.producer import process

    [tree] = process.this_process().trees.values()
    return int(tree.segment.load(_core.LAYOUT["tree.aggregator_pid"]))
