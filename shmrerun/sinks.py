"""Sinks as plain values, for ``set_sinks``: what users name, compare and pickle."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    import os

    import pyarrow as pa


class _Value:
    """Equal, hashed and pickled by its fields."""

    __slots__: tuple[str, ...] = ()

    def _fields(self) -> tuple[object, ...]:
        return tuple(getattr(self, name) for name in self.__slots__)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self._fields() == other._fields()

    def __hash__(self) -> int:
        return hash((type(self), self._fields()))


class FileSink(_Value):
    """A file as a sink for ``set_sinks``. Equal by path and flag.

    Parameters
    ----------
    path
        Of the file; ``str(path)`` is used.
    write_footer
        Whether the finished file gets the footer that random access needs.
    """

    __slots__ = ("path", "write_footer")

    def __init__(self, path: str | os.PathLike[str], *, write_footer: bool = True) -> None:
        self.path = str(path)
        self.write_footer = write_footer

    def __repr__(self) -> str:
        return f'FileSink("{self.path}", write_footer={str(self.write_footer).lower()})'


class GrpcSink(_Value):
    """A viewer or server as a sink for ``set_sinks``; see ``connect_grpc``.

    Parameters
    ----------
    url
        ``rerun+http://HOST:PORT/proxy``, ``rerun+https://`` for TLS; by default port 9876 of this machine.
    flush_timeout_sec
        Seconds without progress after which a flush, and the end of the program, give up; None: never.
    """

    __slots__ = ("flush_timeout_sec", "url")

    def __init__(self, url: str | None = None, *, flush_timeout_sec: float | None = 2.0) -> None:
        self.url = "rerun+http://127.0.0.1:9876/proxy" if url is None else url
        self.flush_timeout_sec = flush_timeout_sec

    def __repr__(self) -> str:
        return f'GrpcSink("{self.url}")'


class GrpcServerSink(_Value):
    """A server that viewers connect to, as a sink for ``set_sinks``; see ``serve_grpc``.

    Parameters
    ----------
    bind_ip
        Address to listen at; by default this machine alone (rerun-sdk listens at all of its addresses).
    port
        Port to listen at; 0: any free one.
    server_memory_limit
        How much of the past late viewers get: ``4GB``, ``1GiB``, ``25%`` of the memory. It is read from disk.
    newest_first
        Late viewers get the past backwards.
    cors_allow_origin
        Patterns of origins from which web pages may read, beside those of this machine and rerun.io.
    """

    __slots__ = ("bind_ip", "cors_allow_origin", "newest_first", "port", "server_memory_limit")

    def __init__(
        self,
        bind_ip: str = "127.0.0.1",
        port: int = 9876,
        *,
        server_memory_limit: str = "1GiB",
        newest_first: bool = False,
        cors_allow_origin: list[str] | tuple[str, ...] | None = None,
    ) -> None:
        self.bind_ip = bind_ip
        self.port = port
        self.server_memory_limit = server_memory_limit
        self.newest_first = newest_first
        self.cors_allow_origin = tuple(cors_allow_origin or ())

    @property
    def uri(self) -> str:
        """The URL by which viewers connect, as it was asked for: port 0 is not resolved."""
        return f"rerun+http://{self.bind_ip}:{self.port}/proxy"

    def __repr__(self) -> str:
        origins = ", ".join(f'"{origin}"' for origin in self.cors_allow_origin)
        return (
            f'GrpcServerSink(bind_ip="{self.bind_ip}", port={self.port}, server_memory_limit="{self.server_memory_limit}", '
            f"newest_first={str(self.newest_first).lower()}, cors_allow_origin=[{origins}])"
        )


class Batch(NamedTuple):
    """Rows of one entity, as a custom sink gets them: one chunk of the recording."""

    application_id: str
    recording_id: str
    entity_path: str
    is_static: bool
    timelines: tuple[str, ...]
    record_batch: pa.RecordBatch
    """Row ids, a column of each timeline and of each component, with Rerun's metadata."""


class _Writer(Protocol):
    """What a user's object must have to be a sink; ``flush()`` and ``close()`` are called where it has them."""

    def write(self, batch: Batch, /) -> object:
        """Take a batch."""


class CustomSink(_Value):
    """An object of yours as a sink for ``set_sinks``. Equal if it is the same object.

    The object is pickled (by cloudpickle: classes of ``__main__`` and lambdas too), and a copy of it works in a process of its own, in
    the program's directory and with its packages: ``write(batch)`` is called for each :class:`Batch`, ``flush()`` when it has all
    that was logged, ``close()`` at the end. What was changed in it there is not seen here. Promise: each batch once, unless a process
    dies; then the last may come twice.

    Parameters
    ----------
    sink
        Has ``write(batch)``, and ``flush()`` and ``close()`` if it needs them. It should open what it writes in the first ``write``.
    name
        What messages call it; by default the name of its class.
    flush_timeout_sec
        Seconds without progress after which a flush, and the end of the program, give up; None: never.
    timeout_sec
        Seconds that one call of the object's may take; None: any time. See Notes.

    Notes
    -----
    What ``write`` raises is told, once; the rows of that batch are counted, and it goes on with the next one. A process that dies is
    started again, with a new copy of the object and the batch that it had; if it dies of that again, or a call takes too long, the batch is
    passed over and counted. After five deaths in a row the sink is given up: all that follows is counted, and nothing waits for it.
    Rows that other processes log while ``close`` runs are not brought to it. What it prints is seen only in messages of errors.
    """

    __slots__ = ("flush_timeout_sec", "name", "sink", "timeout_sec")

    def __init__(
        self, sink: _Writer, *, name: str | None = None, flush_timeout_sec: float | None = 20.0, timeout_sec: float | None = 10.0
    ) -> None:
        if not self.takes(sink):
            raise TypeError(f"a custom sink needs an object with a method write(batch), got {sink!r}")
        if flush_timeout_sec is not None and flush_timeout_sec < 0:
            raise ValueError(f"flush_timeout_sec must not be negative, got {flush_timeout_sec}")
        if timeout_sec is not None and timeout_sec <= 0:
            raise ValueError(f"timeout_sec must be positive, got {timeout_sec}")
        self.sink = sink
        self.name = type(sink).__name__ if name is None else name
        self.flush_timeout_sec = flush_timeout_sec
        self.timeout_sec = timeout_sec

    @staticmethod
    def takes(sink: Any) -> bool:
        """Whether an object has what makes it a sink."""
        return not isinstance(sink, type) and callable(getattr(sink, "write", None))

    def _fields(self) -> tuple[object, ...]:
        return id(self.sink), self.name, self.flush_timeout_sec, self.timeout_sec

    def __repr__(self) -> str:
        return f"CustomSink({self.sink!r}, name={self.name!r})"
