"""A program written for Rerun's multi-process advice: `init` in every task, the same function in parent and children."""

from __future__ import annotations

import pytest
from helpers import check, run, scalars

PROGRAM = """
    import multiprocessing, os, sys, threading
    {line}

    @rr.shutdown_at_exit
    def task(child_index):
        rr.init("rerun_example_tasks")
        if EACH_SAVES:
            rr.save("out.rrd")
        title = f"task_{child_index}"
        rr.log("log", rr.TextLog(f"{title} in process {os.getpid()}"))
        if child_index == 0:
            rr.log(title, rr.Boxes2D(array=[5, 5, 80, 80], array_format=rr.Box2DFormat.XYWH, labels=title))
        else:
            rr.log(title, rr.Scalars(child_index))

    def main():
        rr.init("rerun_example_tasks")
        rr.save("out.rrd")
        task(0)
        context = multiprocessing.get_context(sys.argv[1])
        for i in (1, 2, 3):
            worker = context.Process(target=task, args=(i,))
            worker.start()
            worker.join()
            assert worker.exitcode == 0

    EACH_SAVES = len(sys.argv) > 2
    if __name__ == "__main__":
        main()
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_init_in_each_task(tmp_path, method):
    """Tasks that each call `init` with the same name, in the parent first, end in one file when a worker saves to the parent's path."""
    text = PROGRAM.replace("{line}", "import shmrerun as rr").replace(
        "rr.log(title, rr.Boxes2D(array=[5, 5, 80, 80], array_format=rr.Box2DFormat.XYWH, labels=title))", "rr.log(title, rr.Scalars(0))"
    )
    # the parent's second init starts a new recording, as in Rerun, so each task saves; a worker's save is then the parent's
    run(text, tmp_path, arguments=(method, "save"))
    rows = check(tmp_path / "out.rrd")
    for i in range(4):
        assert scalars(rows, f"/task_{i}") == [i]
    assert len(rows["/log"]) == 4
    assert len({row["TextLog:text"][0].split()[-1] for row in rows["/log"]}) == 4
