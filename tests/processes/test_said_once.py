"""What is said once is said once for a program, however many processes meet the same condition."""

from __future__ import annotations

import os

import pytest
from helpers import RUNTIME, run, trees

from shmrerun.testing import wait_until

PROGRAM = """
    import multiprocessing as mp, os, sys
    import shmrerun as rr

    def work(number, barrier):
        rr.log("a", rr.Scalars(number))
        barrier.wait(60)
        rr.log("a", [])
        rr.send_columns("a", [], [])
        rr.log("a", [])

    if __name__ == "__main__":
        context = mp.get_context(sys.argv[1])
        rr.init("said")
        rr.save(sys.argv[2])
        barrier = context.Barrier(8)
        workers = [context.Process(target=work, args=(number, barrier)) for number in range(8)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        assert not any(worker.exitcode for worker in workers)
        if sys.argv[3] == "again":
            rr.log("a", [])
"""


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_one_line_for_eight_workers(tmp_path, method):
    """Eight workers meet the same two conditions at once, and the program after them: a line for each; no mark is left behind."""
    done = run(PROGRAM, tmp_path, arguments=(method, tmp_path / "out.rrd", "again"))
    lines = done.stderr.splitlines()
    assert sorted(line.split()[1:4] for line in lines) == [["a", "row", "without"], ["send_columns", "without", "columns"]], done.stderr
    wait_until(lambda: not trees(), 20, "the aggregator has finished")
    assert [name for name in os.listdir(os.environ[RUNTIME]) if not name.startswith("key-")] == []


def test_without_a_tree_once_a_process(tmp_path):
    """Where no mark can be made, because the tree's directory is gone or there is no tree, each process says it."""
    done = run(
        """
        import os
        import shmrerun as rr
        from shmrerun import errors
        from helpers_programs import own_tree

        def twice():
            pid = os.fork()
            for _ in range(2):
                errors.say_once("key", "said")
            if pid == 0:
                os._exit(0)
            os.waitpid(pid, 0)
            errors._said.clear()

        twice()
        rr.init("said")
        rr.save("out.rrd")
        rr.log("a", rr.Scalars(0))
        directory = os.path.join(os.environ["SHMRERUN_RUNTIME_DIR"], own_tree())
        errors.is_first_to_say._directory += "-gone"
        twice()
        errors.is_first_to_say._directory = directory
        twice()
        errors.is_first_to_say = lambda key: 1 / 0
        twice()
        """,
        tmp_path,
    )
    assert done.stderr.splitlines() == ["shmrerun: said"] * 7
