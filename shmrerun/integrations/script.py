"""Command-line options of scripts that log. Source: rerun-sdk 0.41's ``script_add_args`` and its kin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import shmrerun

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace


def script_add_args(parser: ArgumentParser) -> None:
    """Add ``--headless --connect --serve --url --save --stdout`` to a parser."""
    group = parser.add_argument_group("rerun", "where the recording goes")
    group.add_argument("--headless", action="store_true", help="don't show a viewer")
    group.add_argument("--connect", dest="connect", action="store_true", help="connect to a viewer")
    group.add_argument("--serve", dest="serve", action="store_true", help="serve a web viewer")
    group.add_argument("--url", type=str, default=None, help="connect to this url")
    group.add_argument("--save", type=str, default=None, metavar="PATH", help="save to this file")
    group.add_argument("--stdout", "-o", dest="stdout", action="store_true", help="write to standard output")


def script_setup(
    args: Namespace, application_id: str, *, recording_id: Any = None, default_blueprint: Any = None
) -> shmrerun.RecordingStream:
    """Start the global recording and send it where the options say; returns it.

    Raises
    ------
    SinkError
        (a RuntimeError) What an option asks for is not there: a viewer, a display, a free port.
    """
    shmrerun.init(application_id, recording_id=recording_id, strict=True, default_enabled=True)
    recording = shmrerun.get_global_data_recording()
    assert recording is not None
    if args.stdout:
        shmrerun.stdout(default_blueprint)
    elif args.serve:
        address = shmrerun.serve_grpc(default_blueprint=default_blueprint)
        shmrerun.serve_web_viewer(open_browser=True, connect_to=address)
    elif args.connect or args.url:
        shmrerun.connect_grpc(args.url, default_blueprint=default_blueprint)
    elif args.save is not None:
        recording.save(args.save, default_blueprint)
    elif not args.headless:
        recording.spawn(default_blueprint=default_blueprint)
    return recording


def script_teardown(args: Namespace) -> None:
    """Wait for Ctrl-C if a viewer is being served."""
    if args.serve:
        import time

        try:
            while True:
                time.sleep(1)
        except KeyboardInterrupt:
            return
