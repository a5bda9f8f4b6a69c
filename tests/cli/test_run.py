"""`shmrerun run`: processes that are started by anybody log into one recording."""

from __future__ import annotations

import subprocess
import sys

import pytest
from helpers import check, has_footer, scalars, trees

from shmrerun.testing import wait_until

RANK = """
import sys
import shmrerun as rr
rr.init("ranks")
rr.save("out.rrd")
for i in range(20):
    rr.log("rows", rr.Scalars([int(sys.argv[1]), i]))
"""
LAUNCHERS = {
    "xargs": "seq 0 9 | xargs -P 4 -n 1 {python} rank.py",
    "script": "for n in 0 1 2 3 4 5 6 7 8; do {python} rank.py $n & done; {python} rank.py 9; wait",
    "sequence": "for n in 0 1 2 3 4 5 6 7 8 9; do {python} rank.py $n; done",
}


@pytest.mark.parametrize("launcher", sorted(LAUNCHERS))
def test_processes_of_any_launcher_make_one_recording(tmp_path, launcher):
    """Each process calls init, save and log; there is one file, with one recording and all rows, and no complaint."""
    (tmp_path / "rank.py").write_text(RANK)
    line = LAUNCHERS[launcher].format(python=sys.executable)
    command = [sys.executable, "-m", "shmrerun", "run", "--", "sh", "-c", line]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    wait_until(lambda: not trees(), 30, "the aggregator has ended")
    assert sorted(scalars(check(tmp_path / "out.rrd"), "/rows")) == [(n, i) for n in range(10) for i in range(20)]
    assert has_footer(tmp_path / "out.rrd")
    assert [path.name for path in tmp_path.glob("*.rrd")] == ["out.rrd"]


def test_exit_code_and_name(tmp_path):
    """The exit status is the command's; the name is in its environment, a new one if none is given."""
    show = [sys.executable, "-c", "import os, sys; print(os.environ['SHMRERUN_TREE']); sys.exit(7)"]
    names = []
    for options in (["--name", "mine"], [], []):
        command = [sys.executable, "-m", "shmrerun", "run", *options, "--", *show]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 7
        names.append(done.stdout.strip())
    assert names[0] == "mine"
    assert len(set(names)) == 3
    missing = [sys.executable, "-m", "shmrerun", "run", "no-such-command-anywhere"]
    done = subprocess.run(missing, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 127
    assert "no such command" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["demo", "--workers", "abc"], "usage: shmrerun demo .*'abc' is not a number of workers"),
        (["demo", "--files", "0"], "usage: shmrerun demo .*at least 1 of files, not 0"),
        (["wait", "x", "--timeout", "soon"], "usage: shmrerun wait .*'soon' is not a number of seconds"),
        (["wait"], "usage: shmrerun wait .*give either a PATH or --all"),
        (["run"], "usage: shmrerun run .*give the COMMAND"),
    ],
)
def test_messages(tmp_path, arguments, text):
    """A wrong argument is answered with the usage of its command and what is wrong, in words."""
    import re

    command = [sys.executable, "-m", "shmrerun", *arguments]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 2
    assert re.search(text, done.stderr, re.DOTALL), done.stderr
