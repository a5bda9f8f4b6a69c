"""P4 for everything but a growing file: the aggregator dies while sinks are set, finished, read and switched."""

from __future__ import annotations

import pytest
from helpers import check, has_footer, needs_mounts, run, scalars, small_shm

KILLER = """
    import os, random, signal, sys, threading, time
    import numpy as np
    import shmrerun as rr
    from helpers_programs import own_tree
    from shmrerun.testing import aggregator_pid, load, wait_until

    killed = 0
    stop = threading.Event()

    def kill_aggregators(first=0.3, last=1.0):
        # it has time to import what a chunk needs: one that never gets so far is another case
        global killed
        while not stop.wait(random.uniform(first, last) * load()):
            try:
                if pid := aggregator_pid(own_tree()):
                    os.kill(pid, signal.SIGKILL)
                    killed += 1
            except (FileNotFoundError, ProcessLookupError, RuntimeError):
                pass

    killer = threading.Thread(target=kill_aggregators, daemon=True)

    def done():
        stop.set()
        killer.join()
        print(killed)
"""


def test_recordings_come_and_go_while_aggregators_die(tmp_path):
    """Each of forty short recordings is complete and has its rows once, wherever in `save`, `flush` or `disconnect` the aggregator died."""
    result = run(
        KILLER
        + """
    rr.init("warm")
    rr.log("x", rr.Scalars(1))
    killer.start()
    n, end = -1, time.monotonic() + 60 * load()
    while (n := n + 1) < 40 or (killed < 6 and time.monotonic() < end):
        rec = rr.RecordingStream("short", recording_id=str(n))
        rec.save(f"{n}.rrd")
        for i in range(10):
            rec.log("rows", rr.Scalars([n, i]))
        if n % 3 == 0:
            rec.flush(timeout_sec=300)
        for i in range(10, 20):
            rec.log("rows", rr.Scalars([n, i]))
        rec.disconnect()
        with open(f"{n}.rrd", "rb") as file:
            assert b"RRF2FOOT" in file.read()[-12:], f"{n} is not finished when disconnect returns"
        stop.wait(0.05)
    done()
""",
        tmp_path,
        deadline=100,
    )
    for n in range(len(list(tmp_path.glob("*.rrd")))):
        assert scalars(check(tmp_path / f"{n}.rrd"), "/rows") == [(n, i) for i in range(20)]
    assert int(result.stdout) >= 5


def test_pieces_are_read_once_while_aggregators_die(tmp_path):
    """Rows read piece by piece from a `binary_stream` are each in exactly one piece, though aggregators die between and during reads."""
    result = run(
        KILLER
        + """
    rr.init("warm", send_properties=False)  # makes the tree known to the killer
    rec = rr.RecordingStream("pieces")
    stream = rec.binary_stream()
    killer.start()
    n, end = -1, time.monotonic() + 60 * load()
    while (n := n + 1) < 40 or (killed < 6 and time.monotonic() < end):
        for i in range(10):
            rec.log("rows", rr.Scalars(n * 10 + i))
        stop.wait(0.05 * random.random())
        data = stream.read(flush_timeout_sec=300)
        if data is not None:
            with open(f"piece-{n}.rrd", "wb") as file:
                file.write(data)
    done()
    data = stream.read(flush_timeout_sec=300)
    if data is not None:
        with open(f"piece-{n}.rrd", "wb") as file:
            file.write(data)
""",
        tmp_path,
        deadline=100,
    )
    found = []
    for path in tmp_path.glob("piece-*.rrd"):
        found += scalars(check(path), "/rows")
    assert len(found) >= 400
    assert sorted(found) == list(range(len(found)))
    assert int(result.stdout) >= 5


@needs_mounts
@pytest.mark.parametrize("shm", ["32m", "1g"])
def test_buffered_rows_survive_the_aggregator(tmp_path, shm):
    """Rows logged before any sink is set, in lanes or (with little shared memory) in a spool, outlive several aggregators."""
    result = run(
        KILLER
        + """
    from shmrerun.producer import member
    from shmrerun.producer.process import this_process
    member.FULL_SECONDS = 60.0  # on a busy machine it takes a while until an aggregator lives long enough
    rr.init("buffered")
    killer.start()
    for i in range(300):
        rr.log("rows", rr.Scalars(i))
        rr.log("image", rr.Image(np.full((150, 150, 3), i % 256, np.uint8)))
        if i % 50 == 0:
            [tree] = this_process().trees.values()
            wait_until(lambda: killed >= min(3, i // 50) or tree.ensure_aggregator(), 60, "some die")
    done()
    rr.save("out.rrd")
    rr.log("rows", rr.Scalars(300))
""",
        tmp_path,
        prefix=small_shm(shm),
        deadline=100,
    )
    rows = check(tmp_path / "out.rrd")
    assert scalars(rows, "/rows") == list(range(301)), result
    assert [row["Image:buffer"][0][0] for row in rows["/image"]] == [i % 256 for i in range(300)]
    assert int(result.stdout) >= 3


def test_switched_files_while_aggregators_die(tmp_path):
    """A recording that goes from file to file has each row in exactly the file that was set when it was logged."""
    run(
        KILLER
        + """
    rr.init("switch")
    killer.start()
    for n in range(20):
        rr.save(f"{n}.rrd")
        for i in range(20):
            rr.log("rows", rr.Scalars([n, i]))
            if i == 10:
                stop.wait(random.uniform(0, 0.3))
    done()
""",
        tmp_path,
        deadline=100,
    )
    for n in range(20):
        assert scalars(check(tmp_path / f"{n}.rrd"), "/rows") == [(n, i) for i in range(20)], n


def test_aggregator_that_dies_while_it_starts(tmp_path):
    """Aggregators killed before they are ready delay rows and lose none; the right to start one is not stuck with anybody."""
    run(
        """
        import os, signal, threading, time
        import shmrerun as rr
        from shmrerun.testing import leftovers, load

        before = leftovers().processes
        rr.init("start")
        rr.save("out.rrd")
        stop = threading.Event()
        killed = set()

        def kill():
            while not stop.wait(0.02):
                for pid in leftovers().processes - killed - before:
                    if len(killed) < 12:
                        os.kill(pid, signal.SIGKILL)
                        killed.add(pid)

        killer = threading.Thread(target=kill)
        killer.start()
        i = 0
        end = time.monotonic() + 60 * load()
        while len(killed) < 12 and time.monotonic() < end:
            rr.log("rows", rr.Scalars(i))
            i += 1
            time.sleep(0.002)
        stop.set()
        killer.join()
        rr.get_global_data_recording().flush(timeout_sec=300)
        with open("count", "w") as file:
            file.write(f"{i} {len(killed)}")
        """,
        tmp_path, deadline=110,
    )  # fmt: skip
    count, killed = map(int, (tmp_path / "count").read_text().split())
    assert killed == 12
    assert scalars(check(tmp_path / "out.rrd"), "/rows") == list(range(count))
    assert has_footer(tmp_path / "out.rrd")
