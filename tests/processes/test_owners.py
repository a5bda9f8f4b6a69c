"""Who may set and finish whose sink."""

from __future__ import annotations

import pytest
from helpers import check, has_footer, run, scalars

from shmrerun.testing import load

METHODS = ["fork", "spawn", "forkserver"]

FRAME = """
    import multiprocessing, os, sys
    import shmrerun as rr

    {work}

    if __name__ == "__main__":
        rr.init("owners")
        rr.save("out.rrd")
        rr.log("parent", rr.Scalars(0))
        context = multiprocessing.get_context(sys.argv[1])
        here, there = context.Pipe()
        worker = context.Process(target=work, args=(there,))
        worker.start()
        {meanwhile}
        worker.join()
        assert worker.exitcode == 0, worker.exitcode
        rr.log("parent", rr.Scalars(1))
"""


def frame(work, meanwhile="pass"):
    indented = "\n    ".join(work.strip("\n").splitlines())
    return FRAME.replace("{work}", indented).replace("{meanwhile}", "\n        ".join(meanwhile.splitlines()))


@pytest.mark.parametrize("method", METHODS)
def test_same_path_in_a_worker_changes_nothing(tmp_path, method):
    """`save` to the parent's path in a worker is a no-op: no rows are lost and the worker logs on."""
    work = """
def work(connection):
    rr.log("rows", rr.Scalars(0))
    rr.init("owners")
    rr.save("out.rrd")
    rr.save(os.path.join(os.path.dirname(os.path.abspath("out.rrd")), ".", "out.rrd"))
    rr.log("rows", rr.Scalars(1))
"""
    run(frame(work), tmp_path, arguments=(method,))
    rows = check(tmp_path / "out.rrd")
    assert (scalars(rows, "/rows"), scalars(rows, "/parent")) == ([0, 1], [0, 1])


@pytest.mark.parametrize("method", METHODS)
def test_other_path_in_a_worker_moves_its_own_rows_only(tmp_path, method):
    """`save` to another path in a worker takes that worker's rows from then on, says so once, and moves nobody else's."""
    work = """
def work(connection):
    rr.log("rows", rr.Scalars(0))
    rr.save("own.rrd")
    rr.log("rows", rr.Scalars(1))
    connection.send("saved")
    connection.recv()
    rr.log("rows", rr.Scalars(2))
"""
    meanwhile = 'here.recv()\nrr.log("parent", rr.Scalars(5))\nhere.send("on")'
    result = run(frame(work, meanwhile), tmp_path, arguments=(method,))
    shared, own = check(tmp_path / "out.rrd"), check(tmp_path / "own.rrd")
    assert (scalars(shared, "/rows"), scalars(shared, "/parent")) == ([0], [0, 5, 1])
    assert scalars(own, "/rows") == [1, 2]
    assert "/parent" not in own
    assert has_footer(tmp_path / "own.rrd")
    assert result.stderr.count("sink of its own") == 1


@pytest.mark.parametrize("method", METHODS)
def test_disconnect_in_a_worker_never_closes_the_parents_file(tmp_path, method):
    """`disconnect`, `rerun_shutdown` and `with` in a worker flush its rows; the parent's file goes on."""
    work = """
def work(connection):
    rr.log("rows", rr.Scalars(0))
    rr.disconnect()
    rr.log("rows", rr.Scalars(1))
    with rr.get_global_data_recording():
        rr.log("rows", rr.Scalars(2))
    rr.log("rows", rr.Scalars(3))
    rr.rerun_shutdown()
    rr.log("rows", rr.Scalars(4))
"""
    result = run(frame(work), tmp_path, arguments=(method,))
    rows = check(tmp_path / "out.rrd")
    assert (scalars(rows, "/rows"), scalars(rows, "/parent")) == ([0, 1, 2, 3, 4], [0, 1])
    assert not result.stderr


@pytest.mark.parametrize("method", METHODS)
def test_rows_after_the_owner_disconnected(tmp_path, method):
    """Rows that a worker logs after the owner disconnected wait for the next sink; none is in the finished file."""
    work = """
def work(connection):
    rr.log("rows", rr.Scalars(0))
    connection.send("logged")
    connection.recv()
    rr.log("rows", rr.Scalars(1))
    connection.send("logged")
    connection.recv()
    rr.log("rows", rr.Scalars(2))
"""
    meanwhile = """here.recv()
rr.disconnect()
with open("out.rrd", "rb") as file:
    assert b"RRF2FOOT" in file.read()[-12:]
here.send("on")
here.recv()
rr.save("next.rrd")
here.send("on")"""
    run(frame(work, meanwhile), tmp_path, arguments=(method,))
    assert scalars(check(tmp_path / "out.rrd"), "/rows") == [0]
    assert scalars(check(tmp_path / "next.rrd"), "/rows") == [1, 2]
    assert scalars(check(tmp_path / "out.rrd"), "/parent") == [0]


def test_rows_that_no_sink_ever_takes_are_dropped_and_said(tmp_path):
    """Rows logged after the owner closed its file, with no sink to follow, end as one line on stderr, not as a hang."""
    result = run(
        """
        import os
        import shmrerun as rr
        rr.init("after")
        rr.save("out.rrd")
        rr.log("rows", rr.Scalars(0))
        rr.disconnect()
        for i in range(10):
            rr.log("rows", rr.Scalars(100 + i))
        """,
        tmp_path,
    )
    assert scalars(check(tmp_path / "out.rrd"), "/rows") == [0]
    assert result.stderr.count("\n") <= 1
    assert result.seconds < 8 * load()


@pytest.mark.parametrize("method", METHODS)
def test_a_worker_may_set_the_sink_when_there_is_none(tmp_path, method):
    """A sink that a worker sets where the parent has none takes everybody's rows."""
    program = """
        import multiprocessing, sys
        import shmrerun as rr

        def work():
            rr.save("out.rrd")
            rr.log("rows", rr.Scalars(1))

        if __name__ == "__main__":
            rr.init("worker_saves")
            rr.log("parent", rr.Scalars(0))
            worker = multiprocessing.get_context(sys.argv[1]).Process(target=work)
            worker.start()
            worker.join()
            rr.log("parent", rr.Scalars(1))
    """
    run(program, tmp_path, arguments=(method,))
    rows = check(tmp_path / "out.rrd")
    assert (scalars(rows, "/rows"), scalars(rows, "/parent")) == ([1], [0, 1])
    assert has_footer(tmp_path / "out.rrd")


@pytest.mark.parametrize("method", METHODS)
def test_flush_in_a_worker_is_a_barrier(tmp_path, method):
    """When `flush` returns in a worker, its rows are in the file, whatever happens to it next."""
    work = """
def work(connection):
    for i in range(10):
        rr.log("rows", rr.Scalars(i))
    rr.get_global_data_recording().flush()
    size = os.path.getsize("out.rrd")
    connection.send(size)
    os._exit(0)
"""
    meanwhile = 'import shutil\nhere.recv()\nshutil.copy("out.rrd", "copy.rrd")'
    run(frame(work, meanwhile), tmp_path, arguments=(method,))
    from helpers import read_rows

    assert scalars(read_rows(tmp_path / "copy.rrd"), "/rows") == list(range(10))
    assert scalars(check(tmp_path / "out.rrd"), "/rows") == list(range(10))
