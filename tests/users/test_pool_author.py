"""Somebody who maps functions over pools and reads results from the file."""

from __future__ import annotations

import pytest
from helpers import check, run, scalars


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_pools_of_all_sorts(tmp_path, method):
    """Pool.map, imap_unordered, an initializer, maxtasksperchild, threads in workers, and executors: each task's row is there once."""
    run(
        """
        import multiprocessing, sys
        from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
        import shmrerun as rr

        def prepare(name):
            rr.set_time("prepared", sequence=1)
            rr.log("prepared", rr.Scalars(1))

        def task(i):
            rr.set_time("task", sequence=i)
            rr.log("tasks", rr.Scalars(i))
            return i

        def threads(i):
            with ThreadPoolExecutor(3) as pool:
                list(pool.map(task, range(i * 100, i * 100 + 9)))

        if __name__ == "__main__":
            rr.init("pools")
            rr.save("out.rrd")
            context = multiprocessing.get_context(sys.argv[1])
            with context.Pool(2, initializer=prepare, initargs=("x",), maxtasksperchild=5) as pool:
                assert sum(pool.map(task, range(20), 1)) == 190
                assert sum(pool.imap_unordered(task, range(20, 40))) == 590
            with ProcessPoolExecutor(2, mp_context=context) as executor:
                list(executor.map(threads, range(1, 4)))
        """,
        tmp_path, arguments=(method,),
    )  # fmt: skip
    rows = check(tmp_path / "out.rrd")
    expected = [*range(40), *(i * 100 + j for i in range(1, 4) for j in range(9))]
    assert sorted(scalars(rows, "/tasks")) == expected
    assert all(row["task"] == row["Scalars:scalars"][0] for row in rows["/tasks"])
    assert 2 <= len(rows["/prepared"]) <= 12
