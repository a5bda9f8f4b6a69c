"""Standard output as a sink: pipes to Rerun, files of the shell, readers that go away, terminals."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import time

from helpers import HERE, MARK, RUN, read_rows, scalars
from helpers_live import RERUN

PROGRAM = """
import multiprocessing, sys
import shmrerun as rr
def work(number):
    for i in range(300):
        rr.set_time("step", sequence=i); rr.log(f"rows/{number}", rr.Scalars(i))
rr.init("live"); rr.log("before", rr.Scalars(1))
rr.stdout()
found = [multiprocessing.get_context("fork").Process(target=work, args=(n,)) for n in range(3)]
for process in found: process.start()
for process in found: process.join()
rr.log("after", rr.Scalars(2))
"""


def _command(tmp_path, text=PROGRAM):
    (tmp_path / "program.py").write_text(text)
    return [sys.executable, str(tmp_path / "program.py")]


def _environment():
    return {**os.environ, MARK: f"{RUN}:stdout", "PYTHONPATH": HERE}


def _assert_all(path):
    rows = read_rows(path)
    for number in range(3):
        assert sorted(scalars(rows, f"/rows/{number}")) == list(range(300))
    assert (scalars(rows, "/before"), scalars(rows, "/after")) == ([1], [2])


def test_a_pipe_to_rerun(tmp_path):
    """``python program.py | rerun - --save out.rrd``: every row, and the pipe ends with the program."""
    program = subprocess.Popen(_command(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=_environment())
    done = subprocess.run(
        [RERUN, "-", "--save", str(tmp_path / "out.rrd"), "--port", "auto"],
        stdin=program.stdout, capture_output=True, timeout=60, env=_environment(), check=False,
    )  # fmt: skip
    program.stdout.close()
    assert program.wait(30) == 0
    assert program.stderr.read() == b""
    program.stderr.close()
    assert done.returncode == 0, done.stderr
    _assert_all(tmp_path / "out.rrd")


def test_a_file_of_the_shell(tmp_path):
    """``python program.py > out.rrd``."""
    with open(tmp_path / "out.rrd", "wb") as out:
        done = subprocess.run(_command(tmp_path), stdout=out, stderr=subprocess.PIPE, env=_environment(), timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    _assert_all(tmp_path / "out.rrd")


def test_a_reader_that_goes_away(tmp_path):
    """``| head -c 100``: told once, the program goes on and ends, and what was not delivered is said."""
    noise = "import os, numpy; rr.log('noise', rr.Image(numpy.frombuffer(os.urandom(640 * 480), 'u1').reshape(480, 640)))"
    text = PROGRAM.replace("rr.stdout()", f"rr.stdout(); {noise}")  # more than a pipe holds
    program = subprocess.Popen(_command(tmp_path, text), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=_environment())
    program.stdout.read(100)
    program.stdout.close()
    began = time.monotonic()
    assert program.wait(60) == 0
    assert time.monotonic() - began < 30
    said = program.stderr.read().decode()
    program.stderr.close()
    assert said.count("Broken pipe") == 1, said


def test_a_terminal_gets_nothing(tmp_path):
    """Rows stay buffered, for the next sink; a closed standard output is an error in the caller."""
    master, slave = pty.openpty()
    text = PROGRAM.replace("rr.stdout()", "rr.stdout()\nimport os; assert os.isatty(1)").replace(
        'rr.log("after"', 'rr.save("out.rrd"); rr.log("after"'
    )
    done = subprocess.run(
        _command(tmp_path, text), stdout=slave, stderr=subprocess.PIPE, env=_environment(), timeout=60, cwd=tmp_path, check=False
    )
    os.close(slave)
    os.set_blocking(master, False)
    try:
        written = os.read(master, 1000)
    except OSError:
        written = b""
    os.close(master)
    said = [line for line in done.stderr.splitlines() if not line.startswith(b"shmrerun: finishing ")]  # as a slow machine makes it say
    assert (done.returncode, said, written) == (0, [], b"")
    _assert_all(tmp_path / "out.rrd")
    closed = PROGRAM.replace(
        "rr.stdout()",
        "import os\nos.close(1)\ntry:\n    rr.stdout()\nexcept RuntimeError as error:\n"
        "    print(error, file=sys.stderr)\nrr.save('closed.rrd')",
    )
    done = subprocess.run(_command(tmp_path, closed), stderr=subprocess.PIPE, env=_environment(), timeout=60, cwd=tmp_path, check=False)
    assert b"cannot write to standard output" in done.stderr
    _assert_all(tmp_path / "closed.rrd")
