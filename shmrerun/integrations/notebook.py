"""A recording as a piece of HTML that needs no server: its bytes inside, the viewer in a frame. Source: rerun-sdk 0.41's behaviour."""

from __future__ import annotations

import base64
import os
from html import escape
from string import Template
from typing import TYPE_CHECKING, Any

import shmrerun
from shmrerun.producer.web import notebook_page

if TYPE_CHECKING:
    from shmrerun.recording_stream import RecordingStream

APP_URL = "https://app.rerun.io/version/0.41.0/"
DEFAULT_WIDTH, DEFAULT_HEIGHT = 950, 712  # pixels
DEFAULT_TIMEOUT = 2000  # milliseconds

# The viewer in the frame sends a message to this page when it is ready; the answer is the recording, as an array of bytes.
_PAGE = Template("""\
<div id="$name-late" style="display: none">
  <p>The viewer at $shown did not load in time. <code>rr.start_web_viewer_server()</code> serves one on this machine.</p>
</div>
<iframe id="$name" src="$source" width="$width" height="$height" style="border: 0; display: none" allowfullscreen></iframe>
<script type="application/octet-stream;base64" id="$name-rrd">$data</script>
<script>
(() => {
  const find = (part) => document.getElementById("$name" + part);
  const late = setTimeout(() => { find("-late").style.display = "block"; }, $timeout);
  window.addEventListener("message", function answer(event) {
    const frame = find("");
    if (!frame || event.source !== frame.contentWindow) return;
    window.removeEventListener("message", answer);
    clearTimeout(late);
    find("-late").style.display = "none";
    frame.style.display = "inline";
    const bytes = Uint8Array.from(atob(find("-rrd").textContent), (letter) => letter.charCodeAt(0));
    frame.contentWindow.postMessage(bytes, "*");
  });
})();
</script>
""")


def as_html(
    *,
    width: int = DEFAULT_WIDTH,
    height: int = DEFAULT_HEIGHT,
    app_url: str | None = None,
    timeout_ms: int = DEFAULT_TIMEOUT,
    recording: RecordingStream | None = None,
) -> str:
    """Make the HTML of :func:`legacy_notebook_show`."""
    if shmrerun.get_application_id(recording) is None:
        raise ValueError("No application id found. You must call rerun.init before using the notebook APIs, or provide a recording.")
    url = app_url or notebook_page() or APP_URL
    data = shmrerun.memory_recording(recording).drain_as_bytes()
    return _PAGE.substitute(
        name=f"shmrerun-{os.urandom(8).hex()}",  # several of them may stand in one notebook
        shown=escape(url),
        source=escape(f"{url}?url=web_event://&persist=0&notebook=1"),
        width=int(width),
        height=int(height),
        timeout=int(timeout_ms),
        data=base64.b64encode(data).decode("ascii"),
    )


def legacy_notebook_show(
    *,
    width: int = DEFAULT_WIDTH,
    height: int = DEFAULT_HEIGHT,
    app_url: str | None = None,
    timeout_ms: int = DEFAULT_TIMEOUT,
    blueprint: Any = None,
    recording: RecordingStream | None = None,
) -> Any:
    """Show what was logged so far, of all processes, in a notebook's cell: a viewer in a frame, with the data inside the page.

    Parameters
    ----------
    width, height
        Of the viewer, in pixels.
    app_url
        Where the browser finds the viewer: by default what :func:`start_web_viewer_server` serves, else app.rerun.io.
    timeout_ms
        After which a hint is shown if the viewer has not loaded.
    blueprint
        Accepted for Rerun's sake.
    recording
        Instead of the active recording.

    Returns
    -------
    IPython.display.HTML or str
        The text itself, with a warning in the log, where IPython is missing.

    Raises
    ------
    ValueError
        There is no application id: ``init`` was not called, or the recording is disabled.

    Notes
    -----
    The recording goes to memory from then on, and its rows are in one cell only: a second call shows what was logged since the first.
    The page is a third larger than the recording.
    """
    html = as_html(width=width, height=height, app_url=app_url, timeout_ms=timeout_ms, recording=recording)
    try:
        from IPython.display import HTML
    except ImportError:
        import logging

        logging.getLogger().warning("Could not import IPython.core.display. Returning raw HTML string instead.")
        return html
    return HTML(html)
