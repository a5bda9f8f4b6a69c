"""As many rows at once as 200,000 from 4 processes: ``cd bench; python -m subjects.burst shmrerun scalar``.

How many are lost, and how long a call takes that takes longest. Each call is timed, a rest for the scheduler included: with more
processes than processors, the longest call of anybody is at least what the scheduler gives to another process.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

import crowd
from sizes import processes, scaled
from subject import main

if TYPE_CHECKING:
    from peers.base import Log

ROWS = 200_000  # of all processes


def timed(log: Log, number: int, rows: int) -> tuple[int, Any]:
    """Log back to back; says the nanoseconds of each call."""
    path, clock, nanos = f"bench/{number}", time.perf_counter_ns, np.empty(rows, np.int64)
    for step in range(rows):
        began = clock()
        log(path, step + 1)
        nanos[step] = clock() - began
    return rows, nanos


def measure(subject: str, case: str, directory: str) -> dict[str, Any]:
    count = processes(4)
    outcome = crowd.run(subject, case, count, scaled(ROWS) // count, directory, timed)
    nanos = np.concatenate(outcome.said)
    p50, p99, p99_9 = np.percentile(nanos, [50, 99, 99.9])
    return {
        "dropped": outcome.dropped,
        "unit": "ns",
        "n": outcome.rows,
        "processes": count,
        "longest": int(nanos.max()),
        "p50": p50,
        "p99": p99,
        "p99_9": p99_9,
        "logged_secs": outcome.logged_secs,
        "secs": outcome.secs,
        **outcome.facts,
    }


if __name__ == "__main__":
    main(measure)
