"""A recording live in a notebook: ``notebook_show``, in the widget of the package rerun-notebook.

The widget is fed by a thread of the kernel's process, which reads the log's file: what other processes logged is in it as well, and what
the front end has not taken lies on disk. Source: rerun-notebook 0.41.
"""

from __future__ import annotations

import contextlib
import io
import os
import threading
from typing import TYPE_CHECKING, Any

from shmrerun.producer.active import active_stream
from shmrerun.producer.following import Tail
from shmrerun.producer.messages import send_blueprint
from shmrerun.producer.process import is_inheriting
from shmrerun.producer.sinks import follow

if TYPE_CHECKING:
    from shmrerun.producer.active import RecordingStream
    from shmrerun.producer.following import Following

DEFAULT_WIDTH, DEFAULT_HEIGHT = 640, 480
ASSET_VARIABLE = "RERUN_NOTEBOOK_ASSET"
TICK_SECONDS = 0.05  # how often the log is looked at
PIECE_SECONDS = 0.01  # between pieces while there is more: what outruns the kernel's output by far would be dropped there


class _Widget:
    """One viewer in a page, with a place in the log of its own."""

    def __init__(self, viewer: Any, tail: Tail) -> None:
        self._viewer = viewer
        self.tail = tail
        self.has_begun = False
        self.has_sent = False  # when it was last fed
        self._begins = threading.Event()
        viewer.on_msg(self._on_message)

    def _on_message(self, _widget: Any, content: Any, _buffers: Any) -> None:
        if content == "ready":  # said by each view that comes to be: by the same page again when it is loaded anew
            self._begins.set()

    def is_closed(self) -> bool:
        """Whether nobody can look any more."""
        comm = self._viewer.comm
        return comm is None or bool(getattr(comm, "_closed", False))

    def feed(self) -> bool:
        """Send a piece, if there is one and somebody takes it. False: the widget is closed, or has all that will ever come."""
        if self.is_closed():
            return False
        if self._begins.is_set():
            self._begins.clear()
            self.has_begun = True
            self.tail.rewind()
        piece = self.tail.next() if self.has_begun else b""
        self.has_sent = bool(piece)
        if piece:
            self._viewer.send_rrd(piece)  # goes to the kernel's thread for output, a busy cell or none
        return not self.tail.is_over


class _Feed:
    """All widgets of one recording in this process, one sink of it, and the thread that feeds them."""

    def __init__(self, following: Following) -> None:
        self._following = following
        self._lock = threading.Lock()
        self._widgets: list[_Widget] = []
        self._is_over = False
        self._thread = threading.Thread(target=self._run, name="shmrerun notebook", daemon=True)

    def add(self, viewer: Any) -> bool:
        """Show the recording in another widget, from its beginning. False: the feed has just ended."""
        with self._lock:
            if self._is_over or not self._following.is_active:
                return False
            self._widgets.append(_Widget(viewer, Tail(self._following)))
            if not self._thread.ident:
                self._thread.start()
            return True

    def _run(self) -> None:
        pause = threading.Event()
        while True:
            for widget in list(self._widgets):
                alive = False
                with contextlib.suppress(Exception):  # whatever a front end does harms its own widget only
                    alive = widget.feed()
                if not alive:
                    with self._lock:
                        self._widgets.remove(widget)
                    widget.tail.close()
            self._following.took(max((widget.tail.offset for widget in list(self._widgets)), default=0))
            with self._lock:
                if not self._widgets:
                    self._is_over = True
                    break
            pause.wait(PIECE_SECONDS if any(widget.has_sent for widget in list(self._widgets)) else TICK_SECONDS)
        with contextlib.suppress(Exception):
            self._following.close()


_feeds: dict[tuple[int, str, int], _Feed] = {}  # by process, tree and session
_feeds_lock = threading.Lock()


def _viewer(width: int | str, height: int | str) -> Any:
    """Make a widget of the installed package and show it."""
    os.environ.setdefault(ASSET_VARIABLE, "serve-local")
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # it tells what it loads
            import rerun_notebook
    except ImportError as error:
        raise Exception("Could not import rerun_notebook. Please install `rerun-notebook`.") from error  # noqa: TRY002 - Rerun's type
    from IPython.display import display

    viewer = rerun_notebook.Viewer(width=width, height=height)
    if rerun_notebook.ASSET_IS_URL:
        display(rerun_notebook.ErrorWidget())
    display(viewer)
    return viewer


def notebook_show(
    *, width: int | str | None = None, height: int | str | None = None, blueprint: Any = None, recording: RecordingStream | None = None
) -> None:
    """Show the recording live in a notebook's cell, from its beginning: what this process and all others log, whether a cell runs or not.

    Parameters
    ----------
    width, height
        Of the viewer: pixels, 640 and 480 by default, or ``"auto"``.
    blueprint
        As for :func:`send_blueprint`; made active and the default one.
    recording
        Instead of the active recording.

    Raises
    ------
    Exception
        The package ``rerun-notebook`` is missing: ``pip install 'shmrerun[notebook]'``.
    ValueError
        A blueprint without a recording.
    SinkError
        (a RuntimeError) The recording has as many sinks as it can have.

    Notes
    -----
    A sink that is set stays (``save`` and this one go together); a sink that is set later takes its place, and the widget then keeps what
    it has. Without another sink the rows lie in the temporary directory, 1 GiB of them, the oldest go first. Each call makes a widget of
    its own, and all are fed at once. A widget ends when it is closed, its sink with the last one. Nothing waits for the front end: what
    it has not taken stays in the log. A view that a busy cell has just made gets its first rows when that cell is done, because only then
    can it say that it is ready; afterwards rows come within some 0.1 s. A page that is loaded anew gets everything again.

    The viewer comes from the installed package, by ``RERUN_NOTEBOOK_ASSET=serve-local``: an HTTP server of the kernel on ``localhost``,
    whose first start takes 5 to 8 s. If the browser is on another machine, set the variable before the first call: ``inline`` (23 MB
    more in the notebook) or the URL of a ``widget.js``.
    """
    if is_inheriting():
        return
    stream = active_stream(recording)
    session = stream.live() if stream is not None and stream.enabled() else None
    if session is None and blueprint is not None:
        raise ValueError("Can only set a blueprint if there's either an active recording or a recording passed in")
    viewer = _viewer(DEFAULT_WIDTH if width is None else width, DEFAULT_HEIGHT if height is None else height)
    if session is None:
        return
    key = (os.getpid(), session.tree.token, session.serial)
    with _feeds_lock:
        present = _feeds.get(key)
        if present is None or not present.add(viewer):
            following = follow(stream, "notebook")
            if following is None:
                return
            feed = _feeds[key] = _Feed(following)
            feed.add(viewer)
    if blueprint is not None:
        send_blueprint(stream, blueprint, make_active=True, make_default=True)
