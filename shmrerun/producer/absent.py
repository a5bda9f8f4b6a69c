"""Sinks that this version does not have: viewers, servers, standard output. Each call says what to do instead.

With ``_RERUN_TEST_FORCE_SAVE`` set, which redirects every recording to a file, they do nothing, as in Rerun.
"""

from __future__ import annotations

import os
from typing import Any

from shmrerun.errors import SinkError
from shmrerun.producer.process import is_inheriting
from shmrerun.producer.sinks import FORCE_SAVE


def _absent(call: str) -> None:
    if os.environ.get(FORCE_SAVE) or is_inheriting():
        return
    raise SinkError(f"{call}() needs a viewer or a server; this version of shmrerun writes files. Call save(path), then: rerun path")


def connect_grpc(
    url: str | None = None, *, flush_timeout_sec: float | None = 2.0, default_blueprint: Any = None, recording: Any = None
) -> None:
    """Connect to a viewer. SinkError: not in this version."""
    _absent("connect_grpc")


def serve_grpc(
    *,
    grpc_port: int | None = None,
    default_blueprint: Any = None,
    recording: Any = None,
    server_memory_limit: str = "1GiB",
    newest_first: bool = False,
    cors_allow_origin: list[str] | None = None,
) -> str:
    """Serve the recording to viewers. SinkError: not in this version."""
    _absent("serve_grpc")
    return "[rerun is disabled]"


def stdout(default_blueprint: Any = None, recording: Any = None, *, write_footer: bool = True) -> None:
    """Write to standard output. SinkError: not in this version."""
    _absent("stdout")
