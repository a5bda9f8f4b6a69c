"""Smaller things that were seen."""

from __future__ import annotations

import sys

import pytest
from helpers import check, run, scalars


def test_recording_of_a_thread_goes_with_it(tmp_path):
    """Seen: a thread's own recording leaked when its thread ended. Its file is finished then, and its memory given back."""
    run(
        """
        import gc, os, threading
        import shmrerun as rr
        from shmrerun.producer.process import this_process

        rr.init("museum"); rr.save("out.rrd")
        def work(n):
            rec = rr.RecordingStream("threads", recording_id=f"r{n}", make_thread_default=True)
            rec.save(f"thread{n}.rrd")
            rr.log("rows", rr.Scalars(n))
        for n in range(20):
            thread = threading.Thread(target=work, args=(n,))
            thread.start(); thread.join()
        gc.collect()
        assert len(this_process().sessions) == 1, this_process().sessions
        rr.log("rows", rr.Scalars(0))
        """,
        tmp_path,
    )
    assert scalars(check(tmp_path / "out.rrd"), "/rows") == [0]
    assert scalars(check(tmp_path / "thread19.rrd"), "/rows") == [19]


def test_sub_interpreters_are_refused(tmp_path):
    """Seen: importing the package in a sub-interpreter broke ``log`` in the main one. It is refused there, and the main one logs on."""
    pytest.importorskip("_xxsubinterpreters" if sys.version_info < (3, 13) else "_interpreters")
    result = run(
        """
        import shmrerun as rr
        try:
            import _interpreters as interpreters
        except ImportError:
            import _xxsubinterpreters as interpreters
        rr.init("museum"); rr.save("out.rrd")
        rr.log("rows", rr.Scalars(0))
        other = interpreters.create()
        text = "try:\\n    import shmrerun\\n    print('imported')\\nexcept ImportError as error:\\n    print('refused', flush=True)"
        interpreters.run_string(other, text)
        rr.log("rows", rr.Scalars(1))
        """,
        tmp_path,
        strict=False,
    )
    assert result.stdout.split() == ["refused"]
    assert scalars(check(tmp_path / "out.rrd"), "/rows") == [0, 1]


def test_messages_do_not_overwrite_one_another():
    """Seen: a second message to the owner replaced one that had not been printed."""
    import os

    from shmrerun import _core
    from shmrerun.shm.words import SessionView

    fd = os.memfd_create("test")
    os.ftruncate(fd, SessionView.size)
    words = SessionView(_core.Segment(fd, SessionView.size))
    os.close(fd)
    words.add_message("first")
    words.add_message("second\nline")
    assert words.message() == "first\nsecond line"
    words.message_read = words.message_turn
    words.add_message("third")
    assert words.message() == "third"
    words.add_message("x" * 5000)
    assert len(words.message()) <= 1016


def test_rows_after_the_end_are_counted(tmp_path):
    """Seen: rows from finalizers that ran after the end of the program's files were in no counter."""
    result = run(
        """
        import atexit
        import shmrerun as rr
        from shmrerun.producer.process import this_process
        def late():
            rr.log("late", rr.Scalars(1))
            rr.log("late", rr.Scalars(2))
            print(this_process().unjoined)
        atexit.register(late)
        import multiprocessing.util
        rr.init("museum"); rr.save("out.rrd")
        rr.log("rows", rr.Scalars(0))
        """,
        tmp_path,
    )
    rows = check(tmp_path / "out.rrd")
    late = len(rows.get("/late", []))
    assert late + int(result.stdout or 0) == 2
    assert late == 2 or "after the end" in result.stderr


def test_two_recordings_of_one_serial_are_owned_apart(tmp_path):
    """Seen: what a process owns was found by the session's serial alone, which two trees may share."""
    run(
        """
        import os
        import shmrerun as rr
        from shmrerun.producer.process import this_process
        rr.init("museum"); rr.save("out.rrd")
        rr.log("rows", rr.Scalars(0))
        me = this_process()
        first = rr.get_global_data_recording()
        me.own = None  # as after the end of a tree: the next recording begins another one
        second = rr.RecordingStream("second")
        second.save("second.rrd")
        second.log("rows", rr.Scalars(1))
        assert len(me.owned) == 2
        assert len({serial for _, serial in me.owned}) == 1
        """,
        tmp_path,
    )
    assert scalars(check(tmp_path / "out.rrd"), "/rows") == [0]
    assert scalars(check(tmp_path / "second.rrd"), "/rows") == [1]
