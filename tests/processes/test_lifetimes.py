"""Who outlives whom: owners killed, processes stopped, replaced, many, and programs inside programs."""

from __future__ import annotations

import os
import signal

import pytest
from helpers import check, has_footer, is_gone, run, scalars, start, trees
from helpers_programs import returned

from shmrerun.testing import load, wait_until


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_owner_killed_while_children_log(tmp_path, method):
    """The owner of the file dies by SIGKILL: its children log on into the file, which is finished when the last of them ends."""
    program = start(
        """
        import multiprocessing, os, signal, sys
        import shmrerun as rr
        from helpers_programs import log_rows
        from shmrerun.testing import wait_until

        def work(number):
            parent = os.getppid()
            rr.log("begun", rr.Scalars(number))
            open(f"begun-{number}", "w").close()
            wait_until(lambda: os.getppid() != parent, 30, "the parent is gone")
            log_rows(number, 50, ".")

        if __name__ == "__main__":
            context = multiprocessing.get_context(sys.argv[1])
            rr.init("orphans")
            rr.save("out.rrd")
            rr.log("parent", rr.Scalars(1))
            for number in range(3):
                context.Process(target=work, args=(number,)).start()
            wait_until(lambda: all(os.path.exists(f"begun-{n}") for n in range(3)), 30, "children run")
            os.kill(os.getpid(), signal.SIGKILL)
        """,
        tmp_path, arguments=(method,),
    )  # fmt: skip
    assert program.wait(check=False).returncode == -signal.SIGKILL
    wait_until(lambda: not trees(), 30, "the children have ended, and the aggregator")
    rows = check(tmp_path / "out.rrd")
    assert has_footer(tmp_path / "out.rrd")
    assert scalars(rows, "/parent") == [1]
    assert returned(tmp_path) == dict.fromkeys(range(3), 50)
    found = sorted(scalars(rows, "/shared") + [pair for n in range(3) for pair in scalars(rows, f"/worker/{n}")])
    assert found == [(n, i) for n in range(3) for i in range(50)]


def test_hundreds_of_short_children(tmp_path):
    """Three hundred children one after the other, then sixty at once, leave one row each and no slot or segment in use."""
    result = run(
        """
        import os
        import shmrerun as rr
        from shmrerun.testing import leftovers, wait_until
        before = len(leftovers().files)
        rr.init("many")
        rr.save("out.rrd")

        def child(n):
            pid = os.fork()
            if pid == 0:
                rr.log("child", rr.Scalars(n))
                os._exit(0)
            return pid

        for n in range(300):
            assert os.waitpid(child(n), 0)[1] == 0
        pids = [child(n) for n in range(300, 360)]
        assert all(os.waitpid(pid, 0)[1] == 0 for pid in pids)
        wait_until(lambda: len(leftovers().files) < before + 12, 10, "lanes of the dead are removed")
        """,
        tmp_path,
    )
    assert sorted(scalars(check(tmp_path / "out.rrd"), "/child")) == list(range(360))
    assert result.seconds < 30 * load()


def test_stopped_producer_holds_nobody_up(tmp_path):
    """A producer stopped by SIGSTOP delays neither the others' rows, nor `flush`, nor the end of the program."""
    program = start(
        """
        import os, signal, sys
        import shmrerun as rr
        rr.init("stopped")
        rr.save("out.rrd")
        pid = os.fork()
        if pid == 0:
            rr.log("child", rr.Scalars(0))
            os.kill(os.getpid(), signal.SIGSTOP)
            rr.log("child", rr.Scalars(1))
            os._exit(0)
        os.waitpid(pid, os.WUNTRACED)
        for i in range(100):
            rr.log("parent", rr.Scalars(i))
        rr.get_global_data_recording().flush(timeout_sec=300)
        print(pid)
        """,
        tmp_path,
    )
    result = program.wait()
    pid = int(result.stdout)
    assert result.seconds < 8 * load()
    os.kill(pid, signal.SIGCONT)
    wait_until(lambda: not trees(), 10, "the child has ended, and the aggregator")
    rows = check(tmp_path / "out.rrd")
    assert scalars(rows, "/parent") == list(range(100))
    assert scalars(rows, "/child") == [0, 1]


def test_stopped_aggregator(tmp_path):
    """While the aggregator is stopped `log` goes on, `flush` times out with an error, no second aggregator starts; then all arrives."""
    run(
        """
        import os, signal
        import shmrerun as rr
        from shmrerun.testing import aggregator_pid, leftovers
        from helpers_programs import own_tree
        before = leftovers().processes
        rr.init("slow")
        rr.save("out.rrd")
        rr.log("rows", rr.Scalars(0))
        recording = rr.get_global_data_recording()
        recording.flush()
        pid = aggregator_pid(own_tree())
        os.kill(pid, signal.SIGSTOP)
        try:
            for i in range(1, 20_000):
                rr.log("rows", rr.Scalars(i))
            try:
                recording.flush(timeout_sec=1)
            except RuntimeError as error:
                assert "timed out" in str(error), error
            else:
                raise SystemExit("flush returned")
            rr.log("rows", rr.Scalars(20_000))
            assert leftovers().processes - before == {pid}
        finally:
            os.kill(pid, signal.SIGCONT)
        recording.flush(timeout_sec=300)
        """,
        tmp_path,
    )
    assert scalars(check(tmp_path / "out.rrd"), "/rows") == list(range(20_001))


def test_child_that_becomes_a_long_lived_program(tmp_path):
    """A child that logged and then became another program by `exec` does not keep the file from being finished."""
    program = start(
        """
        import os
        import shmrerun as rr
        rr.init("exec")
        rr.save("out.rrd")
        pid = os.fork()
        if pid == 0:
            rr.log("rows", rr.Scalars(1))
            os.execv("/bin/sleep", ["sleep", "1000"])
        print(pid, flush=True)
        from shmrerun.testing import wait_until
        wait_until(lambda: os.readlink(f"/proc/{pid}/exe").endswith(("sleep", "coreutils", "busybox")), 10, "it is another program")
        """,
        tmp_path,
    )
    result = program.wait()
    pid = int(result.stdout)
    try:
        wait_until(lambda: has_footer(tmp_path / "out.rrd"), 10, "the file is finished")
        wait_until(lambda: not trees(), 10, "the aggregator has ended")
        assert not is_gone(pid)
    finally:
        os.kill(pid, signal.SIGKILL)
    assert scalars(check(tmp_path / "out.rrd"), "/rows") == [1]


def test_program_inside_a_program(tmp_path):
    """A subprocess with an `init` of its own has workers of its own: they log into its recording, not into the outer one."""
    run(
        """
        import multiprocessing, subprocess, sys
        import shmrerun as rr

        def work(name, number):
            rr.log("rows", rr.Scalars(number))

        def program(name, method):
            rr.init("nested")
            rr.save(f"{name}.rrd")
            worker = multiprocessing.get_context(method).Process(target=work, args=(name, 1))
            worker.start()
            worker.join()
            assert worker.exitcode == 0
            rr.log("rows", rr.Scalars(2))

        if __name__ == "__main__":
            if len(sys.argv) > 1:
                program("inner-" + sys.argv[1], sys.argv[1])
            else:
                program("outer", "spawn")
                for method in ("fork", "spawn", "forkserver"):
                    subprocess.run([sys.executable, __file__, method], check=True)
                rr.log("rows", rr.Scalars(3))
        """,
        tmp_path,
    )
    assert scalars(check(tmp_path / "outer.rrd"), "/rows") == [1, 2, 3]
    for method in ("fork", "spawn", "forkserver"):
        assert scalars(check(tmp_path / f"inner-{method}.rrd"), "/rows") == [1, 2]


def test_orphan_that_first_logs_when_its_parents_tree_is_gone(tmp_path):
    """A program started by `subprocess` that first logs after its parent's recording ended logs nowhere, silently."""
    program = start(
        """
        import subprocess, sys
        import shmrerun as rr
        CODE = '''
        import os
        from shmrerun.testing import trees, wait_until
        from helpers_programs import own_tree
        wait_until(lambda: own_tree() not in trees(), 30, "the tree is gone")
        import shmrerun as rr
        for i in range(10):
            rr.log("late", rr.Scalars(i))
        assert not rr.is_enabled()
        open("done", "w").close()
        '''
        import textwrap
        rr.init("gone")
        rr.save("out.rrd")
        rr.log("rows", rr.Scalars(1))
        child = subprocess.Popen([sys.executable, "-W", "error", "-c", textwrap.dedent(CODE)])
        child.returncode = 0  # it is left alone
        """,
        tmp_path,
    )
    program.wait()
    wait_until((tmp_path / "done").exists, 30, "the orphan logged")
    rows = check(tmp_path / "out.rrd")
    assert scalars(rows, "/rows") == [1]
    assert "/late" not in rows
    assert not any(line for line in program.output()[1].splitlines() if "Error" in line)


def test_joined_subprocess_outlives_its_parent(tmp_path):
    """A program started by `subprocess` that logged into its parent's recording goes on when the parent has ended."""
    program = start(
        """
        import os, subprocess, sys
        import shmrerun as rr
        from shmrerun.testing import wait_until
        CODE = '''
        import os
        import shmrerun as rr
        from shmrerun.testing import wait_until
        rr.log("child", rr.Scalars(0))
        parent = os.getppid()
        open("joined", "w").close()
        wait_until(lambda: os.getppid() != parent, 30, "the parent has ended")
        for i in range(1, 100):
            rr.log("child", rr.Scalars(i))
        '''
        import textwrap
        rr.init("outlived")
        rr.save("out.rrd")
        rr.log("rows", rr.Scalars(1))
        child = subprocess.Popen([sys.executable, "-W", "error", "-c", textwrap.dedent(CODE)])
        wait_until(lambda: os.path.exists("joined"), 30, "the child has joined")
        child.returncode = 0
        """,
        tmp_path,
    )
    result = program.wait()
    assert result.seconds < 8 * load()
    wait_until(lambda: not trees(), 20, "the child has ended, and the aggregator")
    rows = check(tmp_path / "out.rrd")
    assert has_footer(tmp_path / "out.rrd")
    assert (scalars(rows, "/rows"), scalars(rows, "/child")) == ([1], list(range(100)))


def test_fork_while_threads_make_new_paths_and_shapes(tmp_path):
    """Forks while threads define entity paths and shapes without end: no child hangs, and every row has its own entity."""
    result = run(
        """
        import os, threading
        import shmrerun as rr
        rr.init("shapes")
        rr.save("out.rrd")
        stop = threading.Event()

        def define(number):
            i = 0
            while not stop.is_set() and i < 20_000:
                rr.log(f"thread/{number}/{i % 3000}", rr.Scalars([0.0] * (i % 5 + 1)) if i % 2 else rr.TextLog("x"))
                i += 1

        threads = [threading.Thread(target=define, args=(n,)) for n in range(3)]
        for thread in threads:
            thread.start()
        for n in range(60):
            pid = os.fork()
            if pid == 0:
                for i in range(5):
                    rr.log(f"child/{n}/{i}", rr.Scalars([n, i]))
                os._exit(0)
            assert os.waitpid(pid, 0)[1] == 0
        stop.set()
        for thread in threads:
            thread.join()
        """,
        tmp_path, deadline=90,
    )  # fmt: skip
    assert has_footer(tmp_path / "out.rrd"), result
    rows = check(tmp_path / "out.rrd")
    for n in range(60):
        assert [scalars(rows, f"/child/{n}/{i}") for i in range(5)] == [[(n, i)] for i in range(5)]


def test_workers_log_while_the_parent_starts_anew(tmp_path):
    """While the parent calls `init` and `save` again and again, each row of its workers is in one file, or is said to be dropped."""
    result = run(
        """
        import multiprocessing
        import shmrerun as rr
        from helpers_programs import Returned

        def work(number, stop):
            count, sequence = Returned(".", number), 0
            while not stop.is_set():
                rr.log("rows", rr.Scalars([number, sequence]))
                sequence += 1
                count.store(sequence)

        if __name__ == "__main__":
            context = multiprocessing.get_context("fork")
            stop = context.Event()
            rr.init("anew")
            rr.save("0.rrd")
            workers = [context.Process(target=work, args=(n, stop)) for n in range(2)]
            for worker in workers:
                worker.start()
            from shmrerun.testing import wait_until
            import time
            for n in range(1, 12):
                due = time.monotonic() + 0.1
                wait_until(lambda: time.monotonic() > due, 5, "a tenth of a second")
                rr.init("anew", recording_id=f"run-{n}")
                rr.save(f"{n}.rrd")
            stop.set()
            for worker in workers:
                worker.join()
                assert worker.exitcode == 0
        """,
        tmp_path,
    )
    found = []
    for n in range(12):
        found += scalars(check(tmp_path / f"{n}.rrd"), "/rows")
    counted = returned(tmp_path)
    expected = {(number, sequence) for number, count in counted.items() for sequence in range(count)}
    assert len(found) == len(set(found)), "a row is in two files"
    assert set(found) <= expected
    missing = expected - set(found)
    in_flight = 2 * 11  # a row that a worker publishes at the very moment its recording is finished
    assert len(missing) <= in_flight, f"{len(missing)} of {len(expected)} rows are in no file: {sorted(missing)[:10]}; {result.stderr}"
    assert not missing or "dropped" in result.stderr, result.stderr


def test_a_footer_is_waited_for_while_the_aggregator_is_at_work(tmp_path):
    """Seen on a full machine: a footer took longer than the exit's patience, and the program ended before its file was whole."""
    run(
        """
        import shmrerun as rr
        from shmrerun import _core
        from shmrerun.producer.exit import at_exit
        rr.init("footer")
        rr.save("out.rrd")
        for i in range(8000):
            rr.log(f"entity/{i}", rr.Scalars([i] * (i % 5 + 1)))
        rr.get_global_data_recording().flush()
        at_exit(_core.stamp(), patience=0.1)
        """,
        tmp_path, deadline=90,
    )  # fmt: skip
    assert len(check(tmp_path / "out.rrd")) == 8001


def test_an_aggregator_that_stands_still_is_not_waited_for(tmp_path):
    result = run(
        """
        import os, signal, threading, time
        import shmrerun as rr
        from helpers_programs import own_tree
        from shmrerun import _core
        from shmrerun.producer import exit
        from shmrerun.testing import aggregator_pid
        rr.init("stopped")
        rr.save("out.rrd")
        rr.log("x", rr.Scalars(1))
        rr.get_global_data_recording().flush()
        pid = aggregator_pid(own_tree())
        leave = type(rr.get_global_data_recording()._stream.live()).leave
        def stop(session):
            leave(session)
            os.kill(pid, signal.SIGSTOP)
        type(rr.get_global_data_recording()._stream.live()).leave = stop
        threading.Timer(4, os.kill, (pid, signal.SIGCONT)).start()
        began = time.monotonic()
        exit.at_exit(_core.stamp(), patience=0.5)
        print(time.monotonic() - began)
        """,
        tmp_path,
    )
    assert 0.4 < float(result.stdout) < 3.9
    assert "did not wait any longer for out.rrd" in result.stderr.replace(str(tmp_path) + "/", "")


def test_the_aggregator_does_without_pandas(tmp_path):
    """pyarrow would import it with the first array, though nothing needs it."""
    result = run(
        """
        import pandas, sys
        import shmrerun as rr
        rr.init("pandas")
        rr.save("out.rrd")
        rr.log("rows", rr.Scalars(1))
        recording = rr.get_global_data_recording()
        pid = recording._stream.session.tree.words.aggregator_pid
        rr.save("other.rrd")  # so the first one has its footer
        with open(f"/proc/{pid}/maps") as file:
            maps = file.read()
        print("/pyarrow/" in maps, "/pandas/" in maps)
        """,
        tmp_path,
    )
    assert result.stdout == "True False\n"
    assert has_footer(tmp_path / "out.rrd")
