"""``shmrerun <command>``: reads the arguments and runs one command. A command's module is imported when it is run."""

from __future__ import annotations

import argparse
import sys
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any


def _parser() -> argparse.ArgumentParser:
    from shmrerun import version

    parser = argparse.ArgumentParser(prog="shmrerun", description="The Rerun logging API for programs made of many processes.")
    parser.add_argument("--version", action="version", version=version())
    commands = parser.add_subparsers(dest="command", metavar="command", required=True)

    demo = commands.add_parser("demo", help="log from several processes into one recording, and count what arrived")
    demo.add_argument("--out", metavar="FILE", help="the recording to write (default: demo.rrd)")
    live = demo.add_mutually_exclusive_group()
    live.add_argument("--view", action="store_true", help="show it in a viewer while it runs, in place of a file")
    live.add_argument("--web", action="store_true", help="show it in a browser, in place of a file, until Ctrl-C")
    demo.add_argument("--workers", type=_count("workers"), metavar="N", help="processes that log (default: one per processor)")
    demo.add_argument("--files", type=_count("files"), metavar="N", help="read at most N files (default: all there are)")
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

    recover = commands.add_parser(
        "recover",
        help="make whole files of what killed programs left in shared memory",
        description="Finishes the files of programs that were killed together with their aggregator, and saves rows that had no "
        "file. Exit status: 0 all files are complete, 1 one is not, 2 there is no such tree.",
    )
    recover.add_argument("trees", nargs="*", metavar="TREE", help="as shmrerun ps names it (default: all that are abandoned)")
    recover.add_argument("--out", default=".", metavar="DIR", help="where recordings go that had no file (default: here)")

    clean = commands.add_parser(
        "clean",
        help="show, and with --yes remove, what killed programs left in shared memory",
        description="Rows that are removed are lost: run shmrerun recover first.",
    )
    clean.add_argument("--yes", action="store_true", help="remove it")

    run = commands.add_parser(
        "run",
        help="run a command whose processes log into one tree, however they are started",
        usage="shmrerun run [-h] [--name NAME] [--] COMMAND ...",
        description="Sets SHMRERUN_TREE, so that torchrun, mpirun, srun or xargs bring all their processes into one recording: those "
        "that name the same application. Exit status: that of the command.",
    )
    run.add_argument("--name", metavar="NAME", help="of the tree (default: a new one); programs with the same name meet")
    run.add_argument("words", nargs=argparse.REMAINDER, metavar="COMMAND ...", help="what to run, with its arguments")

    files = _add_files(commands)
    for command in (demo, ps, wait, recover, clean, *files):
        command.add_argument("--json", action="store_true", help="print one JSON object, and nothing else")
    return parser


def _add_files(commands: Any) -> list[argparse.ArgumentParser]:
    """Add the commands on files."""
    verify = commands.add_parser(
        "verify",
        help="check whether recordings are whole",
        description="Decodes every chunk. Exit status: 0 all are whole, 1 one is not, 2 one is missing or no .rrd file.",
    )
    verify.add_argument("--no-footer", action="store_true", help="do not mind a missing footer, as of a file that is being written")
    stats = commands.add_parser("stats", help="what recordings hold: stores, timelines, entities, rows, sizes")
    merge = commands.add_parser(
        "merge",
        help="make one file of several, or a finished one of one that is not",
        description="Stores keep their ids; a chunk that comes twice is there once. Exit status: 0, 1 something could not be read, 2 "
        "a file cannot be opened or written.",
    )
    merge.add_argument("-o", "--out", required=True, metavar="FILE", help="the file to write; may be one of those that are read")
    for command in (verify, stats, merge):
        command.add_argument("paths", nargs="+", metavar="FILE", help="an .rrd or .rbl file")

    cat = commands.add_parser("cat", help="print rows as text, one a line, in the order of the file")
    cat.add_argument("-n", type=_count("rows"), metavar="N", help="at most N rows")
    cat.add_argument("-f", "--follow", action="store_true", help="wait for rows that are still to come, until the file is finished")
    convert = commands.add_parser(
        "convert",
        help="write Parquet files, one for each entity, or one for all over a timeline",
        description="Exit status: 0, 1 Parquet cannot hold an entity (it is left out), 2 nothing could be read or written.",
    )
    convert.add_argument("-o", "--out", required=True, metavar="OUT", help="a directory, or a .parquet file for all entities")
    for command in (cat, convert):
        command.add_argument("path", metavar="FILE", help="an .rrd file")
        command.add_argument("--entity", action="append", metavar="EXPRESSION", help="/a, /a/** or - /a; may be given several times")
        command.add_argument("--timeline", metavar="NAME", help="rows that have a time on it, sorted by it")
    return [verify, stats, merge, cat, convert]


def _count(what: str) -> Callable[[str], int]:
    """Read a number of at least 1 of something."""

    def read(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number of {what}") from None
        if number < 1:
            raise argparse.ArgumentTypeError(f"there must be at least 1 of {what}, not {number}")
        return number

    return read


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds") from None
    if not seconds >= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds that is at least 0")
    return seconds


def _refuse(parser: argparse.ArgumentParser, command: str, text: str) -> None:
    """Exit with status 2, and the usage of that command."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            action.choices[command].error(text)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    if arguments.command == "wait" and bool(arguments.path) == arguments.all:
        _refuse(parser, "wait", "give either a PATH or --all")
    if arguments.command == "demo":
        if arguments.out and (arguments.view or arguments.web):
            _refuse(parser, "demo", "give either --out, or --view or --web, which show the recording in place of a file")
        arguments.out = arguments.out or "demo.rrd"
    if arguments.command == "run":
        arguments.words = arguments.words[1:] if arguments.words[:1] == ["--"] else arguments.words
        if not arguments.words:
            _refuse(parser, "run", "give the COMMAND to run")
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
