"""Run the benchmarks: one process for each subject and round, subjects in turn; prints JSON lines, and writes a report.

``python bench/run.py [--rounds N] [--report report.html] [throughput hot_path/scalar ...]``. See README.md for the method.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import catalog
import machine
import report
from catalog import OURS, Bench

if TYPE_CHECKING:
    from collections.abc import Callable

    Say = Callable[[dict[str, Any]], None]

HERE = Path(__file__).parent
MOST_SECONDS = 900  # of one process


def main() -> int:
    arguments = _arguments()
    benches = _chosen(arguments.benches)
    environment = os.environ | {
        f"SHMRERUN_BENCH_{name.upper()}": str(getattr(arguments, name))
        for name in ("scale", "seconds", "processes")
        if getattr(arguments, name) is not None
    }
    lines: list[dict[str, Any]] = []

    def say(line: dict[str, Any]) -> None:
        lines.append(line)
        print(json.dumps(line), flush=True)

    say({"machine": machine.facts(), "rounds": arguments.rounds, "scale": arguments.scale or 1.0})
    absent = _left_out(benches, arguments.subjects, say)
    failed = False
    for bench in benches:
        subjects = [one for one in bench.subjects if one not in absent and (not arguments.subjects or one in arguments.subjects)]
        failed |= _bench(bench, subjects, min(arguments.rounds, bench.most_rounds), environment, say)
    say({"load_at_end": machine.load()})
    if arguments.report:
        Path(arguments.report).write_text(report.page(lines), encoding="utf-8")
    return failed


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="JSON lines: the machine; one for each subject and bench; one for each ratio.")
    parser.add_argument("--rounds", type=int, default=5, help="of each bench, at most; 5 unless given")
    parser.add_argument("--report", metavar="FILE", help="write an HTML page with tables and plots as well")
    parser.add_argument("--subjects", nargs="+", metavar="SUBJECT", help="only these")
    parser.add_argument("--seconds", type=float, help="length of benches that have one (paced, aggregator/load, aggregator/idle)")
    parser.add_argument("--processes", type=int, help="that log, in burst, paced and aggregator")
    parser.add_argument("--scale", type=float, help="of all sizes; below 1 to try the programs, which gives no figures")
    parser.add_argument("--list", action="store_true", help="print the benches and their subjects, and measure nothing")
    parser.add_argument("benches", nargs="*", metavar="BENCH", help="a program, or program/case; all unless given")
    arguments = parser.parse_args()
    if arguments.list:
        for bench in catalog.BENCHES.values():
            print(f"{bench.name:26} {bench.title}: {', '.join(bench.subjects)}")
        sys.exit()
    if arguments.rounds < 1:
        parser.error("--rounds must be at least 1")
    return arguments


def _chosen(names: list[str]) -> list[Bench]:
    """Return the benches of these names, in the order of the catalogue where a program is named."""
    found: list[Bench] = []
    for name in names or [group.program for group in catalog.GROUPS]:
        of_program = [bench for bench in catalog.BENCHES.values() if bench.name.startswith(f"{name}/")]
        one = catalog.find(name)
        if not of_program and one is None:
            sys.exit(f"there is no bench {name}; --list shows what there is")
        found += of_program or [one for one in [one] if one]
    return found


def _left_out(benches: list[Bench], wanted: list[str] | None, say: Say) -> set[str]:
    """Say which subjects cannot run here, and why."""
    every = {subject: None for bench in benches for subject in bench.subjects if not wanted or subject in wanted}
    if wanted and not every:
        sys.exit(f"no bench of these has a subject {' or '.join(wanted)}; --list shows what there is")
    absent = {subject: needs for subject in every if (needs := catalog.missing(subject))}
    for subject, needs in absent.items():
        say({"subject": subject, "left_out": f"needs {', '.join(needs)}: pip install 'shmrerun[bench]'"})
    return set(absent)


def _bench(bench: Bench, subjects: list[str], rounds: int, environment: dict[str, str], say: Say) -> bool:
    """Run all rounds of a bench, in reversed order in every other one, and say what came of it; True if a subject failed."""
    results: dict[str, list[dict[str, Any]]] = {subject: [] for subject in subjects}
    for number in range(rounds):
        for subject in subjects if number % 2 == 0 else reversed(subjects):
            if subject not in results:
                continue
            try:
                results[subject].append(_run(bench, subject, environment))
            except (subprocess.SubprocessError, ValueError) as error:
                del results[subject]
                say({"name": bench.name, "subject": subject, "failed": str(error)})
    cases = next(iter(results.values()))[0].get("cases", [None]) if results else []  # a subject may measure several things in one process
    for case in cases:
        name = f"{bench.name.partition('/')[0]}/{case}" if case else bench.name
        found = {subject: [one["cases"][case] if case else one for one in own] for subject, own in results.items()}
        for subject, each in found.items():
            say(_summary(name, subject, each, bench.keys))
        for subject, each in found.items():
            if subject != OURS and OURS in found:
                say(_ratio(name, subject, found[OURS], each, bench.keys))
    return len(results) < len(subjects)


def _run(bench: Bench, subject: str, environment: dict[str, str]) -> dict[str, Any]:
    program, case = bench.name.split("/")
    command = [sys.executable, "-m", f"subjects.{program}", subject, case]
    process = subprocess.Popen(command, cwd=HERE, env=environment, stdout=subprocess.PIPE, start_new_session=True)
    try:
        printed, _ = process.communicate(timeout=MOST_SECONDS)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # workers of a subject that failed
        process.wait()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    result: dict[str, Any] = json.loads(printed)
    return result


def _summary(name: str, subject: str, rounds: list[dict[str, Any]], keys: tuple[str, ...]) -> dict[str, Any]:
    """Return the median over rounds of each number; losses are added up, and come first."""
    line: dict[str, Any] = {"dropped": sum(one["dropped"] for one in rounds)} if "dropped" in rounds[0] else {}
    line |= {"name": name, "subject": subject, "unit": rounds[0]["unit"], "rounds": len(rounds)}
    line |= {
        key: statistics.median(one[key] for one in rounds)
        for key, value in rounds[0].items()
        if isinstance(value, int | float) and key != "dropped"
    }
    line["spread"] = {key: [min(one[key] for one in rounds), max(one[key] for one in rounds)] for key in keys if key in rounds[0]}
    return line | {"load": machine.load()[0]}


def _ratio(name: str, subject: str, ours: list[dict[str, Any]], theirs: list[dict[str, Any]], keys: tuple[str, ...]) -> dict[str, Any]:
    """Return theirs divided by ours, round by round: median, least and greatest. With drops on either side there is no result."""
    line: dict[str, Any] = {"name": name, "ratio": f"{subject} / {OURS}", "subject": subject, "rounds": len(ours)}
    if any(one.get("dropped") for one in (*ours, *theirs)):
        return line | {"no_result": "rows were dropped"}
    for key in keys:
        if key in ours[0] and key in theirs[0] and all(own[key] for own in ours):
            ratios = [other[key] / own[key] for own, other in zip(ours, theirs, strict=True)]
            line[key] = {"median": statistics.median(ratios), "spread": [min(ratios), max(ratios)]}
    return line


if __name__ == "__main__":
    sys.exit(main())
