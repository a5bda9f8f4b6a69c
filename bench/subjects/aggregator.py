"""What shmrerun's own process costs: ``cd bench; python -m subjects.aggregator shmrerun core``.

``core``: rows a second of its CPU time, scalars from several processes. ``load``: its memory while scalars come as fast as they can.
``entities``: its memory with 100,000 entities. ``idle``: its CPU time while a program has a recording and logs nothing.
Memory is without the lanes, which it maps but which are the program's (their limit is a setting).
"""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING, Any

import costs
import crowd
from sizes import processes, scaled, seconds
from subject import main, rrd_rows

if TYPE_CHECKING:
    from peers.base import Log

ROWS = 250_000  # of each process
ENTITIES = 100_000
LOAD_SECONDS, IDLE_SECONDS = 15.0, 30.0
LOOK_SECONDS = 0.02


class Watch:
    """Looks at a process's memory every 20 ms, in a thread; `highest` is without lanes."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.before = self.highest = costs.memory(pid).less_lanes
        self.peak = 0
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()

    def _look(self) -> None:
        while True:
            found = costs.memory(self.pid)
            self.highest, self.peak = max(self.highest, found.less_lanes), found.peak
            if self._ending.wait(LOOK_SECONDS):
                return

    def end(self) -> dict[str, Any]:
        """Stop looking; returns bytes."""
        self._ending.set()
        self._thread.join()
        return {"peak_less_lanes_bytes": self.highest, "before_bytes": self.before, "peak_rss_bytes": self.peak}


def core(directory: str) -> dict[str, Any]:
    outcome = crowd.run("shmrerun", "scalar", processes(4), scaled(ROWS), directory)
    cpu_secs = outcome.facts["cpu_secs_aggregator"]
    return {
        "dropped": outcome.dropped,
        "unit": "rows a second of CPU time",
        "n": outcome.rows,
        "rows_per_cpu_s": outcome.rows / cpu_secs,
        "cpu_secs_aggregator": cpu_secs,
        "secs": outcome.secs,
        "rows_per_s": outcome.rows / outcome.secs,
    }


def until(log: Log, number: int, hundredths: int) -> tuple[int, Any]:
    """Log for some time."""
    path, end, step = f"bench/{number}", time.perf_counter() + hundredths / 100, 0
    while time.perf_counter() < end:
        for each in range(1, 101):
            log(path, step + each)
        step += 100
    return step, None


def load(directory: str) -> dict[str, Any]:
    from peers.shmrerun import Shmrerun

    length, watches = seconds(LOAD_SECONDS), []
    begin = Shmrerun.begin

    def watched(self: Shmrerun) -> None:
        begin(self)
        watches.append(Watch(self.aggregator))

    Shmrerun.begin = watched
    outcome = crowd.run("shmrerun", "scalar", processes(4), round(length * 100), directory, until)
    return {
        "dropped": outcome.dropped,
        "unit": "bytes",
        "n": outcome.rows,
        **watches[0].end(),
        "rows_per_s": outcome.rows / outcome.secs,
    }


def entities(directory: str) -> dict[str, Any]:
    import shmrerun as rr

    count, path = scaled(ENTITIES), os.path.join(directory, "entities.rrd")
    rr.init("shmrerun_bench")
    rr.save(path)
    rr.get_global_data_recording().flush()
    watch = Watch(costs.aggregator_pid())
    began = time.perf_counter()
    for entity in range(count):
        rr.set_time("step", sequence=entity)
        rr.log(f"bench/{entity}", rr.Scalars(entity * 0.5))
    rr.get_global_data_recording().flush()
    secs = time.perf_counter() - began
    found = watch.end()
    rr.disconnect()
    return {"dropped": count - rrd_rows(path), "unit": "bytes", "n": count, **found, "secs": secs}


def idle(directory: str) -> dict[str, Any]:
    import shmrerun as rr

    rr.init("shmrerun_bench")
    rr.save(os.path.join(directory, "idle.rrd"))
    rr.log("bench/0", rr.Scalars(0.0))
    rr.get_global_data_recording().flush()
    pid, length = costs.aggregator_pid(), seconds(IDLE_SECONDS)
    time.sleep(min(2.0, length))  # what follows a row is over
    before, began = costs.cpu_secs(pid), time.perf_counter()
    time.sleep(length)
    secs = time.perf_counter() - began
    used = costs.cpu_secs(pid) - before
    rr.disconnect()
    return {"unit": "% of a core", "n": 1, "percent": used / secs * 100, "cpu_secs_aggregator": used, "idle_secs": secs}


def measure(subject: str, case: str, directory: str) -> dict[str, Any]:
    return {"core": core, "load": load, "entities": entities, "idle": idle}[case](directory)


if __name__ == "__main__":
    main(measure)
