"""Where the time of a scalar and of an image goes: functions of the caller and of the aggregator, by ``perf``.

``python bench/alone/where_time_goes.py [scalar image text points]`` writes ``bench/profiles/<case>.txt``. Samples are of CPU time, the
kernel's included, while rows are logged and until the file is complete; starting and importing are not in them.
"""

from __future__ import annotations

import collections
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

PROFILES = Path(__file__).parent.parent / "profiles"
HERTZ = 4999
MOST = 25  # functions of each process
CASES = {  # calls, seconds between them, statement
    "scalar": (400_000, 0.0, 'log("bench/scalar", rr.Scalars(step * 0.5))'),
    "text": (400_000, 0.0, 'log("bench/text", rr.TextLog("the quick brown fox jumps over the lazy dog", level="INFO"))'),
    "points": (20_000, 0.0, 'log("bench/points", rr.Points3D(points))'),
    "image": (1_000, 0.01, 'log("bench/image", rr.Image(pixels))'),
}
PROGRAM = """
import json, sys, time
import numpy as np
import shmrerun as rr
from shmrerun import log, set_time
sys.path.append(sys.argv[3])
import costs
random = np.random.default_rng(0)
points, pixels = random.random((1000, 3), np.float32), random.integers(0, 256, (480, 640, 3), np.uint8)
rr.init("shmrerun_bench")
rr.save(sys.argv[1])
def run(count):
    for step in range(count):
        set_time("step", sequence=step)
        {statement}
        {rest}
run(20)
rr.get_global_data_recording().flush()
aggregator, began = costs.aggregator_pid(), time.monotonic()
run(int(sys.argv[2]))
logged = time.monotonic()
rr.get_global_data_recording().flush()
print(json.dumps({{"aggregator": aggregator, "began": began, "logged": logged, "ended": time.monotonic()}}))
rr.disconnect()
"""
SAMPLE = re.compile(r"\s*(\d+)\s+([\d.]+):\s+(?:[0-9a-f]+ )?(.*) \((.*)\)$")


class Sample(NamedTuple):
    """What a processor did at some moment."""

    pid: int
    secs: float
    function: str
    file: str


def record(case: str, scale: float, directory: str) -> tuple[dict[str, float], list[Sample], int]:
    """Run a case under perf; returns what its program says of itself, the samples, and the number of calls."""
    count, rest, statement = CASES[case]
    count = max(10, round(count * scale))
    text = PROGRAM.format(statement=statement, rest=f"time.sleep({rest})" if rest else "")
    data = os.path.join(directory, "perf.data")
    program = [sys.executable, "-c", text, os.path.join(directory, f"{case}.rrd"), str(count), str(Path(__file__).parent.parent)]
    recording = ["perf", "record", "-q", "-e", "cpu-clock", "-F", str(HERTZ), "-k", "CLOCK_MONOTONIC", "-o", data, "--", *program]
    done = subprocess.run(recording, capture_output=True, check=True, text=True)
    said = json.loads(next(line for line in done.stdout.splitlines() if line.startswith("{")))
    script = subprocess.run(
        ["perf", "script", "-i", data, "-F", "pid,time,ip,sym,dso"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=True,
        text=True,
    )
    found = [Sample(int(one[1]), float(one[2]), one[3], one[4]) for one in map(SAMPLE.match, script.stdout.splitlines()) if one]
    return said, [sample for sample in found if said["began"] <= sample.secs <= said["ended"]], count


def profile(case: str, scale: float) -> str:
    """Return the text of a case."""
    with tempfile.TemporaryDirectory() as directory:
        said, samples, count = record(case, scale, directory)
    wall = said["logged"] - said["began"]
    text = f"{CASES[case][2]}, with set_time: {count:,} calls in {wall:.2f} s, {HERTZ} samples a second of CPU time\n"
    sides = {"aggregator": [sample for sample in samples if sample.pid == said["aggregator"]]}
    sides = {"caller": [sample for sample in samples if sample.pid != said["aggregator"]]} | sides
    for side, own in sides.items():
        secs = len(own) / HERTZ
        text += f"\n{side}: {secs:.2f} s of CPU time, {secs / count * 1e6:.2f} us a call\n\n  share    ns a call  function\n"
        by_function = collections.Counter((sample.function, os.path.basename(sample.file.strip("[]"))) for sample in own)
        for (function, file), number in by_function.most_common(MOST):
            text += f"  {number / len(own):5.1%} {number / HERTZ / count * 1e9:12,.0f}  {function} ({file})\n"
        shown = sum(number for _, number in by_function.most_common(MOST))
        text += f"  {(len(own) - shown) / max(len(own), 1):5.1%}               {max(len(by_function) - MOST, 0)} others\n"
    return text


def main() -> int:
    if not shutil.which("perf"):
        print("needs perf (Debian: apt-get install linux-perf)", file=sys.stderr)
        return 2
    PROFILES.mkdir(exist_ok=True)
    for case in sys.argv[1:] or ("scalar", "image"):
        if case not in CASES:
            sys.exit(f"there is no case {case}, of {', '.join(CASES)}")
        text = profile(case, float(os.environ.get("SHMRERUN_BENCH_SCALE", "1")))
        print(text)
        (PROFILES / f"{case}.txt").write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
