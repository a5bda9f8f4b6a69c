"""``serve_grpc`` to real clients: the past and the present, stalled readers, guests that write, browsers' protocol."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import struct
import subprocess
import threading
import time

import grpc
import pytest
from helpers import read_rows, run, scalars, start
from helpers_live import WORKERS, chunks_of, end, free_port, read_by_grpc, read_by_rerun, url, wait_connections

from shmrerun.framing import SERVICE
from shmrerun.testing import load

SERVER = (
    WORKERS
    + """
def until(name):
    while not os.path.exists(name): time.sleep(0.02)
def say(text):
    print(text, flush=True)
"""
)


def wait_for(program, text):
    """Until a program has printed a text."""
    while text not in program.output()[0]:
        assert program.process.poll() is None, program.output()
        time.sleep(0.02)


def release(tmp_path, name="go"):
    """Let a program go on that waits for a file."""
    (tmp_path / name).touch()


def test_early_and_late_readers(tmp_path):
    """Each gets every chunk of the log, byte for byte; Rerun's own client ends well; the program's end waits for who still reads."""
    port = free_port()
    program = start(
        SERVER
        + f"""
rr.init("live"); rr.log("before", rr.Scalars(1))
assert rr.serve_grpc(grpc_port={port}) == "{url(port)}"
say("serves"); until("go")
rr.log("static", rr.TextDocument("x"), static=True)
for process in workers(4, 300): process.join()
rr.get_global_data_recording().flush(); say("logged"); until("end")
rr.log("last", rr.Scalars(2))
""",
        tmp_path,
    )
    wait_for(program, "serves")
    early = read_by_rerun(url(port), tmp_path / "early.rrd")
    receive = read_by_rerun(url(port), None, how="--test-receive")
    wait_connections(port, 2)
    release(tmp_path)
    wait_for(program, "logged")
    late = read_by_rerun(url(port), tmp_path / "late.rrd")
    wait_connections(port, 3)
    time.sleep(0.5)
    release(tmp_path, "end")
    program.wait()
    try:
        assert receive.wait(30) == 0, receive.stdout.read()
    finally:
        for process in (early, late, receive):
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)  # it ends by itself when the server has ended
            end(process, signal.SIGTERM)
            process.stdout.close()
    for name in ("early", "late"):
        rows = read_rows(tmp_path / f"{name}.rrd")
        for number in range(4):
            assert sorted(scalars(rows, f"/rows/{number}")) == list(range(300)), name
        assert (scalars(rows, "/before"), scalars(rows, "/last"), len(rows["/static"])) == ([1], [2], 1)


def test_port_in_use(tmp_path):
    """An error in the caller that says what to do; the sink before goes on."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = run(
            f"""
import shmrerun as rr
rr.init("live"); rr.save("out.rrd"); rr.log("rows", rr.Scalars(1))
for call in (lambda: rr.serve_grpc(grpc_port={port}), lambda: rr.set_sinks(rr.GrpcServerSink(port={port}))):
    try:
        call()
    except RuntimeError as error:
        print(error)
try:
    rr.serve_grpc(grpc_port=0, server_memory_limit="lots")
except RuntimeError as error:
    print(error)
rr.log("rows", rr.Scalars(2))
""",
            tmp_path,
        )
    first, second, third = result.stdout.splitlines()
    assert f"127.0.0.1:{port}: Address already in use" in first == second
    assert third.startswith("Bad server_memory_limit")
    assert scalars(read_rows(tmp_path / "out.rrd"), "/rows") == [1, 2]


def test_any_free_port(tmp_path):
    """Port 0 is resolved; a second server has another one; the same port again after `disconnect`."""
    result = run(
        """
import shmrerun as rr
rr.init("live")
first = rr.serve_grpc(grpc_port=0)
other = rr.RecordingStream("other")
second = other.serve_grpc(grpc_port=0)
assert first != second
rr.disconnect()
port = int(first.split(":")[2].split("/")[0])
assert rr.serve_grpc(grpc_port=port) == first
assert rr.serve_grpc(grpc_port=port) == first
print(first)
""",
        tmp_path,
    )
    assert result.stdout.startswith("rerun+http://127.0.0.1:")
    assert result.stderr == ""


def test_guests_may_write(tmp_path):
    """A real SDK writes into our server; readers get its recording as well as ours."""
    port = free_port()
    program = start(
        SERVER
        + f"""
rr.init("live"); rr.serve_grpc(grpc_port={port}); rr.log("ours", rr.Scalars(1)); rr.get_global_data_recording().flush()
say("serves"); until("go")
""",
        tmp_path,
    )
    wait_for(program, "serves")
    import rerun

    guest = rerun.RecordingStream("guest", recording_id="guest")
    guest.connect_grpc(url(port))
    for i in range(500):
        guest.set_time("step", sequence=i)
        guest.log("theirs", rerun.Scalars(i))
    guest.flush()
    guest.disconnect()
    reader = read_by_rerun(url(port), tmp_path / "got.rrd")
    wait_connections(port, 1)
    time.sleep(1)
    release(tmp_path)
    program.wait()
    with contextlib.suppress(subprocess.TimeoutExpired):
        reader.wait(10)
    end(reader, signal.SIGTERM)
    reader.stdout.close()
    rows = _all_rows(tmp_path / "got.rrd")
    assert sorted(rows["/theirs"]) == list(range(500))
    assert rows["/ours"] == [1]


def test_guests_beyond_the_limit(tmp_path):
    """What others wrote first makes room for what they write later; static data stay. All get written, nobody is refused."""
    port = free_port()
    program = start(
        SERVER + f"""rr.init("live"); rr.serve_grpc(grpc_port={port}, server_memory_limit="1MB"); say("serves"); until("go")""", tmp_path
    )
    wait_for(program, "serves")
    import numpy as np
    import rerun

    with rerun.RecordingStream("guest", recording_id="guest") as guest:
        guest.connect_grpc(url(port))
        guest.log("static", rerun.TextDocument("first, and there to the end"), static=True)
        for i in range(60):
            guest.set_time("step", sequence=i)
            guest.log("blob", rerun.AnyValues(data=np.random.default_rng(i).integers(0, 255, 100_000, np.uint8)))
            guest.flush()
        guest.disconnect()
    read_by_grpc(port, tmp_path / "got.rrd", 100, seconds=3)
    steps = _steps(tmp_path / "got.rrd")
    assert steps == list(range(60 - len(steps), 60))
    assert 8 <= len(steps) <= 10
    assert "/static" in _paths(tmp_path / "got.rrd")
    release(tmp_path)
    program.wait()


def _all_rows(path):
    """Scalars by entity, of all stores of a file."""
    from shmrerun.rrd import decoder

    found = {}
    for _, _, batch in decoder.batches(str(path)):
        entity = batch.schema.metadata[b"rerun:entity_path"].decode()
        if "Scalars:scalars" in batch.schema.names:
            found.setdefault(entity, []).extend(int(value[0]) for value in batch.column("Scalars:scalars").to_pylist() if value)
    return found


def test_a_stalled_reader_holds_up_nobody(tmp_path):
    """One that asks and then reads nothing: neither rows, nor flushes, nor other readers notice."""
    port = free_port()
    program = start(
        SERVER
        + f"""
import numpy as np
rr.init("live"); rr.serve_grpc(grpc_port={port})
say("serves"); until("go")
for i in range(60):
    rr.set_time("step", sequence=i)
    rr.log("image", rr.Image(np.random.randint(0, 255, (480, 640, 3), np.uint8)))
began = time.monotonic(); rr.get_global_data_recording().flush()
say(f"flushed in {{time.monotonic() - began:.1f}} {{rr.get_global_data_recording()._stream.session.words.chunks}}")
until("end")
""",
        tmp_path,
    )
    wait_for(program, "serves")
    stalled = socket.create_connection(("127.0.0.1", port))
    stalled.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    request = f"POST /{SERVICE}/ReadMessages HTTP/1.1\r\nhost: x\r\ncontent-type: application/grpc-web+proto\r\ncontent-length: 5\r\n\r\n"
    stalled.sendall(request.encode() + bytes(5))
    time.sleep(0.3)
    release(tmp_path)
    wait_for(program, "flushed")
    chunks = int(program.output()[0].split()[-1])
    assert read_by_grpc(port, tmp_path / "got.rrd", chunks) == chunks
    assert len(read_rows(tmp_path / "got.rrd")["/image"]) == 60
    began = time.monotonic()
    release(tmp_path, "end")
    program.wait()
    assert time.monotonic() - began < 15 * load()
    stalled.close()


def _web(port, method, path, headers, body=b""):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request(method, path, body, headers)
    return connection, connection.getresponse()


def test_the_protocol_of_browsers(tmp_path):
    """Preflight, stream, trailers and refusals, on the port of native clients; origins as Rerun allows them."""
    port = free_port()
    program = start(
        SERVER
        + f"""
rr.init("live"); rr.serve_grpc(grpc_port={port}, cors_allow_origin=["https://*.example.com"])
for i in range(10): rr.log("rows", rr.Scalars(i))
rr.get_global_data_recording().flush()
say("serves"); until("go")
""",
        tmp_path,
    )
    wait_for(program, "serves")
    path = f"/{SERVICE}/ReadMessages"
    for origin, allowed in (
        ("http://127.0.0.1:9090", True), ("http://localhost", True), ("https://rerun.io", True), ("https://a.example.com", True),
        ("https://evil.com", False), ("https://rerun.io.evil.com", False), ("http://localhost.evil.com:80", False),
    ):  # fmt: skip
        asked = {"Origin": origin, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type,x-grpc-web"}
        connection, answer = _web(port, "OPTIONS", path, asked)
        assert answer.status == 200
        assert answer.getheader("access-control-allow-origin") == (origin if allowed else None), origin
        connection.close()
    headers = {"Content-Type": "application/grpc-web+proto", "X-Grpc-Web": "1", "Origin": "http://localhost:1"}
    connection, answer = _web(port, "POST", path, headers, bytes(5))
    assert answer.status == 200
    assert answer.getheader("content-type") == "application/grpc-web+proto"
    kinds = []
    for _ in range(3):
        flag, size = struct.unpack(">BI", answer.read(5))
        kinds.append((flag, answer.read(size)[:1]))
    assert kinds == [(0, b"\n")] * 3
    unknown, refused = _web(port, "POST", f"/{SERVICE}/WriteTable", headers, bytes(5))
    assert (refused.status, refused.getheader("grpc-status")) == (200, "12")
    unknown.close()
    page, plain = _web(port, "GET", "/", {})
    assert plain.status == 400
    page.close()
    release(tmp_path)
    rest = answer.read()
    assert rest.endswith(b"grpc-status:0\r\n")
    connection.close()
    program.wait()
    for garbage in (b"", b"PRI ", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(100), b"\x16\x03\x01" * 50):
        with pytest.raises(OSError), socket.create_connection(("127.0.0.1", port), 1) as odd:
            odd.sendall(garbage)


def test_limit_and_order_of_the_past(tmp_path):
    """Late readers get store infos, static data, and of the rest what is within the limit; or the newest first."""
    port, backwards = free_port(), free_port()
    program = start(
        SERVER
        + f"""
import numpy as np
rr.init("live")
rr.set_sinks(rr.FileSink("log.rrd"), rr.GrpcServerSink(port={port}, server_memory_limit="1MB"),
             rr.GrpcServerSink(port={backwards}, newest_first=True))
rec = rr.get_global_data_recording()
for i in range(20):
    rr.set_time("step", sequence=i)
    rr.log("blob", rr.AnyValues(data=np.random.randint(0, 255, 100_000, np.uint8)))
    rec.flush()
rr.log("static", rr.TextDocument("late, and first all the same"), static=True)
rec.flush()
say("serves"); until("go")
""",
        tmp_path,
    )
    wait_for(program, "serves")
    whole, _ = chunks_of(tmp_path / "log.rrd")
    count = read_by_grpc(port, tmp_path / "limited.rrd", len(whole), seconds=2)
    got, _ = chunks_of(tmp_path / "limited.rrd")
    assert 8 <= count <= 13
    assert set(got) < set(whole)
    assert [row for row in _paths(tmp_path / "limited.rrd") if row == "/static"] == ["/static"]
    assert _paths(tmp_path / "limited.rrd").index("/static") <= 1
    assert read_by_grpc(backwards, tmp_path / "backwards.rrd", len(whole)) == len(whole)
    steps = _steps(tmp_path / "backwards.rrd")
    assert steps == sorted(steps, reverse=True)
    assert len(steps) == 20
    release(tmp_path)
    program.wait()


def _paths(path):
    from shmrerun.rrd import decoder

    return [batch.schema.metadata[b"rerun:entity_path"].decode() for _, _, batch in decoder.batches(str(path))]


def _steps(path):
    from shmrerun.rrd import decoder

    return [s for _, _, batch in decoder.batches(str(path)) if "step" in batch.schema.names for s in batch.column("step").to_pylist()]


def test_kills_of_aggregator_and_worker(tmp_path):
    """The server comes back on its port; a new reader gets every row."""
    port = free_port()
    program = start(
        SERVER
        + f"""
import signal
from shmrerun.shm.served import LIVE_BYTE
rr.init("live"); rr.serve_grpc(grpc_port={port})
tree = rr.get_global_data_recording()._stream.session.tree
processes = workers(2, 1000, 0.001)
for turn in range(4):
    time.sleep(0.3)
    pid = tree.words.aggregator_pid if turn % 2 else tree.lock_holder(LIVE_BYTE)
    if pid > 0: os.kill(pid, signal.SIGKILL)
for process in processes: process.join()
rr.get_global_data_recording().flush()
say("logged"); until("go")
""",
        tmp_path,
    )
    wait_for(program, "logged")
    deadline = time.monotonic() + 20
    rows = {}
    while time.monotonic() < deadline and len(set(rows.get("/rows/1", ()))) < 1000:
        try:
            read_by_grpc(port, tmp_path / "got.rrd", 1 << 30, seconds=2)
        except grpc.RpcError:  # it is not back yet
            time.sleep(0.2)
        rows = _all_rows(tmp_path / "got.rrd")
    for number in range(2):
        assert sorted(rows[f"/rows/{number}"]) == list(range(1000))
    release(tmp_path)
    program.wait()


def test_reading_costs_no_memory(tmp_path):
    """A past of 200 MB, and three late readers: the live worker stays small."""
    port = free_port()
    program = start(
        SERVER
        + f"""
import numpy as np
from shmrerun.shm.served import LIVE_BYTE
rr.init("live"); rr.serve_grpc(grpc_port={port})
image = np.random.randint(0, 255, (480, 640, 3), np.uint8)
for i in range(220):
    rr.set_time("step", sequence=i); rr.log("image", rr.Image(image))
rr.get_global_data_recording().flush()
say(f"serves {{rr.get_global_data_recording()._stream.session.words.chunks}} "); until("go")
tree = rr.get_global_data_recording()._stream.session.tree
for line in open(f"/proc/{{tree.lock_holder(LIVE_BYTE)}}/status"):
    if line.startswith("VmHWM"): say("peak " + line.split()[1])
""",
        tmp_path,
        deadline=90,
    )
    wait_for(program, "serves")
    chunks = int(program.output()[0].split()[1])
    counts = []
    readers = [
        threading.Thread(target=lambda n=n: counts.append(read_by_grpc(port, tmp_path / f"{n}.rrd", chunks, seconds=40))) for n in range(3)
    ]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    assert counts == [chunks] * 3
    release(tmp_path)
    result = program.wait()
    peak = int(result.stdout.partition("peak ")[2].split()[0])
    assert peak < 100_000, f"{peak} kB"
    assert os.path.getsize(tmp_path / "0.rrd") > 200_000_000
