"""Where Rerun's viewer is: the caller's path, ``RERUN_CLI_PATH``, ``PATH``, or an installed rerun-sdk."""

from __future__ import annotations

import glob
import os
import shutil

from shmrerun.errors import SinkError

CLI_PATH = "RERUN_CLI_PATH"  # rerun-sdk's own variable: its viewer is elsewhere
_HOW = 'Install it: pip install "shmrerun[viewer]"; or name its file: executable_path=, or the variable RERUN_CLI_PATH'


def find_viewer(name: str = "rerun", path: str | None = None) -> str:
    """Absolute path of the viewer's program.

    Parameters
    ----------
    name
        Looked for on ``PATH``.
    path
        Instead of any search.

    Raises
    ------
    SinkError
        (a RuntimeError) There is none, or not at the path.

    Notes
    -----
    rerun-sdk's script on ``PATH`` is passed over for the program that it would run: that spares the start of a Python, and a process
    between the two.
    """
    given = path or os.environ.get(CLI_PATH)
    if given:
        full = os.path.abspath(given)
        if not (os.path.isfile(full) and os.access(full, os.X_OK)):
            raise SinkError(f'Failed to find Rerun Viewer executable at "{given}". {_HOW}')
        return full
    found = shutil.which(name)
    if found:
        found = os.path.abspath(found)
        return _behind(found) or found
    if name == "rerun" and (installed := _installed()):
        return installed
    raise SinkError(f"Failed to find Rerun Viewer executable in PATH. {_HOW}")


def is_given(path: str | None) -> bool:
    """Whether the user names the file, so that it may be a script of the user's own."""
    return bool(path or os.environ.get(CLI_PATH))


def _is_program(path: str) -> bool:
    return os.path.isfile(path) and os.access(path, os.X_OK)


def _behind(script: str) -> str | None:
    """The program behind rerun-sdk's console script, in the same environment; None: it is no such script."""
    with open(script, "rb") as file:
        head = file.read(1024)
    if not (head.startswith(b"#!") and b"rerun_cli" in head):
        return None
    prefix = os.path.dirname(os.path.dirname(script))
    found = {os.path.realpath(path) for path in glob.glob(f"{glob.escape(prefix)}/lib*/python*/*-packages/rerun_cli/rerun")}
    return found.pop() if len(found) == 1 and all(map(_is_program, found)) else None


def _installed() -> str | None:
    """The program inside an installed rerun-sdk, whose script is not on ``PATH``; nothing of it is imported."""
    from importlib.util import find_spec

    try:
        spec = find_spec("rerun_cli")
    except (ImportError, ValueError):
        return None
    for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
        path = os.path.join(folder, "rerun")
        if _is_program(path):
            return path
    return None
