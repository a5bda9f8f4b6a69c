"""``connect_grpc`` to real viewers: every row arrives, also when they are late, killed, cut off or frozen."""

from __future__ import annotations

import http.server
import signal
import threading
import time

import pytest
from helpers import check, read_rows, run, scalars, start
from helpers_live import WORKERS, Relay, chunks_of, end, free_port, read_by_grpc, rerun, url

from shmrerun.testing import load


def assert_all(path, count, rows):
    """A file that rerun saved has all rows of all workers, each once."""
    found = read_rows(path)
    for number in range(count):
        assert sorted(scalars(found, f"/rows/{number}")) == list(range(rows)), number
    return found


def test_workers_to_a_real_server(tmp_path):
    """One connection for the tree: what was logged before, by four workers, and after; a file has the same chunks byte for byte."""
    with rerun("--serve-grpc", tmp_path=tmp_path) as (_, port):
        result = run(
            WORKERS
            + f"""
rr.init("live"); rr.log("before", rr.Scalars(1))
rr.set_sinks(rr.FileSink("log.rrd"), rr.GrpcSink("{url(port)}"))
for process in workers(4, 500): process.join()
rr.get_global_data_recording().flush()
rr.log("after", rr.Scalars(2))
""",
            tmp_path,
        )
        assert result.stderr == ""
        log, _ = chunks_of(tmp_path / "log.rrd")
        got = read_by_grpc(port, tmp_path / "got.rrd", len(log))
    assert got == len(log)  # none twice
    assert chunks_of(tmp_path / "got.rrd")[0] == log
    rows = assert_all(tmp_path / "got.rrd", 4, 500)
    assert (scalars(rows, "/before"), scalars(rows, "/after")) == ([1], [2])
    check(tmp_path / "log.rrd")


def test_nobody_there(tmp_path):
    """Nothing blocks, a flush says what is wrong in time, the program ends in time, and what it costs is counted and said."""
    port = free_port()
    result = run(
        f"""
import time
import shmrerun as rr
from shmrerun.testing import load
rr.init("live")
began = time.monotonic()
rr.connect_grpc("{url(port)}", flush_timeout_sec=1.0)
assert time.monotonic() - began < 5 * load()  # at most the start of an aggregator
for i in range(1000): rr.log("rows", rr.Scalars(i))
recording = rr.get_global_data_recording()
for timeout, error in ((0.3, "timed out"), (30, "refused")):
    began = time.monotonic()
    try:
        recording.flush(timeout_sec=timeout)
    except RuntimeError as found:
        assert error in str(found), found
    else:
        raise AssertionError("it says that all is there")
    took = time.monotonic() - began
    assert took < min(timeout, 1) + 5 * load(), took
print("ends")
""",
        tmp_path,
    )
    assert result.stdout.strip() == "ends"
    assert "refused" in result.stderr
    assert result.seconds < 15 * load()


@pytest.mark.parametrize("how", ["exit", "disconnect", "init", "delete"])
def test_what_no_viewer_took_is_said_with_its_number(tmp_path, how):
    """Seen: after `disconnect`, or of a stream that was deleted, not a word; else how many bytes, and not how many rows."""
    result = run(
        f"""
import sys
import shmrerun as rr
rec = rr.RecordingStream("live", make_default=True)
rr.set_sinks(rr.GrpcSink("{url(free_port())}", flush_timeout_sec=0.5))
for i in range(40): rec.log("rows", rr.Scalars(i))
how = sys.argv[1]
if how in ("disconnect", "delete"): rec.disconnect()
if how == "init": rr.init("another")
if how == "delete":
    rr.set_global_data_recording(rr.RecordingStream("another"))
    del rec
    print("deleted", file=sys.stderr)
""",
        tmp_path, arguments=(how,),
    )  # fmt: skip
    told = [line for line in result.stderr.splitlines() if "40 rows" in line]
    assert len(told) == 1, result.stderr
    if how == "delete":
        assert result.stderr.index("40 rows") < result.stderr.index("deleted")


def test_a_late_viewer_gets_everything(tmp_path):
    """Rows are kept for a viewer that is not there yet; `flush` without a limit of the sink's waits for it."""
    port = free_port()
    program = start(
        WORKERS
        + f"""
rr.init("live"); rr.connect_grpc("{url(port)}", flush_timeout_sec=None)
for process in workers(2, 300): process.join()
print("logged", flush=True)
rr.get_global_data_recording().flush()
""",
        tmp_path,
    )
    while "logged" not in program.output()[0]:
        time.sleep(0.05)
        assert program.process.poll() is None, program.output()
    with rerun("--save", tmp_path / "got.rrd", tmp_path=tmp_path, port=port) as (process, _):
        program.wait()
        end(process)
    assert_all(tmp_path / "got.rrd", 2, 300)


def test_a_viewer_that_is_started_again_gets_everything(tmp_path):
    """Killed under load, started again: the new one has every row, from the beginning."""
    port = free_port()
    code = (
        WORKERS
        + f"""
rr.init("live"); rr.connect_grpc("{url(port)}", flush_timeout_sec=30)
processes = workers(2, 1500, 0.002)
time.sleep(0.3); print("running", flush=True)
for process in processes: process.join()
rr.get_global_data_recording().flush()
"""
    )
    with rerun("--save", tmp_path / "first.rrd", tmp_path=tmp_path, port=port) as (process, _):
        program = start(code, tmp_path)
        while "running" not in program.output()[0]:
            time.sleep(0.05)
            assert program.process.poll() is None, program.output()
        time.sleep(0.7)
        end(process, signal.SIGKILL)
    time.sleep(0.5)
    with rerun("--save", tmp_path / "second.rrd", tmp_path=tmp_path, port=port) as (process, _):
        program.wait()
        end(process)
    assert_all(tmp_path / "second.rrd", 2, 1500)


def test_cut_and_frozen_connections(tmp_path):
    """The same viewer goes on with what it has: nothing is missing, and little is sent twice, with the same ids."""
    with rerun("--save", tmp_path / "got.rrd", tmp_path=tmp_path) as (process, port):
        relay = Relay(port)
        program = start(
            WORKERS
            + f"""
rr.init("live"); rr.set_sinks(rr.FileSink("log.rrd"), rr.GrpcSink("{url(relay.port)}", flush_timeout_sec=40))
processes = workers(2, 1000, 0.003)
print("running", flush=True)
for process in processes: process.join()
rr.get_global_data_recording().flush()
""",
            tmp_path,
            deadline=90,
        )
        while "running" not in program.output()[0]:
            time.sleep(0.05)
            assert program.process.poll() is None, program.output()
        for _ in range(3):
            time.sleep(0.4)
            relay.cut()
        time.sleep(0.5)
        relay.freeze()
        time.sleep(12)  # keepalive finds it after 10 s
        relay.thaw()
        relay.cut()
        program.wait()
        end(process)
        relay.close()
    log, _ = chunks_of(tmp_path / "log.rrd")
    got, count = chunks_of(tmp_path / "got.rrd")
    assert set(got) == set(log)
    assert count - len(got) < 200
    check(tmp_path / "log.rrd")


@pytest.mark.parametrize(
    "bad", ["http://127.0.0.1:1/proxy", "rerun+http://127.0.0.1:9876", "nonsense", "rerun+http://127.0.0.1:99999/proxy"]
)
def test_a_bad_url_is_an_error_in_the_caller(tmp_path, bad):
    """Whatever the strict mode; nothing changes."""
    result = run(
        f"""
import shmrerun as rr
rr.init("live"); rr.save("out.rrd")
try:
    rr.connect_grpc({bad!r})
except RuntimeError as error:
    print(error)
try:
    rr.connect_grpc(5)
except TypeError as error:
    print(error)
rr.log("rows", rr.Scalars(1))
""",
        tmp_path,
    )
    assert f'invalid endpoint "{bad}"' in result.stdout
    assert scalars(check(tmp_path / "out.rrd"), "/rows") == [1]


class _Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


def test_somebody_else_listens(tmp_path):
    """A web server, or one that wants no TLS, is an error in the caller; the rows go to the next sink."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        result = run(
            f"""
import time
import shmrerun as rr
rr.init("live"); rr.log("rows", rr.Scalars(1))
for url in ("rerun+https://127.0.0.1:{server.server_address[1]}/proxy",):
    try:
        rr.connect_grpc(url)
    except RuntimeError as error:
        print(error)
rr.log("rows", rr.Scalars(2))
rr.save("out.rrd")
""",
            tmp_path,
        )
    finally:
        server.shutdown()
        server.server_close()
    assert "rerun+https://127.0.0.1" in result.stdout
    assert sorted(scalars(check(tmp_path / "out.rrd"), "/rows")) == [1, 2]


def test_kills_of_aggregator_and_worker(tmp_path):
    """Each is killed several times under load: the viewer gets every row."""
    with rerun("--save", tmp_path / "got.rrd", tmp_path=tmp_path) as (process, port):
        result = run(
            WORKERS
            + f"""
import signal
rr.init("live"); rr.connect_grpc("{url(port)}", flush_timeout_sec=30)
tree = rr.get_global_data_recording()._stream.session.tree
from shmrerun.shm.served import LIVE_BYTE
processes = workers(2, 3000, 0.001)
killed = [0, 0]
for turn in range(6):
    time.sleep(0.35)
    pid = tree.words.aggregator_pid if turn % 2 else tree.lock_holder(LIVE_BYTE)
    if pid > 0:
        os.kill(pid, signal.SIGKILL); killed[turn % 2] += 1
for process in processes: process.join()
rr.get_global_data_recording().flush()
print(*killed)
""",
            tmp_path,
            deadline=90,
        )
        end(process)
    assert all(int(count) > 0 for count in result.stdout.split())
    got, _ = chunks_of(tmp_path / "got.rrd")
    assert len(got) > 0
    rows = read_rows(tmp_path / "got.rrd")
    for number in range(2):
        assert set(scalars(rows, f"/rows/{number}")) == set(range(3000))


def test_the_same_viewer_from_workers(tmp_path):
    """A worker that connects to the viewer of the shared recording changes nothing; `disconnect` and back loses nothing."""
    with rerun("--save", tmp_path / "got.rrd", tmp_path=tmp_path) as (process, port):
        run(
            WORKERS
            + f"""
rr.init("live"); rr.connect_grpc("{url(port)}")
def connected(number):
    rr.connect_grpc("{url(port)}")
    work(number, 100)
found = [multiprocessing.get_context("fork").Process(target=connected, args=(n,)) for n in range(2)]
for process in found: process.start()
for process in found: process.join(); assert process.exitcode == 0
rr.disconnect()
rr.log("between", rr.Scalars(7))
rr.connect_grpc("{url(port)}")
rr.log("after", rr.Scalars(8))
""",
            tmp_path,
        )
        end(process)
    rows = assert_all(tmp_path / "got.rrd", 2, 100)
    assert (scalars(rows, "/between"), scalars(rows, "/after")) == ([7], [8])


def test_no_descriptor_or_process_is_left(tmp_path):
    """A program that connects again and again leaves no more behind than one that does it once."""
    with rerun("--serve-grpc", tmp_path=tmp_path) as (_, port):
        result = run(
            f"""
import os
import shmrerun as rr
rr.init("live")
def descriptors(): return len(os.listdir("/proc/self/fd"))
for n in range(12):
    rr.connect_grpc("{url(port)}"); rr.log("rows", rr.Scalars(n)); rr.disconnect()
    if n == 2: before = descriptors()
print(descriptors() - before)
""",
            tmp_path,
        )
    assert result.stdout.strip() == "0"
