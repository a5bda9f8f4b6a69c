"""The viewer's page: served by rerun-sdk's own binary, exactly as long as the program and its forked children live."""

import contextlib
import os
import re
import signal
import socket
import urllib.request

import pytest
from helpers import run, start
from test_viewer import free_port, listeners

from shmrerun.producer.ports import answers
from shmrerun.testing import wait_until

pytest.importorskip("rerun_cli")

PROGRAM = """
    import os, sys, time
    import shmrerun as rr
    rr.serve_web_viewer(web_port=int(sys.argv[1]), open_browser=False, connect_to="rerun+http://127.0.0.1:1/proxy")
    child = os.fork() if "fork" in sys.argv else 1
    print("child", child, flush=True)
    if "stay" in sys.argv or not child:
        time.sleep(600)
"""


def get(port, path="/"):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=20) as answer:
        return answer.status, answer.read()


@pytest.fixture
def port():
    """A free port, on which nothing is served afterwards."""
    number = free_port()
    yield number
    wait_until(lambda: not answers(number), 10, "the page ends")


def test_page_is_served(tmp_path, port):
    """The page and its program come from this machine, on its loopback address alone, and are gone when the program was killed."""
    program = start(PROGRAM, tmp_path, arguments=[port, "stay"])
    try:
        wait_until(lambda: "child" in program.output()[0], 60, "served")
        status, page = get(port)
        assert status == 200
        assert b"Rerun Viewer" in page
        assert get(port, "/re_viewer_bg.wasm")[1][:4] in (b"\0asm", b"\x1f\x8b\x08\x00", b"\x1f\x8b\x08\x08")
        assert listeners(port) == {"0100007F"}
        assert f"http://127.0.0.1:{port}?url=rerun%2Bhttp%3A%2F%2F127.0.0.1%3A1%2Fproxy" in program.output()[1]
        os.kill(program.pid, signal.SIGKILL)
        wait_until(lambda: not answers(port), 10, "the page ends")
    finally:
        program.kill()


def test_page_ends_with_the_program(tmp_path, port):
    """The page is gone when the program has ended normally."""
    assert run(PROGRAM, tmp_path, arguments=[port]).stdout.startswith("child 1")
    wait_until(lambda: not answers(port), 10, "the page ends")


def test_forked_child_keeps_the_page(tmp_path, port):
    """A forked child alone keeps the page, until it ends too, killed."""
    program = start(PROGRAM, tmp_path, arguments=[port, "fork"])
    try:
        program.wait()
        child = int(re.search(r"child (\d\d+)", program.output()[0])[1])
        assert get(port)[0] == 200
        os.kill(child, signal.SIGKILL)
        wait_until(lambda: not answers(port), 10, "the page ends")
    finally:
        program.kill()


def test_port_in_use(tmp_path):
    """A port that another program has is a RuntimeError that names it and says what to do; nothing is started."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        number = taken.getsockname()[1]
        result = run(PROGRAM, tmp_path, arguments=[number], check=False)
        assert result.returncode == 1
        assert f"port {number} for the viewer's page is taken by another program. Give another web_port" in result.stderr


def test_any_port_and_the_same_page_again(tmp_path):
    """Port 0 takes any that is free; a second call, in a forked child too, uses the page that is there; notebooks show it."""
    result = run(
        """
        import os, sys
        import shmrerun as rr
        from shmrerun.producer import web
        rr.start_web_viewer_server()
        rr.start_web_viewer_server()
        port = web._notebook_port
        rr.serve_web_viewer(web_port=port, open_browser=False)
        if os.fork() == 0:
            rr.serve_web_viewer(web_port=port, open_browser=False)
            os._exit(0)
        assert os.wait()[1] == 0
        assert [*web._pages] == [port]
        rr.init("app")
        rr.log("x", rr.TextDocument("hello"))
        print(web.notebook_page())
        print(rr.legacy_notebook_show())
        """,
        tmp_path,
    )
    url, _, html = result.stdout.partition("\n")
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", url)
    assert f'src="{url}?url=web_event://&amp;persist=0&amp;notebook=1"' in html
    wait_until(lambda: not answers(int(url.rpartition(":")[2])), 10, "the page ends")


def test_browser_is_opened(tmp_path, port):
    """The page is opened by the user's browser, which holds nothing of the program's."""
    browser = tmp_path / "browser"
    lines = ["#!/bin/sh", f"cd {tmp_path}", "readlink /proc/$$/fd/1 > out", 'echo "$1" > opened.part', "mv opened.part opened", ""]
    browser.write_text("\n".join(lines))
    browser.chmod(0o755)
    text = """
        import sys, time, os
        import shmrerun as rr
        rr.serve_web_viewer(web_port=int(sys.argv[1]), connect_to="rerun+http://127.0.0.1:1/proxy")
        while not os.path.exists("opened"):
            time.sleep(0.01)
    """
    run(text, tmp_path, arguments=[port], env={"BROWSER": f"{browser} %s"})
    assert (tmp_path / "opened").read_text() == f"http://127.0.0.1:{port}?url=rerun%2Bhttp%3A%2F%2F127.0.0.1%3A1%2Fproxy\n"
    assert "program" not in (tmp_path / "out").read_text()  # where the program's own output goes


def test_serve_web(tmp_path, port):
    """`serve_web` serves the recording and the page for it; a disabled recording, or none, warns and serves nothing."""
    result = run(
        """
        import sys
        import shmrerun as rr
        from shmrerun.producer import web
        port = int(sys.argv[1])
        rr.serve_web(web_port=port, open_browser=False)
        rr.init("app", default_enabled=False)
        rr.serve_web(web_port=port, open_browser=False)
        assert not web._pages
        rr.init("app")
        seen = {}
        def stand_in(**options):
            seen.update(options)
            return "rerun+http://127.0.0.1:7/proxy"
        web.serve_grpc = stand_in
        assert rr.serve_web(web_port=port, grpc_port=7, open_browser=False, server_memory_limit="1GB") is None
        assert (seen["grpc_port"], seen["server_memory_limit"]) == (7, "1GB")
        assert [*web._pages] == [port]
        """,
        tmp_path, arguments=[port],
    )  # fmt: skip
    assert result.stderr.count("Rerun is disabled - serve_web() call ignored") == 2
    assert f"http://127.0.0.1:{port}?url=rerun%2Bhttp%3A%2F%2F127.0.0.1%3A7%2Fproxy" in result.stderr


def test_ctrl_c_leaves_the_page(tmp_path, port):
    """Ctrl-C to the program's group reaches the program alone: it goes on serving if it handles that."""
    text = """
        import os, sys, time
        import shmrerun as rr
        rr.serve_web_viewer(web_port=int(sys.argv[1]), open_browser=False)
        print("ready", flush=True)
        try:
            time.sleep(600)
        except KeyboardInterrupt:
            print("handled", flush=True)
            time.sleep(600)
    """
    program = start(text, tmp_path, arguments=[port])
    try:
        wait_until(lambda: "ready" in program.output()[0], 60, "served")
        os.killpg(program.pid, signal.SIGINT)
        wait_until(lambda: "handled" in program.output()[0], 60, "handled")
        assert get(port)[0] == 200
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(program.pid, signal.SIGKILL)
        program.wait(check=False)


def test_script_options(tmp_path):
    """Each option of `script_add_args` sends the recording where it says; without one a viewer is started, `--headless` starts none."""
    result = run(
        """
        import argparse
        import shmrerun as rr
        calls = []
        for name in ("stdout", "connect_grpc", "serve_grpc", "serve_web_viewer"):
            setattr(rr, name, lambda *given, _name=name, **options: calls.append((_name, *given)) or "url")
        rr.RecordingStream.spawn = lambda self, **options: calls.append(("spawn", options["default_blueprint"]))
        parser = argparse.ArgumentParser()
        rr.script_add_args(parser)
        for line in ("--stdout --save x", "--serve", "--connect", "--url u --save x", "--save x.rrd", "--headless", ""):
            rr.script_setup(parser.parse_args(line.split()), "app", default_blueprint=None if line == "--save x.rrd" else "it")
            print(line, calls)
            calls.clear()
        """,
        tmp_path,
    )
    assert result.stdout.splitlines() == [
        "--stdout --save x [('stdout', 'it')]",
        "--serve [('serve_grpc',), ('serve_web_viewer',)]",
        "--connect [('connect_grpc', None)]",
        "--url u --save x [('connect_grpc', 'u')]",
        "--save x.rrd []",
        "--headless []",
        " [('spawn', 'it')]",
    ]
    assert os.path.exists(tmp_path / "x.rrd")
