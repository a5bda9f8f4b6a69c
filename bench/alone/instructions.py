"""Instructions that a call executes, in the caller and in the aggregator: a figure that repeats where times do not.

``python bench/alone/instructions.py [--write] [scalar log ...]`` prints one JSON object; with ``--write`` it makes
``bench/profiles/instructions.txt`` as well, with the functions that execute most of them. Two loops of different length run under
valgrind (callgrind), and the difference is divided by that of the lengths: what comes once cancels out, and of the caller an empty loop is
taken off. Of the caller only the loop is counted, by the function of CPython that runs it: waiting, at the start, takes no fixed number of
instructions. The program ends without closing the recording; the aggregator then ends by itself. What it does for a row depends on how
many rows it finds at a time, so its figures repeat to some per cent, the caller's to a few instructions.
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

BENCH = Path(__file__).parent.parent
PROFILES = BENCH / "profiles"
MOST = 25
CASES = {  # length of the shorter loop, statement
    "scalar": (5_000, 'set_time("step", sequence=step); log("bench/scalar", Scalars(step * 0.5))'),
    "text": (5_000, 'set_time("step", sequence=step); log("bench/text", TextLog("the quick brown fox", level="INFO"))'),
    "points": (500, 'set_time("step", sequence=step); log("bench/points", Points3D(points))'),
    "image": (50, 'set_time("step", sequence=step); log("bench/image", Image(pixels))'),
    "log": (5_000, 'log("bench/scalar", made)'),
    "set_time": (5_000, 'set_time("step", sequence=step)'),
    "nothing": (5_000, "pass"),
}
DETAILED = ("scalar", "image")
ALONE = ("log", "set_time", "nothing")  # parts of a call: the aggregator is not looked at
TIMES = 3  # the longer loop
PROGRAM = """
import os
import sys
import numpy as np
import shmrerun as rr
from shmrerun import Image, Points3D, Scalars, TextLog, log, set_time
from shmrerun.errors import FlushTimeoutError, SinkError
points, pixels = np.ones((1000, 3), np.float32), np.arange(480 * 640 * 3).astype(np.uint8).reshape(480, 640, 3)
made = Scalars(0.5)
for number in range(10 * (sys.argv[4] == "aggregator")):  # it loads what it needs, which under valgrind may take longer than it has
    try:
        recording = rr.RecordingStream("warm")
        recording.save(f"{{sys.argv[1]}}-{{number}}")
        recording.log("warm", made)
        recording.disconnect()
        break
    except (FlushTimeoutError, SinkError):
        pass
rr.init("shmrerun_bench")
rr.save(sys.argv[1])
log("warm", made)
def run(count):
    for step in range(count):
        {statement}
sys.path.append(sys.argv[3])
import costs
print(os.getpid(), costs.aggregator_pid(), flush=True)
exec("run(int(sys.argv[2]))")
os._exit(0)
"""
LOOP = "PyRun_StringFlags"  # runs the text that `exec` is given, and nothing else here
PATIENCE_SECONDS = 300


class Function(NamedTuple):
    """A function and the file that has its code."""

    name: str
    file: str


class Counts(NamedTuple):
    """Instructions of the two processes, by function; those of what it calls are not in them."""

    caller: collections.Counter[Function]
    aggregator: collections.Counter[Function]


def count(case: str, steps: int, side: str, directory: str) -> collections.Counter[Function]:
    """Run one loop, one of the two processes under callgrind: the aggregator by a script in place of its interpreter."""
    outputs = Path(directory, f"{case}-{steps}-{side}")
    outputs.mkdir(mode=0o700)
    (outputs / "program.py").write_text(PROGRAM.format(statement=CASES[case][1]), encoding="utf-8")
    program = [sys.executable, str(outputs / "program.py"), str(outputs / "rows.rrd"), str(steps), str(BENCH), side]
    command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={outputs}/out.%p", "--log-file=/dev/null"]
    environment = os.environ | {"PYTHONHASHSEED": "0", "SHMRERUN_RUNTIME_DIR": str(outputs)}
    if side == "aggregator":
        interpreter = outputs / "python"
        interpreter.write_text(f'#!/bin/sh\nexec {shlex.join(command)} {shlex.quote(sys.executable)} "$@"\n', encoding="utf-8")
        interpreter.chmod(0o700)
        environment["SHMRERUN_PYTHON"] = str(interpreter)
    else:
        program = [*command, f"--toggle-collect={LOOP}", *program]
    done = subprocess.run(program, stdout=subprocess.PIPE, check=True, env=environment, text=True)
    output = outputs / f"out.{done.stdout.split()[Counts._fields.index(side)]}"
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (output.exists() and "\ntotals:" in (text := output.read_text(encoding="utf-8", errors="replace"))):
        if time.monotonic() > deadline:
            raise RuntimeError(f"the {side} has not ended {PATIENCE_SECONDS} s after the program")
        time.sleep(0.5)
    return functions(text)


def functions(text: str) -> collections.Counter[Function]:
    """Return the instructions of each function in a file of callgrind."""
    found: collections.Counter[Function] = collections.Counter()
    names: dict[tuple[str, str], str] = {}

    def name(kind: str, value: str) -> str:
        number, _, given = value.partition(" ")
        if given:
            names[kind, number] = given
        return names.get((kind, number), value)

    file, function, of_callee = "", "", False
    for line in text.splitlines():
        if line[:3] in {"ob=", "fn="}:
            value = name(line[:2], line[3:])
            file, function = (os.path.basename(value), function) if line[0] == "o" else (file, value)
        elif line[:4] in {"cob=", "cfn="}:
            name(line[1:3], line[4:])
        elif line.startswith("calls="):
            of_callee = True  # the next line is what the callee cost, with all that it called
        elif line and (line[0].isdigit() or line[0] in "+-*"):
            if not of_callee:
                found[Function(re.sub(r"'\d+$", "", function), file)] += int(line.split()[1])
            of_callee = False
    return found


def each(case: str, directory: str) -> Counts:
    """Return the instructions of a call."""
    short, sides = CASES[case][0], []
    for side in Counts._fields:
        found: collections.Counter[Function] = collections.Counter()
        if side == "caller" or case not in ALONE:
            found = count(case, short * TIMES, side, directory)
            found.subtract(count(case, short, side, directory))
        sides.append(collections.Counter({function: number / (short * (TIMES - 1)) for function, number in found.items()}))
    return Counts(*sides)


def table(case: str, counts: Counts) -> str:
    """Return the functions of a call, those first that execute most."""
    text = f"{CASES[case][1]}\n"
    for side, own in zip(Counts._fields, counts, strict=True):
        total = sum(own.values())
        text += f"\n  {side}: {total:,.0f} instructions a call\n\n"
        for function, number in own.most_common(MOST):
            text += f"  {number / total:6.1%} {number:12,.1f}  {function.name} ({function.file})\n"
    return text + "\n"


def main() -> int:
    if not shutil.which("valgrind"):
        print("needs valgrind", file=sys.stderr)
        return 2
    arguments = argparse.ArgumentParser(description="Count instructions of a call.")
    arguments.add_argument("--write", action="store_true", help="write bench/profiles/instructions.txt as well")
    arguments.add_argument("cases", nargs="*", help=f"of {', '.join(CASES)}; all unless given")
    options = arguments.parse_args()
    if unknown := {*options.cases} - {*CASES}:
        arguments.error(f"there is no case {' or '.join(sorted(unknown))}")
    with tempfile.TemporaryDirectory() as directory:
        counts = {case: each(case, directory) for case in ({**dict.fromkeys(options.cases), "nothing": None} if options.cases else CASES)}
    empty = sum(counts.pop("nothing").caller.values())
    line = {
        "name": "instructions",
        "unit": "instructions a call",
        **{case: round(sum(own.caller.values()) - empty) for case, own in counts.items()},
        "aggregator": {case: round(sum(own.aggregator.values())) for case, own in counts.items() if case not in ALONE},
    }
    print(json.dumps(line))
    if options.write:
        PROFILES.mkdir(exist_ok=True)
        (PROFILES / "instructions.txt").write_text(
            "".join(table(case, counts[case]) for case in DETAILED if case in counts), encoding="utf-8"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
