"""A container: 64 MB of shared memory, the program as PID 1, killed as a whole."""

from __future__ import annotations

from helpers import RUNTIME, check, has_footer, needs_mounts, needs_pid_namespace, run, scalars, small_shm

WORKERS = """
    import multiprocessing, os
    import numpy as np
    import shmrerun as rr

    def work(number):
        for i in range(30):
            rr.log(f"image/{number}", rr.Image(np.full((512, 512, 3), i, np.uint8)))
            rr.log(f"value/{number}", rr.Scalars(i))

    if __name__ == "__main__":
        rr.init("container")
        rr.save("out.rrd")
        workers = [multiprocessing.get_context("fork").Process(target=work, args=(n,)) for n in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
            assert worker.exitcode == 0
        print(os.getpid())
"""


def check_workers(tmp_path):
    rows = check(tmp_path / "out.rrd")
    for number in range(4):
        assert scalars(rows, f"/value/{number}") == list(range(30))
        assert [row["Image:buffer"][0][:1] for row in rows[f"/image/{number}"]] == [bytes([i]) for i in range(30)]
    assert has_footer(tmp_path / "out.rrd")


@needs_mounts
def test_sixty_four_megabytes_of_shared_memory(tmp_path):
    """Four workers that log 90 MB of images through a 64 MB /dev/shm lose nothing and do not fill it."""
    run(WORKERS, tmp_path, prefix=small_shm("64m"), deadline=90)
    check_workers(tmp_path)


@needs_pid_namespace
def test_pid_one(tmp_path):
    """A program that is PID 1 of its container logs, ends, and its file is whole, though the kernel kills all else with it."""
    result = run(WORKERS, tmp_path, prefix=small_shm("64m", "--pid", "--fork", "--mount-proc"), deadline=90)
    assert result.stdout.split() == ["1"]
    check_workers(tmp_path)


@needs_pid_namespace
def test_pid_one_leaves_nothing_behind(tmp_path):
    """As PID 1 with a /dev/shm of its own, the tree is removed before the program's end kills the aggregator."""
    result = run(
        """
        import subprocess, sys
        CODE = 'import shmrerun as rr; rr.init("one"); rr.save("out.rrd"); rr.log("v", rr.Scalars(1))'
        subprocess.run(["unshare", "--pid", "--fork", "--mount-proc", sys.executable, "-c", CODE], check=True)
        import os
        print([name for name in os.listdir("/dev/shm")])
        """,
        tmp_path, prefix=small_shm("64m"), env={RUNTIME: ""},
    )  # fmt: skip
    assert scalars(check(tmp_path / "out.rrd"), "/v") == [1]
    assert has_footer(tmp_path / "out.rrd")
    assert result.stdout.strip() == "[]"


@needs_mounts
@needs_pid_namespace
def test_container_killed_as_a_whole(tmp_path):
    """SIGKILL of a whole container loses at most the last second: what was flushed is readable."""
    run(
        """
        import subprocess, sys
        CODE = '''
        import os, signal
        import shmrerun as rr
        rr.init("killed")
        rr.save("out.rrd")
        for i in range(100):
            rr.log("v", rr.Scalars(i))
        rr.get_global_data_recording().flush()
        rr.log("v", rr.Scalars(100))
        open("flushed", "w").close()
        signal.pause()
        '''
        import textwrap
        from shmrerun.testing import wait_until
        import os
        command = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", sys.executable, "-c", textwrap.dedent(CODE)]
        container = subprocess.Popen(command)
        wait_until(lambda: os.path.exists("flushed"), 30, "rows are flushed")
        container.kill()
        container.wait()
        """,
        tmp_path, prefix=small_shm("64m"), deadline=60,
    )  # fmt: skip
    from helpers import read_rows

    assert scalars(read_rows(tmp_path / "out.rrd"), "/v")[:100] == list(range(100))


@needs_mounts
def test_read_only_temporary_directory(tmp_path):
    """A container whose /tmp and home cannot be written still logs: shared memory is enough."""
    run(
        """
        import shmrerun as rr
        rr.init("readonly")
        rr.save("out.rrd")
        for i in range(100):
            rr.log("v", rr.Scalars(i))
        """,
        tmp_path, env={"HOME": "/nonexistent"},
        prefix=(
            "unshare", "-m", "sh", "-c",
            f'mount --bind {tmp_path} /mnt && mount -t tmpfs -o ro tmpfs /var/tmp && cd /mnt && exec "$@"', "sh",
        ),
    )  # fmt: skip
    assert scalars(check(tmp_path / "out.rrd"), "/v") == list(range(100))
