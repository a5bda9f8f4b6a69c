"""Bad paths, full disks, wrong types, strangers' files: an error with a way out, or nothing at all; never a loss unsaid."""

from __future__ import annotations

import os

import pytest
from helpers import check, needs_mounts, run, scalars, small_shm, start

from shmrerun import _core
from shmrerun.testing import load, wait_until

L = _core.LAYOUT


def test_unwritable_path(tmp_path):
    """`save` where no file can be made raises in the caller, leaves the recording as it was, and another `save` works."""
    run(
        """
        import shmrerun as rr
        rr.init("paths")
        rr.log("rows", rr.Scalars(0))
        for path in ("missing/out.rrd", "/proc/out.rrd", "a-file/out.rrd"):
            open("a-file", "w").close()
            try:
                rr.save(path)
            except RuntimeError as error:
                assert path in str(error) and "Failed to create file" in str(error), error
            else:
                raise SystemExit(f"no error for {path}")
        rr.log("rows", rr.Scalars(1))
        rr.save("out.rrd")
        try:
            rr.save("missing/out.rrd")
        except RuntimeError:
            rr.log("rows", rr.Scalars(2))
        """,
        tmp_path,
    )
    assert scalars(check(tmp_path / "out.rrd"), "/rows") == [0, 1, 2]


def test_path_is_a_directory(tmp_path):
    """`save` to a directory raises and says so."""
    result = run(
        """
        import os
        import shmrerun as rr
        rr.init("paths")
        os.mkdir("directory")
        try:
            rr.save("directory")
        except RuntimeError as error:
            print(error)
        """,
        tmp_path,
    )
    assert "Is a directory" in result.stdout
    assert "directory" in result.stdout


def test_read_only_file(tmp_path):
    """`save` over a file that the user may not write raises and leaves it alone."""
    (tmp_path / "keep.rrd").write_bytes(b"mine")
    result = run(
        """
        import os
        import shmrerun as rr
        os.chmod("keep.rrd", 0o444)
        if os.geteuid() == 0:
            os.chown("keep.rrd", 1234, 1234)
            os.chmod(".", 0o777)
            os.setuid(65534)
        rr.init("paths")
        try:
            rr.save("keep.rrd")
        except RuntimeError as error:
            print(error)
        """,
        tmp_path, env={"PYTHONDONTWRITEBYTECODE": "1"}, check=False,
    )  # fmt: skip
    if "Traceback" in result.stderr and os.geteuid() == 0:
        pytest.skip("the tests' directory cannot be entered by another user")
    assert "Permission denied" in result.stdout
    assert (tmp_path / "keep.rrd").read_bytes() == b"mine"


FULL_DISK = """
    import os, subprocess, sys, time
    import numpy as np
    import shmrerun as rr
    from shmrerun.testing import wait_until

    def full(path):
        found = os.statvfs(path)
        return found.f_bavail * found.f_frsize < 65536

    os.mkdir("disk")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", "disk"], check=True)
    rr.init("full")
    rr.save("disk/out.rrd")
    for i in range(10):
        rr.log("rows", rr.Scalars(i))
    rr.get_global_data_recording().flush()
    with open("disk/ballast", "wb") as file:
        file.write(bytes(512 * 1024))
    noise = np.random.default_rng(0)
    for i in range(8):
        rr.log("image", rr.Image(noise.integers(0, 255, (256, 256, 3), np.uint8)))
        rr.log("rows", rr.Scalars(10 + i))
    try:
        rr.get_global_data_recording().flush(timeout_sec=300)
    except RuntimeError as error:
        print("flush:", error)
    import shutil
    shutil.copy("disk/out.rrd", "before.rrd")
    subprocess.run(["mount", "-o", "remount,size=16m", "disk"], check=True)
    rr.log("rows", rr.Scalars(18))
    rr.get_global_data_recording().flush(timeout_sec=300)
    rr.disconnect()
    shutil.copy("disk/out.rrd", "after.rrd")
    rr.save("next.rrd")
"""


@needs_mounts
def test_full_disk(tmp_path):
    """A full disk is said once and by `flush`; what was written is readable, and the rest arrives when there is room again."""
    result = run(FULL_DISK, tmp_path, prefix=("unshare", "-m"))
    assert "flush:" in result.stdout
    assert "No space left" in result.stdout
    assert result.stderr.count("cannot write") <= 1
    from helpers import read_rows

    before = read_rows(tmp_path / "before.rrd")
    assert scalars(before, "/rows")[:10] == list(range(10))
    rows = check(tmp_path / "after.rrd")
    assert sorted(scalars(rows, "/rows")) == list(range(19))
    assert len(rows["/image"]) == 8


@needs_mounts
def test_full_disk_at_the_end_of_the_program(tmp_path):
    """A program that ends while the disk is full ends in bounded time and says which file is not finished."""
    result = run(
        """
        import os, subprocess
        import numpy as np
        import shmrerun as rr
        os.mkdir("disk")
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", "disk"], check=True)
        rr.init("full_end")
        rr.save("disk/out.rrd")
        rr.log("rows", rr.Scalars(1))
        rr.log("image", rr.Image(np.random.default_rng(0).integers(0, 255, (512, 512, 3), np.uint8)))
        if os.fork() == 0:  # makes room when the program has ended, so that the aggregator can end, too
            import time
            parent = os.getppid()
            while os.getppid() == parent:
                time.sleep(0.05)
            subprocess.run(["mount", "-o", "remount,size=16m", "disk"], check=True)
            os._exit(0)
        """,
        tmp_path, prefix=("unshare", "-m"), check=False,
    )  # fmt: skip
    assert result.returncode == 0
    assert "disk/out.rrd" in result.stderr
    assert result.seconds < 30 * load()


@needs_mounts
def test_full_shared_memory(tmp_path):
    """With a full /dev/shm rows go through file mappings; it is said once, and every row is in the file."""
    result = run(
        """
        import os
        import numpy as np
        import shmrerun as rr
        rr.init("full_shm")
        rr.save("out.rrd")
        rr.log("rows", rr.Scalars(0))
        with open("/dev/shm/ballast", "wb") as file:
            try:
                while True:
                    os.write(file.fileno(), bytes(65536))
            except OSError:
                pass
        for i in range(1, 100):
            rr.log("rows", rr.Scalars(i))
            rr.log("image", rr.Image(np.full((200, 200, 3), i, np.uint8)))
        for n in range(2):
            if os.fork() == 0:
                for i in range(50):
                    rr.log(f"child/{n}", rr.Scalars(i))
                os._exit(0)
            os.wait()
        """,
        tmp_path, prefix=small_shm("4m"),
    )  # fmt: skip
    rows = check(tmp_path / "out.rrd")
    assert scalars(rows, "/rows") == list(range(100))
    assert [row["Image:buffer"][0][0] for row in rows["/image"]] == list(range(1, 100))
    assert [scalars(rows, f"/child/{n}") for n in range(2)] == [list(range(50))] * 2
    assert "shared memory" in result.stderr


@needs_mounts
def test_no_shared_memory_at_all(tmp_path):
    """A /dev/shm that is full from the start does not stop a program: the recording lies in files."""
    run(
        """
        import os
        with open("/dev/shm/ballast", "wb") as file:
            try:
                while True:
                    os.write(file.fileno(), bytes(4096))
            except OSError:
                pass
        import shmrerun as rr
        rr.init("no_shm")
        rr.save("out.rrd")
        for i in range(10):
            rr.log("rows", rr.Scalars(i))
        pid = os.fork()
        if pid == 0:
            rr.log("child", rr.Scalars(1))
            os._exit(0)
        os.wait()
        """,
        tmp_path, prefix=small_shm("64k"),
    )  # fmt: skip
    rows = check(tmp_path / "out.rrd")
    assert (scalars(rows, "/rows"), scalars(rows, "/child")) == (list(range(10)), [1])


def test_wrong_types_warn_and_strict_mode_raises(tmp_path):
    """What cannot be logged is a RerunWarning at the caller's line, an exception in strict mode; the rows around it are there."""
    run(
        """
        import warnings
        import shmrerun as rr
        rr.init("types")
        rr.save("out.rrd")

        class Bad:
            def as_component_batches(self):
                raise KeyError("inside")

        def calls():
            yield lambda strict: rr.log("x", 5, strict=strict)
            yield lambda strict: rr.log("x", None, strict=strict)
            yield lambda strict: rr.log("x", Bad(), strict=strict)
            yield lambda strict: rr.log(7, rr.Scalars(1), strict=strict)
            yield lambda strict: rr.log("x", rr.Scalars(1), "extra", strict=strict)

        for number, call in enumerate(calls()):
            rr.log("rows", rr.Scalars(number))
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                call(None)
            assert [w.category.__name__ for w in caught] == ["RerunWarning"], (number, caught)
            assert caught[0].filename == __file__, caught[0].filename
            try:
                call(True)
            except Exception as error:
                assert not isinstance(error, Warning), error
            else:
                raise SystemExit(f"call {number} did not raise")
        try:
            rr.set_strict_mode(True)
            rr.log("x", 5)
        except Exception:
            pass
        else:
            raise SystemExit("strict mode did not raise")
        """,
        tmp_path,
    )
    rows = check(tmp_path / "out.rrd")
    assert scalars(rows, "/rows") == list(range(5))
    assert "/x" not in rows


def test_errors_of_set_time(tmp_path):
    """`set_time` with no value, two values or nonsense raises at once and leaves the times as they were."""
    run(
        """
        import shmrerun as rr
        rr.init("times")
        rr.save("out.rrd")
        rr.set_time("step", sequence=1)
        cases = [
            ({}, ValueError),
            ({"sequence": 1, "duration": 2}, ValueError),
            ({"sequence": "x"}, (TypeError, ValueError)),
            ({"duration": float("nan")}, (TypeError, ValueError)),
            ({"sequence": 2**70}, OverflowError),
        ]
        for arguments, kinds in cases:
            try:
                rr.set_time("step", **arguments)
            except kinds:
                pass
            else:
                raise SystemExit(f"no error for {arguments}")
        rr.log("rows", rr.Scalars(0))
        """,
        tmp_path,
    )
    assert [row["step"] for row in check(tmp_path / "out.rrd")["/rows"]] == [1]


def test_another_version_of_the_layout(tmp_path):
    """A child whose shmrerun has another memory layout says so once and goes on without logging; the parent is undisturbed."""
    result = run(
        """
        import subprocess, sys
        import shmrerun as rr
        from shmrerun import _core
        from shmrerun.shm import segments
        from helpers_programs import own_tree
        L = _core.LAYOUT
        rr.init("versions")
        rr.save("out.rrd")
        rr.log("rows", rr.Scalars(0))
        rr.get_global_data_recording().flush()
        tree = own_tree()
        segment = segments.attach(f"shmrerun-{tree}", L["TREE_MAGIC"], L["sizeof.tree"])
        segment.store32(L["segment_head.version"], 99)
        child = "import shmrerun as rr\\nfor i in range(9): rr.log('child', rr.Scalars(i))\\nprint('child went on')"
        subprocess.run([sys.executable, "-c", child], check=True)
        segment.store32(L["segment_head.version"], L["LAYOUT_VERSION"])
        rr.log("rows", rr.Scalars(1))
        """,
        tmp_path,
    )
    assert "child went on" in result.stdout
    assert sum("layout 99" in line for line in result.stderr.splitlines() if line.startswith("shmrerun:")) == 1, result.stderr
    assert "9 rows of process" in result.stderr
    rows = check(tmp_path / "out.rrd")
    assert scalars(rows, "/rows") == [0, 1]
    assert "/child" not in rows


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_foreign_segment(tmp_path):
    """A child refuses a control segment that belongs to somebody else, says so once, and goes on without logging."""
    result = run(
        """
        import os, subprocess, sys
        import shmrerun as rr
        from helpers_programs import own_tree
        rr.init("foreign")
        rr.save("out.rrd")
        rr.log("rows", rr.Scalars(0))
        rr.get_global_data_recording().flush()
        tree = own_tree()
        os.chown(f"/dev/shm/shmrerun-{tree}", 65534, 65534)
        child = "import shmrerun as rr\\nfor i in range(9): rr.log('child', rr.Scalars(i))\\nprint('child went on')"
        subprocess.run([sys.executable, "-c", child], check=True)
        os.chown(f"/dev/shm/shmrerun-{tree}", 0, 0)
        """,
        tmp_path,
    )
    assert "child went on" in result.stdout
    assert sum("user 65534" in line for line in result.stderr.splitlines() if line.startswith("shmrerun:")) == 1, result.stderr
    assert "/child" not in check(tmp_path / "out.rrd")


def test_two_runs_to_one_path(tmp_path):
    """A second run to a path that a first one is writing gets an error that says so; the first is undisturbed."""
    first = start(
        """
        import os, time
        import shmrerun as rr
        rr.init("first")
        rr.save("out.rrd")
        rr.log("rows", rr.Scalars(0))
        open("ready", "w").close()
        while not os.path.exists("go"):
            time.sleep(0.01)
        rr.log("rows", rr.Scalars(1))
        """,
        tmp_path,
    )
    try:
        wait_until((tmp_path / "ready").exists, 20, "the first run writes")
        second = """
            import shmrerun as rr
            rr.init("second")
            try:
                rr.save("out.rrd")
            except RuntimeError as error:
                print(error)
            rr.log("rows", rr.Scalars(100))
        """
        result = run(second, tmp_path)
        assert "another recording is writing it" in result.stdout
        assert "out.rrd" in result.stdout
        (tmp_path / "go").touch()
        first.wait()
    finally:
        if first.process.poll() is None:
            first.kill()
    assert scalars(check(tmp_path / "out.rrd"), "/rows") == [0, 1]
    run('import shmrerun as rr; rr.init("third"); rr.save("out.rrd"); rr.log("rows", rr.Scalars(7))', tmp_path)
    assert scalars(check(tmp_path / "out.rrd"), "/rows") == [7]


def test_the_file_is_removed_while_it_is_written(tmp_path):
    """A user who deletes the file while it is written gets no error in the program and nothing else of his is touched."""
    run(
        """
        import os
        import shmrerun as rr
        rr.init("removed")
        rr.save("out.rrd")
        rr.log("rows", rr.Scalars(0))
        rr.get_global_data_recording().flush()
        os.rename("out.rrd", "moved.rrd")
        with open("out.rrd", "w") as file:
            file.write("something else")
        rr.log("rows", rr.Scalars(1))
        """,
        tmp_path,
    )
    assert scalars(check(tmp_path / "moved.rrd"), "/rows") == [0, 1]
    assert (tmp_path / "out.rrd").read_text() == "something else"


def test_descriptors_closed_by_the_program(tmp_path):
    """A daemoniser that closes every descriptor, ours too, loses no rows and none of its later files is written to."""
    run(
        """
        import os
        import shmrerun as rr
        rr.init("closerange")
        rr.save("out.rrd")
        rr.log("rows", rr.Scalars(0))
        rr.get_global_data_recording().flush()
        os.closerange(3, 256)
        mine = [open(f"mine-{n}", "w+") for n in range(8)]
        for i in range(1, 2000):
            rr.log("rows", rr.Scalars(i))
        rr.get_global_data_recording().flush()
        for file in mine:
            file.seek(0)
            assert file.read() == ""
            file.close()
        """,
        tmp_path,
    )
    assert scalars(check(tmp_path / "out.rrd"), "/rows") == list(range(2000))


def test_standard_streams_closed(tmp_path):
    """A program without stdin, stdout and stderr logs as any other."""
    run(
        """
        import os, sys
        for fd in (0, 1, 2):
            os.close(fd)
        sys.stdin = sys.stdout = sys.stderr = None
        import shmrerun as rr
        rr.init("silent")
        rr.save("out.rrd")
        for i in range(10):
            rr.log("rows", rr.Scalars(i))
        """,
        tmp_path,
    )
    assert scalars(check(tmp_path / "out.rrd"), "/rows") == list(range(10))


def test_long_and_odd_names(tmp_path):
    """Ids, paths and text of any characters come back as they are; an id over the limit is an error that names it."""
    run(
        """
        import shmrerun as rr
        try:
            rr.init("x" * 5000)
        except ValueError as error:
            assert "limit" in str(error)
        else:
            raise SystemExit("no error")
        rr.init("Grüße 你好", recording_id="id with spaces / and \\u2028 lines")
        rr.save("naïve 文件.rrd")
        rr.log("wörld/你好", rr.TextLog("🙂" * 100))
        """,
        tmp_path,
    )
    rows = check(tmp_path / "naïve 文件.rrd")
    texts = [row["TextLog:text"] for entity, found in rows.items() if not entity.startswith("/__") for row in found]
    assert texts == [["🙂" * 100]]
