"""10 entities at 100 Hz from 8 processes: how a recording is cut into chunks. ``cd bench; python -m subjects.paced shmrerun scalar``.

The entities are the same in all processes. What is left to gain is seen by ``rerun rrd optimize`` of the same file.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

import crowd
from peers.rerun_api import rrd
from sizes import processes, seconds
from subject import main

if TYPE_CHECKING:
    from peers.base import Log

ENTITIES, HERTZ, SECONDS = 10, 100, 60.0


def paced(log: Log, number: int, ticks: int) -> tuple[int, Any]:
    """Log all entities at each tick, the processes not in step; a tick that comes late does not move the next."""
    paths = [f"bench/{entity}" for entity in range(ENTITIES)]
    began = time.perf_counter() + number / HERTZ / 8
    late = 0.0
    for tick in range(ticks):
        rest = began + tick / HERTZ - time.perf_counter()
        if rest > 0:
            time.sleep(rest)
        else:
            late = max(late, -rest)
        for path in paths:
            log(path, tick + 1)
    return ticks * ENTITIES, late


def measure(subject: str, case: str, directory: str) -> dict[str, Any]:
    from shmrerun.rrd.decoder import batches

    count, length = processes(8), seconds(SECONDS)
    outcome = crowd.run(subject, case, count, round(length * HERTZ), directory, paced)
    [path] = outcome.files
    optimized = os.path.join(directory, "optimized.rrd")
    rrd("optimize", path, "-o", optimized)
    chunks = [_chunks(batches(file)) for file in (path, optimized)]
    sizes = [os.path.getsize(file) for file in (path, optimized)]
    return {
        "dropped": outcome.dropped,
        "unit": "chunks a second and entity",
        "n": outcome.rows,
        "processes": count,
        "chunks_per_s": chunks[0] / outcome.logged_secs / ENTITIES,
        "chunks": chunks[0],
        "chunks_optimized": chunks[1],
        "file_bytes": sizes[0],
        "file_bytes_optimized": sizes[1],
        "times_optimized": sizes[0] / sizes[1],
        "logging_secs": outcome.logged_secs,
        "latest_tick_secs": max(outcome.said),
        **outcome.facts,
    }


def _chunks(batches: Any) -> int:
    return sum(batch.schema.metadata[b"rerun:entity_path"].startswith(b"/bench/") for _, _, batch in batches)


if __name__ == "__main__":
    main(measure)
