"""Seen: one path for several programs, a reader that stopped, files truncated or removed by others: rows gone, success reported."""

from __future__ import annotations

import os
import shutil
import threading

from helpers import check, has_footer, run, scalars, start

from shmrerun.testing import wait_until

RANK = """
import sys, time
import shmrerun as rr
rr.init("museum", recording_id=sys.argv[1])
time.sleep(float(sys.argv[2]))
try:
    rr.save("out.rrd")
except RuntimeError as error:
    print("refused:", error)
    sys.exit()
for i in range(20):
    rr.log("rows", rr.Scalars(i))
print("saved", flush=True)
rr.get_global_data_recording().flush()
time.sleep(0.4)
"""


def test_several_programs_save_to_one_path(tmp_path):
    """Seen: 40 of 60 rows gone in 4 of 4 runs, nothing said. At any delay one program has the file, the others get the error."""
    for delay in (0.0, 0.01, 0.05, 0.2):
        programs = [start(RANK, tmp_path, arguments=(f"r{rank}", delay * rank), strict=False) for rank in range(3)]
        results = [program.wait() for program in programs]
        saved = [result for result in results if "saved" in result.stdout]
        assert (
            len(saved) + sum("refused: Failed to create file: another recording is writing it" in result.stdout for result in results) == 3
        )
        assert saved
        assert scalars(check(tmp_path / "out.rrd"), "/rows") == list(range(20))
        os.unlink(tmp_path / "out.rrd")


def test_reader_of_a_fifo_stops(tmp_path):
    """Seen: it held up every recording of the tree. A FIFO follows a spool: whoever does not read it waits alone."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    program = start(
        """
        import time
        import numpy as np
        import shmrerun as rr
        rr.init("museum"); rr.save("out.rrd")
        odd = rr.RecordingStream("odd")
        odd.save("fifo")
        for i in range(50):
            odd.log("image", rr.Image(np.random.default_rng(i).integers(0, 255, (100, 100, 3), np.uint8)))
        try:
            odd.flush(timeout_sec=0.3)
        except RuntimeError as error:
            print("odd:", type(error).__name__, flush=True)
        for i in range(200):
            rr.log("rows", rr.Scalars(i))
        began = time.monotonic()
        rr.get_global_data_recording().flush()
        print("flushed", time.monotonic() - began < 2, flush=True)
        odd.flush()
        odd.disconnect()
        odd.save("after.rrd")
        odd.log("rows", rr.Scalars(1))
        odd.disconnect()
        """,
        tmp_path,
    )
    wait_until(lambda: "flushed" in program.output()[0], 30, "the other recording is flushed")
    assert program.output()[0].split() == ["odd:", "FlushTimeoutError", "flushed", "True"]
    data = []

    def read():
        os.set_blocking(reader, True)
        while chunk := os.read(reader, 1 << 16):
            data.append(chunk)

    thread = threading.Thread(target=read)
    thread.start()
    program.wait()
    thread.join(20)
    os.close(reader)
    (tmp_path / "piped.rrd").write_bytes(b"".join(data))
    assert len(check_stream(tmp_path / "piped.rrd")["/image"]) == 50
    assert scalars(check(tmp_path / "out.rrd"), "/rows") == list(range(200))
    after = check(tmp_path / "after.rrd")
    assert scalars(after, "/rows") == [1]
    assert "/image" not in after


def check_stream(path):
    from helpers import read_rows

    return read_rows(path)


def test_output_to_a_device(tmp_path):
    """A device takes what it takes; /dev/full stops nobody, is said, and the program ends."""
    result = run(
        """
        import shmrerun as rr
        rr.init("museum")
        rr.save("/dev/null")
        rr.log("rows", rr.Scalars(0))
        rr.get_global_data_recording().flush()
        rr.disconnect()
        rr.save("/dev/full")
        rr.log("rows", rr.Scalars(0))
        rr.get_global_data_recording().flush(timeout_sec=5)
        """,
        tmp_path,
    )
    assert "cannot write /dev/full" in result.stderr


def changed(tmp_path, change, name="dir/out.rrd"):
    """A program that logs, flushes, lets the file be changed, goes on; its result."""
    (tmp_path / "dir").mkdir(exist_ok=True)
    program = start(
        f"""
        import os, time
        import shmrerun as rr
        rr.init("museum"); rr.save({name!r})
        for i in range(100): rr.log("rows", rr.Scalars(i))
        rr.get_global_data_recording().flush()
        print("ready", flush=True)
        while not os.path.exists("go"): time.sleep(0.01)
        for i in range(100, 200): rr.log("rows", rr.Scalars(i))
        rr.get_global_data_recording().flush()
        for i in range(200, 250): rr.log("rows", rr.Scalars(i))
        """,
        tmp_path,
        strict=False,
    )
    wait_until(lambda: "ready" in program.output()[0], 20, "the file is there")
    change(tmp_path / name)
    (tmp_path / "go").touch()
    return program.wait()


def test_file_removed(tmp_path):
    """Seen: rows went into a deleted inode, ``flush`` said success. It goes on, whole, beside its place, and it is said."""
    result = changed(tmp_path, os.unlink)
    assert "removed or replaced" in result.stderr
    assert scalars(check(tmp_path / "dir/out.recovered-1.rrd"), "/rows") == list(range(250))


def test_file_replaced(tmp_path):
    """Somebody puts another file in its place: that one is not touched."""

    def replace(path):
        (tmp_path / "other").write_text("mine")
        os.replace(tmp_path / "other", path)

    changed(tmp_path, replace)
    assert (tmp_path / "dir/out.rrd").read_text() == "mine"
    assert scalars(check(tmp_path / "dir/out.recovered-1.rrd"), "/rows") == list(range(250))


def test_directory_removed(tmp_path):
    """Its directory is removed: it goes on in the nearest one that is there."""
    changed(tmp_path, lambda path: shutil.rmtree(path.parent))
    assert scalars(check(tmp_path / "out.recovered-1.rrd"), "/rows") == list(range(250))


def test_file_truncated(tmp_path):
    """What somebody cut off is gone, and counted; the rest and all that follows is whole."""
    result = changed(tmp_path, lambda path: os.truncate(path, 3000))
    assert "truncated" in result.stderr
    found = scalars(check(tmp_path / "dir/out.recovered-1.rrd"), "/rows")
    assert found[-150:] == list(range(100, 250))
    gone = int(result.stderr.split(" rows went with")[0].split()[-1].replace(",", ""))
    assert len(found) == 250 - gone


def test_file_moved(tmp_path):
    """A file that is moved while it is written goes on where it is."""
    changed(tmp_path, lambda path: os.rename(path, tmp_path / "moved.rrd"))
    assert scalars(check(tmp_path / "moved.rrd"), "/rows") == list(range(250))


def test_more_recordings_than_descriptors(tmp_path):
    """Seen: with 1,018 recordings at ``ulimit -n 1024`` nothing was served any more. At the limit idle files rest, and all are finished."""
    count = 150
    run(
        f"""
        import shmrerun as rr
        recordings = []
        for n in range({count}):
            rec = rr.RecordingStream("museum", recording_id=f"r{{n}}", send_properties=False)
            rec.save(f"out{{n}}.rrd")
            recordings.append(rec)
        for round in range(2):
            for n, rec in enumerate(recordings):
                rec.log("rows", rr.Scalars(n))
            for rec in recordings:
                rec.flush()
        """,
        tmp_path,
        deadline=110,
        prefix=("sh", "-c", 'ulimit -n 128 && exec "$@"', "sh"),
    )
    for n in range(count):
        assert has_footer(tmp_path / f"out{n}.rrd")
        if n % 30 == 0:
            assert scalars(check(tmp_path / f"out{n}.rrd"), "/rows") == [n, n]
