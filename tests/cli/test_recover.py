"""A whole program and its aggregator killed at once: what is left is told, recovered exactly, or removed on request."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest
from helpers import RUNTIME, check, has_footer, run, scalars, start, trees
from helpers_programs import returned

from shmrerun.shm import places, sweep
from shmrerun.testing import leftovers, wait_until

KILLED = """
    import os, signal, sys, time
    import numpy
    import shmrerun as rr
    from helpers_programs import Returned, own_tree
    from shmrerun.testing import aggregator_pid, wait_until

    ORDER, SINK = sys.argv[1:]

    def produce(number):
        count, sequence = Returned(".", number), 0
        while True:
            rr.set_time("step", sequence=sequence)
            rr.log("rows", rr.Scalars([number, sequence]))
            sequence += 1
            count.store(sequence)
            if SINK == "spool" and sequence % 20 == 0:
                rr.log("images", rr.Image(numpy.full((100, 500, 3), number, numpy.uint8)))
            if sequence % 10 == 0:
                time.sleep(0.001)
            if sequence == 1000:
                open(f"reached-{number}", "w").close()

    rr.init("killed", recording_id="one")
    if SINK == "file":
        rr.save("out.rrd")
    elif SINK == "stream":
        stream = rr.binary_stream()
    rr.log("warm", rr.Scalars(0))
    if SINK == "file":
        rr.get_global_data_recording().flush()
    wait_until(lambda: aggregator_pid(own_tree()), 20, "an aggregator")
    children = []
    for number in range(3):
        pid = os.fork()
        if pid == 0:
            produce(number)
        children.append(pid)
    wait_until(lambda: all(os.path.exists(f"reached-{n}") for n in range(3)), 60, "a thousand rows of each")
    aggregator = aggregator_pid(own_tree())
    for pid in ([aggregator, *children] if ORDER == "first" else [*children, aggregator]):
        if pid == aggregator and ORDER == "last":
            os.kill(pid, signal.SIGSTOP)  # whatever it does, it is not through with the rows
        os.kill(pid, signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def command(*arguments, cwd, status=0):
    """Run the command line; returns what it printed."""
    argv = [sys.executable, "-m", "shmrerun", *arguments]
    done = subprocess.run(argv, cwd=cwd, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout


def is_dead(tmp_path):
    """Whether the one tree is abandoned, as `ps` has it; an aggregator that somebody had begun to start is given its time."""
    found = json.loads(command("ps", "--json", cwd=tmp_path))["trees"]
    return [tree["abandoned"] for tree in found] == [True]


def kill_all(tmp_path, order, sink):
    """Run the program to its violent end; returns the token of its tree."""
    program = start(KILLED, tmp_path, arguments=(order, sink), deadline=100)
    assert program.wait(check=False).returncode == -signal.SIGKILL, program.output()
    wait_until(lambda: is_dead(tmp_path), 20, "all are dead")
    [token] = trees()
    return token


def check_all(path, tmp_path):
    """Every row whose call returned is there, exactly once; at most one of each process more."""
    assert has_footer(path)
    rows = check(path)
    found = {}
    for number, sequence in scalars(rows, "/rows"):
        found.setdefault(number, []).append(sequence)
    counted = returned(tmp_path)
    assert set(counted) == {0, 1, 2}
    for number, count in counted.items():
        sequences = sorted(found[number])
        assert sequences == list(range(len(sequences)))
        assert len(sequences) in (count, count + 1)
    return rows


@pytest.mark.parametrize("sink", ["file", "none", "spool", "stream"])
@pytest.mark.parametrize("order", ["first", "last"])
def test_every_row_is_recovered_once(tmp_path, order, sink):
    """Whoever died first, and whether there was a file or none, `recover` makes a whole file with each row once, and leaves nothing."""
    token = kill_all(tmp_path, order, sink)
    assert "shmrerun recover" in command("ps", cwd=tmp_path)
    if sink == "file":
        before = os.stat(tmp_path / "out.rrd").st_ino
        answer = json.loads(command("wait", "--all", "--json", cwd=tmp_path, status=1))
        assert [file["path"] for file in answer["files"]] == [str(tmp_path / "out.rrd")]
        assert "recover" in answer["files"][0]["reason"]
    (tmp_path / "into").mkdir()
    answer = json.loads(command("recover", "--out", "into", "--json", cwd=tmp_path))
    [made] = answer["files"]
    assert (made["tree"], made["application_id"], made["recording_id"], made["complete"]) == (token, "killed", "one", True)
    if sink == "file":
        assert made["path"] == str(tmp_path / "out.rrd")
        assert os.stat(made["path"]).st_ino == before
        assert os.listdir(tmp_path / "into") == []
    else:
        assert made["path"] == str(tmp_path / "into/killed-one.rrd")
    rows = check_all(made["path"], tmp_path)
    assert made["rows"] == sum(len(found) for found in rows.values())
    assert scalars(rows, "/warm") == [0]
    assert not trees()
    assert not leftovers().processes
    command("wait", made["path"], cwd=tmp_path)


def test_nothing_is_overwritten(tmp_path):
    """A file of the name that a recovered recording would have stays as it is; the recording gets another name."""
    kill_all(tmp_path, "last", "none")
    (tmp_path / "killed-one.rrd").write_text("mine")
    assert f"{tmp_path}/killed-one-1.rrd: " in command("recover", cwd=tmp_path)
    assert (tmp_path / "killed-one.rrd").read_text() == "mine"
    check_all(tmp_path / "killed-one-1.rrd", tmp_path)


def test_file_that_is_gone(tmp_path):
    """If the file was removed meanwhile, its rows that are still in shared memory go into one beside it, which is named."""
    kill_all(tmp_path, "last", "file")
    (tmp_path / "out.rrd").unlink()
    printed = command("recover", cwd=tmp_path)
    assert printed.startswith(f"{tmp_path}/out.recovered-1.rrd: ")
    assert has_footer(tmp_path / "out.recovered-1.rrd")
    check(tmp_path / "out.recovered-1.rrd")


def test_directory_that_is_gone(tmp_path):
    """If the file's whole directory is gone, its rows go where `--out` says."""
    kill_all(tmp_path, "last", "file")
    (tmp_path / "out.rrd").rename(tmp_path / "moved.rrd")
    token = trees()[0]
    code = """
import sys
from shmrerun.shm.session import sinks
from shmrerun.shm import sweep
for tree in sweep.trees():
    for _, session in sweep.sessions(tree):
        for sink in sinks(session):
            session.sink(sink.slot).path = sink.path.replace("/out.rrd", "/no/out.rrd").encode()
"""
    subprocess.run([sys.executable, "-c", code, token], check=True, timeout=300)
    assert f"{tmp_path}/killed-one.rrd: " in command("recover", cwd=tmp_path)
    assert has_footer(tmp_path / "killed-one.rrd")


def test_next_program_says_it_once(tmp_path):
    """The next program of the user says in one line what a killed one left, and leaves it alone."""
    kill_all(tmp_path, "last", "none")
    result = run(
        """
        import os
        import shmrerun as rr
        rr.init("next")
        rr.save("next.rrd")
        rr.log("rows", rr.Scalars(1))
        second = rr.RecordingStream("second")
        if os.fork() == 0:
            rr.log("rows", rr.Scalars(2))
            os._exit(0)
        os.wait()
        """,
        tmp_path,
    )
    lines = [line for line in result.stderr.splitlines() if "killed program" in line]
    assert len(lines) == 1
    rows = int(lines[0].split("left ")[1].split()[0].replace(",", ""))
    assert sum(returned(tmp_path).values()) <= rows <= sum(returned(tmp_path).values()) + 4
    assert "shmrerun recover" in lines[0]
    assert sorted(scalars(check(tmp_path / "next.rrd"), "/rows")) == [1, 2]
    command("recover", cwd=tmp_path)
    check_all(tmp_path / "killed-one.rrd", tmp_path)


INIT = """
    import os, signal, sys
    import shmrerun as rr
    from helpers_programs import own_tree
    from shmrerun.testing import aggregator_pid, wait_until
    rr.init("nothing")
    wait_until(lambda: aggregator_pid(own_tree()), 20, "an aggregator")
    os.kill(aggregator_pid(own_tree()), signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("who", ["program", "recover", "half"])
def test_trees_that_hold_nothing_are_removed(tmp_path, who):
    """A program killed right after `init`, or in it, leaves a tree that whoever comes next removes without a word."""
    if who == "half":
        os.mkdir(f"{os.environ[RUNTIME]}/{places.prefix_of(os.environ[RUNTIME])}abcdef", 0o700)
        with open(f"{os.environ[RUNTIME]}/{places.prefix_of(os.environ[RUNTIME])}abcdef/lock", "w"):
            pass
    else:
        start(INIT, tmp_path).wait(check=False)
        wait_until(lambda: is_dead(tmp_path), 20, "all are dead")
    assert len(trees()) == 1
    if who == "recover":
        assert "No killed program" in command("recover", cwd=tmp_path)
    else:
        result = run("import shmrerun as rr; rr.init('next'); rr.save('next.rrd'); rr.log('rows', rr.Scalars(1))", tmp_path)
        assert not result.stderr
    wait_until(lambda: not trees(), 20, "both trees are gone")


def test_clean_shows_then_removes(tmp_path):
    """`clean` shows what is dead and how many rows would be lost, and removes it with --yes alone; live programs are not touched."""
    token = kill_all(tmp_path, "last", "spool")
    live = start(
        """
        import shmrerun as rr
        from shmrerun.testing import wait_until
        import os
        rr.init("live")
        rr.save("live.rrd")
        rr.log("rows", rr.Scalars(1))
        open("logs", "w").close()
        wait_until(lambda: os.path.exists("go"), 100, "told to go on")
        rr.log("rows", rr.Scalars(2))
        """,
        tmp_path, deadline=120,
    )  # fmt: skip
    try:
        wait_until((tmp_path / "logs").exists, 30, "a live program")
        before = leftovers()
        shown = json.loads(command("clean", "--json", cwd=tmp_path))
        assert [tree["tree"] for tree in shown["trees"]] == [token]
        rows = sum(returned(tmp_path).values())
        assert rows <= shown["rows"]
        assert not shown["removed"]
        assert f"{shown['rows']:,} rows are lost" in command("clean", cwd=tmp_path)
        assert not before.files - leftovers().files
        assert "Removed." in command("clean", "--yes", cwd=tmp_path)
        assert [tree for tree in trees() if tree == token] == []
        assert not [path for path in leftovers().files if token in path]
        assert "No killed program" in command("clean", cwd=tmp_path)
    finally:
        (tmp_path / "go").touch()
        live.wait()
    assert scalars(check(tmp_path / "live.rrd"), "/rows") == [1, 2]


def test_clean_removes_segments_without_a_tree(tmp_path):
    """Segments whose tree's directory is gone are shown and removed once no process has them; young ones are left alone."""
    token = kill_all(tmp_path, "last", "none")
    directory = f"{os.environ[RUNTIME]}/{token}"
    for name in os.listdir(directory):
        os.unlink(f"{directory}/{name}")
    os.rmdir(directory)
    names = [path for path in leftovers().files if token in path]
    assert len(names) >= 4
    assert json.loads(command("clean", "--json", "--yes", cwd=tmp_path))["orphans"] == []
    for name in names:
        os.utime(name, (1, 1))
    with open(names[0], "r+b") as file:  # somebody has one of them in memory
        import mmap

        with mmap.mmap(file.fileno(), 4096):
            assert json.loads(command("clean", "--json", cwd=tmp_path))["orphans"] == []
    assert [orphan["token"] for orphan in json.loads(command("clean", "--json", cwd=tmp_path))["orphans"]] == [token]
    command("clean", "--yes", cwd=tmp_path)
    assert not [path for path in leftovers().files if token in path]


def test_recover_of_what_is_not_dead(tmp_path):
    """An unknown tree is refused with status 2; with nothing to recover, `recover` says so."""
    command("recover", "abcdefgh", cwd=tmp_path, status=2)
    command("recover", "--out", "no/such", cwd=tmp_path, status=2)
    assert "No killed program" in command("recover", cwd=tmp_path)


def test_a_spill_directory_that_nobody_noted(tmp_path):
    """Seen: a kill between making it and noting it left an empty directory for ever."""
    for name in ("tree", "spill"):
        (tmp_path / name).mkdir()
    (tmp_path / "tree/lock").touch()
    sweep.remove_tree_files("tree", str(tmp_path / "tree"))
    assert not list(tmp_path.glob("*"))
