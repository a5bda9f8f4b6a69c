"""Where trees and spilled files lie: a directory of one's own, and directories that somebody else made first."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from helpers import RUNTIME, check, has_footer, needs_mounts, run, scalars

from shmrerun.shm import places

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # the checkout may lie in /tmp itself


def own_temporary(tmp_path, shm, setup=""):
    """Command prefix that gives a program /dev/shm, /tmp and /var/tmp of its own, in which ``setup`` was run first."""
    lines = (
        "set -e; ulimit -c 0",
        f"mount -t tmpfs tmpfs /mnt; mkdir /mnt/work /mnt/code; mount --bind {tmp_path} /mnt/work; mount --bind {ROOT} /mnt/code",
        "mount -t tmpfs -o mode=1777 tmpfs /tmp; mount -t tmpfs -o mode=1777 tmpfs /var/tmp",
        f"mount -t tmpfs -o size={shm},mode=1777 tmpfs /dev/shm",
        f"mkdir -p {tmp_path} {ROOT}; mount --bind /mnt/work {tmp_path}; mount --bind /mnt/code {ROOT}; cd {tmp_path}",
        setup or "true",
        'exec "$@"',
    )
    return ("unshare", "-m", "sh", "-c", "\n".join(lines), "own_temporary")


SPILLING = """
    import os, signal
    import numpy as np
    import shmrerun as rr
    from helpers_programs import own_tree
    from shmrerun.testing import aggregator_pid, leftovers, trees, wait_until

    rr.init("spilling")
    rr.save("out.rrd")
    rr.log("rows", rr.Scalars(0))
    with open("/dev/shm/ballast", "wb") as file:
        try:
            while True:
                os.write(file.fileno(), bytes(65536))
        except OSError:
            pass
    for i in range(1, 100):
        rr.log("rows", rr.Scalars(i))
        rr.log("image", rr.Image(np.full((200, 200, 3), i, np.uint8)))
        if i == 50:
            rr.get_global_data_recording().flush()
            os.kill(aggregator_pid(own_tree()), signal.SIGKILL)
    other = rr.RecordingStream("buffered")  # without a sink, it spills into a spool
    for i in range(30):
        other.log("image", rr.Image(np.full((200, 200, 3), i, np.uint8)))
    if os.fork() == 0:
        for i in range(50):
            rr.log("child", rr.Scalars(i))
        os._exit(0)
    os.wait()
    other.save("other.rrd")
"""

SQUATS = {
    "owner": "mkdir -m 700 {}; chown 65534:65534 {}",
    "mode": "mkdir -m 755 {}",
    "file": "touch {}; chmod 700 {}",
    "link": "mkdir -m 700 /tmp/elsewhere; ln -s /tmp/elsewhere {}",
}
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


def squat(how, path):
    return SQUATS[how].replace("{}", path)


@needs_mounts
@needs_root
@pytest.mark.parametrize("how", sorted(SQUATS))
def test_squatted_spill_directory_is_passed_over(tmp_path, how):
    """Lanes, spools, children and a successor use the next private place where the first is not ours; it is said once, no row is lost."""
    prefix = own_temporary(tmp_path, "4m", squat(how, f"/tmp/shmrerun-{os.geteuid()}"))
    after = """
    assert not os.path.exists("/tmp/elsewhere") or not os.listdir("/tmp/elsewhere")
    path = f"/tmp/shmrerun-{os.geteuid()}"
    assert not os.path.isdir(path) or not os.listdir(path)
    assert any(name.startswith("shmrerun-") for name in os.listdir(f"/var/tmp/shmrerun-{os.geteuid()}"))
"""
    result = run(SPILLING + after, tmp_path, prefix=prefix, env={RUNTIME: ""})
    rows = check(tmp_path / "out.rrd")
    assert scalars(rows, "/rows") == list(range(100))
    assert scalars(rows, "/child") == list(range(50))
    assert [row["Image:buffer"][0][0] for row in rows["/image"]] == list(range(1, 100))
    assert len(check(tmp_path / "other.rrd")["/image"]) == 30
    assert result.stderr.count("another one is used") == 1, result.stderr


@needs_mounts
@needs_root
@pytest.mark.parametrize("how", sorted(SQUATS))
def test_squatted_runtime_directory_is_passed_over(tmp_path, how):
    """The tree lies in the next private place; children of every kind, the aggregator and the command line find it there."""
    path = f"/dev/shm/shmrerun-{os.geteuid()}"
    result = run(
        f"""
        import json, multiprocessing, os, subprocess, sys
        import shmrerun as rr

        def work(n):
            rr.log("child", rr.Scalars(n))

        if __name__ == "__main__":
            rr.init("foreign")
            rr.save("out.rrd")
            for n, method in enumerate(("fork", "spawn", "forkserver")):
                child = multiprocessing.get_context(method).Process(target=work, args=(n,))
                child.start()
                child.join()
                assert child.exitcode == 0
            subprocess.run([sys.executable, "-c", "import shmrerun as rr; rr.log('child', rr.Scalars(3))"], check=True)
            found = json.loads(subprocess.check_output([sys.executable, "-m", "shmrerun", "ps", "--json"]))
            assert [tree["processes"][0]["pid"] for tree in found["trees"]] == [os.getpid()]
            assert not os.path.isdir({path!r}) or not os.listdir({path!r})
        """,
        tmp_path, prefix=own_temporary(tmp_path, "16m", squat(how, path)), env={RUNTIME: "", "XDG_RUNTIME_DIR": ""},
    )  # fmt: skip
    assert sorted(scalars(check(tmp_path / "out.rrd"), "/child")) == [0, 1, 2, 3]
    assert result.stderr.count("another one is used") == 1, result.stderr
    assert path in result.stderr


@needs_mounts
def test_named_runtime_directory_that_others_can_enter(tmp_path):
    """A named directory that is not private is passed over and said; the program logs all the same."""
    (tmp_path / "open").mkdir(mode=0o755)
    text = "import shmrerun as rr; rr.init('open'); rr.save('out.rrd'); rr.log('rows', rr.Scalars(1))"
    result = run(text, tmp_path, prefix=own_temporary(tmp_path, "16m"), env={RUNTIME: f"{tmp_path}/open"})
    assert scalars(check(tmp_path / "out.rrd"), "/rows") == [1]
    assert "has mode 755" in result.stderr
    assert not os.listdir(tmp_path / "open")


def test_named_runtime_directory(tmp_path):
    """SHMRERUN_RUNTIME_DIR holds the tree, names of segments tell it, and children whose environment lacks it find the tree."""
    home = f"{tmp_path}/home of trees"
    run(
        """
        import multiprocessing, os, subprocess, sys
        import shmrerun as rr

        def work(n, stream=None):
            assert "SHMRERUN_RUNTIME_DIR" not in os.environ or multiprocessing.get_start_method(True) == "fork"
            rr.log("child", rr.Scalars(n))
            if stream is not None:
                stream.log("stream", rr.Scalars(n))

        if __name__ == "__main__":
            home = os.environ["SHMRERUN_RUNTIME_DIR"]
            rr.init("home")
            rr.save("out.rrd")
            second = rr.RecordingStream("second")
            second.save("second.rrd")
            assert os.stat(home).st_mode & 0o777 == 0o700
            [tree] = [name for name in os.listdir(home) if os.path.exists(f"{home}/{name}/lock")]
            names = [name for name in os.listdir("/dev/shm") if name.startswith(f"shmrerun-{tree}")]
            assert names and all(len(name) <= 31 for name in names), names
            print(tree)
            del os.environ["SHMRERUN_RUNTIME_DIR"]
            for n, method in enumerate(("fork", "spawn", "forkserver")):
                child = multiprocessing.get_context(method).Process(target=work, args=(n, None if method == "fork" else second))
                child.start()
                child.join()
                assert child.exitcode == 0
            bare = {"SHMRERUN_PARENT": os.environ["SHMRERUN_PARENT"], "PATH": os.environ["PATH"]}
            code = "import shmrerun as rr; rr.log('child', rr.Scalars(3))"
            subprocess.run([sys.executable, "-c", code], check=True, env=bare)
        """,
        tmp_path, env={RUNTIME: home},
    )  # fmt: skip
    assert sorted(scalars(check(tmp_path / "out.rrd"), "/child")) == [0, 1, 2, 3]
    assert scalars(check(tmp_path / "second.rrd"), "/stream") == [1, 2]
    assert has_footer(tmp_path / "out.rrd")
    token = next(tmp_path.glob("program*.out")).read_text().strip()
    assert token.startswith(places.prefix_of(home))
    assert len(places.prefix_of(home)) == 5
    assert not places.prefix_of(f"/dev/shm/shmrerun-{os.geteuid()}")
    assert os.listdir(home) == []  # what was named stays, empty


def test_looking_makes_nothing(tmp_path):
    """The command line, and whoever cleans up, neither make a directory nor fail where there is none."""
    home = f"{tmp_path}/home"
    for arguments in (["ps"], ["wait", "--all"]):
        command = [sys.executable, "-m", "shmrerun", *arguments]
        assert subprocess.run(command, env={**os.environ, RUNTIME: home}, cwd=tmp_path, timeout=300, check=False).returncode == 0
    code = """
from shmrerun import testing
from shmrerun.shm import segments
assert not testing.trees() and not testing.leftovers()
assert not segments.unlink("shmrerun-none.1")
try:
    segments.attach("shmrerun-none.1", 1, 1)
except FileNotFoundError:
    print("none")
"""
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, RUNTIME: home}, capture_output=True, text=True, timeout=300, check=True
    )
    assert done.stdout == "none\n"
    assert not os.listdir(tmp_path)
