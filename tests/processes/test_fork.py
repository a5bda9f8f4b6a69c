"""Fork at awkward moments: raw, in threads, daemonised, with times set."""

from __future__ import annotations

from helpers import check, has_footer, is_gone, run, scalars, trees

from shmrerun.testing import wait_until


def test_raw_fork(tmp_path):
    """`os.fork` without multiprocessing, three levels deep, needs nothing."""
    run(
        """
        import os
        import shmrerun as rr
        rr.init("raw")
        rr.save("out.rrd")

        def fork(level):
            for number in range(2):
                pid = os.fork()
                if pid == 0:
                    for i in range(10):
                        rr.log(f"level/{level}", rr.Scalars(i))
                    if level < 3:
                        fork(level + 1)
                    os._exit(0)
                assert os.waitpid(pid, 0)[1] == 0
        fork(1)
        """,
        tmp_path,
    )
    rows = check(tmp_path / "out.rrd")
    for level in (1, 2, 3):
        assert sorted(scalars(rows, f"/level/{level}")) == sorted(list(range(10)) * 2**level)


def test_fork_before_the_first_row(tmp_path):
    """A child forked after `init` but before any row and any `save` logs into the file that the parent sets later."""
    run(
        """
        import os
        import shmrerun as rr
        rr.init("early")
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            rr.log("child", rr.Scalars(1))
            os.write(write, b"x")
            os._exit(0)
        os.read(read, 1)
        rr.log("parent", rr.Scalars(2))
        rr.save("out.rrd")
        os.waitpid(pid, 0)
        """,
        tmp_path,
    )
    rows = check(tmp_path / "out.rrd")
    assert (scalars(rows, "/child"), scalars(rows, "/parent")) == ([1], [2])


def test_fork_while_a_thread_logs_images(tmp_path):
    """Children forked while another thread copies 5 MB images into its lane log at once and end; none hangs."""
    result = run(
        """
        import os, threading
        import numpy as np
        import shmrerun as rr
        rr.init("busy")
        rr.save("out.rrd")
        stop = threading.Event()
        logged = 0

        def images():
            global logged
            image = np.zeros((1250, 1334, 3), np.uint8)
            while not stop.is_set():
                image[0, 0, 0] = logged % 256
                rr.log("image", rr.Image(image))
                logged += 1

        thread = threading.Thread(target=images)
        thread.start()
        for n in range(40):
            pid = os.fork()
            if pid == 0:
                rr.log("child", rr.Scalars([n, 0]))
                rr.log("child", rr.Scalars([n, 1]))
                os._exit(0)
            assert os.waitpid(pid, 0)[1] == 0
        stop.set()
        thread.join()
        print(logged)
        """,
        tmp_path, deadline=90,
    )  # fmt: skip
    rows = check(tmp_path / "out.rrd")
    assert sorted(scalars(rows, "/child")) == [(n, i) for n in range(40) for i in range(2)]
    logged = int(result.stdout)
    images = rows["/image"]
    assert len(images) == logged
    assert sorted(row["Image:buffer"][0][0] for row in images) == sorted(n % 256 for n in range(logged))


def test_grandchild_logs_after_the_parent_ended(tmp_path):
    """A daemonised grandchild that logs after its parent exited continues the file, whose footer is valid before and after."""
    run(
        """
        import os
        import shmrerun as rr
        rr.init("daemon")
        rr.save("out.rrd")
        rr.log("rows", rr.Scalars(0))
        if os.fork() == 0:
            os.setsid()
            if os.fork():
                os._exit(0)
            print(os.getpid(), flush=True)
            import time
            while not os.path.exists("go"):
                time.sleep(0.01)
            for i in range(1, 50):
                rr.log("rows", rr.Scalars(i))
            os._exit(0)
        os.wait()
        """,
        tmp_path,
    )
    pids = []
    wait_until(
        lambda: pids.extend(map(int, next(tmp_path.glob("program*.out")).read_text().split())) or pids,
        10,
        "the daemon runs",
    )
    wait_until(lambda: not trees() or has_footer(tmp_path / "out.rrd"), 10, "the file is finished")
    if has_footer(tmp_path / "out.rrd"):
        assert scalars(check(tmp_path / "out.rrd"), "/rows") == [0]
    (tmp_path / "go").touch()
    wait_until(lambda: is_gone(pids[0]), 20, "the daemon has ended")
    wait_until(lambda: not trees() and has_footer(tmp_path / "out.rrd"), 10, "the file is finished again")
    assert scalars(check(tmp_path / "out.rrd"), "/rows") == list(range(50))


def test_times_are_empty_in_a_forked_child(tmp_path):
    """Times belong to a thread of a process: a forked child starts without any."""
    run(
        """
        import multiprocessing
        import shmrerun as rr

        def work():
            rr.log("child", rr.Scalars(1))
            rr.set_time("own", sequence=7)
            rr.log("child", rr.Scalars(2))

        rr.init("times")
        rr.save("out.rrd")
        rr.set_time("step", sequence=3)
        rr.log("parent", rr.Scalars(0))
        worker = multiprocessing.get_context("fork").Process(target=work)
        worker.start()
        worker.join()
        rr.log("parent", rr.Scalars(1))
        """,
        tmp_path,
    )
    rows = check(tmp_path / "out.rrd")
    assert ["step" in row for row in rows["/child"]] == [False, False]
    assert [row.get("own") for row in sorted(rows["/child"], key=lambda row: row["Scalars:scalars"])] == [None, 7]
    assert [row["step"] for row in rows["/parent"]] == [3, 3]


def test_row_ids_of_forks_differ(tmp_path):
    """Forty children forked from one warm parent, each seeded alike, make no two equal row ids."""
    run(
        """
        import os, random
        import numpy
        import shmrerun as rr
        rr.init("rerun_example_ids")
        rr.save("out.rrd")
        rr.log("rows", rr.Scalars(0))
        for n in range(40):
            if os.fork() == 0:
                random.seed(0)
                numpy.random.seed(0)
                for i in range(20):
                    rr.log("rows", rr.Scalars(i))
                os._exit(0)
        for n in range(40):
            os.wait()
        """,
        tmp_path,
    )
    assert len(check(tmp_path / "out.rrd")["/rows"]) == 801


def test_fork_and_exec_of_another_program(tmp_path):
    """A child that logs and then becomes another program by `exec` loses nothing and holds nothing up."""
    run(
        """
        import os
        import shmrerun as rr
        rr.init("exec")
        rr.save("out.rrd")
        pid = os.fork()
        if pid == 0:
            for i in range(20):
                rr.log("rows", rr.Scalars(i))
            os.execv("/bin/true", ["true"])
        assert os.waitpid(pid, 0)[1] == 0
        """,
        tmp_path,
    )
    assert scalars(check(tmp_path / "out.rrd"), "/rows") == list(range(20))
