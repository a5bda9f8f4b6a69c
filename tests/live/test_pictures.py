"""What a viewer shows: the real one, headless, and its page in a real browser. The pictures stay in the test's directory."""

from __future__ import annotations

import os
import shutil
import time

import numpy as np
import pytest
from helpers import start
from helpers_live import end, free_port, rerun, url

PROGRAM = """
import math, multiprocessing, os, time
import numpy as np
import shmrerun as rr
def work(number):
    i = 0
    while not os.path.exists("stop"):
        rr.set_time("step", sequence=i)
        rr.log(f"plot/{number}", rr.Scalars(math.sin(i / 20 + number)))
        if number == 0 and i % 5 == 0:
            rr.log("points", rr.Points2D(np.random.rand(30, 2).astype("f4") * 10, radii=0.1))
        i += 1
        time.sleep(0.02)
rr.init("live")
SINK
found = [multiprocessing.get_context("fork").Process(target=work, args=(n,)) for n in range(4)]
for process in found: process.start()
print("running", flush=True)
for process in found: process.join()
"""


def _running(program):
    while "running" not in program.output()[0]:
        assert program.process.poll() is None, program.output()
        time.sleep(0.02)


def _colours(path):
    """How many different colours a picture has, of every hundredth pixel."""
    image = pytest.importorskip("PIL.Image").open(path).convert("RGB")
    return len(np.unique(np.asarray(image)[::7, ::7].reshape(-1, 3), axis=0))


@pytest.mark.timeout(180)
def test_the_viewer_shows_what_connect_grpc_sent(tmp_path):
    """The headless viewer has our recording, all entities of four processes, and draws them."""
    from rerun.experimental import ViewerClient

    with rerun("--headless", "--window-size", "900x600", "--hide-welcome-screen", tmp_path=tmp_path) as (process, port):
        program = start(PROGRAM.replace("SINK", f'rr.connect_grpc("{url(port)}")'), tmp_path, deadline=150)
        _running(program)
        viewer = ViewerClient.connect(url(port))
        deadline = time.monotonic() + 60
        while not (state := viewer.get_state()).recordings or state.loading:
            assert time.monotonic() < deadline, state
            time.sleep(0.3)
        time.sleep(3)
        (recording,) = state.recordings
        assert "live" in str(recording.store_id)
        schema = str(viewer.get_recording_schema(recording.store_id))
        for entity in ("/plot/0", "/plot/1", "/plot/2", "/plot/3", "/points"):
            assert entity in schema
        (tmp_path / "viewer.png").write_bytes(viewer.take_screenshot())
        bad = [(entry.level, entry.message) for entry in viewer.get_logs() if str(entry.level).lower().endswith("error")]
        assert not bad
        (tmp_path / "stop").touch()
        program.wait()
        end(process)
    assert _colours(tmp_path / "viewer.png") > 20


@pytest.mark.timeout(240)
@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs Debian's chromium")
def test_the_page_shows_what_serve_web_serves(tmp_path):
    """The page in Chromium, fed by our server on the port that it was told, while four processes log."""
    playwright = pytest.importorskip("playwright.sync_api")
    grpc_port, web_port = free_port(), free_port()
    sink = f"rr.serve_web(open_browser=False, web_port={web_port}, grpc_port={grpc_port})"
    program = start(PROGRAM.replace("SINK", sink), tmp_path, deadline=220)
    _running(program)
    flags = [
        "--no-sandbox", "--use-angle=swiftshader", "--use-gl=angle", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist",
        "--disable-background-networking",
    ]  # fmt: skip
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=flags)
        page = browser.new_page(viewport={"width": 900, "height": 600})
        page.goto(
            f"http://127.0.0.1:{web_port}/?url=rerun%2Bhttp%3A%2F%2F127.0.0.1%3A{grpc_port}%2Fproxy&hide_welcome_screen", timeout=90_000
        )
        page.wait_for_timeout(45_000)
        page.screenshot(path=str(tmp_path / "page.png"), timeout=120_000)
        browser.close()
    (tmp_path / "stop").touch()
    program.wait()
    assert os.path.getsize(tmp_path / "page.png") > 10_000
    assert _colours(tmp_path / "page.png") > 20
