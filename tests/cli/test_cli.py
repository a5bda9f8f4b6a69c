"""The command line, each command as a real process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from shmrerun.testing import leftovers

_SECONDS = 300


def run(*arguments, cwd, status=0):
    """Run the command line and return what it printed; fails if the exit status is another one."""
    argv = [sys.executable, "-m", "shmrerun", *arguments]
    done = subprocess.run(argv, cwd=cwd, capture_output=True, text=True, timeout=_SECONDS, check=False)
    assert done.returncode == status, done.stderr
    return done.stdout


@pytest.fixture
def program(tmp_path):
    """Start a program that logs 100 rows from a child into live.rrd, then holds on until its stdin is closed."""
    script = tmp_path / "program.py"
    script.write_text(
        "import multiprocessing, sys\n"
        "import shmrerun as rr\n"
        "def work():\n"
        "    for i in range(100):\n"
        "        rr.set_time('step', sequence=i)\n"
        "        rr.log('child/value', rr.Scalars(i))\n"
        "if __name__ == '__main__':\n"
        "    rr.init('live_program', recording_id='live')\n"
        "    rr.save('live.rrd')\n"
        "    child = multiprocessing.get_context('fork').Process(target=work)\n"
        "    child.start()\n"
        "    child.join()\n"
        "    rr.get_data_recording().flush()\n"
        "    print('ready', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    started = subprocess.Popen([sys.executable, script], cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert started.stdout.readline() == "ready\n"
    try:
        yield started
    finally:
        started.stdin.close()
        started.wait(_SECONDS)
        started.stdout.close()


def ours(trees, pid):
    """Return the tree that a process belongs to."""
    return next(tree for tree in trees["trees"] if pid in [process["pid"] for process in tree["processes"]])


def shared_segments():
    """Names of the segments of this run; another run's come and go."""
    return {path for path in leftovers().files if path.startswith("/dev/shm/shmrerun-")}


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_demo_loses_no_row(tmp_path, method):
    """The demo's file holds a row for each call of log that returned, and rerun's own reader counts the same."""
    arguments = ["demo", "--json", "--files", "24", "--workers", "3", "--start-method", method, "--out", "d.rrd"]
    report = json.loads(run(*arguments, cwd=tmp_path))
    assert report["start_method"] == method
    assert report["rows"]["lost"] == 0
    assert report["rows"]["logged"] == sum(process["rows"] for process in report["processes"]) >= 24 * 5
    assert report["cost_of_a_call"]["n"] >= 24 * 5
    pytest.importorskip("rerun")
    from rerun.chunk import RrdReader

    rows = sum(
        chunk.num_rows for chunk in RrdReader(tmp_path / "d.rrd").stream().to_chunks() if not chunk.entity_path.startswith("/__properties")
    )
    assert rows == report["rows"]["in_file"]
    verified = subprocess.run(
        [os.path.join(os.path.dirname(sys.executable), "rerun"), "rrd", "verify", "d.rrd"],
        cwd=tmp_path, capture_output=True, text=True, timeout=_SECONDS, check=False,
    )  # fmt: skip
    assert verified.returncode == 0, verified.stderr


def test_demo_tells_people_the_same(tmp_path):
    """Without --json the demo prints rows of each process, the count of lost rows and how to open the file."""
    printed = run("demo", "--files", "4", "--workers", "2", cwd=tmp_path)
    assert "rows lost     0 (" in printed
    assert "worker " in printed  # one of the two may have done all of it
    assert "rerun demo.rrd" in printed


def test_demo_refuses_a_path_that_cannot_be_written(tmp_path):
    """A demo whose file cannot be made ends with status 2 and starts no worker."""
    run("demo", "--files", "4", "--out", "no/such/directory/d.rrd", cwd=tmp_path, status=2)


def test_ps_shows_a_live_program_and_changes_nothing(tmp_path, program):
    """While a program logs, ps finds its processes, recording, rows and file, and adds nothing to shared memory."""
    before = shared_segments()
    tree = ours(json.loads(run("ps", "--json", cwd=tmp_path)), program.pid)
    assert shared_segments() <= before  # a lane that was finished meanwhile may be gone
    assert tree["aggregator"]["alive"]
    assert tree["faults"] is None
    assert tree["aggregator"]["heartbeat_age_secs"] < _SECONDS
    assert [process["alive"] for process in tree["processes"] if process["pid"] == program.pid] == [True]
    [recording] = tree["recordings"]
    assert (recording["application_id"], recording["recording_id"]) == ("live_program", "live")
    assert recording["rows"] == 101  # 100 and the start time
    assert sum(recording["dropped"].values()) == 0
    [sink] = recording["sinks"]
    assert (sink["kind"], sink["state"], sink["error"]) == ("file", "active", None)
    assert sink["path"] == str(tmp_path / "live.rrd")
    assert sink["bytes"] > recording["bytes"] > 0
    member = next(member for member in recording["members"] if member["pid"] == program.pid)
    assert member["alive"]
    assert member["rows"] == 1
    assert member["lane"]["waiting_bytes"] == 0
    assert member["lane"]["size_bytes"] > 0
    printed = run("ps", cwd=tmp_path)
    assert f"process {program.pid}" in printed
    assert "recording live_program / live" in printed


def test_wait_ends_when_the_file_is_complete(tmp_path, program):
    """A file that a program writes is not complete; it is once the program has ended, and then has its footer."""
    run("wait", "live.rrd", "--timeout", "0.1", cwd=tmp_path, status=1)
    answer = json.loads(run("wait", "--all", "--timeout", "0", "--json", cwd=tmp_path, status=1))
    assert str(tmp_path / "live.rrd") in [file["path"] for file in answer["files"]]
    waiting = subprocess.Popen([sys.executable, "-m", "shmrerun", "wait", "live.rrd", "--timeout", str(_SECONDS)], cwd=tmp_path)
    assert waiting.poll() is None
    program.stdin.close()
    assert waiting.wait(_SECONDS) == 0
    from shmrerun.rrd.decoder import complete_length

    assert complete_length(tmp_path / "live.rrd").has_footer


def test_wait_and_ps_tell_that_everybody_died(tmp_path, program):
    """Where a program was killed together with its aggregator, wait gives up with status 1 and ps says so; the rows are there."""
    tree = ours(json.loads(run("ps", "--json", cwd=tmp_path)), program.pid)
    assert not tree["abandoned"]
    os.kill(tree["aggregator"]["pid"], signal.SIGKILL)
    program.kill()
    program.wait(_SECONDS)
    answer = json.loads(run("wait", "live.rrd", "--json", cwd=tmp_path, status=1))
    assert "are gone" in answer["files"][0]["reason"]
    abandoned = [found for found in json.loads(run("ps", "--json", cwd=tmp_path))["trees"] if found["tree"] == tree["tree"]]
    assert [found["abandoned"] for found in abandoned] == [True]
    assert "ABANDONED" in run("ps", cwd=tmp_path)
    script = "import sys; from shmrerun.shm.tree import Tree; t = Tree.attach(sys.argv[1]); t.claim(); t.ensure_aggregator()"
    subprocess.run([sys.executable, "-c", script, tree["tree"]], check=True, timeout=_SECONDS)
    run("wait", "live.rrd", "--timeout", str(_SECONDS), cwd=tmp_path)


def test_wait_without_a_file(tmp_path):
    """A path where there is no file is status 2, at once and whatever the timeout."""
    began = time.monotonic()
    run("wait", "nothing.rrd", cwd=tmp_path, status=2)
    assert time.monotonic() - began < _SECONDS


def test_wait_gives_up_a_torn_file_that_nobody_writes(tmp_path):
    """A file without a footer that no program writes will never be complete: status 1, and it says so."""
    (tmp_path / "torn.rrd").write_bytes(b"RRF2")
    answer = json.loads(run("wait", "--json", "torn.rrd", cwd=tmp_path, status=1))
    assert answer["files"][0]["complete"] is False
    assert "no footer" in answer["files"][0]["reason"]


@pytest.mark.parametrize("arguments", [["wait"], ["wait", "x", "--all"], ["aggregator"], [], ["demo", "--workers", "0"]])
def test_wrong_arguments_are_refused(tmp_path, arguments):
    """Arguments that make no sense are refused with status 2; the aggregator is not a command."""
    run(*arguments, cwd=tmp_path, status=2)


def test_version(tmp_path):
    """--version names the package's version."""
    import shmrerun

    assert shmrerun.__version__ in run("--version", cwd=tmp_path)


@pytest.mark.parametrize(("option", "says"), [("--view", "The viewer needs a display"), ("--web", "Failed to find Rerun Viewer")])
def test_demo_says_why_it_cannot_show(option, says, tmp_path, monkeypatch):
    """`demo --view` without a display, and `--web` without rerun's binary, end with status 2 and say why; so does `--out` with either."""
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "WAYLAND_SOCKET", "RERUN_CLI_PATH"):
        monkeypatch.delenv(name, raising=False)
    if option == "--web":
        monkeypatch.setenv("RERUN_CLI_PATH", "/no/such")
    for arguments, text in (([option], says), ([option, "--out", "x.rrd"], "give either --out")):
        argv = [sys.executable, "-m", "shmrerun", "demo", "--files", "2", "--workers", "1", *arguments]
        done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, timeout=_SECONDS, check=False)
        assert done.returncode == 2
        assert text in done.stderr
        assert not done.stdout
    assert not os.listdir(tmp_path)
