"""``log_file_from_path`` and ``log_file_from_contents``: which recording, which importer, and where it runs.

Source: order and texts of errors as rerun-sdk 0.41 has them.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shmrerun import _core, errors
from shmrerun.importers.job import Job
from shmrerun.importers.registry import importer_of
from shmrerun.importers.task import Request, Task
from shmrerun.model.parts import TIMESTAMP
from shmrerun.producer.process import is_inheriting
from shmrerun.shm.words import SWITCH_LOG_TIME

if TYPE_CHECKING:
    from shmrerun.producer.stream import Stream


def from_path(stream: Stream | None, file_path: Any, entity_path_prefix: Any, static: bool) -> None:
    """See :func:`shmrerun.log_file_from_path`."""
    try:
        path = str(Path(file_path))
        _check(entity_path_prefix)
        if stream is None or is_inheriting() or not stream.enabled():
            return
        if not os.path.exists(path):
            raise RuntimeError(f"path does not exist: {json.dumps(path, ensure_ascii=False)}")
        _log(Request(stream, path, path, entity_path_prefix, None if static else _times(stream)))
    except Exception as error:
        errors.report("log_file_from_path", error)


def from_contents(stream: Stream | None, file_path: Any, file_contents: Any, entity_path_prefix: Any, static: bool) -> None:
    """See :func:`shmrerun.log_file_from_contents`."""
    try:
        path = str(Path(file_path))
        if not isinstance(file_contents, bytes):
            raise TypeError(f"file_contents must be bytes, got {type(file_contents).__name__}")
        _check(entity_path_prefix)
        if stream is None or is_inheriting() or not stream.enabled():
            return
        if importer_of(path, in_memory=True) is None:
            raise _nobody(path)
        memory = os.memfd_create("shmrerun-contents")
        try:
            view = memoryview(file_contents)
            while view:
                view = view[os.write(memory, view) :]
            os.lseek(memory, 0, os.SEEK_SET)
            _log(Request(stream, path, memory, entity_path_prefix, None if static else _times(stream)))
        finally:
            os.close(memory)
    except Exception as error:
        errors.report("log_file_from_contents", error)


def _check(entity_path_prefix: Any) -> None:
    if entity_path_prefix is not None and not isinstance(entity_path_prefix, str):
        raise TypeError(f"entity_path_prefix must be a str, got {type(entity_path_prefix).__name__}")


def _nobody(path: str) -> RuntimeError:
    return RuntimeError(f"No importer support for {json.dumps(path, ensure_ascii=False)}")


def _times(stream: Stream) -> tuple[tuple[str, int, int], ...]:
    """The calling thread's, as a row of now would have them; the tick is given when a row is written."""
    session = stream.live()
    log_time = session is not None and bool(session.words.switches & SWITCH_LOG_TIME)
    now = [("log_time", TIMESTAMP, time.time_ns())] if log_time else []
    return (*_core.times(stream.key), *now)


def _log(request: Request) -> None:
    """Log a file here if it is one value; else have another process do it, and wait until that has begun."""
    in_memory = isinstance(request.source, int)
    importer = importer_of(request.path, in_memory=in_memory)
    if importer is not None and importer.is_inline:
        task = Task(request, lambda: None, errors.say, paced=False)
        importer.load()(task)
    elif not Job(request).begin():
        raise _nobody(request.path)
