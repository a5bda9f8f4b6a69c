"""Real viewers and servers for the tests of live sinks, a relay that can cut and freeze connections, and chunks as messages."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import signal
import socket
import subprocess
import threading
import time

from helpers import MARK, RUN

from shmrerun import framing
from shmrerun.framing import SERVICE
from shmrerun.live.messages import from_grpc
from shmrerun.rrd import decoder, proto

RERUN = os.path.join(os.path.dirname(importlib.util.find_spec("rerun_cli").origin), "rerun")  # itself, not the script that starts it


# The beginning of a program whose forked workers log rows.
WORKERS = """
import multiprocessing, os, sys, time
import shmrerun as rr
def work(number, rows, pause=0.0):
    for i in range(rows):
        rr.set_time("step", sequence=i)
        rr.log(f"rows/{number}", rr.Scalars(i))
        if pause: time.sleep(pause)
def workers(count, rows, pause=0.0):
    found = [multiprocessing.get_context("fork").Process(target=work, args=(n, rows, pause)) for n in range(count)]
    for process in found: process.start()
    return found
"""


def free_port():
    """A port that nobody has at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def url(port):
    """The proxy URL of a port of this machine."""
    return f"rerun+http://127.0.0.1:{port}/proxy"


def answers(port):
    """Whether somebody listens."""
    try:
        socket.create_connection(("127.0.0.1", port), 0.2).close()
    except OSError:
        return False
    return True


def connections(port):
    """How many connections a port of this machine has."""
    wanted = f":{port:04X}"
    with open("/proc/net/tcp", encoding="ascii") as file:
        return sum(fields[1].endswith(wanted) and fields[3] == "01" for fields in map(str.split, file))


def wait_connections(port, count, seconds=30):
    """Wait until a port has so many."""
    deadline = time.monotonic() + seconds
    while connections(port) < count:
        assert time.monotonic() < deadline, f"{connections(port)} of {count} are connected"
        time.sleep(0.05)


@contextlib.contextmanager
def rerun(*arguments, tmp_path, port=None, stop=signal.SIGINT, seconds=40):
    """A rerun process that listens on a port; ended at the end of the block. Yields (process, port)."""
    port = port or free_port()
    log = open(f"{tmp_path}/rerun-{port}.log", "ab")  # noqa: SIM115 - closed below
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("SHMRERUN", "RERUN"))}
    process = subprocess.Popen(
        [RERUN, *map(str, arguments), "--port", str(port), "--bind", "127.0.0.1"],
        stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**environment, MARK: f"{RUN}:rerun", "RERUN_ANALYTICS": "0"},
    )  # fmt: skip
    try:
        deadline = time.monotonic() + seconds
        while not answers(port):
            assert process.poll() is None, f"rerun has ended: see {log.name}"
            assert time.monotonic() < deadline, "rerun does not listen"
            time.sleep(0.02)
        yield process, port
    finally:
        end(process, stop)
        log.close()


def end(process, how=signal.SIGINT):
    """End a process and wait for it."""
    if process.poll() is None:
        if how == signal.SIGINT:
            time.sleep(0.5)  # what it took it has yet to write
        process.send_signal(how)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(20)


def read_by_rerun(address, path, *, how="--save"):
    """Start rerun as a client of somebody else's server: ``--save`` to a path, or ``--test-receive``."""
    target = [how, str(path)] if how == "--save" else [how]
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("SHMRERUN", "RERUN"))}
    return subprocess.Popen(
        [RERUN, address, *target, "--port", str(free_port()), "--bind", "127.0.0.1"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env={**environment, MARK: f"{RUN}:rerun"},
    )  # fmt: skip


def read_by_grpc(port, path, count, seconds=20):
    """Read a server's messages as they are, by a plain gRPC client, into a file, until it has so many chunks. Returns how many came."""
    import grpc

    got = 0
    with grpc.insecure_channel(f"127.0.0.1:{port}", [("grpc.max_receive_message_length", -1)]) as channel, open(path, "wb") as file:
        file.write(b"RRF2" + bytes((0, 41, 0, 0, 1, 2, 0, 0)))
        call = channel.unary_stream(f"/{SERVICE}/ReadMessages")(b"", timeout=seconds)
        try:
            for response in call:
                message = from_grpc(response)
                file.write(message)
                got += message[0] == framing.ARROW_MSG
                if got >= count:
                    break
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.DEADLINE_EXCEEDED:
                raise
        call.cancel()
    return got


def chunks_of(path):
    """Payloads of the chunks of an .rrd, by chunk id; and how many chunk messages it has."""
    found, count = {}, 0
    with open(path, "rb") as file:
        for message in decoder.scan(file.fileno()):
            if message.kind == framing.ARROW_MSG:
                arrow = proto.ArrowMsg.FromString(decoder.read_payload(file.fileno(), message))
                found[arrow.chunk_id.time_ns, arrow.chunk_id.inc] = arrow.payload
                count += 1
    return found, count


class Relay:
    """A TCP relay to a port, whose connections can be cut or frozen."""

    def __init__(self, port):
        self._to = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._pairs = []
        self._flows = threading.Event()
        self._flows.set()
        self.connections = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                try:
                    far = socket.create_connection(("127.0.0.1", self._to))
                except OSError:
                    near.close()
                    continue
                self.connections += 1
                self._pairs.append((near, far))
                for source, target in ((near, far), (far, near)):
                    threading.Thread(target=self._copy, args=(source, target), daemon=True).start()

    def _copy(self, source, target):
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                self._flows.wait()
                target.sendall(data)
        for end_ in (source, target):
            with contextlib.suppress(OSError):
                end_.shutdown(socket.SHUT_RDWR)
        source.close()  # the target is the other direction's to close

    def cut(self):
        """Reset all connections; new ones are welcome."""
        pairs, self._pairs = self._pairs, []
        for pair in pairs:
            for end_ in pair:
                with contextlib.suppress(OSError):
                    end_.shutdown(socket.SHUT_RDWR)

    def freeze(self):
        """Carry nothing, and say nothing."""
        self._flows.clear()

    def thaw(self):
        """Go on."""
        self._flows.set()

    def close(self):
        """End it."""
        self._listener.close()
        self.thaw()
        self.cut()
