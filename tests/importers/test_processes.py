"""Files are logged from any process and thread of a program, several at once, and are there when the program has ended."""

import os

import pytest
from helpers import check, read_rows, run, scalars
from test_rrd_files import write

pytest.importorskip("rerun")


def test_forks_threads_and_pools(tmp_path):
    """Forked and spawned workers, threads and a plain subprocess all log files at once; every row of every file is in the recording."""
    for k in range(6):
        write(tmp_path / f"{k}.rrd", recording_id="rec", count=200)
        (tmp_path / f"{k}.txt").write_text(f"text {k}")
    run(
        """
        import multiprocessing, os, subprocess, sys, threading
        import shmrerun as rr

        def job(k):
            rr.log_file_from_path(f"{k}.rrd")
            rr.log_file_from_path(f"{k}.txt")

        if __name__ == "__main__":
            rr.init("app", recording_id="rec", strict=True)
            rr.save("out.rrd")
            if (pid := os.fork()) == 0:
                job(0)
                os._exit(0)
            threads = [threading.Thread(target=job, args=(k,)) for k in (1, 2)]
            for thread in threads:
                thread.start()
            with multiprocessing.get_context("spawn").Pool(2) as pool:
                pool.map(job, (3, 4))
            subprocess.run([sys.executable, "-c", "import job_module; job_module.job(5)"], check=True, env=os.environ)
            for thread in threads:
                thread.join()
            assert os.waitpid(pid, 0)[1] == 0
        """,
        _with_module(tmp_path),
    )
    rows = check(tmp_path / "out.rrd")
    assert len(scalars(rows, "/loss")) == 6 * 200
    assert {f"/{k}.txt" for k in range(6)} <= {*rows}


def _with_module(tmp_path):
    (tmp_path / "job_module.py").write_text(
        "import shmrerun as rr\ndef job(k):\n    rr.log_file_from_path(f'{k}.rrd')\n    rr.log_file_from_path(f'{k}.txt')\n"
    )
    return tmp_path


def test_a_killed_program(tmp_path):
    """What a call has begun is read to its end even if the program is killed right after."""
    write(tmp_path / "in.rrd", count=5000)
    run(
        """
        import os
        import shmrerun as rr
        rr.init("app", recording_id="rec", strict=True)
        rr.save("out.rrd")
        if os.fork() == 0:
            rr.log_file_from_path("in.rrd")
            os.kill(os.getpid(), 9)
        os.wait()
        """,
        tmp_path,
    )
    from shmrerun.testing import wait_until

    wait_until(lambda: len(scalars(read_rows(tmp_path / "out.rrd"), "/loss")) == 5000, 20, "all rows are there")


def test_a_killed_importer(tmp_path):
    """If the process that reads is killed, the call or the flush ends, it is said, and the program goes on."""
    os.mkfifo(tmp_path / "pipe")
    write(tmp_path / "in.rrd", count=100)
    result = run(
        """
        import os, signal, threading
        import shmrerun as rr
        from shmrerun.producer.process import this_process
        rr.init("app", recording_id="rec", strict=True)
        rr.save("out.rrd")
        data = open("in.rrd", "rb").read()
        hold = threading.Event()
        def feed():
            with open("pipe", "wb") as file:
                file.write(data)
                file.flush()
                hold.wait()
        threading.Thread(target=feed, daemon=True).start()
        rr.log_file_from_path("pipe")
        for name in filter(str.isdigit, os.listdir("/proc")):
            try:
                words = open(f"/proc/{name}/cmdline", "rb").read().split(b"\\0")
                if words[6:8] == [b"shmrerun", b"importer"] and os.environ["SUITE_MARK"] in open(f"/proc/{name}/environ").read():
                    os.kill(int(name), signal.SIGKILL)
            except OSError:  # others' processes come and go
                continue
        rr.get_data_recording().flush()
        rr.log("after", rr.Scalars(1))
        hold.set()
        """,
        tmp_path,
    )
    assert "the process that was reading pipe ended early" in result.stderr
    rows = read_rows(tmp_path / "out.rrd")
    assert len(scalars(rows, "/after")) == 1


def test_with_and_disconnect(tmp_path):
    """Leaving `with rec:`, and disconnect, wait for the files; none of their rows goes to the next sink."""
    write(tmp_path / "in.rrd", count=3000)
    run(
        """
        import os
        import shmrerun as rr
        with rr.RecordingStream("app", recording_id="rec") as rec:
            rec.save("one.rrd")
            rec.log_file_from_path("in.rrd")
        rr.init("app", recording_id="rec", strict=True)
        rr.save("two.rrd")
        rr.log_file_from_path("in.rrd")
        rr.disconnect()
        rr.save("three.rrd")
        rr.log("x", rr.Scalars(1))
        try:
            os.wait()
        except ChildProcessError:
            print("no children")
        """,
        tmp_path,
    ).stdout.index("no children")
    assert [len(scalars(read_rows(tmp_path / f"{name}.rrd"), "/loss")) for name in ("one", "two", "three")] == [3000, 3000, 0]


def test_more_at_once_than_places(tmp_path):
    """Thirty files are asked for at once; all are read, by a few processes at a time."""
    write(tmp_path / "in.rrd", count=50)
    run(
        """
        import shmrerun as rr
        rr.init("app", recording_id="rec", strict=True)
        rr.save("out.rrd")
        for _ in range(30):
            rr.log_file_from_path("in.rrd")
        """,
        tmp_path,
    )
    assert len(scalars(read_rows(tmp_path / "out.rrd"), "/loss")) == 1500


def test_a_pipe_that_nobody_writes(tmp_path):
    """A Ctrl-C leaves the call; the program ends a bounded time after its last line, though nothing ever comes."""
    os.mkfifo(tmp_path / "pipe")
    result = run(
        """
        import os, signal, threading
        import pytest, shmrerun as rr
        from shmrerun.errors import FlushTimeoutError
        rr.init("app", strict=True)
        rr.save("out.rrd")
        threading.Timer(1, os.kill, (os.getpid(), signal.SIGINT)).start()
        with pytest.raises(KeyboardInterrupt):
            rr.log_file_from_path("pipe")
        with pytest.raises(FlushTimeoutError, match="reading pipe goes on"):
            rr.get_data_recording().flush(timeout_sec=0.1)
        rr.log("x", rr.Scalars(1))
        """,
        tmp_path,
    )
    assert "reading is given up" in result.stderr
    assert len(scalars(read_rows(tmp_path / "out.rrd"), "/x")) == 1
