"""A blueprint made by code, in a real viewer: sent with a recording, and by itself. The pictures stay in the test's directory."""

from __future__ import annotations

import time

import numpy as np
import pytest
from helpers import run
from helpers_live import end, rerun, url

PROGRAM = """
import math, sys
import numpy as np
import shmrerun as rr
import shmrerun.blueprint as rrb

url, how = sys.argv[1:]
layout = rrb.Blueprint(
    rrb.Horizontal(
        rrb.Spatial3DView(name="Space", background=[200, 30, 30], line_grid=False),
        rrb.Vertical(
            rrb.TimeSeriesView(
                origin="/plot", name="Waves", plot_legend=rrb.PlotLegend("lefttop"),
                background=rrb.archetypes.PlotBackground(color=[20, 120, 20]),
                overrides={"/plot/0": rr.SeriesLines(colors=[255, 255, 0], widths=5)},
            ),
            rrb.Tabs(rrb.TextLogView(name="Words"), rrb.BarChartView(name="Bars"), active_tab="Words"),
            row_shares=[2, 1],
        ),
        column_shares=[1, 2],
    ),
    collapse_panels=True,
)
if how == "alone":
    layout.connect_grpc("pictures", url=url)
rr.init("pictures")
rr.connect_grpc(url, default_blueprint=layout if how == "default" else None)
if how == "sent":
    rr.send_blueprint(layout)
for i in range(200):
    rr.set_time("step", sequence=i)
    for number in range(2):
        rr.log(f"plot/{number}", rr.Scalars(math.sin(i / 20 + number)))
rr.log("points", rr.Points3D(np.random.default_rng(0).random((200, 3)), radii=0.02))
rr.log("words", rr.TextLog("nothing is lost", level="INFO"))
rr.get_global_data_recording().flush()
rr.disconnect()
"""


def _share(path, colour):
    """Part of a picture that is about of a colour."""
    image = np.asarray(pytest.importorskip("PIL.Image").open(path).convert("RGB")).astype(int)
    return float((np.abs(image - np.array(colour)).max(axis=2) < 12).mean())


@pytest.mark.timeout(180)
@pytest.mark.parametrize("how", ["sent", "default", "alone"])
def test_the_viewer_lays_out_what_the_blueprint_says(tmp_path, how):
    """One view is red, on a third of the width, the other one green above a log, and the panels are out of the way."""
    from rerun.experimental import ViewerClient

    with rerun("--headless", "--window-size", "900x600", "--hide-welcome-screen", tmp_path=tmp_path) as (process, port):
        run(PROGRAM, tmp_path, arguments=(url(port), how))
        viewer = ViewerClient.connect(url(port))
        deadline = time.monotonic() + 60
        while not (state := viewer.get_state()).recordings or state.loading:
            assert time.monotonic() < deadline, state
            time.sleep(0.3)
        picture = tmp_path / f"{how}.png"
        while True:  # it is drawn when it is
            picture.write_bytes(viewer.take_screenshot())
            red, green = _share(picture, (200, 30, 30)), _share(picture, (20, 120, 20))
            if red > 0.15 and green > 0.15:
                break
            assert time.monotonic() < deadline, (red, green)
            time.sleep(0.5)
        bad = [(entry.level, entry.message) for entry in viewer.get_logs() if str(entry.level).lower().endswith("error")]
        assert not bad
        end(process)
