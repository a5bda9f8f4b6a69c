"""Run the benchmarks: one process for each subject and round, libraries alternating; prints JSON lines.

``python bench/run.py [--rounds N] [hot_path/scalar ...]``. See README.md for the method.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
LIBRARIES = ("shmrerun", "rerun-sdk")
BENCHES = (
    "hot_path/scalar",
    "hot_path/text",
    "hot_path/image",
    "hot_path/boxes3d",
    "hot_path/transform3d",
    "hot_path/linestrips3d",
    "hot_path/points3d_1000",
    "hot_path/tensor",
    "hot_path/barchart",
    "hot_path/image_30hz",
    "archetypes/all",
    "spawned/first_log",
    "throughput/scalar_1",
    "throughput/scalar_2",
    "throughput/scalar_4",
    "throughput/image_2",
    "live/scalar",
    "live/image",
    "read/open",
    "read/chunks",
    "read/column",
    "read/entity",
    "read/table",
    "read/whole_table",
    "lifecycle/save",
    "lifecycle/binary_stream",
    "lifecycle/memory",
)
COMPARED = ("p50", "p90", "p95", "p99", "p99_9")


def main() -> None:
    parser = argparse.ArgumentParser(description="JSON lines: one for each library and bench, one for their ratio.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("benches", nargs="*", metavar="BENCH", help=f"of {', '.join(BENCHES)}; default: all")
    arguments = parser.parse_args()
    libraries = [library for library in LIBRARIES if _version(library)]
    for bench in arguments.benches or BENCHES:
        if bench not in BENCHES:
            parser.error(f"there is no bench {bench}")
        rounds: dict[str, list[dict[str, Any]]] = {library: [] for library in libraries}
        for number in range(arguments.rounds):
            for library in libraries if number % 2 == 0 else reversed(libraries):
                rounds[library].append(_run(bench, library))
        for case in rounds[libraries[0]][0].get("cases", [None]):  # a subject may measure several things in one process
            name = f"{bench.partition('/')[0]}/{case}" if case else bench
            found = {library: [result["cases"][case] if case else result for result in results] for library, results in rounds.items()}
            for library in libraries:
                print(json.dumps(_summary(name, library, found[library])), flush=True)
            if len(libraries) == 2:
                print(json.dumps(_ratio(name, *found.values())), flush=True)


def _version(library: str) -> str | None:
    try:
        return version(library)
    except PackageNotFoundError:
        return None


def _run(bench: str, library: str) -> dict[str, Any]:
    program, case = bench.split("/")
    done = subprocess.run([sys.executable, str(HERE / f"{program}.py"), library, case], stdout=subprocess.PIPE, check=True, timeout=600)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def _summary(bench: str, library: str, rounds: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the median over rounds of each number; losses are added up."""
    numbers = {
        key: statistics.median(result[key] for result in rounds)
        for key, value in rounds[0].items()
        if isinstance(value, int | float) and key != "dropped"
    }
    if "dropped" in rounds[0]:
        numbers = {"dropped": sum(result["dropped"] for result in rounds)} | numbers
    spread = {key: [min(r[key] for r in rounds), max(r[key] for r in rounds)] for key in COMPARED if key in rounds[0]}
    return {
        "name": bench,
        "subject": library,
        "version": _version(library),
        "unit": rounds[0]["unit"],
        "rounds": len(rounds),
        **numbers,
        "spread": spread,
        "python": platform.python_version(),
        "cpu": _cpu(),
        "cpus": os.cpu_count(),
        "load": os.getloadavg()[0],
    }


def _ratio(bench: str, ours: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> dict[str, Any]:
    """Return ours divided by theirs, round by round: median, least and greatest."""
    line: dict[str, Any] = {"name": bench, "ratio": f"{LIBRARIES[0]} / {LIBRARIES[1]}", "rounds": len(ours)}
    for key in COMPARED:
        if key in ours[0]:
            ratios = [own[key] / other[key] for own, other in zip(ours, theirs, strict=True)]
            line[key] = {"median": statistics.median(ratios), "spread": [min(ratios), max(ratios)]}
    return line


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())


if __name__ == "__main__":
    main()
