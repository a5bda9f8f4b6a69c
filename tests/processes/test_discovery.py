"""P1: children find the recording of their parent, whatever started them and whenever."""

from __future__ import annotations

import pytest
from helpers import check, has_footer, run, scalars

METHODS = ["fork", "spawn", "forkserver"]


def files(directory):
    """Recordings in a directory."""
    return sorted(path.name for path in directory.glob("*.rrd"))


@pytest.mark.parametrize("method", METHODS)
def test_pool_made_before_init(tmp_path, method):
    """Workers of a pool that was made before `init` log into the recording made after it."""
    run(
        """
        import multiprocessing, sys
        import shmrerun as rr

        def work(i):
            rr.log("rows", rr.Scalars([1, i]))

        if __name__ == "__main__":
            with multiprocessing.get_context(sys.argv[1]).Pool(2) as pool:
                pool.map(work, range(0))
                rr.init("early_pool")
                rr.save("out.rrd")
                pool.map(work, range(50), 1)
        """,
        tmp_path, arguments=(method,),
    )  # fmt: skip
    assert sorted(scalars(check(tmp_path / "out.rrd"), "/rows")) == [(1, i) for i in range(50)]


@pytest.mark.parametrize("method", METHODS)
def test_pool_that_logged_before_init(tmp_path, method):
    """Workers that logged in vain before `init` find the recording within a tenth of a second or two after it."""
    run(
        """
        import multiprocessing, sys, time
        import shmrerun as rr

        def work(i):
            rr.log("rows", rr.Scalars(i))
            return rr.is_enabled()

        if __name__ == "__main__":
            with multiprocessing.get_context(sys.argv[1]).Pool(1) as pool:
                assert pool.map(work, range(3), 1) == [False] * 3
                rr.init("early_pool")
                rr.save("out.rrd")
                end = time.monotonic() + 300
                while not pool.apply(work, (100,)):
                    assert time.monotonic() < end
                pool.map(work, range(200, 210), 1)
        """,
        tmp_path, arguments=(method,),
    )  # fmt: skip
    assert [i for i in scalars(check(tmp_path / "out.rrd"), "/rows") if i >= 200] == list(range(200, 210))


def test_executor_made_before_init(tmp_path):
    """Workers that a ProcessPoolExecutor made before `init` starts later log into the recording."""
    run(
        """
        import concurrent.futures, multiprocessing
        import shmrerun as rr

        def work(i):
            rr.log("rows", rr.Scalars(i))

        if __name__ == "__main__":
            for method in ("fork", "spawn", "forkserver"):
                with concurrent.futures.ProcessPoolExecutor(2, mp_context=multiprocessing.get_context(method)) as pool:
                    rr.init("early_" + method)
                    rr.save(method + ".rrd")
                    list(pool.map(work, range(20)))
        """,
        tmp_path,
    )
    for method in METHODS:
        assert sorted(scalars(check(tmp_path / f"{method}.rrd"), "/rows")) == list(range(20))


def test_plain_subprocess_without_init_joins(tmp_path):
    """A program started by `subprocess` that logs without `init` logs into the recording of its parent."""
    run(
        """
        import subprocess, sys
        import shmrerun as rr

        CHILD = "import shmrerun as rr\\nfor i in range(20): rr.log('child', rr.Scalars(i))"
        rr.init("parent")
        rr.save("out.rrd")
        rr.log("parent", rr.Scalars(1))
        subprocess.run([sys.executable, "-W", "error", "-c", CHILD], check=True)
        rr.log("parent", rr.Scalars(2))
        """,
        tmp_path,
    )
    rows = check(tmp_path / "out.rrd")
    assert scalars(rows, "/child") == list(range(20))
    assert scalars(rows, "/parent") == [1, 2]


def test_plain_subprocess_with_init_has_its_own_recording(tmp_path):
    """A program started by `subprocess` that calls `init` has a recording of its own, even with equal ids."""
    run(
        """
        import subprocess, sys
        import shmrerun as rr

        CHILD = '''
        import shmrerun as rr
        rr.init("same", recording_id="same")
        rr.save("child.rrd")
        for i in range(20):
            rr.log("child", rr.Scalars(i))
        '''
        rr.init("same", recording_id="same")
        rr.save("parent.rrd")
        rr.log("parent", rr.Scalars(1))
        import textwrap
        subprocess.run([sys.executable, "-W", "error", "-c", textwrap.dedent(CHILD)], check=True)
        rr.log("parent", rr.Scalars(2))
        """,
        tmp_path,
    )
    child, parent = check(tmp_path / "child.rrd"), check(tmp_path / "parent.rrd")
    assert scalars(child, "/child") == list(range(20))
    assert "/parent" not in child
    assert scalars(parent, "/parent") == [1, 2]
    assert "/child" not in parent


def test_named_tree_joins_unrelated_programs(tmp_path):
    """Programs started side by side with the same SHMRERUN_TREE log into one recording."""
    run(
        """
        import os, subprocess, sys

        RANK = '''
        import sys
        import shmrerun as rr
        rank = int(sys.argv[1])
        rr.init("ranks", recording_id="run-1")
        rr.save("out.rrd")
        for i in range(30):
            rr.log("rows", rr.Scalars([rank, i]))
        open(f"done-{rank}", "w").close()
        import os, time
        end = time.monotonic() + 300
        while len([n for n in os.listdir() if n.startswith("done-")]) < 3 and time.monotonic() < end:
            time.sleep(0.01)
        '''
        import textwrap
        environment = dict(os.environ, SHMRERUN_TREE="job/17 of me")
        ranks = [subprocess.Popen([sys.executable, "-W", "error", "-c", textwrap.dedent(RANK), str(n)], env=environment) for n in range(3)]
        assert [rank.wait(300) for rank in ranks] == [0, 0, 0]
        """,
        tmp_path,
    )
    assert files(tmp_path) == ["out.rrd"]
    assert sorted(scalars(check(tmp_path / "out.rrd"), "/rows")) == [(rank, i) for rank in range(3) for i in range(30)]


@pytest.mark.parametrize("method", METHODS)
def test_init_in_workers_joins(tmp_path, method):
    """`init` with the same application in a worker joins the parent's recording; the start time is sent once, by the parent."""
    run(
        """
        import multiprocessing, sys
        import shmrerun as rr

        def work(number):
            rr.init("nested")
            rr.log("rows", rr.Scalars([number, 0]))
            inner = multiprocessing.get_context(sys.argv[1]).Process(target=deeper, args=(number,))
            inner.start()
            inner.join()
            assert inner.exitcode == 0

        def deeper(number):
            rr.init("nested")
            rr.log("rows", rr.Scalars([number, 1]))

        if __name__ == "__main__":
            rr.init("nested")
            rr.save("out.rrd")
            context = multiprocessing.get_context(sys.argv[1])
            workers = [context.Process(target=work, args=(n,)) for n in range(3)]
            for worker in workers:
                worker.start()
            for worker in workers:
                worker.join()
                assert worker.exitcode == 0
        """,
        tmp_path, arguments=(method,),
    )  # fmt: skip
    assert files(tmp_path) == ["out.rrd"]
    rows = check(tmp_path / "out.rrd")
    assert sorted(scalars(rows, "/rows")) == [(n, depth) for n in range(3) for depth in range(2)]
    assert len([row for row in rows["/__properties"] if "RecordingInfo:start_time" in row]) == 1


UNGUARDED = """
    import multiprocessing, os
    import shmrerun as rr

    METHOD, PRELOAD = os.environ["METHOD"], os.environ["PRELOAD"]  # the forkserver has no arguments
    rr.init("unguarded")
    rr.save("out.rrd")
    rr.log("top", rr.Scalars(0))

    def work(number):
        rr.log("rows", rr.Scalars(number))

    if __name__ == "__main__":
        if PRELOAD == "preload":  # what newer Pythons do: the forkserver imports the main module
            import multiprocessing.spawn as module
            standard = module.get_preparation_data
            def data(name):
                found = standard(name)
                return found | {"main_path": found.get("init_main_from_path")}
            module.get_preparation_data = data
        context = multiprocessing.get_context(METHOD)
        with context.Pool(2) as pool:
            pool.map(work, range(10), 1)
        worker = context.Process(target=work, args=(10,))
        worker.start()
        worker.join()
        assert worker.exitcode == 0
"""


@pytest.mark.parametrize(("method", "preload"), [("fork", "-"), ("spawn", "-"), ("forkserver", "-"), ("forkserver", "preload")])
def test_unguarded_main_gives_one_file(tmp_path, method, preload):
    """A script whose top level calls `init`, `save` and `log` without a guard gives exactly one file, with the top level's row once."""
    run(UNGUARDED, tmp_path, env={"METHOD": method, "PRELOAD": preload})
    assert files(tmp_path) == ["out.rrd"]
    rows = check(tmp_path / "out.rrd")
    assert sorted(scalars(rows, "/rows")) == list(range(11))
    assert scalars(rows, "/top") == [0]
    assert len(rows["/__properties"]) == 1


@pytest.mark.parametrize("method", METHODS)
def test_workers_follow_a_second_init(tmp_path, method):
    """Workers that live on move to the recording of the parent's second `init`; the first file is finished then."""
    run(
        """
        import multiprocessing, sys
        import shmrerun as rr

        def work(number):
            rr.log("rows", rr.Scalars(number))

        if __name__ == "__main__":
            rr.init("first")
            rr.save("first.rrd")
            with multiprocessing.get_context(sys.argv[1]).Pool(2) as pool:
                pool.map(work, range(20), 1)
                rr.init("second")
                with open("first.rrd", "rb") as file:
                    assert b"RRF2FOOT" in file.read()[-12:], "the first file is not finished"
                rr.save("second.rrd")
                pool.map(work, range(100, 120), 1)
        """,
        tmp_path, arguments=(method,),
    )  # fmt: skip
    assert sorted(scalars(check(tmp_path / "first.rrd"), "/rows")) == list(range(20))
    assert sorted(scalars(check(tmp_path / "second.rrd"), "/rows")) == list(range(100, 120))


@pytest.mark.parametrize("method", METHODS)
def test_pickled_stream(tmp_path, method):
    """A RecordingStream that is given to a worker as an argument logs into the parent's recording, not the global one."""
    run(
        """
        import multiprocessing, pickle, sys
        import shmrerun as rr

        def work(stream, number):
            assert stream.get_application_id() == "given"
            stream.set_time("step", sequence=number)
            stream.log("rows", rr.Scalars(number))
            rr.log("rows", rr.Scalars(100 + number), recording=stream)
            rr.log("elsewhere", rr.Scalars(number))

        if __name__ == "__main__":
            rr.init("global")
            rr.save("global.rrd")
            stream = rr.RecordingStream("given")
            stream.save("given.rrd")
            context = multiprocessing.get_context(sys.argv[1])
            worker = context.Process(target=work, args=(stream, 0))
            worker.start()
            worker.join()
            assert worker.exitcode == 0
            with context.Pool(2) as pool:
                pool.starmap(work, [(stream, n) for n in range(1, 10)], 1)
            copy = pickle.loads(pickle.dumps(stream))
            copy.log("rows", rr.Scalars(50))
        """,
        tmp_path, arguments=(method,),
    )  # fmt: skip
    rows = check(tmp_path / "given.rrd")
    assert sorted(scalars(rows, "/rows")) == sorted([*range(10), *range(100, 110), 50])
    assert "/elsewhere" not in rows
    assert sorted(scalars(check(tmp_path / "global.rrd"), "/elsewhere")) == list(range(10))
    assert has_footer(tmp_path / "given.rrd")


def test_stream_of_the_parent_keeps_logging_after_it_was_dropped(tmp_path):
    """A worker that holds a stream whose maker dropped it loses none of the rows it logged before, and nothing hangs."""
    run(
        """
        import multiprocessing
        import shmrerun as rr

        def work(stream, connection):
            for n in range(10):
                stream.log("rows", rr.Scalars(n))
            connection.send("logged")
            connection.recv()
            stream.log("rows", rr.Scalars(99))
            connection.send("late")

        if __name__ == "__main__":
            stream = rr.RecordingStream("dropped")
            stream.save("out.rrd")
            here, there = multiprocessing.Pipe()
            worker = multiprocessing.get_context("spawn").Process(target=work, args=(stream, there))
            worker.start()
            assert here.recv() == "logged"
            del stream
            here.send("go on")
            assert here.recv() == "late"
            worker.join()
        """,
        tmp_path,
    )
    assert scalars(check(tmp_path / "out.rrd"), "/rows")[:10] == list(range(10))


@pytest.mark.parametrize("method", METHODS)
def test_first_calls_of_many_threads_at_once(tmp_path, method):
    """When eight threads of a new worker make its first calls at the same moment, each row arrives with its time."""
    run(
        """
        import multiprocessing, sys, threading
        import shmrerun as rr

        def work(number):
            barrier = threading.Barrier(8)

            def first(thread):
                barrier.wait()
                rr.set_time("thread", sequence=thread)
                rr.log("rows", rr.Scalars([number, thread]))

            threads = [threading.Thread(target=first, args=(n,)) for n in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

        if __name__ == "__main__":
            rr.init("threads")
            rr.save("out.rrd")
            with multiprocessing.get_context(sys.argv[1]).Pool(2, maxtasksperchild=1) as pool:
                pool.map(work, range(20), 1)
        """,
        tmp_path, arguments=(method,),
    )  # fmt: skip
    rows = check(tmp_path / "out.rrd")
    assert sorted(scalars(rows, "/rows")) == [(n, t) for n in range(20) for t in range(8)]
    assert [row.get("thread") for row in rows["/rows"]] == [row["Scalars:scalars"][1] for row in rows["/rows"]]
