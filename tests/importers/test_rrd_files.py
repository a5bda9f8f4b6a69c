"""`.rrd` and `.rbl` files are forwarded as they are, as far as they go."""

import os

import numpy as np
import pytest
from helpers import check, has_footer, read_rows, run, scalars
from helpers_importers import compare, log
from helpers_rrd import rerun as command

rerun = pytest.importorskip("rerun")


def write(path, application_id="app", recording_id="rec", count=3000, blueprint=None):
    """A file made by rerun-sdk."""
    recording = rerun.RecordingStream(application_id, recording_id=recording_id)
    recording.save(str(path), default_blueprint=blueprint)
    for step in range(count):
        recording.set_time("step", sequence=step)
        recording.log("loss", rerun.Scalars(step))
        if step % 1000 == 0:
            recording.log("points", rerun.Points3D(np.full((500, 3), step)))
    recording.log("text", rerun.TextDocument("hello"), static=True)
    recording.disconnect()


def test_as_rerun_does(tmp_path):
    """A file of rerun-sdk's own, with these ids, is the same afterwards."""
    write(tmp_path / "in.rrd")
    compare(tmp_path, "in.rrd")
    assert has_footer(tmp_path / "ours.rrd")


def test_ids_are_kept(tmp_path):
    """A recording of another application keeps its ids; its rows are none of ours, and the whole file verifies."""
    write(tmp_path / "in.rrd", "other", "its own")
    log("shmrerun", "ours.rrd", ["in.rrd"], tmp_path)
    check(tmp_path / "ours.rrd")
    told = command("rrd", "print", tmp_path / "ours.rrd").stdout
    assert '"other"' in told
    assert '"its own"' in told
    done = command("rrd", "route", "--recording-id", "rec", "--application-id", "app", tmp_path / "in.rrd", "-o", tmp_path / "routed.rrd")
    assert done.returncode == 0, done.stderr


def test_blueprints(tmp_path):
    """A blueprint of an `.rbl` file becomes one of this application, as with Rerun."""
    blueprint = rerun.blueprint.Blueprint(rerun.blueprint.Spatial3DView(origin="/"))
    blueprint.save("another", str(tmp_path / "in.rbl"))
    for package in ("shmrerun", "rerun"):
        log(package, f"{package}.rrd", ["in.rbl"], tmp_path)
        told = command("rrd", "print", "-v", tmp_path / f"{package}.rrd").stdout
        assert '"another"' not in told
        assert "Blueprint" in told


def test_several_streams_in_one_file(tmp_path):
    """Streams that were joined to one file are all read, with or without their ends."""
    write(tmp_path / "a.rrd", count=10)
    write(tmp_path / "b.rrd", count=30)
    first, second = (tmp_path / "a.rrd").read_bytes(), (tmp_path / "b.rrd").read_bytes()
    (tmp_path / "in.rrd").write_bytes(first + second + first[:12] + second)
    log("shmrerun", "ours.rrd", ["in.rrd"], tmp_path)
    assert len(scalars(read_rows(tmp_path / "ours.rrd"), "/loss")) == 70


@pytest.mark.parametrize("cut", ["middle", "header", "message header", "end"])
def test_cut_off(tmp_path, cut):
    """Of a file that is cut off everything whole is there, and it is said where it ends."""
    write(tmp_path / "whole.rrd", count=9000)
    whole = (tmp_path / "whole.rrd").read_bytes()
    offset = {"middle": len(whole) // 2, "header": 7, "message header": 17, "end": len(whole) - 1000}[cut]
    (tmp_path / "in.rrd").write_bytes(whole[:offset])
    ended = log("shmrerun", "ours.rrd", ["in.rrd"], tmp_path)
    assert "cut off" in ended.stderr or "no RRD stream" in ended.stderr, ended.stderr
    assert "in.rrd" in ended.stderr
    if cut in ("middle", "end"):
        expected, found = read_rows(tmp_path / "whole.rrd"), read_rows(tmp_path / "ours.rrd")
        assert 0 < len(scalars(found, "/loss")) <= len(scalars(expected, "/loss"))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "it is empty"),
        (b"hello, this is no recording", "begins with b'hell'"),
        (b"RRF1" + bytes(8), "rerun rrd migrate"),
        (b"RRF2" + bytes(8) + (77).to_bytes(8, "little") + bytes(8), "no message is of kind 77"),
        (b"RRF2" + bytes(8) + (2).to_bytes(8, "little") + (1 << 62).to_bytes(8, "little") + bytes(50), "50 follow"),
        (b"RRF2" + bytes(8) + (2).to_bytes(8, "little") + (50).to_bytes(8, "little") + bytes(50), "1 messages do not decode"),
    ],
    ids=["empty", "text", "old", "kind", "length", "garbage"],
)
def test_files_that_lie(tmp_path, content, told):
    """What is no stream, or announces more than it has, gets an error; nothing of it is in the recording, and the next file is."""
    (tmp_path / "in.rrd").write_bytes(content)
    (tmp_path / "t.txt").write_text("text")
    ended = log("shmrerun", "ours.rrd", ["in.rrd", "t.txt"], tmp_path)
    assert told in ended.stderr
    assert "/pre/t.txt" in check(tmp_path / "ours.rrd")


def test_damage_in_the_middle(tmp_path):
    """One message that does not decode is left out, and said; all others are there."""
    write(tmp_path / "whole.rrd", count=9000)
    data = bytearray((tmp_path / "whole.rrd").read_bytes())
    at, sizes = 12, []
    while True:
        kind, size = (int.from_bytes(data[at + k : at + k + 8], "little") for k in (0, 8))
        if kind == 0:
            break
        sizes.append((at + 16, size, kind))
        at += 16 + size
    start, size, _ = max((entry for entry in sizes if entry[2] == 2), key=lambda entry: entry[1])
    data[start : start + size] = os.urandom(size)
    (tmp_path / "in.rrd").write_bytes(data)
    ended = log("shmrerun", "ours.rrd", ["in.rrd"], tmp_path)
    assert "1 messages do not decode" in ended.stderr
    assert "/text" in check(tmp_path / "ours.rrd")


def test_a_pipe_and_contents(tmp_path):
    """A FIFO is read as a stream, as are contents in memory."""
    write(tmp_path / "in.rrd", count=100)
    run(
        """
        import os, threading
        import shmrerun as rr
        rr.init("app", recording_id="rec", strict=True)
        rr.save("out.rrd")
        data = open("in.rrd", "rb").read()
        os.mkfifo("pipe")
        def feed():
            with open("pipe", "wb") as file:
                file.write(data)
        thread = threading.Thread(target=feed)
        thread.start()
        rr.log_file_from_path("pipe")
        thread.join()
        rr.log_file_from_contents("x.rrd", data)
        """,
        tmp_path,
    )
    assert len(scalars(read_rows(tmp_path / "out.rrd"), "/loss")) == 200


def test_the_own_file(tmp_path):
    """A recording that is told to read the file that it writes ends, with what the file had when it was asked."""
    run(
        """
        import shmrerun as rr
        rr.init("app", strict=True)
        rr.save("out.rrd")
        for step in range(100):
            rr.log("loss", rr.Scalars(step))
        rr.get_data_recording().flush()
        rr.log_file_from_path("out.rrd")
        """,
        tmp_path,
    )
    assert len(scalars(read_rows(tmp_path / "out.rrd"), "/loss")) == 200


def test_large_files_in_little_memory(tmp_path):
    """A file of many times a block is read in bounded memory, by a process of its own, while the program logs on."""
    big = rerun.RecordingStream("app", recording_id="rec")
    big.save(str(tmp_path / "in.rrd"))
    for step in range(120):
        big.set_time("step", sequence=step)
        big.log("image", rerun.Tensor(np.random.default_rng(step).integers(0, 255, 2_000_000, np.uint8)))
    big.disconnect()
    result = run(
        """
        import glob, os, resource, time
        import shmrerun as rr
        rr.init("app", recording_id="rec", strict=True)
        rr.save("out.rrd")
        rr.log_file_from_path("in.rrd")
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        most, count = 0, 0
        def importers():
            for path in glob.glob("/proc/[0-9]*/cmdline"):
                try:
                    if b"importer" in (text := open(path, "rb").read()) and b"shmrerun" in text:
                        if str(os.getpid()).encode() not in path.encode():
                            yield os.path.dirname(path)
                except OSError:
                    pass
        while rr.recording_stream.this_process().work and not rr.recording_stream.this_process().work[0].poll():
            for process in importers():
                try:
                    most = max(most, *(int(l.split()[1]) for l in open(process + "/status") if l.startswith("RssAnon")))
                except (OSError, ValueError, TypeError):
                    pass
            rr.log("loss", rr.Scalars(count))
            count += 1
            time.sleep(0.002)
        rr.get_data_recording().flush()
        print(most, count, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
        """,
        tmp_path,
        deadline=120,
    )
    most, count, grown = map(int, result.stdout.split())
    assert 0 < most < 150_000, "kB of the importer's own memory"
    assert grown < 20_000, "kB more in the program"
    rows = read_rows(tmp_path / "out.rrd")
    assert len(rows["/image"]) == 120
    assert len(scalars(rows, "/loss")) == count
