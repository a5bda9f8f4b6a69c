"""What a call asks for as a sink: opened and checked by the caller, put into the sink table, and looked at until it is known to work.

A sink that needs nobody's answer is settled when the aggregator has it. A server is settled when it listens, a viewer when it answered or
is known not to be there, which is no error: it may come later. A user's object is settled when its process has it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
import time
from typing import TYPE_CHECKING

from shmrerun.errors import AggregatorError, SinkError
from shmrerun.producer.endpoints import parse_memory, parse_url
from shmrerun.producer.files import open_file
from shmrerun.shm.launch import python_of_program
from shmrerun.shm.served import NEVER, read_why
from shmrerun.shm.session import read_sink, sinks
from shmrerun.shm.words import SINK_CONTINUE, SINK_CUSTOM, SINK_FILE, SINK_GRPC, SINK_NO_FOOTER, SINK_ODD_FILE, SINK_SERVER, SINK_STDOUT

if TYPE_CHECKING:
    from collections.abc import Callable

    from shmrerun.producer.member import Session
    from shmrerun.shm.session import Sink
    from shmrerun.sinks import CustomSink, FileSink, GrpcServerSink, GrpcSink

KNOCK_SECONDS = 1.0  # a viewer that is there takes a connection in this time
VERDICT_SECONDS = 10.0  # and shows that it is one in this
LISTEN_SECONDS = 30.0
GIVE_UP_SECONDS = 0.5  # a server that has just been closed gets so long to give its port up
CUSTOM_SECONDS = 30.0  # a user's object is unpickled in this time, its imports included; else it goes on in the background


class Wanted:
    """A sink that is asked for."""

    kind = SINK_FILE
    flags = 0
    label = ""
    text = ""  # what the sink table gets: a path, or a label and options
    fd = -1

    def is_same(self, sink: Sink) -> bool:
        """Whether an entry of the table is this very sink, so that nothing is to do in a process that does not own it."""
        return sink.kind == self.kind and sink.label == self.label

    def open(self, session: Session, *, begun: bool, own: Callable[[], set[tuple[int, int]]]) -> None:
        """Open it, or check that it can be. SinkError: it cannot; nothing has changed."""

    def settle(self, session: Session, sink: Sink) -> None:
        """Wait until it is known to work. SinkError: it never will; the rows wait for the next sink."""

    def identity(self) -> tuple[str, int, int] | None:
        """How a late process continues it: path, device and inode of a regular file."""
        return None

    def close(self) -> None:
        """Close what was opened: the aggregator has its own."""
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)

    def __del__(self) -> None:
        self.close()  # where a signal handler raised before it was


class WantedFile(Wanted):
    """A file, FIFO or device."""

    def __init__(self, sink: FileSink) -> None:
        self.label = self.text = os.path.abspath(sink.path)
        self._no_footer = 0 if sink.write_footer else SINK_NO_FOOTER
        self._identity: tuple[str, int, int] | None = None

    def is_same(self, sink: Sink) -> bool:
        """By what the path names."""
        return sink.kind == SINK_FILE and os.path.realpath(sink.path) == os.path.realpath(self.text)

    def open(self, session: Session, *, begun: bool, own: Callable[[], set[tuple[int, int]]]) -> None:
        """Create it; or, with ``begun``, go on with one that processes of the named tree began, which have ended."""
        flags = 0
        if begun and (fd := _open_begun(self.text, session)) >= 0:
            self.fd, flags = fd, SINK_CONTINUE
        else:
            self.fd, flags = open_file(self.text, own)
        self.flags = flags | self._no_footer
        found = os.fstat(self.fd)
        self._identity = None if flags & SINK_ODD_FILE else (self.text, found.st_dev, found.st_ino)

    def identity(self) -> tuple[str, int, int] | None:
        """Of a regular file."""
        return self._identity


def _open_begun(path: str, session: Session) -> int:
    """Open a file that this very recording began; -1: it is another one, or none."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
        head = os.pread(fd, 4096, 0)
    except OSError:
        return -1
    if head.startswith(b"RRF2") and all(text.encode() in head for text in (session.recording_id, session.application_id)):
        return fd
    os.close(fd)
    return -1


class WantedStdout(Wanted):
    """This process's standard output: a pipe, or a file that the shell opened."""

    flags = SINK_ODD_FILE | SINK_STDOUT
    label = text = "/dev/stdout"

    def open(self, session: Session, *, begun: bool, own: Callable[[], set[tuple[int, int]]]) -> None:
        """Check that another process can open it. SinkError: it is closed, or a socket."""
        try:
            if stat.S_ISSOCK(os.fstat(1).st_mode):
                raise OSError(errno.ENXIO, "it is a socket, which no other process can open; put `| cat` behind the program")
            os.close(os.open(f"/proc/{os.getpid()}/fd/1", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC))
            self.fd = os.dup(1)
        except OSError as error:
            raise SinkError(f"cannot write to standard output: {error.strerror}") from error

    def close(self) -> None:
        """Close the duplicate."""
        super().close()


class WantedViewer(Wanted):
    """A viewer or server to connect to."""

    kind = SINK_GRPC

    def __init__(self, sink: GrpcSink) -> None:
        import json

        host, port, tls = self._endpoint = parse_url(sink.url)
        timeout = sink.flush_timeout_sec
        if timeout is not None and timeout < 0:
            raise ValueError(f"flush_timeout_sec must not be negative, got {timeout}")
        self.label = sink.url
        self.text = f"{self.label}\n{json.dumps({'host': host, 'port': port, 'tls': tls, 'flush_timeout': timeout})}"

    def settle(self, session: Session, sink: Sink) -> None:
        """If somebody listens there, wait until it is known whether it is a viewer."""
        import socket

        try:
            socket.create_connection(self._endpoint[:2], KNOCK_SECONDS).close()
        except OSError:
            return  # nobody there yet: it is tried again and again
        _verdict(session, sink, VERDICT_SECONDS)


class WantedServer(Wanted):
    """A server that viewers connect to."""

    kind = SINK_SERVER

    def __init__(self, sink: GrpcServerSink) -> None:
        import json

        if not isinstance(sink.port, int) or not 0 <= sink.port <= 65535:
            raise ValueError(f"the port must be a number from 0 to 65535, got {sink.port!r}")
        limit = parse_memory(sink.server_memory_limit)
        self.port = sink.port
        self._host = sink.bind_ip
        self.label = sink.uri
        options = {
            "host": sink.bind_ip, "port": sink.port, "limit": limit, "keep": limit, "newest_first": sink.newest_first,
            "cors": sink.cors_allow_origin,
        }  # fmt: skip
        self.text = f"{self.label}\n{json.dumps(options)}"

    @property
    def url(self) -> str:
        """By which viewers on this machine connect."""
        host = "127.0.0.1" if self._host in ("0.0.0.0", "::") else self._host  # noqa: S104 - compared, not bound
        return f"rerun+http://{host}:{self.port}/proxy"

    def open(self, session: Session, *, begun: bool, own: Callable[[], set[tuple[int, int]]]) -> None:
        """Check that the port is free, unless the sink that is replaced has it."""
        import socket

        if self.port and any(sink.kind == SINK_SERVER and sink.value == self.port for sink in sinks(session.words)):
            return
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        deadline = time.monotonic() + GIVE_UP_SECONDS
        while True:
            try:
                with socket.socket(family) as probe:
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    probe.bind((self._host, self.port))
                    probe.listen(1)
                    return
            except OSError as error:
                if error.errno == errno.EADDRINUSE and time.monotonic() < deadline:
                    time.sleep(0.02)
                    continue
                raise SinkError(
                    f"cannot serve at {self._host}:{self.port}: {error.strerror}. Choose another port (0: any free one), or end what has it"
                ) from error

    def settle(self, session: Session, sink: Sink) -> None:
        """Wait until it listens, and learn the port."""
        self.port = _verdict(session, sink, LISTEN_SECONDS) or self.port


class WantedCustom(Wanted):
    """A user's object, pickled into a file of the tree's directory."""

    kind = SINK_CUSTOM

    def __init__(self, sink: CustomSink) -> None:
        import json

        self.label = " ".join(sink.name.split())[:200] or "custom sink"
        place = {"sys_path": [os.path.abspath(path) for path in sys.path], "cwd": os.getcwd(), "timeout": sink.timeout_sec}
        self._contents = json.dumps(place).encode() + b"\n" + _pickled(sink)
        try:
            python = python_of_program()
        except AggregatorError as error:
            raise SinkError(f"{self.label}: {error}") from None
        self._options = {"flush_timeout": sink.flush_timeout_sec, "timeout": sink.timeout_sec, "python": python}

    def open(self, session: Session, *, begun: bool, own: Callable[[], set[tuple[int, int]]]) -> None:
        """Write the file. SinkError: no room for it."""
        import json

        name = f"sink-{session.serial}-{os.urandom(8).hex()}"
        path = f"{session.tree.directory}/{name}"
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with open(fd, "wb") as file:
                file.write(self._contents)
        except OSError as error:
            with contextlib.suppress(OSError):
                os.unlink(path)
            raise SinkError(
                f"cannot keep {self.label} ({len(self._contents):,} bytes) for its process: {error.strerror} ({path})"
            ) from error
        self.text = f"{self.label}\n{json.dumps({'file': name, **self._options})}"

    def settle(self, session: Session, sink: Sink) -> None:
        """Wait until the object is there in its process."""
        _verdict(session, sink, CUSTOM_SECONDS)


def _pickled(sink: CustomSink) -> bytes:
    """A user's object as its process gets it. SinkError: it cannot be pickled."""
    import cloudpickle

    main = sys.modules.get("__mp_main__")  # in a spawned worker the program's own module, which nobody else can import
    is_new = main is not None and "__mp_main__" not in cloudpickle.list_registry_pickle_by_value()
    try:
        if is_new:
            cloudpickle.register_pickle_by_value(main)
        pickled: bytes = cloudpickle.dumps(sink.sink)
    except Exception as error:  # of any type: the object's own methods take part
        why = f"{type(error).__name__}: {error}"
        raise SinkError(
            f"{sink.name} cannot be pickled for the process that it is to work in ({why}). Open files, locks and connections in its first "
            f"write(), not before (object {type(sink.sink).__module__}.{type(sink.sink).__qualname__})"
        ) from error
    finally:
        if is_new:
            cloudpickle.unregister_pickle_by_value(main)
    return pickled


def _verdict(session: Session, sink: Sink, seconds: float) -> int:
    """Wait for the first word of whoever serves a sink, the entry's value. SinkError: it never will work; it is ended."""
    deadline = time.monotonic() + seconds
    pause = 0.001
    while time.monotonic() < deadline:
        found = read_sink(session.words, sink.slot)
        if found.number != sink.number or not found.is_active:
            return 0
        if found.value:
            return found.value
        if found.error in NEVER:
            why = read_why(session.tree.directory, session.serial, found)
            with contextlib.suppress(SinkError):
                session.drop_sink(sink)
            raise SinkError(f"{sink.label}: {why}. The rows are kept for the next sink")
        session.tree.ensure_aggregator()
        time.sleep(pause)
        pause = min(2 * pause, 0.02)
    if sink.kind == SINK_SERVER:
        why = read_why(session.tree.directory, session.serial, read_sink(session.words, sink.slot))
        raise SinkError(f"{sink.label}: the server does not begin to listen within {seconds:g} s ({why})")
    return 0
