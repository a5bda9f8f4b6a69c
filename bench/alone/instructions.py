"""Instructions that ``set_time`` and ``log(Scalars)`` execute in the caller: a figure that repeats where times do not.

``python bench/instructions.py`` prints one JSON object. It counts two loops of different length under valgrind (callgrind), or with
``perf stat`` where that is not installed, and divides the difference: start and imports cancel out. The processes end without closing the
recording, because waiting for the aggregator takes no fixed number of instructions.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

CASES = {
    "scalar": 'set_time("step", sequence=step); log("bench/scalar", Scalars(step * 0.5))',
    "log": 'log("bench/scalar", made)',
    "set_time": 'set_time("step", sequence=step)',
    "nothing": "pass",
}
SHORT, LONG = 5_000, 15_000
PROGRAM = """
import os
import sys
import shmrerun as rr
from shmrerun import Scalars, log, set_time
rr.init("shmrerun_bench")
rr.save(sys.argv[1])
made = Scalars(0.5)
def run(count):
    for step in range(count):
        {statement}
run(int(sys.argv[2]))
os._exit(0)
"""


def count(case: str, steps: int, directory: str) -> int:
    """Instructions of one process in user mode; the aggregator is another one and not in it."""
    program = [sys.executable, "-c", PROGRAM.format(statement=CASES[case]), f"{directory}/{case}-{steps}.rrd", str(steps)]
    if shutil.which("valgrind"):
        found = f"{directory}/callgrind.{case}.{steps}"
        command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={found}", *program]
        done = subprocess.run(command, stderr=subprocess.PIPE, check=True, text=True, env=os.environ | {"PYTHONHASHSEED": "0"})
        return max(map(int, re.findall(r"Collected : (\d+)", done.stderr)))  # the launcher of the aggregator reports as well
    command = ["perf", "stat", "-x", ",", "-e", "instructions:u", *program]
    done = subprocess.run(command, stderr=subprocess.PIPE, check=True, text=True, env=os.environ | {"PYTHONHASHSEED": "0"})
    return int(done.stderr.strip().splitlines()[-1].partition(",")[0])


def main() -> int:
    """Count each case; the empty loop is taken off the others."""
    if not (shutil.which("valgrind") or shutil.which("perf")):
        print("needs valgrind or perf", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as directory:
        each = {case: (count(case, LONG, directory) - count(case, SHORT, directory)) / (LONG - SHORT) for case in CASES}
    empty = each.pop("nothing")
    print(
        json.dumps({"name": "instructions", "unit": "instructions a call", **{case: round(found - empty) for case, found in each.items()}})
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
