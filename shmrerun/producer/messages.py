"""Ready-made messages of an ``.rrd`` stream as rows: blueprints, and whatever else was encoded before it comes here.

A record of the lane holds one or several whole messages, which the aggregator writes as they are. So they have what rows have: they
are safe when the call returns, from any process, and are in the file once. The format is imported by the first call that needs it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from shmrerun import _core
from shmrerun.framing import split_messages
from shmrerun.model.parts import Column, ColumnSet
from shmrerun.producer.process import is_inheriting
from shmrerun.shm.words import ROW_MESSAGE, ROW_STATIC, ROW_UNCOUNTED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shmrerun.producer.stream import Stream

RECORD_BYTES = 16 << 20  # messages that are more than this together go into several records
_PATH = b"/__messages"  # names such rows where they are spoken of; it is in no file
_COLUMNS = (Column("message", None, None, "binary"),)
_FLAGS = ROW_STATIC | ROW_UNCOUNTED | ROW_MESSAGE


def send_messages(stream: Stream, data: bytes) -> None:
    """Log framed messages, one behind the other, as they are.

    Parameters
    ----------
    stream
        Of the recording whose file they go into. They may be of any store.
    data
        Store infos, chunks and blueprint activations, each a header of 16 bytes and its payload.

    Raises
    ------
    ValueError
        The data are no such messages: says where, and what is there. Nothing was logged.

    Notes
    -----
    Safe when it returns; all that fit in 16 MB together are in the file together, or not at all. Order is kept. Each record counts
    as a row. Costs one copy.
    """
    columns = ColumnSet(_COLUMNS)
    columns.id = columns.id or _core.columns(columns.definition)
    path = _core.path(_PATH)
    for record in list(_records(data)):
        offsets = (0).to_bytes(4, "little") + len(record).to_bytes(4, "little")
        stream.append(path, columns.id, (1, None, offsets, record), _FLAGS)
    stream._look()


def _records(data: bytes) -> Iterator[memoryview]:
    """The messages in runs of at most ``RECORD_BYTES``; a larger one by itself."""
    view = memoryview(data)
    first = last = 0
    for _, start, end in split_messages(view):
        if end - first > RECORD_BYTES and start > first:
            yield view[first:start]
            first = start
        last = end
    if last > first:
        yield view[first:last]


def blueprint_messages(source: Any, application_id: str, *, make_active: bool, make_default: bool) -> bytes:
    """The messages of a blueprint for a recording of an application, with its activation; see :func:`shmrerun.send_blueprint`.

    TypeError: neither a blueprint, nor bytes, nor a path; OSError: the file cannot be read; ValueError: there is no blueprint in it, or
    a container's active tab is none of its tabs.
    """
    if hasattr(source, "to_blueprint") and not isinstance(source, type):
        from shmrerun.rrd.recorder import record

        return record(source, application_id).messages(make_active=make_active, make_default=make_default)
    if isinstance(source, (bytes, bytearray, memoryview)):
        data = bytes(source)
    elif isinstance(source, (str, os.PathLike)):
        with open(source, "rb") as file:
            data = file.read()
    else:
        shown = f"the class {source.__name__}" if isinstance(source, type) else type(source).__name__
        raise TypeError(
            f"a blueprint is a Blueprint, a view or a container, or the bytes or the path of an .rbl file, got {shown}. "
            "Panels and archetypes are parts: put them into rrb.Blueprint(...)"
        )
    from shmrerun.rrd.relay import blueprint

    return blueprint(data, application_id, make_active=make_active, make_default=make_default)


def send_blueprint(stream: Stream | None, source: Any, *, make_active: bool, make_default: bool) -> None:
    """See :func:`shmrerun.send_blueprint`. A no-op while multiprocessing runs a module's top level again in a child."""
    if is_inheriting():
        return
    if stream is None or not stream.enabled():
        raise ValueError("No application id found. Call init before a blueprint is sent, or give a recording")
    send_messages(stream, blueprint_messages(source, stream.application_id, make_active=make_active, make_default=make_default))


def default_messages(stream: Stream | None, source: Any) -> bytes:
    """What ``default_blueprint=`` of a sink adds to a recording; empty without one. Raises what :func:`blueprint_messages` does."""
    if source is None or stream is None or is_inheriting():
        return b""
    return blueprint_messages(source, stream.application_id, make_active=False, make_default=True)
