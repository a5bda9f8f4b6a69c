"""``shmrerun <command>``: reads the arguments and runs one command. A command's module is imported when it is run."""

from __future__ import annotations

import argparse
import sys
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def _parser() -> argparse.ArgumentParser:
    from shmrerun import version

    parser = argparse.ArgumentParser(prog="shmrerun", description="The Rerun logging API for programs made of many processes.")
    parser.add_argument("--version", action="version", version=version())
    commands = parser.add_subparsers(dest="command", metavar="command", required=True)

    demo = commands.add_parser("demo", help="log from several processes into one recording, and count what arrived")
    demo.add_argument("--out", default="demo.rrd", metavar="FILE", help="the recording to write (default: demo.rrd)")
    demo.add_argument("--workers", type=_positive, metavar="N", help="processes that log (default: one per processor)")
    demo.add_argument("--files", type=_positive, metavar="N", help="read at most N files (default: all there are)")
    demo.add_argument(
        "--start-method",
        choices=("fork", "spawn", "forkserver"),
        help="of multiprocessing (default: Python's own default)",
    )

    ps = commands.add_parser("ps", help="this user's programs that log now: processes, recordings, rows, losses")

    wait = commands.add_parser(
        "wait",
        help="wait until a recording is complete",
        description="Exit status: 0 the file is complete, 1 it is not (in time), 2 there is no such file.",
    )
    wait.add_argument("path", nargs="?", metavar="PATH", help="the recording")
    wait.add_argument("--all", action="store_true", help="every file that this user's programs are writing")
    wait.add_argument("--timeout", type=_seconds, metavar="S", help="give up after this many seconds (default: never)")

    for command in (demo, ps, wait):
        command.add_argument("--json", action="store_true", help="print one JSON object, and nothing else")
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def _seconds(text: str) -> float:
    seconds = float(text)
    if not seconds >= 0:
        raise argparse.ArgumentTypeError("must be at least 0")
    return seconds


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    if arguments.command == "wait" and bool(arguments.path) == arguments.all:
        parser.error("wait: give either a PATH or --all")
    module = import_module(f"shmrerun.cli.{arguments.command}")
    try:
        status: int = module.run(arguments)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # `shmrerun ps | head`
        sys.stderr.close()
        return 141
    return status
