"""The viewer as a page: ``serve_web_viewer``, ``start_web_viewer_server``, ``serve_web``.

The page and its program are those of rerun-sdk's binary, which serves them alone; nothing comes from elsewhere. It lives exactly as long
as the program, all its forked children included (:mod:`shmrerun.producer.keeper`), and answers this machine only.
"""

from __future__ import annotations

import os
import re
import sys
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from shmrerun.errors import SinkError, say, say_once
from shmrerun.producer.active import active_stream
from shmrerun.producer.companion import Companion
from shmrerun.producer.executable import find_viewer
from shmrerun.producer.live import serve_grpc
from shmrerun.producer.ports import LOOPBACK, answers, check_port, proxy_url
from shmrerun.producer.process import is_inheriting
from shmrerun.producer.sinks import FORCE_SAVE, _ignored
from shmrerun.producer.viewer import has_viewer

if TYPE_CHECKING:
    from collections.abc import Iterator

WEB_PORT = 9090  # Rerun's default
GRPC_PORT = 9876
_START_SECONDS = 30.0
_SERVED = re.compile(rf"(?<!\+)http://{re.escape(LOOPBACK)}:(\d+)")  # what the page server prints when it listens

_pages: dict[int, Companion] = {}  # page servers of this program by port: a forked child has its parent's
_notebook_port = 0  # of the page that notebooks use; 0: none


def serve_web_viewer(*, web_port: int | None = None, open_browser: bool = True, connect_to: str | None = None) -> None:
    """Serve the viewer as a page, for browsers on this machine. It is no sink: no row goes there by itself.

    Parameters
    ----------
    web_port
        Of the page; 9090 by default, 0 for any that is free.
    open_browser
        Open the page in the default browser (Python's ``webbrowser``, variable ``BROWSER``).
    connect_to
        Address that the page reads from, such as :func:`serve_grpc` returned.

    Raises
    ------
    SinkError
        (a RuntimeError) The port is taken by another program, or rerun-sdk's binary is missing.

    Notes
    -----
    The page's address is printed on stderr. It is served until the last process of the program ends, by a process of its own. A second
    call for the same port uses the same page. About 0.1 s.
    """
    if is_inheriting() or os.environ.get(FORCE_SAVE):
        return
    url = page_address(_serve(WEB_PORT if web_port is None else web_port), connect_to)
    say(f"the viewer is at {url}")
    if open_browser:
        _open(url)


def start_web_viewer_server(port: int = 0) -> None:
    """Serve the viewer's page for :func:`legacy_notebook_show`, in place of app.rerun.io. A second call uses the same page.

    Parameters
    ----------
    port
        Of the page, 0 for any that is free.

    Raises
    ------
    SinkError
        (a RuntimeError) The port is taken by another program, or rerun-sdk's binary is missing.
    """
    global _notebook_port
    if is_inheriting():
        return
    check_port(port, "port", least=0)
    if not (_notebook_port and port in (0, _notebook_port) and answers(_notebook_port)):
        _notebook_port = _serve(port)
    say(f"the viewer for notebooks is at {page_address(_notebook_port)}")


def notebook_page() -> str | None:
    """Address of the page that :func:`start_web_viewer_server` serves; None without one."""
    return page_address(_notebook_port) if _notebook_port else None


def serve_web(
    *,
    open_browser: bool = True,
    web_port: int | None = None,
    grpc_port: int | None = None,
    default_blueprint: Any = None,
    recording: Any = None,
    server_memory_limit: str = "25%",
) -> None:
    """Serve the recording to viewers, and a viewer as a page that shows it. Returns at once.

    Parameters
    ----------
    open_browser, web_port
        As for :func:`serve_web_viewer`.
    grpc_port, default_blueprint, server_memory_limit
        As for :func:`serve_grpc`; the port is 9876 by default.
    recording
        Instead of the active recording.

    Raises
    ------
    ValueError
        There is no application id: ``init`` was not called.
    SinkError
        (a RuntimeError) A port is taken, or rerun-sdk's binary is missing; before anything is served.

    Notes
    -----
    A native viewer can show it too: ``rerun rerun+http://127.0.0.1:9876/proxy``. Both live as long as the program.
    """
    if is_inheriting() or os.environ.get(FORCE_SAVE):
        return
    stream = active_stream(recording)
    if stream is None or not stream.enabled():
        _ignored("serve_web")
        return
    if not stream.application_id:
        raise ValueError("No application id found. You must call rerun.init before serving, or provide a recording.")
    if has_viewer(stream):
        say_once("served", "the recording goes to a viewer or a server that another process set: nothing more is served")
        return
    port = _serve(WEB_PORT if web_port is None else web_port)  # first: it can fail, and a sink cannot be taken back
    address = serve_grpc(
        grpc_port=grpc_port, default_blueprint=default_blueprint, recording=recording, server_memory_limit=server_memory_limit
    )
    url = page_address(port, address)
    say(f"the viewer is at {url}")
    if open_browser:
        _open(url)


def page_address(port: int, connect_to: str | None = None) -> str:
    """Address of the page, with what it is to read."""
    return f"http://{LOOPBACK}:{port}" + (f"?url={quote(connect_to, safe='')}" if connect_to else "")


def _serve(port: int) -> int:
    """Have the page served on a port (0: any), by a server that this program has already if it can be; returns the port."""
    check_port(port, "web_port", least=0)
    if port and answers(port):
        if port in _pages:
            return port
        raise SinkError(f"port {port} for the viewer's page is taken by another program. Give another web_port, or 0 for any that is free")
    command = [find_viewer(), "--serve-web", proxy_url(GRPC_PORT)]  # with an address the binary serves the page alone
    command += ["--bind", LOOPBACK, "--web-viewer-port", str(port)]
    server = Companion(command, variables={"RERUN_APP_ONLY": "true", "RUST_LOG": "info", "NO_COLOR": "1"})
    try:
        served = next(filter(None, _ports(server, port)))
    except BaseException:
        server.end()
        raise
    server.keep()
    _pages[served] = server
    return served


def _ports(server: Companion, port: int) -> Iterator[int]:
    """The port that a page server listens on, as soon as it says so; 0 until then. SinkError: it ended, or is too slow."""
    deadline = time.monotonic() + _START_SECONDS
    while True:
        code = server.ended(0.01)
        if code is not None:
            raise SinkError(
                f"the viewer's page cannot be served (exit code {code}): {server.last_lines(1)}. Give another web_port if it is taken"
            )
        if time.monotonic() > deadline:
            raise SinkError(f"the viewer's page is not served after {_START_SECONDS:.0f} s: {server.last_lines()}")
        told = _SERVED.search(server.output())
        yield int(told[1]) if told else port if answers(port) else 0


def _open(url: str) -> None:
    """Open a page in the user's browser: from a process of its own, since browsers keep the descriptors that they get."""
    try:
        Companion([sys.executable, "-I", "-m", "webbrowser", url]).leave()
    except SinkError as error:
        say(f"no browser was opened: {error}")
