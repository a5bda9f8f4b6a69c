"""Seen: growth of a lane was many steps in Python, and anything could come between them; what it took was never given back."""

from __future__ import annotations

import os

import pytest
from helpers import check, run, scalars

INJECTIONS = int(os.environ.get("MUSEUM_INJECTIONS", "400"))

PROGRAM = """
import os, random, signal, sys, time
import numpy as np
import shmrerun as rr

kind, wanted, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
random.seed(seed)
rr.init("museum"); rr.save("out.rrd")
state = {"injected": 0, "nested": 0, "forking": False}
children = []

armed = False

def inject(*_):
    state["injected"] += 1
    if kind == "log":
        number, state["nested"] = state["nested"], state["nested"] + 1  # before the call: a handler may interrupt itself
        rr.log("nested", rr.Scalars(number))
    elif kind == "grow":
        number, state["nested"] = state["nested"], state["nested"] + 1
        rr.log("nested", rr.Scalars(number), rr.AnyValues(x=np.zeros(random.randrange(1, 40_000), np.uint8)))
    elif kind == "raise" and armed:
        raise KeyboardInterrupt
    elif kind == "fork" and not state["forking"]:  # a fork inside a fork waits for ever for a lock of concurrent.futures' hook
        state["forking"] = True
        if (pid := os.fork()) == 0:
            os._exit(0)
        state["forking"] = False
        children.append(pid)

signal.signal(signal.SIGALRM, inject)
done = 0
while state["injected"] < wanted:
    # a new stream now and then: a new lane, which grows as the rows do
    signal.setitimer(signal.ITIMER_REAL, random.random() * 0.003)
    rec = None
    try:
        armed = True
        rec = rr.RecordingStream("museum", recording_id=f"r{done}")
        armed = False
    except KeyboardInterrupt:
        armed = False
    for i in range(6):
        try:
            armed = True
            rr.log("rows", rr.Scalars(done), rr.AnyValues(pad=np.zeros(random.randrange(1, 60_000), np.uint8)))
            armed = False
        except KeyboardInterrupt:
            armed = False
            rr.log("again", rr.Scalars(done))  # the call did not return: the row may be there or not, so it is named anew
        done += 1
    del rec
    while children:
        os.waitpid(children.pop(), 0)
signal.setitimer(signal.ITIMER_REAL, 0)
rr.log("end", rr.Scalars(0))
session = rr.get_global_data_recording()._stream.session
session.flush(30)
words = session.tree.words
print(done, state["nested"], session.member.dropped_full + session.member.dropped_size + session.member.lost)
"""


@pytest.mark.parametrize("kind", ["log", "grow", "raise", "fork"])
def test_injections_while_lanes_grow(tmp_path, kind):
    """A signal handler logs, makes the lane grow itself, raises, or forks, at random moments: no row dropped, none twice, no hang.

    Seen: nested rows dropped in 117 of 496 injections, 25 hang; after an exception every later row dropped or waiting 5 s, 60 MB of budget
    and 76 segments left behind; a fork lost the parent's rows in 81 of 332. ``MUSEUM_INJECTIONS=10000`` for long runs.
    """
    result = run(PROGRAM, tmp_path, arguments=(kind, INJECTIONS, 1), deadline=100 + INJECTIONS / 20, strict=False)
    done, nested, missing = map(int, result.stdout.split())
    rows = check(tmp_path / "out.rrd")
    assert missing == 0
    found, again = scalars_of_first(rows, "/rows"), scalars(rows, "/again")
    assert sorted({*found, *again}) == list(range(done))
    assert len(found) == len(set(found))
    assert sorted(scalars_of_first(rows, "/nested")) == list(range(nested))
    assert len(rows["/end"]) == 1


def scalars_of_first(rows, entity):
    return [int(row["Scalars:scalars"][0]) for row in rows.get(entity, [])]


def test_budget_is_what_exists(tmp_path):
    """Seen: never given back for lanes that fell back to files, nor after deaths at bad moments: 139, 189, 81 MB in storms of 40 s."""
    run(
        """
        import glob, os, random, signal, sys, time
        import numpy as np
        import shmrerun as rr
        from shmrerun.shm.tree import process_gone

        rr.init("museum"); rr.save("out.rrd")
        rr.log("rows", rr.Scalars(0))
        session = rr.get_global_data_recording()._stream.session
        words = session.tree.words
        session.flush()
        words.budget_limit = 3_000_000
        end = time.monotonic() + 5
        while time.monotonic() < end:
            pids = []
            for _ in range(4):
                if (pid := os.fork()) == 0:
                    while True:
                        rr.log("child", rr.AnyValues(x=np.zeros(random.randrange(1, 400_000), np.uint8)))
                pids.append(pid)
            time.sleep(random.random() * 0.1)
            if random.random() < 0.5:
                try:
                    os.kill(words.aggregator_pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass  # the next one is not ready yet
            for pid in pids:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
        session.flush(30)
        def exist():
            try:
                return sum(os.stat(path).st_size for path in glob.glob(f"/dev/shm/shmrerun-{session.tree.token}.*.*.*"))
            except FileNotFoundError:
                return -1
        end = time.monotonic() + 30
        while words.budget_used != exist() and time.monotonic() < end:
            time.sleep(0.05)
        assert words.budget_used == exist(), (words.budget_used, exist())
        """,
        tmp_path,
        deadline=90,
        strict=False,
    )
    check(tmp_path / "out.rrd")


def test_a_full_lane_waits_once(tmp_path):
    """Seen: after the first wait of 5 s, every row waited 5.1 s. One full wait; then rows are dropped at once until there is room."""
    result = run(
        """
        import os, signal, time
        import shmrerun as rr
        from shmrerun.producer import member

        member.FULL_SECONDS = 0.5
        rr.init("museum"); rr.save("out.rrd")
        rr.log("rows", rr.Scalars(0))
        session = rr.get_global_data_recording()._stream.session
        session.flush()
        session.tree.words.budget_limit = 200_000
        os.kill(session.tree.words.aggregator_pid, signal.SIGSTOP)
        waits, attempted = [], 1
        while len(waits) < 1 or attempted < 20_000:
            began = time.monotonic()
            rr.log("rows", rr.Scalars(attempted))
            attempted += 1
            if time.monotonic() - began > 0.4:
                waits.append(attempted)
        assert session.lane().over
        os.kill(session.tree.words.aggregator_pid, signal.SIGCONT)
        session.flush()
        for _ in range(10):
            rr.log("rows", rr.Scalars(attempted))
            attempted += 1
        session.flush()
        assert not session.lane().over
        print(attempted, session.member.dropped_full, len(waits))
        """,
        tmp_path,
        strict=False,
    )
    attempted, dropped, waits = map(int, result.stdout.split())
    found = scalars(check(tmp_path / "out.rrd"), "/rows")
    assert waits == 1
    assert dropped > 0
    assert len(found) == attempted - dropped
    assert found[-10:] == list(range(attempted - 10, attempted))


def test_large_copies_beside_other_threads(tmp_path):
    """Threads that log large and small rows through one lane, and one that does not log, go on together; every row arrives in order.

    Seen: a large copy held the lane's lock without the GIL, another thread waited for it with the GIL, and all stood still meanwhile.
    How long they stand is for a bench; here is what must hold whatever the order of lock and GIL.
    """
    result = run(
        """
        import threading, time
        import numpy as np
        import shmrerun as rr

        rr.init("museum"); rr.save("out.rrd")
        image = np.zeros((2000, 2000, 3), np.uint8)
        done = threading.Event()
        count = [0, 0]
        def big():
            while not done.is_set():
                rr.log("image", rr.Image(image))
        def small():
            while not done.is_set():
                rr.log("rows", rr.Scalars(count[0])); count[0] += 1
        def idle():
            while not done.is_set():
                count[1] += 1
        threads = [threading.Thread(target=f) for f in (big, small, idle)]
        for t in threads: t.start()
        time.sleep(1.5)
        done.set()
        for t in threads: t.join()
        print(count[0], count[1] > 1000)
        """,
        tmp_path,
    )
    count, ran = result.stdout.split()
    assert ran == "True"
    assert scalars(check(tmp_path / "out.rrd"), "/rows") == list(range(int(count)))
