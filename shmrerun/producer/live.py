"""The sinks that need somebody at the other end: ``connect_grpc``, ``serve_grpc``, ``stdout``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shmrerun.producer import sinks as sinking
from shmrerun.producer.active import active_stream
from shmrerun.sinks import GrpcServerSink

if TYPE_CHECKING:
    from shmrerun.producer.active import RecordingStream


def connect_grpc(
    url: str | None = None,
    *,
    flush_timeout_sec: float | None = 2.0,
    default_blueprint: Any = None,
    recording: RecordingStream | None = None,
) -> None:
    """Send the recording to a viewer or server: one connection for the whole program, what was buffered first.

    Parameters
    ----------
    url
        ``rerun+http://HOST:PORT/proxy``, ``rerun+https://`` for TLS; by default port 9876 of this machine.
    flush_timeout_sec
        Seconds without progress after which a flush, ``disconnect`` and the end of the program give up; None: a flush never does.
    default_blueprint
        A blueprint as for :func:`send_blueprint`, sent first; viewers that know the application keep what they show.
    recording
        Instead of the active recording.

    Raises
    ------
    RuntimeError, TypeError
        The URL makes no sense.
    SinkError
        (a RuntimeError) Somebody listens there who is no viewer, or whose TLS certificate is refused. The rows wait for the next sink.

    Notes
    -----
    A viewer that is not there, goes away or is started again is no error: rows are kept on disk for it (1 GiB, the oldest go first,
    and are counted), it is tried again, and a new one gets the recording from its beginning. ``log`` never waits for it. Viewers take
    every row once, whatever was sent twice. From a worker, the URL of the shared recording changes nothing; another one takes that
    process's own rows.
    """
    sinking.connect_grpc(active_stream(recording), url, flush_timeout_sec, default_blueprint)


def serve_grpc(
    *,
    grpc_port: int | None = None,
    default_blueprint: Any = None,
    recording: RecordingStream | None = None,
    server_memory_limit: str = "1GiB",
    newest_first: bool = False,
    cors_allow_origin: list[str] | None = None,
) -> str:
    """Serve the recording to viewers that connect to this program, what was logged before first. Returns the URL to connect to.

    Parameters
    ----------
    grpc_port
        Port on this machine, 9876 by default; 0: any free one, which the URL names.
    default_blueprint
        A blueprint as for :func:`send_blueprint`, which viewers get first.
    recording
        Instead of the active recording.
    server_memory_limit
        How much of the past late viewers get, ``4GB`` or ``25%`` of the memory. It is read from disk, not kept in memory.
    newest_first
        Late viewers get the past backwards.
    cors_allow_origin
        Patterns of origins from which web pages may read, beside those of this machine and rerun.io.

    Raises
    ------
    SinkError
        (a RuntimeError) The port is in use.
    RuntimeError
        The limit makes no sense.

    Notes
    -----
    Store infos, blueprints and static data come first, then what is within the limit. A viewer that reads slowly or not at all holds up
    nobody. SDKs may write into the server as well, for its viewers. Web viewers connect to the same port. Loopback only; to listen
    elsewhere, use ``set_sinks(GrpcServerSink("0.0.0.0"))``.
    """
    sink = GrpcServerSink(
        port=9876 if grpc_port is None else grpc_port,
        server_memory_limit=server_memory_limit,
        newest_first=newest_first,
        cors_allow_origin=cors_allow_origin,
    )
    return sinking.serve_grpc(active_stream(recording), sink, default_blueprint)


def stdout(default_blueprint: Any = None, recording: RecordingStream | None = None, *, write_footer: bool = True) -> None:
    """Write the recording to this process's standard output, for ``program | rerun -`` or a file.

    A terminal gets nothing: rows are buffered. SinkError: standard output is closed, or a socket. A reader that goes
    away is told once, and the rows are kept for the next sink.
    """
    del write_footer  # a stream has none
    sinking.stdout(active_stream(recording), default_blueprint)
