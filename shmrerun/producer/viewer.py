"""``spawn``: a viewer in a window, and the recording to it.

At most one viewer for a port, whoever asks: a process that finds the port taken connects to whoever has it, and processes that ask at
the same time take turns. A viewer that cannot show itself is an error here, with its last words, not rows that go nowhere.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sys
import time
from typing import TYPE_CHECKING, Any

from shmrerun.errors import SinkError, say
from shmrerun.producer.active import active_stream
from shmrerun.producer.companion import Companion
from shmrerun.producer.executable import find_viewer, is_given
from shmrerun.producer.live import connect_grpc
from shmrerun.producer.ports import answers, check_port, proxy_url
from shmrerun.producer.process import is_inheriting
from shmrerun.producer.sinks import FORCE_SAVE, _ignored
from shmrerun.shm import places
from shmrerun.shm.words import SINK_FILE, SINK_SPOOL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shmrerun.producer.stream import Stream

_START_SECONDS = 30.0  # for a viewer to listen
_SETTLE_SECONDS = 1.0  # it listens before it has a window: without a display it ends 0.1 to 1 s later
_DISPLAYS = ("DISPLAY", "WAYLAND_DISPLAY", "WAYLAND_SOCKET")
_INSTEAD = (
    "Set DISPLAY to that of a running display; or show the recording in a browser: rr.serve_web(); or in a viewer on another machine: "
    "rr.connect_grpc(url); or keep it: rr.save(path)"
)


def spawn(
    *,
    port: int = 9876,
    connect: bool = True,
    memory_limit: str = "75%",
    server_memory_limit: str = "1GiB",
    hide_welcome_screen: bool = False,
    detach_process: bool = True,
    executable_name: str = "rerun",
    executable_path: str | None = None,
    default_blueprint: Any = None,
    recording: Any = None,
) -> None:
    """Start a viewer on this machine and send the recording to it.

    Parameters
    ----------
    port
        That the viewer listens on, for connections from this machine only. If something listens there already, no viewer is started.
    connect
        False: only start it; call :func:`connect_grpc` later.
    memory_limit, server_memory_limit
        When the viewer, and the server in it, begin to drop the oldest data: ``"16GB"``, or ``"50%"`` of the machine's memory.
    hide_welcome_screen
        Hide the viewer's welcome screen.
    detach_process
        True: the viewer outlives the program, and Ctrl-C does not reach it. False: it ends with the program's last process.
    executable_name
        Of the viewer, looked for on ``PATH``, and then in an installed rerun-sdk.
    executable_path
        The viewer's file, instead of any search. The environment variable ``RERUN_CLI_PATH`` does the same.
    default_blueprint
        For :func:`connect_grpc`.
    recording
        Instead of the active recording.

    Raises
    ------
    SinkError
        (a RuntimeError) There is no viewer, no display for it, or it ended; then with its exit code and its last lines.

    Notes
    -----
    About 1.3 s: a viewer listens before it is known whether it can show anything. In a worker whose recording goes to a viewer already,
    nothing is started. A no-op with ``_RERUN_TEST_FORCE_SAVE`` set, and while multiprocessing runs a module's top level again in a child.
    """
    check_port(port, "port")
    if os.environ.get(FORCE_SAVE) or is_inheriting():
        return
    stream = active_stream(recording)
    if stream is None or not stream.enabled():
        _ignored("spawn")
        return
    if not has_viewer(stream):
        start_viewer(
            port,
            memory_limit=memory_limit,
            server_memory_limit=server_memory_limit,
            hide_welcome_screen=hide_welcome_screen,
            detached=detach_process,
            name=executable_name,
            path=executable_path,
        )
    if connect:
        connect_grpc(proxy_url(port), default_blueprint=default_blueprint, recording=recording)


def start_viewer(
    port: int,
    *,
    memory_limit: str,
    server_memory_limit: str = "1GiB",
    hide_welcome_screen: bool,
    detached: bool,
    name: str = "rerun",
    path: str | None = None,
) -> None:
    """Start a viewer unless something listens on the port; see :func:`spawn`."""
    arguments = [f"--port={port}", "--bind=127.0.0.1", f"--memory-limit={memory_limit}", f"--server-memory-limit={server_memory_limit}"]
    arguments += ["--expect-data-soon", *(["--hide-welcome-screen"] if hide_welcome_screen else [])]
    with _one_at_a_time(port):
        if answers(port):
            say(f"something listens on port {port} already, a viewer most likely: none is started")
        else:
            _start(arguments, port, name, path, detached=detached)


def has_viewer(stream: Stream) -> bool:
    """Whether the recording is another process's, and goes to a viewer or a server already."""
    session = stream.live()
    sink = session.active_sink() if session is not None and not session.may_set_sink() else None
    return sink is not None and sink.kind not in (SINK_FILE, SINK_SPOOL)


@contextlib.contextmanager
def _one_at_a_time(port: int) -> Iterator[None]:
    """Processes of this user that would start a viewer take turns: the second finds the first one's listening. Waits a bounded time.

    A lock on this user's runtime directory itself, so that no file is left; all ports share it.
    """
    try:
        lock = os.open(places.runtime_directory(), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        yield
        return
    try:
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                time.sleep(0.02)
        else:
            say(f"another process has been starting a viewer for long; starting one on port {port} all the same")
        yield
    finally:
        with contextlib.suppress(OSError):
            fcntl.flock(lock, fcntl.LOCK_UN)  # also where a child forked meanwhile holds the descriptor
        os.close(lock)


def _start(arguments: list[str], port: int, name: str, path: str | None, *, detached: bool) -> None:
    """Start a viewer and watch it until it is known to stay."""
    program = find_viewer(name, path)
    if sys.platform == "linux" and not is_given(path) and not any(os.environ.get(variable) for variable in _DISPLAYS):
        raise SinkError(f"The viewer needs a display, and none of {', '.join(_DISPLAYS)} is set. {_INSTEAD}")
    viewer = Companion([program, *arguments], own_group=detached, variables={"RERUN_APP_ONLY": "true"})
    try:
        begun = time.monotonic()
        while (code := viewer.ended(0.02)) is None and not answers(port):
            if time.monotonic() - begun > _START_SECONDS:
                raise SinkError(f"The viewer does not listen on port {port} after {_START_SECONDS:.0f} s: {viewer.last_lines()}")
        if code is None:
            code = viewer.ended(_SETTLE_SECONDS)
        if code is not None:
            if answers(port):  # somebody else was faster
                say(f"something else listens on port {port} now, a viewer most likely: ours has ended")
                viewer.forget()
                return
            raise SinkError(f"The viewer ended with exit code {code}: {viewer.last_lines()}. {_INSTEAD}")
    except BaseException:
        viewer.end()
        raise
    if detached:
        viewer.leave()
    else:
        viewer.keep()
        _attached.append(viewer)


_attached: list[Companion] = []  # viewers that end with this program: their descriptors stay open, in forked children too
