"""Seen: Ctrl-C in the middle of `save` left the path locked by the program itself, so that no later `save` could have it."""

from __future__ import annotations

import json
import os

import pytest
from helpers import check, run, scalars

ROUNDS = int(os.environ.get("MUSEUM_ROUNDS", "80"))

PROGRAM = """
import contextlib, json, random, sys
import shmrerun as rr

kind, rounds = sys.argv[1], int(sys.argv[2])
random.seed(1)
left = injected = 0

def profile(frame, event, function):
    global left, injected
    if event == kind and "/shmrerun/" in frame.f_code.co_filename:
        left -= 1
        if not left:
            injected += 1
            raise KeyboardInterrupt  # which ends profiling

def attempt(call):
    '''Call it, and again if it was interrupted.'''
    with contextlib.suppress(KeyboardInterrupt):
        sys.setprofile(profile)
        call()
        sys.setprofile(None)
        return
    sys.setprofile(None)
    call()

def log(value):
    global rows
    rec.log("rows", rr.Scalars(value))
    rows.append(value)

told = []
for number in range(rounds):
    left, rows = random.randrange(1, 900), []
    rec = rr.RecordingStream("museum", recording_id=str(number))
    sinks = rr.FileSink(f"{number}.rrd"), rr.FileSink(f"{number}.copy.rrd")
    attempt((lambda: rec.save(f"{number}.rrd")) if number % 2 else (lambda: rr.set_sinks(*sinks, recording=rec)))
    for value in range(3): attempt(lambda: log(value))
    attempt(lambda: rec.flush(timeout_sec=20))
    attempt(lambda: log(3))
    attempt(lambda: rec.save(f"{number}.second.rrd"))
    attempt(lambda: log(4))
    attempt(rec.disconnect)
    told.append(rows)
print(json.dumps([injected, told]))
"""


def test_a_sink_that_was_given_up_is_not_opened_later(tmp_path):
    """Seen: `save` raised, as the aggregator did not answer in time; when it did, all rows went to that file after all."""
    run(
        """
        import os, signal
        import shmrerun as rr
        from shmrerun.errors import FlushTimeoutError
        from shmrerun.producer.files import open_file
        from shmrerun.shm.words import SINK_FILE

        rr.init("museum")
        rr.log("rows", rr.Scalars(0))
        session = rr.get_global_data_recording()._stream.session
        session.flush(20)
        aggregator = session.tree.words.aggregator_pid
        fd, flags = open_file("first.rrd", set)
        for _ in range(4):
            os.kill(aggregator, signal.SIGSTOP)
            for _ in range(5):  # in all, more than there are entries
                try:
                    session.set_sink(SINK_FILE, flags, os.path.abspath("first.rrd"), fd, timeout=0.05)
                except FlushTimeoutError:
                    continue
                raise SystemExit("it was opened")
            os.kill(aggregator, signal.SIGCONT)
            session.flush(20)
        rr.log("rows", rr.Scalars(1))
        assert session.active_sink() is None
        os.close(fd)
        rr.save("second.rrd")
        """,
        tmp_path,
    )
    assert os.path.getsize(tmp_path / "first.rrd") == 0
    assert scalars(check(tmp_path / "second.rrd"), "/rows") == [0, 1]


@pytest.mark.parametrize("kind", ["call", "c_call"])
def test_ctrl_c_at_every_step(tmp_path, kind):
    """Whatever call is broken off works when it is made again; rows whose `log` returned are in the files, in order."""
    done = run(PROGRAM, tmp_path, arguments=(kind, ROUNDS), deadline=60 + ROUNDS)
    injected, told = json.loads(done.stdout)
    assert injected > ROUNDS / 4
    for number, rows in enumerate(told[-20:], len(told) - min(20, len(told))):
        found = [value for name in ("", ".second") for value in scalars(check(tmp_path / f"{number}{name}.rrd"), "/rows")]
        assert list(dict.fromkeys(found)) == rows, number  # a `log` that was broken off may have logged, and is made again
        assert len(found) <= len(rows) + 1, number
