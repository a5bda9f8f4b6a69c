"""A job in continuous integration: captured output, odd working directories, ids that repeat."""

from __future__ import annotations

import os
import subprocess
import sys
import time

from helpers import MARK, RUN, check, run, scalars

from shmrerun.testing import load

JOB = """import sys, shmrerun as rr
rr.init("job", recording_id="nightly")
rr.save(sys.argv[1])
for i in range(int(sys.argv[2]) if len(sys.argv) > 2 else 10):
    rr.log("v", rr.Scalars(i))
"""


def environment(tmp_path):
    return {**os.environ, MARK: f"{RUN}:{tmp_path}"}


def test_captured_output_returns_promptly(tmp_path):
    """`subprocess.run(capture_output=True)` of a program that logs ends with it: nothing that it started holds the pipes."""
    for path, limit in (("a.rrd", 10), ("b.rrd", 5)):
        began = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-c", JOB, path], capture_output=True, cwd=tmp_path, env=environment(tmp_path), timeout=300, check=True
        )
        assert time.monotonic() - began < limit * load()
        assert (done.stdout, done.stderr) == (b"", b"")
    assert scalars(check(tmp_path / "b.rrd"), "/v") == list(range(10))


def test_captured_output_of_a_killed_program(tmp_path):
    """A killed program's pipes close at once, though its aggregator still has a file to finish."""
    code = JOB + "import os; os.kill(os.getpid(), 9)"
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", code, "k.rrd"], capture_output=True, cwd=tmp_path, env=environment(tmp_path), timeout=300, check=False
    )
    assert done.returncode == -9
    assert time.monotonic() - began < 5 * load()


def test_files_that_shadow_modules(tmp_path):
    """A working directory, PYTHONPATH and user site full of modules with our dependencies' names change nothing for the aggregator."""
    for name in ("queue.py", "numpy.py", "pyarrow.py", "select.py", "sitecustomize.py", "usercustomize.py"):
        (tmp_path / name).write_text("raise SystemExit('shadowed')\n")
    (tmp_path / "path").mkdir()
    (tmp_path / "path" / "pyarrow.py").write_text("raise SystemExit('shadowed')\n")
    (tmp_path / "job").mkdir()
    done = subprocess.run(
        [sys.executable, "-P", "-c", JOB, "../out.rrd"], capture_output=True, text=True, cwd=tmp_path / "job", timeout=300, check=False,
        env=environment(tmp_path) | {"PYTHONPATH": str(tmp_path / "path"), "PYTHONSTARTUP": str(tmp_path / "queue.py")},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    assert scalars(check(tmp_path / "out.rrd"), "/v") == list(range(10))


def test_working_directory_with_queue_py(tmp_path):
    """A script whose directory has a `queue.py` of its own logs as any other."""
    (tmp_path / "queue.py").write_text("class Line: pass\n")
    run('import queue, shmrerun as rr; queue.Line; rr.init("q"); rr.save("out.rrd"); rr.log("v", rr.Scalars(1))', tmp_path)
    assert scalars(check(tmp_path / "out.rrd"), "/v") == [1]


def test_two_jobs_with_one_recording_id(tmp_path):
    """Two jobs at once with one explicit recording id, in two directories, give two files with their own rows."""
    jobs = []
    for n in range(2):
        directory = tmp_path / str(n)
        directory.mkdir()
        command = [sys.executable, "-c", JOB, "out.rrd", str(500 + n)]
        jobs.append(subprocess.Popen(command, cwd=directory, env=environment(tmp_path)))
    assert [job.wait(300) for job in jobs] == [0, 0]
    for n in range(2):
        assert scalars(check(tmp_path / str(n) / "out.rrd"), "/v") == list(range(500 + n))


def test_program_that_fails(tmp_path):
    """A program that ends by an exception keeps its exit code and traceback, and its file is whole."""
    text = 'import shmrerun as rr; rr.init("f"); rr.save("out.rrd"); rr.log("v", rr.Scalars(1)); raise ValueError("mine")'
    result = run(text, tmp_path, check=False)
    assert result.returncode == 1
    assert result.stderr.rstrip().endswith("ValueError: mine")
    assert scalars(check(tmp_path / "out.rrd"), "/v") == [1]


def test_interrupted_program(tmp_path):
    """Ctrl-C in a program with workers ends it with one traceback of its own, and the file is whole."""
    result = run(
        """
        import multiprocessing, os, signal, time
        import shmrerun as rr


        def sleep():
            while True:  # a signal that comes right before `pause` would be waited for in vain
                time.sleep(0.1)

        def work(n, ready):
            rr.log("worker", rr.Scalars(n))
            ready.release()
            sleep()

        if __name__ == "__main__":
            rr.init("interrupt")
            rr.save("out.rrd")
            context = multiprocessing.get_context("fork")
            ready = context.Semaphore(0)
            workers = [context.Process(target=work, args=(n, ready)) for n in range(2)]
            for worker in workers:
                worker.start()
            for worker in workers:  # a signal that comes before a forked Python has begun is forgotten by it
                ready.acquire()
            for i in range(10):
                rr.log("main", rr.Scalars(i))
            end = time.monotonic() + 0.3
            while time.monotonic() < end:
                rr.log("busy", rr.Scalars(1))
            os.killpg(0, signal.SIGINT)
            sleep()
        """,
        tmp_path, check=False,
    )  # fmt: skip
    assert result.returncode not in (0, 3)
    assert "shmrerun" not in result.stderr.replace("shmrerun/__init__", ""), result.stderr
    rows = check(tmp_path / "out.rrd")
    assert scalars(rows, "/main") == list(range(10))
    assert sorted(scalars(rows, "/worker")) == [0, 1]
