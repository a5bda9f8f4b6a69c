"""Viewers beside the program: real ones, their displays and ports, their ends, and what holds on to what."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time

import pytest
from helpers import is_gone, run, start

from shmrerun.producer.executable import find_viewer
from shmrerun.producer.ports import answers
from shmrerun.testing import wait_until

pytest.importorskip("rerun_cli")
NO_DISPLAY = {"DISPLAY": "", "WAYLAND_DISPLAY": "", "WAYLAND_SOCKET": ""}


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def listeners(port):
    """Addresses that a port of this machine is listened on, as /proc/net has them."""
    found = set()
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(FileNotFoundError), open(f"/proc/net/{table}", encoding="ascii") as file:
            for line in file.read().splitlines()[1:]:
                words = line.split()
                address, number = words[1].split(":")
                if words[3] == "0A" and int(number, 16) == port:
                    found.add(address)
    return found


def viewers(port):
    """Pids of processes that were started as a viewer on a port."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError), open(f"/proc/{name}/cmdline", "rb") as file:
            command = file.read().split(b"\0")
            if f"--port={port}".encode() in command and b"keeper.py" not in b" ".join(command) and not is_gone(int(name)):
                found.append(int(name))
    return found


@pytest.fixture
def port():
    """A free port; whatever was started as a viewer on it is ended."""
    number = free_port()
    yield number
    for pid in viewers(number):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not viewers(number), 10, "viewers end")


@pytest.fixture
def headless(tmp_path):
    """A program that is the viewer without a window, as a user's script around it."""
    path = tmp_path / "headless"
    path.write_text(f'#!/bin/sh\nexec {find_viewer()} --headless "$@"\n')
    path.chmod(0o755)
    return str(path)


SPAWN = """
    import os, sys, time
    import shmrerun as rr
    port, path, *rest = sys.argv[1:]
    rr.init("app")
    rr.spawn(port=int(port), connect=False, executable_path=path or None, detach_process="attached" not in rest)
    print("spawned", flush=True)
    if "stay" in rest:
        time.sleep(60)
"""


def test_no_display(tmp_path, port):
    """Without a display the error comes at once and says what to do; nothing is started."""
    result = run(
        """
        import time, sys
        import shmrerun as rr
        rr.init("app")
        began = time.monotonic()
        try:
            rr.spawn(port=int(sys.argv[1]))
        except RuntimeError as error:
            print(time.monotonic() - began, error)
        """,
        tmp_path, arguments=[port], env=NO_DISPLAY,
    )  # fmt: skip
    seconds, _, text = result.stdout.partition(" ")
    assert float(seconds) < 1
    assert "needs a display" in text
    assert all(word in text for word in ("DISPLAY", "rr.serve_web()", "rr.save(path)", "connect_grpc"))
    assert not viewers(port)


def test_display_that_is_none(tmp_path, port):
    """A viewer that ends because its display is not there is an error with its exit code and last lines, and the same advice."""
    result = run(SPAWN, tmp_path, arguments=[port, ""], env={**NO_DISPLAY, "DISPLAY": ":98765"}, check=False)
    assert result.returncode == 1
    assert "The viewer ended with exit code 1" in result.stderr
    assert "rr.serve_web()" in result.stderr
    assert not viewers(port)


def test_user_named_viewer_without_display(tmp_path, port):
    """RERUN_CLI_PATH names the program, which is tried though no display is set; its end is noticed after it listened."""
    result = run(SPAWN, tmp_path, arguments=[port, ""], env={**NO_DISPLAY, "RERUN_CLI_PATH": find_viewer()}, check=False)
    assert "The viewer ended with exit code" in result.stderr
    assert not viewers(port)


def test_missing_executable(tmp_path, port, monkeypatch):
    """A viewer that is not there is a RuntimeError that says how to get one, by name and by path."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("RERUN_CLI_PATH", raising=False)
    assert find_viewer().endswith("rerun_cli/rerun")  # the installed one needs no PATH
    with pytest.raises(RuntimeError, match=r"^Failed to find Rerun Viewer executable in PATH\. .*pip install \"shmrerun\[viewer\]\""):
        find_viewer("no_such_rerun")
    with pytest.raises(RuntimeError, match=r'^Failed to find Rerun Viewer executable at "/no/such"\. '):
        find_viewer("rerun", "/no/such")
    monkeypatch.setenv("RERUN_CLI_PATH", "/no/other")
    with pytest.raises(RuntimeError, match=r'at "/no/other"'):
        find_viewer()
    mine = tmp_path / "mine"
    mine.write_text("#!/bin/sh\n")
    mine.chmod(0o755)
    monkeypatch.setenv("RERUN_CLI_PATH", str(mine))
    assert find_viewer() == str(mine)
    monkeypatch.delenv("RERUN_CLI_PATH")
    assert find_viewer("mine") == str(mine)


def test_script_of_the_sdk_is_passed_over(monkeypatch):
    """rerun-sdk's console script stands for the program that it would run."""
    monkeypatch.setenv("PATH", os.path.dirname(sys.executable))
    monkeypatch.delenv("RERUN_CLI_PATH", raising=False)
    assert find_viewer().endswith("rerun_cli/rerun")


def test_detached_viewer_outlives_the_program(tmp_path, port, headless):
    """A viewer is started, answers on the loopback address alone, holds no pipe of the program's, and lives on, as nobody's zombie."""
    script = tmp_path / "prog.py"
    script.write_text("\n".join(line[4:] for line in SPAWN.splitlines()) + "\nprint('last')\n")
    began = time.monotonic()
    done = subprocess.run(
        f"{sys.executable} {script} {port} {headless} 2>&1 | tail -n 1", shell=True, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "last\n"
    assert time.monotonic() - began < 60
    assert answers(port)
    assert listeners(port) == {"0100007F"}
    (pid,) = viewers(port)
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        _, parent, group = file.read().rpartition(")")[2].split()[:3]
    assert int(group) == pid
    assert int(parent) != os.getpid()
    assert os.readlink(f"/proc/{pid}/fd/0") == "/dev/null"
    assert "(deleted)" in os.readlink(f"/proc/{pid}/fd/1")


def test_second_spawn_starts_none(tmp_path, port, headless):
    """Where something listens already no viewer is started; processes that spawn at the same time start one between them."""
    programs = [start(SPAWN, tmp_path, arguments=[port, headless]) for _ in range(3)]
    results = [program.wait() for program in programs]
    assert [result.stdout for result in results] == ["spawned\n"] * 3
    assert len(viewers(port)) == 1
    assert sum("listens on port" in result.stderr for result in results) == 2


def test_something_listens_already(tmp_path, port):
    """Where a server listens nothing is started; where the shared recording goes to a viewer already nobody even looks."""
    server = subprocess.Popen(
        [find_viewer(), "--serve-grpc", "--bind", "127.0.0.1", f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait_until(lambda: answers(port), 20, "the server listens")
        result = run(
            """
            import sys
            import shmrerun as rr
            from shmrerun.producer import viewer
            port, calls = int(sys.argv[1]), []
            viewer.connect_grpc = lambda url, **options: calls.append((url, options["default_blueprint"]))
            rr.init("app")
            rr.spawn(port=port, executable_path="/no/such", default_blueprint="it")
            rr.get_data_recording().spawn(port=port, connect=False)
            viewer.has_viewer = lambda stream: True
            rr.spawn(port=1)
            viewer.answers = lambda port: True
            rr.init("app", recording_id="two", spawn=True)
            print(calls)
            """,
            tmp_path, arguments=[port], env=NO_DISPLAY,
        )  # fmt: skip
        proxies = [(f"rerun+http://127.0.0.1:{number}/proxy", blueprint) for number, blueprint in ((port, "it"), (1, None), (9876, None))]
        assert result.stdout == f"{proxies}\n"
        assert result.stderr.count(f"something listens on port {port} already") == 2
    finally:
        server.kill()
        server.wait(20)


@pytest.mark.parametrize("end", ["normal", "killed", "group"])
def test_attached_viewer_ends_with_the_program(tmp_path, port, headless, end):
    """A viewer that is not detached is in the program's process group and ends with it, however it ends."""
    program = start(SPAWN, tmp_path, arguments=[port, headless, "attached", *([] if end == "normal" else ["stay"])])
    if end != "normal":
        wait_until(lambda: "spawned" in program.output()[0], 60, "spawned")
        (pid,) = viewers(port)
        assert os.getpgid(pid) == os.getpgid(program.pid)
        if end == "killed":
            os.kill(program.pid, signal.SIGKILL)
        else:
            os.killpg(program.pid, signal.SIGINT)
    program.wait(check=False)
    wait_until(lambda: not viewers(port), 10, "the viewer ends")


def test_wrapped_viewer_ends_whole(tmp_path, port):
    """An attached viewer that a script runs as its child ends with the script."""
    path = tmp_path / "wrapped"
    path.write_text(f'#!/bin/sh\n{find_viewer()} --headless "$@"\nexit 3\n')
    path.chmod(0o755)
    run(SPAWN, tmp_path, arguments=[port, str(path), "attached"])
    wait_until(lambda: not viewers(port), 10, "the viewer ends")


def test_no_viewer_where_none_is_wanted(tmp_path, port, headless):
    """Nothing is started with `_RERUN_TEST_FORCE_SAVE`, in a child's import of the main module, nor for a disabled recording."""
    text = """
        import multiprocessing, sys
        import shmrerun as rr
        port, path = int(sys.argv[1]), sys.argv[2]
        if __name__ != "__main__":
            rr.init("app")
            rr.spawn(port=port, executable_path=path, connect=False)
        def work(): pass
        if __name__ == "__main__":
            rr.init("app", default_enabled=False)
            rr.spawn(port=port, executable_path=path, connect=False)
            worker = multiprocessing.get_context("spawn").Process(target=work)
            worker.start(); worker.join()
            import os
            os.environ["_RERUN_TEST_FORCE_SAVE"] = "forced.rrd"
            rr.init("app")
            rr.spawn(port=port, executable_path=path)
            rr.disconnect()
    """
    result = run(text, tmp_path, arguments=[port, headless])
    assert not viewers(port)
    assert "Rerun is disabled - spawn() call ignored" in result.stderr


@pytest.mark.skipif(shutil.which("Xvfb") is None, reason="needs Xvfb")
def test_viewer_with_a_window(tmp_path, port):
    """On a display the very viewer stays, found without PATH, and listens on the loopback address alone."""
    number = 90 + os.getpid() % 900
    display = subprocess.Popen(["Xvfb", f":{number}", "-screen", "0", "640x480x24"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: os.path.exists(f"/tmp/.X11-unix/X{number}"), 20, "Xvfb")
        result = run(SPAWN, tmp_path, arguments=[port, ""], env={**NO_DISPLAY, "DISPLAY": f":{number}"}, check=False)
        if result.returncode and any(word in result.stderr.lower() for word in ("adapter", "wgpu", "vulkan")):
            pytest.skip(f"no graphics driver: {result.stderr[-300:]}")
        assert result.stdout == "spawned\n", result.stderr
        assert len(viewers(port)) == 1
        assert listeners(port) == {"0100007F"}
    finally:
        for pid in viewers(port):
            os.kill(pid, signal.SIGKILL)
        display.terminate()
        display.wait(20)
