"""Run Rerun's own documentation snippets, examples and test programs with rerun-sdk and with shmrerun in its place, unedited, and compare.

    python tests/compat/snippets.py CHECKOUT [NAME ...]

CHECKOUT is a checkout of rerun-io/rerun, or the directories of it that `programs.py` names; that file says which programs run, and how.
Each whose path holds one of the names runs twice, in an empty directory, with ``_RERUN_TEST_FORCE_SAVE`` set. The recording, and all others
that the program wrote, are compared with ``rerun rrd compare --unordered --ignore-timeline log_tick``. What that finds different, and
blueprints, which it leaves out, are compared row by row, with numbers for ids and without the times of logging: chunks may end elsewhere.
A program that records nothing must print the same.
The tick of both batchers is an hour, so that chunks follow from what was logged and not from when; random numbers have a seed, and
``time.time`` counts its calls.
Prints one line a program, a count for each directory, and the closing line "N same, N different, N known to differ, N skipped"; exit code 1
if any differs that is not known to. Packages that programs need may lie anywhere on PYTHONPATH.
"""

from __future__ import annotations

import argparse
import difflib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter

import programs
from blueprint_rows import Names, stores_of

SEEDED = """
import itertools, os, random, runpy, sys, time
import numpy
ticks = itertools.count()
time.time = lambda: 1.7e9 + next(ticks) / 64
fresh = numpy.random.default_rng
numpy.random.default_rng = lambda seed=0: fresh(seed)
numpy.random.seed(0)
random.seed(0)
module, sys.argv = sys.argv[1], sys.argv[2:]
folder, name = os.path.split(sys.argv[0])
sys.path[0] = folder
if module:
    sys.path.insert(0, os.path.dirname(folder))
    runpy.run_module(module, run_name="__main__", alter_sys=True)
else:
    runpy.run_path(sys.argv[0], run_name="__main__")
"""
AS_RERUN = f"import shmrerun\nshmrerun.install_as_rerun()\n{SEEDED}"
BIN = os.path.dirname(sys.executable)
RERUN = importlib.util.find_spec("rerun_cli").submodule_search_locations[0] + "/rerun"  # the program itself, not what starts it
FORCED = "forced.rrd"
DEADLINE_SECS = 120
OF_ONE_RUN = ("log_time", "log_tick", "RecordingInfo:start_time")
VARYING = re.compile(r"[0-9a-f]{8}(-?[0-9a-f]{4}){3}-?[0-9a-f]{12}|0x[0-9a-f]+|\b(row|chunk)_[0-9A-F]+|\btmp\w{8}\b")


def run(command: list[str], directory: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command with a deadline; never raises."""
    env = {**os.environ, "NO_COLOR": "1", "PYTHONWARNINGS": "ignore", "RERUN_FLUSH_TICK_SECS": "3600", **environment}
    env["PATH"] = f"{BIN}:{env['PATH']}"
    try:
        return subprocess.run(
            command, cwd=directory, env=env, capture_output=True, text=True, timeout=DEADLINE_SECS, check=False, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired as error:
        return subprocess.CompletedProcess(command, 124, "", f"does not end in {error.timeout:g} s")


def last_line(done: subprocess.CompletedProcess[str]) -> str:
    """What a failed command said last."""
    lines = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
    return lines[-1].strip()[:300] if lines else f"exit code {done.returncode}"


def recordings(directory: str) -> list[str]:
    """Recordings and blueprints below a directory."""
    found = [os.path.relpath(os.path.join(where, name), directory) for where, _, names in os.walk(directory) for name in names]
    return sorted(name for name in found if name.endswith((".rrd", ".rbl")))


def compare_files(theirs: str, ours: str) -> str:
    """What differs between two recordings; nothing if they are the same."""
    kinds = (
        ["blueprint"] if len(stores_of(theirs, "blueprint")) else []
    )  # that of spawn(default_blueprint=) is not forced into the file there
    if run([RERUN, "rrd", "compare", "--unordered", "--ignore-timeline", "log_tick", theirs, ours], os.path.dirname(ours)).returncode:
        kinds.append("recording")
    for kind in kinds:
        their_stores, our_stores = ([normal(rows) for rows in stores_of(file, kind)] for file in (theirs, ours))
        if len(their_stores) != len(our_stores):
            return f"has {len(our_stores)} {kind}s, not {len(their_stores)}"
        for their_rows, our_rows in zip(their_stores, our_stores, strict=True):
            if their_rows != our_rows:
                first = next(((a, b) for a, b in zip(their_rows, our_rows, strict=False) if a != b), "none of those that both have")
                return f"{kind} has {len(our_rows)} rows, not {len(their_rows)}; the first that differs: {str(first)[:1000]}"
    return ""


def normal(store: tuple[str, list[tuple]]) -> list[tuple]:
    """Rows of a store, entity by entity, without what differs between two runs."""
    names = Names()
    rows = []
    for path, is_static, cells in store[1]:
        kept = {key: names.plain(cell) for key, cell in cells.items() if key not in OF_ONE_RUN}
        rows.append((names.plain(path), is_static, kept))
    return rows if store[0] == "blueprint" else sorted(rows, key=lambda row: row[0])  # which keeps the order within an entity


def compare_printed(theirs: str, ours: str) -> str:
    """What differs between two texts but for ids and addresses."""
    lines = [VARYING.sub("#", text).splitlines() for text in (theirs, ours)]
    return "\n".join(list(difflib.unified_diff(*lines, "rerun-sdk", "shmrerun", lineterm="", n=0))[:12])


def compare(program: programs.Program, scratch: str) -> tuple[str, str]:
    """Outcome of one program, ``same``, ``skip`` or ``DIFF``, and what there is to say."""
    work = os.path.join(scratch, "work")
    forced = {"_RERUN_TEST_FORCE_SAVE": os.path.join(work, FORCED)} if program.is_forced else {}
    done = {}
    for side, prelude in (("theirs", SEEDED), ("ours", AS_RERUN)):
        os.mkdir(work)
        done[side] = run([sys.executable, "-c", prelude, program.module, program.path, *program.arguments], work, **forced)
        os.rename(work, os.path.join(scratch, side))
        if done[side].returncode:
            why = last_line(done[side])
            return ("skip", f"rerun-sdk 0.41 does not run it: {why}") if side == "theirs" else ("DIFF", f"fails: {why}")
    names, our_names = (recordings(os.path.join(scratch, side)) for side in done)
    if names != our_names:
        return "DIFF", f"wrote {our_names}, not {names}"
    if not names:
        if not done["theirs"].stdout.strip():
            return "skip", "rerun-sdk 0.41 records and prints nothing"
        found = compare_printed(done["theirs"].stdout, done["ours"].stdout)
        return ("DIFF", f"prints\n{found}") if found else ("same", "in what it prints")
    for name in names:
        try:
            found = compare_files(*(os.path.join(scratch, side, name) for side in done))
        except Exception as error:
            found = f"cannot be compared: {error!r:.300}"
        if found:
            said = f"; it said: {last_line(done['ours'])}" if done["ours"].stderr.strip() else ""
            return "DIFF", f"{name} {found}{said}"
    return "same", "" if names == [FORCED] else ", ".join(names)


def main() -> int:
    """Run all programs, or those whose path holds one of the names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkout")
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    counts: dict[str, Counter[str]] = {}
    for program in programs.found(os.path.abspath(options.checkout)):
        if options.names and not any(name in program.name for name in options.names):
            continue
        outcome, why = "skip", program.left_out
        if not why:
            scratch = tempfile.mkdtemp()
            outcome, why = compare(program, scratch)
            shutil.rmtree(scratch)
        if outcome == "DIFF" and program.known:
            outcome, why = "known", program.known
        counts.setdefault(program.directory, Counter())[outcome] += 1
        print(f"{outcome:5} {program.name} {why}", flush=True)
    for directory, found in counts.items():
        print(f"{directory}: {found['same']} same, {found['DIFF']} different, {found['known']} known to differ, {found['skip']} skipped")
    total: Counter[str] = sum(counts.values(), Counter())
    print(f"{total['same']} same, {total['DIFF']} different, {total['known']} known to differ, {total['skip']} skipped")
    return 1 if total["DIFF"] else 0


if __name__ == "__main__":
    sys.exit(main())
