"""Seen: an aggregator that could not clean up never ended: it failed ten times a second, for ever, and filled memory with tracebacks.

Squatted directories, with which anybody could bring that about, are in ``tests/faults/test_places.py``.
"""

from __future__ import annotations

import os
import shutil
import signal

from helpers import is_gone, run, start, trees

from shmrerun.shm import places
from shmrerun.testing import aggregator_pid, wait_until

PROGRAM = """
import sys
import shmrerun as rr
rr.init("museum")
rr.save("out.rrd")
rr.log("rows", rr.Scalars(0))
rr.get_global_data_recording().flush()
print("ready", flush=True)
import time
while not __import__("os").path.exists("go"):
    time.sleep(0.01)
rr.log("rows", rr.Scalars(1))
"""


def begun(tmp_path, text=PROGRAM):
    program = start(text, tmp_path, strict=False)
    wait_until(lambda: "ready" in program.output()[0], 20, "the program has begun")
    [token] = trees()
    return program, token, wait_until(lambda: aggregator_pid(token), 10, "the aggregator is there")


def test_runtime_directory_removed(tmp_path):
    """The directory of a running tree is removed: the program goes on, its file is whole, and the aggregator ends with it."""
    program, token, pid = begun(tmp_path)
    shutil.rmtree(f"{places.runtime_of(token)}/{token}")
    (tmp_path / "go").touch()
    program.wait()
    wait_until(lambda: is_gone(pid), 20, "the aggregator has ended")


def test_directory_removed_and_everybody_killed(tmp_path):
    """The same, and the program is killed: the aggregator ends by itself."""
    program, token, pid = begun(tmp_path)
    shutil.rmtree(f"{places.runtime_of(token)}/{token}")
    os.kill(program.pid, signal.SIGKILL)
    program.wait(check=False)
    wait_until(lambda: is_gone(pid), 20, "the aggregator has ended")


def test_termination_is_heeded(tmp_path):
    """SIGTERM finishes files, whatever became of the directory; the aggregator then serves on, and ends with its program."""
    program, token, pid = begun(tmp_path)
    shutil.rmtree(f"{places.runtime_of(token)}/{token}")
    os.kill(pid, signal.SIGTERM)
    from helpers import has_footer

    wait_until(lambda: has_footer(tmp_path / "out.rrd"), 10, "the file is whole")
    (tmp_path / "go").touch()
    program.wait()
    wait_until(lambda: is_gone(pid), 20, "the aggregator has ended")


def test_a_loop_that_always_fails_ends():
    """Whatever fails in every turn is waited for longer and longer, what is written about it is bounded, and at last it is given up."""
    from shmrerun.aggregator.faults import Backoff

    backoff = Backoff(0.05, 5.0, 12)
    pauses = [backoff.fail() for _ in range(12)]
    assert pauses == sorted(pauses)
    assert sum(pauses) < 60
    assert backoff.is_hopeless
    backoff.worked()
    assert not backoff.is_hopeless


def test_faults_are_bounded(tmp_path):
    """The file of faults never grows beyond its limit."""
    result = run(
        """
        import os
        from shmrerun.aggregator import faults
        fd = os.open("faults", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        os.dup2(fd, 2)
        for i in range(10000):
            try:
                raise ValueError("x" * 1000)
            except ValueError:
                faults.note()
        print(os.path.getsize("faults") < faults.MOST_BYTES + 8192)
        """,
        tmp_path,
    )
    assert result.stdout == "True\n"
