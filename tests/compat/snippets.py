"""Run Rerun's documentation snippets with rerun-sdk and with shmrerun in its place, unedited, and compare the recordings.

    python tests/compat/snippets.py CHECKOUT [NAME ...]

CHECKOUT is a checkout of rerun-io/rerun. Each Python file under docs/snippets/all runs twice with ``_RERUN_TEST_FORCE_SAVE`` set; both
recordings go through ``rerun rrd optimize`` and are compared with ``rerun rrd compare --unordered --ignore-timeline log_tick``; of
blueprints, which that leaves out, the rows are compared, with numbers for ids.
The tick of both batchers is an hour, so that chunks follow from what was logged and not from when.
Prints one line a snippet and the closing line "N passed, N failed, N skipped"; exit code 1 if any failed.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

from blueprint_rows import normalised

LEFT_OUT = (  # what a snippet mentions, and why it is left out
    (r"\bcatalog\b|(rerun|rr)\.server|dataframe|datafusion|RrdReader|rerun\.(chunk|experimental)|rr\.recording", "catalog or reader"),
    (r"requests|urllib|huggingface|download", "download"),
    (r"log_file_from|send_chunks|send_record_batch|importer|mcap|urdf", "file loaders"),
    (r"serve_web|notebook|GrpcSink", "viewers and servers"),
)
SEEDED = "import numpy,runpy,sys;numpy.random.seed(0);sys.argv=sys.argv[1:];runpy.run_path(sys.argv[0],run_name='__main__')"
AS_RERUN = f"import shmrerun;shmrerun.install_as_rerun();{SEEDED}"
BIN = os.path.dirname(sys.executable)


def run(command: list[str], directory: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command with a deadline; never raises."""
    env = {**os.environ, "NO_COLOR": "1", "PYTHONWARNINGS": "ignore", "RERUN_FLUSH_TICK_SECS": "3600", **environment}
    try:
        return subprocess.run(command, cwd=directory, env=env, capture_output=True, text=True, timeout=300, check=False)
    except subprocess.TimeoutExpired as error:
        return subprocess.CompletedProcess(command, 124, str(error.stdout), f"timed out {error.stderr}")


def last_line(done: subprocess.CompletedProcess[str]) -> str:
    """What a failed command said last."""
    lines = [line for line in (done.stderr + done.stdout).splitlines() if line.strip()]
    return lines[-1][:300] if lines else f"exit code {done.returncode}"


def compare(path: str) -> tuple[str, str]:
    """Outcome of one snippet, ``ok``, ``skip`` or ``FAIL``, and why."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    for pattern, reason in LEFT_OUT:
        if re.search(pattern, text):
            return "skip", reason
    for package in re.findall(r"^ *(?:import|from) (\w+)", text, re.MULTILINE):
        if importlib.util.find_spec(package) is None:
            return "skip", f"needs {package}, which is not installed"
    here = os.path.dirname(path)
    arguments = [os.path.join(here, "..", "..", "assets", "example.rrd")] if re.search(r"sys\.argv\[1\]", text) else []
    with tempfile.TemporaryDirectory() as directory:
        files = {name: f"{directory}/{name}.rrd" for name in ("theirs", "ours")}
        theirs = run([sys.executable, "-c", SEEDED, path, *arguments], directory, _RERUN_TEST_FORCE_SAVE=files["theirs"])
        if theirs.returncode or not os.path.exists(files["theirs"]):
            return "skip", f"rerun-sdk 0.41 does not run it: {last_line(theirs)}"
        ours = run([sys.executable, "-c", AS_RERUN, path, *arguments], directory, _RERUN_TEST_FORCE_SAVE=files["ours"])
        if ours.returncode:
            return "FAIL", last_line(ours)
        try:
            theirs_rows, ours_rows = (normalised(file, several=True) for file in files.values())
        except RuntimeError as error:
            return "FAIL", f"cannot be read: {str(error)[:300]}"
        if theirs_rows != ours_rows:
            differing = [pair for pair in zip(theirs_rows, ours_rows, strict=False) if pair[0] != pair[1]]
            return "FAIL", f"blueprints of {len(theirs_rows)} and {len(ours_rows)} rows differ: {str(differing[:1])[:600]}"
        for file in files.values():
            optimized = run([f"{BIN}/rerun", "rrd", "optimize", file, "-o", file + ".opt"], directory)
            if optimized.returncode:
                return "FAIL", f"optimize: {last_line(optimized)}"
        command = [f"{BIN}/rerun", "rrd", "compare", "--unordered", "--ignore-timeline", "log_tick"]
        same = run([*command, *(file + ".opt" for file in files.values())], directory)
        found = f"with a blueprint of {len(ours_rows)} rows" if ours_rows else ""
        return ("ok", found) if same.returncode == 0 else ("FAIL", f"differs: {(same.stderr + same.stdout)[:600]}")


def main() -> int:
    """Run all snippets, or those whose path holds one of the names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkout")
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    found = []
    for directory, _, files in os.walk(os.path.join(options.checkout, "docs", "snippets", "all")):
        found += [os.path.join(directory, name) for name in files if name.endswith(".py")]
    found = [path for path in sorted(found) if not options.names or any(name in path for name in options.names)]
    counts = {"ok": 0, "skip": 0, "FAIL": 0}
    with ThreadPoolExecutor(2) as pool:
        for path, (outcome, why) in zip(found, pool.map(compare, found), strict=True):
            counts[outcome] += 1
            print(f"{outcome:4} {os.path.relpath(path, options.checkout)} {why}", flush=True)
    print(f"{counts['ok']} passed, {counts['FAIL']} failed, {counts['skip']} skipped")
    return 1 if counts["FAIL"] else 0


if __name__ == "__main__":
    sys.exit(main())
