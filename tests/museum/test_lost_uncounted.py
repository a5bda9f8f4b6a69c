"""Seen: rows that were logged, are not in the file, and were in no counter either. Attempted = delivered + dropped, whatever happens.

(c), exceptions of unplanned types while a chunk is made, which pinned the head for ever, is in ``tests/unit/test_writer.py``.
"""

from __future__ import annotations

import os

import pytest
from helpers import check, needs_mounts, run, scalars, small_shm

COUNTS = """
import os, sys
import shmrerun as rr
from shmrerun.producer.process import this_process
from shmrerun.errors import RowsLostError
from shmrerun.shm import segments
from shmrerun.shm.session import lane_name, open_session
from shmrerun.shm.words import *

def session_of(): return rr.get_global_data_recording()._stream.session
def flush():
    try: session_of().flush(20)
    except RowsLostError as error: return str(error)
    return ""
"""


def test_damaged_record(tmp_path):
    """(a) Seen: all behind a damaged record was lost, ``lost`` 0, ``flush`` ok. The lane goes on elsewhere; the count is exact."""
    result = run(
        COUNTS
        + """
rr.init("museum"); rr.save("out.rrd")
session = session_of()
for i in range(100): rr.log("rows", rr.Scalars(i))
flush()
lane = segments.attach(lane_name(session.tree.token, session.serial, session.index, 0), LANE_MAGIC, LaneView.least)
view = LaneView(lane)
at = view.ring_offset + view.tail
import signal
os.kill(session.tree.words.aggregator_pid, signal.SIGSTOP)
for i in range(100, 110): rr.log("rows", rr.Scalars(i))
lane.store(at, 0xFFFF_FFFF_FFFF)
os.kill(session.tree.words.aggregator_pid, signal.SIGCONT)
text = flush()
assert "10 rows" in text, text
for i in range(110, 200): rr.log("rows", rr.Scalars(i))
again = flush()
print(session.member.written, session.member.rows, session.member.lost, repr(again))
""",
        tmp_path,
    )
    written, rows, lost, again = result.stdout.split(maxsplit=3)
    found = scalars(check(tmp_path / "out.rrd"), "/rows")
    assert int(written) == int(rows) + int(lost) == 201  # with the start time
    assert found == [*range(100), *range(110, 200)]
    assert (int(lost), again.strip()) == (10, "''")
    assert "put aside" in result.stderr


@pytest.mark.parametrize("count", [1023, 1024])
def test_as_many_timelines_as_allowed(tmp_path, count):
    """(b) Seen: 1,024 timelines, which a thread may have, and log_time were over the reader's limit."""
    run(
        COUNTS
        + f"""
rr.init("museum"); rr.save("out.rrd")
for i in range({count}): rr.set_time(f"timeline {{i}}", sequence=i)
for i in range(3): rr.log("rows", rr.Scalars(i))
try:
    for i in range({count}, 1030): rr.set_time(f"timeline {{i}}", sequence=i)
except ValueError as error:
    assert "1024" in str(error)
else:
    raise SystemExit("no error")
rr.reset_time()
rr.log("rows", rr.Scalars(3))
assert flush() == ""
""",
        tmp_path,
    )
    assert scalars(check(tmp_path / "out.rrd"), "/rows") == [0, 1, 2, 3]


def test_types_at_their_limits(tmp_path):
    """(b) Types beyond what is gathered buffer by buffer arrive too; those that Arrow's readers would refuse, the producer refuses."""
    run(
        COUNTS
        + """
import warnings
import pyarrow as pa
rr.init("museum"); rr.save("out.rrd")
def nested(depth):
    value = pa.array([1])
    for _ in range(depth): value = pa.array([[0]]).from_arrays(pa.array([0, 1], pa.int32()), value)
    return value
def union(arms):
    return pa.UnionArray.from_dense(pa.array([0], pa.int8()), pa.array([0], pa.int32()), [pa.array([i]) for i in range(arms)])
class Batch:
    def __init__(self, array): self.array = array
    def as_component_batches(self): return [rr.DescribedComponentBatch(self.array_batch(), rr.ComponentDescriptor("c"))]
    def array_batch(self):
        class One:
            def as_arrow_array(s): return self.array
        return One()
allowed = [nested(31), nested(32), nested(33), nested(59), union(64), union(65)]
for array, limit in [*((array, None) for array in allowed), (nested(60), "60")]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        rr.log("typed", Batch(array))
    assert bool(caught) == bool(limit), (array.type, [str(w.message) for w in caught])
    assert not limit or limit in str(caught[0].message)
rr.log("rows", rr.Scalars(1))
assert flush() == ""
""",
        tmp_path,
    )
    rows = check(tmp_path / "out.rrd")
    assert scalars(rows, "/rows") == [1]
    assert len(rows["/typed"]) == 6


def test_more_processes_than_members(tmp_path):
    """(d) Seen: rows of processes over the limit of members were gone, also after slots were free again. It is said, and counted."""
    result = run(
        COUNTS
        + """
rr.init("museum"); rr.save("out.rrd")
rr.log("rows", rr.Scalars(0))
session = session_of()
taken = [session.words.member(i) for i in range(SESSION_MEMBERS) if not session.words.member(i).owner]
for slot in taken: slot.owner = session.tree.ref
pid = os.fork()
if pid == 0:
    import time, warnings
    warnings.simplefilter("ignore")
    for i in range(7): rr.log("child", rr.Scalars(i))
    open("full", "w").close()
    while not os.path.exists("free"): time.sleep(0.01)
    time.sleep(0.15)
    for i in range(7, 10): rr.log("child", rr.Scalars(i))
    os._exit(0)
import time
while not os.path.exists("full"): time.sleep(0.01)
for slot in taken: slot.owner = 0
open("free", "w").close()
assert os.waitpid(pid, 0)[1] == 0
print(session.words.unjoined)
""",
        tmp_path,
    )
    assert result.stdout == "7\n"
    assert result.stderr.count("cannot join") == 1
    assert scalars(check(tmp_path / "out.rrd"), "/child") == [7, 8, 9]


def test_disconnect_right_after_growth(tmp_path):
    """(e) Seen: in 4 of 3,000 rounds the row before a ``disconnect`` was lost, because it had made the lane grow."""
    rounds = 150
    run(
        COUNTS
        + f"""
import numpy as np
for n in range({rounds}):
    with rr.RecordingStream("museum", recording_id=f"r{{n}}", send_properties=False) as rec:
        rec.save(f"out{{n}}.rrd")
        rec.log("rows", rr.Scalars(0))
        rec.log("image", rr.Image(np.zeros((10 + n, 300, 3), np.uint8)))
""",
        tmp_path,
    )
    for n in range(rounds):
        assert (tmp_path / f"out{n}.rrd").stat().st_size > 2000, n
        if n % 25 == 0:
            assert len(check(tmp_path / f"out{n}.rrd")["/image"]) == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can change its user")
def test_child_that_changes_its_user(tmp_path):
    """(f) Seen: silent. A forked child that becomes another user says that it cannot log, warns and counts."""
    result = run(
        COUNTS
        + """
import warnings
warnings.simplefilter("ignore")
os.chmod(".", 0o777)
rr.init("museum"); rr.save("out.rrd")
rr.log("rows", rr.Scalars(0))
import multiprocessing, traceback
import numpy as np
rr.Image(np.zeros((2, 2, 3), np.uint8))  # imports what the child needs: as another user it may not be able to read it
def first():
    os.setuid(65534)
    for i in range(5): rr.log("child", rr.Scalars(i))
def second():
    rr.log("before", rr.Scalars(1))
    os.setuid(65534)
    rr.log("before", rr.Scalars(2))
    rr.log("image", rr.Image(np.zeros((500, 500, 3), np.uint8)))
for target in (first, second):
    child = multiprocessing.get_context("fork").Process(target=target)
    child.start(); child.join()
    assert child.exitcode == 0, (target, child.exitcode)
rr.log("rows", rr.Scalars(1))
assert flush() == ""
""",
        tmp_path,
    )
    rows = check(tmp_path / "out.rrd")
    assert scalars(rows, "/rows") == [0, 1]
    assert scalars(rows, "/before") == [1, 2]
    assert "runs as user 65534" in result.stderr
    assert "5 rows of process" in result.stderr
    assert "/__dropped" in rows


def test_child_without_environment(tmp_path):
    """(f) Seen: silent. A plain subprocess whose environment was emptied finds the recording of the process that started it."""
    run(
        COUNTS
        + """
import subprocess
rr.init("museum"); rr.save("out.rrd")
rr.log("rows", rr.Scalars(0))
text = "import shmrerun as rr; [rr.log('child', rr.Scalars(i)) for i in range(5)]"
subprocess.run([sys.executable, "-c", text], env={}, check=True)
subprocess.run(["sh", "-c", 'exec "$@"', "sh", sys.executable, "-c", text], env={"PATH": os.environ["PATH"]}, check=True)
""",
        tmp_path,
    )
    assert scalars(check(tmp_path / "out.rrd"), "/child") == [*range(5), *range(5)]


def test_stream_without_a_sink(tmp_path):
    """(g) Seen: silent when such a stream was deleted or ``init`` came again; after ``disconnect`` n rows were reported as n - 1."""
    result = run(
        COUNTS
        + """
rec = rr.RecordingStream("deleted")
for i in range(3): rec.log("rows", rr.Scalars(i))
del rec
rr.init("first")
for i in range(4): rr.log("rows", rr.Scalars(i))
rr.init("second"); rr.save("out.rrd")
rr.log("rows", rr.Scalars(0))
rr.disconnect()
for i in range(5): rr.log("rows", rr.Scalars(i))
""",
        tmp_path,
    )
    for count, name in ((3, "deleted"), (4, "first"), (5, "second")):
        assert f"{count} rows of '{name}' had no sink" in result.stderr, result.stderr


def test_nothing_is_said_falsely(tmp_path):
    """Seen: "rows had no sink" after an aggregator's death, of rows that were in the file."""
    result = run(
        COUNTS
        + """
import signal
rr.init("museum"); rr.save("out.rrd")
for i in range(1000): rr.log("rows", rr.Scalars(i))
flush()
os.kill(session_of().tree.words.aggregator_pid, signal.SIGKILL)
for i in range(1000, 1100): rr.log("rows", rr.Scalars(i))
rr.disconnect()
""",
        tmp_path,
    )
    assert "no sink" not in result.stderr
    assert scalars(check(tmp_path / "out.rrd"), "/rows") == list(range(1100))


def test_lane_removed_before_it_was_read(tmp_path):
    """(h) Seen: 5,175 rows gone, counters 0. A lane whose segment somebody removes is counted to the row; what follows arrives."""
    result = run(
        COUNTS
        + """
import signal, time
rr.init("museum"); rr.save("out.rrd")
session = session_of()
rr.log("rows", rr.Scalars(0)); flush()
os.kill(session.tree.words.aggregator_pid, signal.SIGSTOP)
pid = os.fork()
if pid == 0:
    for i in range(200): rr.log("child", rr.Scalars(i))
    mine = session_of()
    assert segments.unlink(lane_name(mine.tree.token, mine.serial, mine.index, 0))
    os.kill(mine.tree.words.aggregator_pid, signal.SIGCONT)
    text = flush()
    assert "200 rows" in text, text
    for i in range(200, 300): rr.log("child", rr.Scalars(i))
    assert flush() == ""
    print(mine.member.written, mine.member.rows, mine.member.lost, flush=True)
    os._exit(0)
assert os.waitpid(pid, 0)[1] == 0
""",
        tmp_path,
    )
    assert result.stdout == "300 100 200\n"
    rows = check(tmp_path / "out.rrd")
    assert scalars(rows, "/child") == list(range(200, 300))
    assert "200" in rows["/__dropped"][0]["TextLog:text"][0]


@needs_mounts
def test_shared_memory_removed_while_workers_start(tmp_path):
    """(h) Seen: 37,228 rows of new workers gone, silently, after ``rm /dev/shm/shmrerun*``. What cannot join says so and counts."""
    result = run(
        COUNTS
        + """
import glob, shutil, warnings
warnings.simplefilter("ignore")
rr.init("museum"); rr.save("out.rrd")
for i in range(10): rr.log("rows", rr.Scalars(i))
for path in glob.glob("/dev/shm/shmrerun*"):
    shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)
for i in range(10, 20): rr.log("rows", rr.Scalars(i))
import multiprocessing
def work():
    for i in range(5): rr.log("child", rr.Scalars(i))
child = multiprocessing.get_context("fork").Process(target=work)
child.start(); child.join()
assert child.exitcode == 0
""",
        tmp_path,
        prefix=small_shm("64m"),
    )
    assert scalars(check(tmp_path / "out.rrd"), "/rows") == list(range(20))
    assert "5 rows of process" in result.stderr


def test_lost_rows_stop_no_program(tmp_path):
    """Closing a sink, leaving ``with rec:`` and a sink of one's own say that rows are lost, and do what they are asked for."""
    result = run(
        COUNTS
        + """
import signal
rr.init("museum"); rr.save("out.rrd")
def lose():
    session = session_of()
    rr.log("rows", rr.Scalars(0)); flush()
    os.kill(session.tree.words.aggregator_pid, signal.SIGSTOP)
    with rr.RecordingStream("other") as rec:
        rec.log("rows", rr.Scalars(0))
        mine = rec._stream.session
        assert segments.unlink(lane_name(mine.tree.token, mine.serial, mine.index, 0))
        os.kill(session.tree.words.aggregator_pid, signal.SIGCONT)
        rec.save("other.rrd")
        rec.log("rows", rr.Scalars(1))
lose()
print("went on")
rr.disconnect()
""",
        tmp_path,
        strict=False,
    )
    assert result.stdout == "went on\n"
    assert "are lost" in result.stderr
    assert scalars(check(tmp_path / "other.rrd"), "/rows") == [1]


def test_rows_that_a_dead_aggregator_did_not_count(tmp_path):
    """Seen: an aggregator wrote rows and was killed before it counted them; its successor never did, and they "had no sink"."""
    result = run(
        """
        import os
        import shmrerun as rr
        rr.init("counted"); rr.save("out.rrd")
        for i in range(100): rr.log("rows", rr.Scalars(i))
        session = rr.get_global_data_recording()._stream.session
        session.flush()
        session.member.rows = 7  # as it was when the others were written
        os.kill(session.tree.words.aggregator_pid, 9)
        rr.log("rows", rr.Scalars(100))
        session.flush()
        member = session.member
        print(member.written - member.rows - member.lost, member.lost)
        rr.disconnect()
        """,
        tmp_path,
    )
    assert (result.stdout, result.stderr) == ("0 0\n", "")
    assert scalars(check(tmp_path / "out.rrd"), "/rows") == list(range(101))
