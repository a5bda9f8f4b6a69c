"""Where a blueprint goes without a recording: a file, a viewer, a notebook's cell."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any


def save(blueprint: Any, application_id: str, path: str | os.PathLike[str] | None) -> None:
    """See :meth:`shmrerun.blueprint.Blueprint.save`; takes whatever logs itself."""
    from shmrerun.errors import SinkError
    from shmrerun.rrd.recorder import record

    data = record(blueprint, application_id).file()
    name = f"{application_id}.rbl" if path is None else str(path)
    try:
        with open(name, "wb") as file:
            file.write(data)
    except OSError as error:
        raise SinkError(f"The blueprint's file cannot be written: {error.strerror or error} ({os.path.abspath(name)})") from error


def connect(blueprint: Any, application_id: str, url: str | None, *, make_active: bool, make_default: bool) -> None:
    """See :meth:`shmrerun.blueprint.Blueprint.connect_grpc`."""
    from shmrerun.producer.call import send_to_viewer
    from shmrerun.producer.endpoints import DEFAULT_URL, parse_url
    from shmrerun.rrd.recorder import record

    endpoint = parse_url(DEFAULT_URL if url is None else url)
    data = record(blueprint, application_id).messages(make_active=make_active, make_default=make_default)
    send_to_viewer(endpoint, data)


def spawn(blueprint: Any, application_id: str, *, port: int, memory_limit: str, hide_welcome_screen: bool, detach: bool) -> None:
    """See :meth:`shmrerun.blueprint.Blueprint.spawn`."""
    from shmrerun.producer.ports import proxy_url
    from shmrerun.producer.viewer import start_viewer

    start_viewer(port, memory_limit=memory_limit, hide_welcome_screen=hide_welcome_screen, detached=detach)
    connect(blueprint, application_id, proxy_url(port), make_active=True, make_default=True)


def show(blueprint: Any) -> None:
    """Show the active recording in a notebook's cell with this blueprint."""
    from shmrerun.producer.notebook import notebook_show

    notebook_show(blueprint=blueprint)
